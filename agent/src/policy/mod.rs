//! TelemetryPolicy -> [`Plan`]: what is asked for.

pub mod api;
pub mod attachment;
pub mod attribute;
mod compile;
mod conversion;
pub mod document;
pub mod explain;
mod finding;
mod minimal;
pub mod model;
mod nearest;
pub mod objects;
pub mod plan;
mod plans;
mod schema;
pub mod status;
#[cfg(test)]
mod testing;
mod trust;
pub mod validation;

pub use compile::{Compiled, Setting, compile};
pub use finding::{Effect, Finding};
pub use minimal::PolicyError;
pub use plan::{Capture, Defaults, Plan};
pub use plans::{PlanStore, Plans};
pub use trust::{Environment, Limits, LogFiles, Trust};

use minimal::Document;

/// The policy that holds where none is given. It lives here and nowhere else.
pub const DEFAULT_POLICY: &str = include_str!("default.yaml");

impl Plan {
    /// The plan of one policy, given as one YAML document in the GEP-4768 dialect.
    ///
    /// # Errors
    /// [`PolicyError`] if it is not YAML, or a `mode` is none of the three words.
    pub fn of(policy: &str, defaults: Defaults) -> Result<Self, PolicyError> {
        let spec = Document::parse(policy)?.spec;
        let on =
            |stanza: Option<minimal::Stanza>, default| plan::is_on(stanza.map(|stanza| stanza.mode.into()), default);
        Ok(Self::of_signals(
            on(spec.metrics, true),
            on(spec.tracing, defaults.span_exporter),
            on(spec.access_logs, defaults.log_sink),
        ))
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

    fn signals(plan: &Plan) -> (bool, bool, bool) {
        (plan.metrics.is_some(), plan.tracing.is_some(), plan.access_logs.is_some())
    }

    #[test]
    fn the_embedded_policy_traces_only_where_an_exporter_is() {
        let none = Plan::embedded(Defaults::default()).unwrap();
        assert_eq!((signals(&none), none.capture), ((true, false, true), Capture::Heads));
        let both = Plan::embedded(Defaults { span_exporter: true, log_sink: true }).unwrap();
        assert!(both.tracing.is_some());
    }

    #[test]
    fn an_absent_stanza_is_off_and_a_present_one_without_mode_has_the_default() {
        let plan = Plan::of("spec: {metrics: {}, accessLogs: {}, unknown: [1]}", Defaults::default()).unwrap();
        assert_eq!(signals(&plan), (true, false, false));
    }

    #[test]
    fn a_wrong_mode_is_named() {
        let error = Plan::of("spec: {metrics: {mode: On}}", Defaults::default()).unwrap_err();
        assert!(error.to_string().contains("ImplementationDefault"), "{error}");
    }
}
