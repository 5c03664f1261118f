//! Which policy a pod or a namespace follows, why not the others, and what will come out.

mod attribute;
mod signal;
#[cfg(test)]
mod tests;
mod text;
mod why;

use std::sync::Arc;

use serde::Serialize;

use super::{
    Compiled,
    attachment::{Candidate, PolicyIndex, Standing, Subject, precedence},
    model::Direction,
    objects::Objects,
    plan::{Capture, Plan},
};
pub use signal::Signal;
pub use text::{Tone, to_text};

/// The answer of `telltale policy explain`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// For whom it is asked.
    pub target: ExplainedTarget,
    /// Every policy: first the one that holds, then those that would, then the rest; each group in order of precedence.
    pub policies: Vec<ExplainedPolicy>,
    /// What will come out.
    pub plan: ExplainedPlan,
}

/// For whom it is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExplainedTarget {
    /// `Pod` or `Namespace`.
    pub kind: &'static str,
    /// The namespace of a pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

/// A policy, and whether it holds there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedPolicy {
    /// Its spelling.
    pub api_version: &'static str,
    /// Its namespace; empty of the default policy, which is in none.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Whether it holds there.
    pub applies: bool,
    /// Why, or why not: a sentence without a full stop.
    pub why: String,
    /// It has nothing to do with the target.
    #[serde(skip)]
    pub elsewhere: bool,
}

/// What will come out. A signal that is off is `null`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedPlan {
    /// Which ends of connections are reported: `Client`, `Server` or `Both`; nothing where no policy holds.
    pub direction: Option<&'static str>,
    /// What is captured: `none`, `heads` or `bodies`.
    pub capture: &'static str,
    /// Whether calls of language models and of MCP are read out of content.
    pub calls: bool,
    /// Metrics.
    pub metrics: Option<Signal>,
    /// Spans.
    pub tracing: Option<Signal>,
    /// Access logs.
    pub access_logs: Option<Signal>,
    /// What holds for all signals: content, TLS.
    #[serde(skip)]
    pub remarks: Vec<String>,
}

/// Explains for whom which policy holds, and what it asks for.
pub fn explain(compiled: &Compiled, subject: &Subject) -> Explanation {
    let Compiled { candidates, resolution, objects, .. } = compiled;
    let mut standings: Vec<(usize, Standing)> = (0..candidates.len())
        .map(|index| (index, resolution.standing(candidates, objects, subject, PolicyIndex(index))))
        .collect();
    let group = |standing: &Standing| match standing {
        Standing::Applies(_) => 0,
        Standing::Elsewhere => 2,
        _ => 1,
    };
    standings.sort_by(|(a, first), (b, second)| {
        let by_group = group(first).cmp(&group(second));
        by_group.then_with(|| precedence(&candidates[*a].policy, &candidates[*b].policy))
    });
    let policies = standings.iter().map(|(index, standing)| {
        let key = &candidates[*index].policy.key;
        ExplainedPolicy {
            api_version: key.dialect.api_version(),
            namespace: key.namespace.clone(),
            name: key.name.clone(),
            applies: matches!(standing, Standing::Applies(_)),
            why: why::why(candidates, resolution, subject, PolicyIndex(*index), standing),
            elsewhere: *standing == Standing::Elsewhere,
        }
    });
    let followed = resolution.policy_of_subject(objects, subject);
    let mut policies: Vec<ExplainedPolicy> = policies.collect();
    if let Some(default) = &compiled.default {
        let key = &default.candidate.policy.key;
        let explained = ExplainedPolicy {
            api_version: key.dialect.api_version(),
            namespace: key.namespace.clone(),
            name: key.name.clone(),
            applies: followed.is_none(),
            why: why::default(candidates, subject, followed),
            elsewhere: false,
        };
        let place = policies.iter().position(|policy| policy.elsewhere).unwrap_or(policies.len());
        policies.insert(if followed.is_none() { 0 } else { place }, explained);
    }
    Explanation {
        target: match subject {
            Subject::Pod(pod) => {
                ExplainedTarget { kind: "Pod", namespace: Some(pod.namespace.clone()), name: pod.name.clone() }
            }
            Subject::Namespace(name) => ExplainedTarget { kind: "Namespace", namespace: None, name: name.clone() },
        },
        policies,
        plan: match (followed, &compiled.default) {
            (Some(policy), _) => {
                let nothing = Arc::default();
                let of = compiled.plan(policy).unwrap_or(&nothing);
                plan(&candidates[policy.0], of, objects)
            }
            (None, Some(default)) => plan(&default.candidate, &default.plan, objects),
            (None, None) => ExplainedPlan { capture: Capture::Nothing.name(), ..ExplainedPlan::default() },
        },
    }
}

fn plan(candidate: &Candidate, compiled: &Plan, objects: &Objects) -> ExplainedPlan {
    let policy = &candidate.policy;
    ExplainedPlan {
        direction: Some(match policy.spec.direction {
            Direction::Client => "Client",
            Direction::Server => "Server",
            Direction::Both => "Both",
        }),
        capture: compiled.capture.name(),
        calls: compiled.calls,
        metrics: signal::metrics(candidate, compiled),
        tracing: signal::tracing(candidate, objects),
        access_logs: signal::access_logs(candidate),
        remarks: signal::remarks(candidate, compiled),
    }
}
