//! `/v1/workloads`: whom the agent knows here, and what holds for them.

use std::{collections::BTreeMap, sync::Arc};

use foldhash::HashMap;
use serde::Serialize;

use super::{
    LiveState, MAX_ENTRIES,
    view::{EndView, PolicyView},
};
use crate::{
    pipeline::Pipeline,
    policy::{Plan, objects::ObjectName},
    workload::{PodIdentity, Workload},
};

#[derive(Debug, Serialize)]
pub(super) struct WorkloadsView {
    total: usize,
    /// Workers that did not answer: their connections are not counted.
    unanswered: Vec<String>,
    workloads: Vec<OneView>,
}

#[derive(Debug, Serialize)]
struct OneView {
    #[serde(flatten)]
    workload: EndView,
    policy: Option<PolicyView>,
    capture: &'static str,
    /// Connections that are followed now.
    connections: usize,
}

/// What sorts and joins them: pods by name, then local processes, so that many of these do not push pods out of the answer.
type Key = (bool, Option<ObjectName>, String);

impl WorkloadsView {
    pub(super) async fn of(live: &LiveState) -> Self {
        let answers = live.ask(count).await;
        let compiled = live.compiled();
        let plans = live.0.plans.current().1;
        let mut all: BTreeMap<Key, OneView> = BTreeMap::new();
        let view = |workload: EndView, plan: &Plan| OneView {
            workload,
            policy: PolicyView::of(plan, compiled.as_deref()),
            capture: plan.capture.name(),
            connections: 0,
        };
        for (workload, count) in answers.given.into_iter().flat_map(|(_, counted)| counted) {
            let pod = workload.pod.as_ref().map(|pod| pod.name.clone());
            let plan = plans.of(pod.as_ref());
            let local = if pod.is_none() { format!("{workload:?}") } else { String::new() };
            let entry = all.entry((pod.is_none(), pod, local)).or_insert_with(|| view(EndView::from(&*workload), plan));
            entry.connections += count;
        }
        let here = |pod: &&Arc<PodIdentity>| {
            let node = live.0.about.node.as_ref();
            pod.pod.node.as_ref().is_none_or(|of| node.is_none_or(|node| node == of))
        };
        let (_, directory) = live.0.directory.current();
        for pod in directory.pods().filter(here) {
            let key = (false, Some(pod.name.clone()), String::new());
            let workload = || Workload::of_pod(pod, None, directory.names());
            all.entry(key).or_insert_with(|| view(EndView::from(&workload()), plans.of(Some(&pod.name))));
        }
        let total = all.len();
        Self { total, unanswered: answers.missing, workloads: all.into_values().take(MAX_ENTRIES).collect() }
    }
}

/// Connections of each workload.
fn count(pipeline: &Pipeline) -> Vec<(Arc<Workload>, usize)> {
    let mut counted: HashMap<*const Workload, (Arc<Workload>, usize)> = HashMap::default();
    for (connection, _) in pipeline.views() {
        let workload = &connection.workload;
        counted.entry(Arc::as_ptr(workload)).or_insert_with(|| (Arc::clone(workload), 0)).1 += 1;
    }
    counted.into_values().collect()
}
