//! `/v1/plans`: what holds for whom.

use std::sync::Arc;

use serde::Serialize;

use super::{
    LiveState,
    view::{Cut, PolicyView},
};
use crate::policy::{
    Plan,
    model::{Direction, Tls},
};

#[derive(Debug, Serialize)]
pub(super) struct PlansView {
    /// Changes with every change of plans.
    generation: u64,
    plans: Vec<PlanView>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PlanView {
    /// `null` where no policy is behind it: nothing is asked for.
    policy: Option<PolicyView>,
    direction: &'static str,
    capture: &'static str,
    /// Whether what is inside TLS is asked for.
    tls: bool,
    /// The signals that are on.
    signals: Vec<&'static str>,
    /// The namespaces whose pods follow it.
    namespaces: Cut<String>,
    /// Pods that follow it for themselves: those of a Gateway.
    pods: Cut<String>,
    /// Whether local processes follow it.
    local: bool,
    /// Whether it holds where no policy is accepted.
    elsewhere: bool,
}

impl PlansView {
    pub(super) fn of(live: &LiveState) -> Self {
        let compiled = live.compiled();
        let (generation, plans) = live.0.plans.current();
        let view = |plan: &Arc<Plan>| {
            let is_it = |other: &Arc<Plan>| Arc::ptr_eq(plan, other);
            PlanView {
                policy: PolicyView::of(plan, compiled.as_deref()),
                direction: direction(plan.direction),
                capture: plan.capture.name(),
                tls: plan.tls == Tls::Enabled,
                signals: signals(plan),
                namespaces: Cut::of(plans.namespaces.iter().filter(|(_, of)| is_it(of)).map(|(name, _)| name.clone())),
                pods: Cut::of(plans.pods.iter().filter(|(_, of)| is_it(of)).map(|(name, _)| name.to_string())),
                local: is_it(&plans.local),
                elsewhere: is_it(&plans.none),
            }
        };
        let mut views: Vec<PlanView> = plans.distinct().into_iter().map(view).collect();
        views.sort_by(|left, right| left.policy.cmp(&right.policy));
        Self { generation, plans: views }
    }
}

/// By the names of their stanzas.
fn signals(plan: &Plan) -> Vec<&'static str> {
    let signals = [
        ("metrics", plan.metrics.is_some()),
        ("tracing", plan.tracing.is_some()),
        ("accessLogs", plan.access_logs.is_some()),
    ];
    signals.into_iter().filter(|(_, is_on)| *is_on).map(|(name, _)| name).collect()
}

fn direction(direction: Direction) -> &'static str {
    match direction {
        Direction::Client => "Client",
        Direction::Server => "Server",
        Direction::Both => "Both",
    }
}
