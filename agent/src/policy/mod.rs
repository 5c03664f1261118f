//! TelemetryPolicy -> [`Plan`]: what is asked for.

pub mod attribute;
mod document;
mod finding;
pub mod model;
pub mod objects;

use document::Document;
pub use document::{Mode, PolicyError};
pub use finding::{Effect, Finding};

/// The policy that holds where none is given. It lives here and nowhere else.
pub const DEFAULT_POLICY: &str = include_str!("default.yaml");

/// A compiled policy: which signals it asks for, and so what must be captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches, one for each signal")]
pub struct Plan {
    /// Record metrics.
    pub metrics: bool,
    /// Make spans.
    pub tracing: bool,
    /// Write access logs.
    pub access_logs: bool,
    /// Bytes of content are needed, not only heads and sizes.
    pub bodies: bool,
}

/// What `ImplementationDefault` depends on (POLICY.md section 1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Defaults {
    /// A span exporter is configured, or spans are written to a file.
    pub span_exporter: bool,
    /// There is a place where access logs go by default; `run` and `replay` always have one.
    pub log_sink: bool,
}

impl Plan {
    /// The plan of one policy, given as one YAML document in the GEP-4768 dialect.
    ///
    /// # Errors
    /// [`PolicyError`] if it is not YAML, or a `mode` is none of the three words.
    pub fn of(policy: &str, defaults: Defaults) -> Result<Self, PolicyError> {
        let spec = Document::parse(policy)?.spec;
        // A stanza that is absent is off (promise 1): nobody asked.
        let on = |mode: Option<Mode>, default: bool| match mode {
            None | Some(Mode::Disabled) => false,
            Some(Mode::Enabled) => true,
            Some(Mode::ImplementationDefault) => default,
        };
        Ok(Self {
            metrics: on(spec.metrics.map(|stanza| stanza.mode), true),
            tracing: on(spec.tracing.map(|stanza| stanza.mode), defaults.span_exporter),
            access_logs: on(spec.access_logs.map(|stanza| stanza.mode), defaults.log_sink),
            bodies: false,
        })
    }

    /// The plan of [`DEFAULT_POLICY`].
    ///
    /// # Errors
    /// As [`Self::of`]; a test proves that there is none.
    pub fn embedded(defaults: Defaults) -> Result<Self, PolicyError> {
        Self::of(DEFAULT_POLICY, defaults)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_policy_traces_only_where_an_exporter_is() {
        let none = Plan::embedded(Defaults::default()).unwrap();
        assert_eq!(none, Plan { metrics: true, tracing: false, access_logs: true, bodies: false });
        let both = Plan::embedded(Defaults { span_exporter: true, log_sink: true }).unwrap();
        assert!(both.tracing);
    }

    #[test]
    fn an_absent_stanza_is_off_and_a_present_one_without_mode_has_the_default() {
        let plan = Plan::of("spec: {metrics: {}, accessLogs: {}, unknown: [1]}", Defaults::default()).unwrap();
        assert_eq!(plan, Plan { metrics: true, tracing: false, access_logs: false, bodies: false });
    }

    #[test]
    fn a_wrong_mode_is_named() {
        let error = Plan::of("spec: {metrics: {mode: On}}", Defaults::default()).unwrap_err();
        assert!(error.to_string().contains("ImplementationDefault"), "{error}");
    }
}
