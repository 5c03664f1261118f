//! TelemetryPolicy -> [`Plan`]: what is asked for.

pub mod api;
pub mod attachment;
pub mod attribute;
mod checked;
mod compile;
pub(crate) mod conversion;
pub mod convert;
pub mod document;
pub mod explain;
mod fallback;
mod finding;
pub mod model;
mod nearest;
pub mod objects;
mod pattern;
pub mod plan;
mod plans;
mod reach;
pub(crate) mod schema;
pub mod status;
#[cfg(test)]
mod testing;
mod trust;
pub mod validation;

pub use checked::{Checked, Remark, Severity, Statuses};
pub use compile::{Compiled, Setting, compile};
pub use fallback::{DefaultPolicy, Fallback};
pub use finding::{Effect, Finding};
pub use pattern::Pattern;
pub use plan::{Capture, Defaults, Plan};
pub use plans::{PlanStore, Plans};
pub use reach::{Allowed, AllowedError, Reach, Refused};
pub use trust::{Environment, Limits, LogFiles, Trust};

/// The policy that holds where none is given. It lives here and nowhere else.
pub const DEFAULT_POLICY: &str = include_str!("default.yaml");

#[cfg(test)]
mod tests {
    use super::{
        document::{Documents, Source},
        *,
    };

    fn plan(policy: &str, defaults: Defaults) -> Plan {
        let documents = Documents::read(&[Source::new("test", policy)]);
        assert_eq!(documents.problems, []);
        let [document] = &documents.policies[..] else { panic!("one policy") };
        assert_eq!(document.findings, []);
        let (plan, findings) = compile(document.policy.as_ref().unwrap(), &Setting { defaults, trust: Trust::own() });
        assert_eq!(findings, []);
        plan
    }

    fn signals(plan: &Plan) -> (bool, bool, bool) {
        (plan.metrics.is_some(), plan.tracing.is_some(), plan.access_logs.is_some())
    }

    #[test]
    fn the_embedded_policy_traces_only_where_an_exporter_is() {
        let none = plan(DEFAULT_POLICY, Defaults::default());
        assert_eq!((signals(&none), none.capture), ((true, false, true), Capture::Heads));
        let both = plan(DEFAULT_POLICY, Defaults::EVERYTHING);
        // `OTEL_TRACES_SAMPLER` decides where it is set.
        assert!(!both.tracing.unwrap().sampling_given);
    }

    #[test]
    fn an_absent_stanza_is_off_and_a_present_one_without_mode_has_the_default() {
        let (head, _) = DEFAULT_POLICY.split_once("  metrics:").unwrap();
        let policy = format!("{head}  metrics: {{}}\n  accessLogs: {{}}\n");
        assert_eq!(signals(&plan(&policy, Defaults::default())), (true, false, false));
    }
}
