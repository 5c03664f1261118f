//! Pieces that several answers have.

use std::collections::BTreeMap;

use serde::Serialize;

use super::MAX_ENTRIES;
use crate::{
    policy::{Compiled, Plan, model::PolicyKey},
    workload::Workload,
};

/// Which policy. Ordered by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PolicyView {
    /// Empty of the default policy of the configuration, which is in none.
    namespace: String,
    name: String,
    api_version: &'static str,
    /// `metadata.generation`; `null` where that is not known.
    generation: Option<i64>,
}

impl PolicyView {
    pub(super) fn of(plan: &Plan, compiled: Option<&Compiled>) -> Option<Self> {
        let PolicyKey { namespace, name, dialect } = plan.policy.as_ref()?;
        let is_it = |key: &PolicyKey| Some(key) == plan.policy.as_ref();
        let candidates = compiled.into_iter().flat_map(|compiled| &compiled.candidates);
        let candidate = candidates.into_iter().find(|candidate| is_it(&candidate.policy.key));
        Some(Self {
            api_version: dialect.api_version(),
            namespace: namespace.clone(),
            name: name.clone(),
            generation: candidate.map(|candidate| candidate.policy.generation),
        })
    }
}

/// Whom the end of a connection belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct EndView {
    /// `service.name`
    pub(super) service: String,
    /// `k8s.namespace.name`; `null` of a local process.
    pub(super) namespace: Option<String>,
    /// `k8s.pod.name`
    pub(super) pod: Option<String>,
    /// The other resource attributes.
    pub(super) attributes: BTreeMap<std::borrow::Cow<'static, str>, String>,
}

impl From<&Workload> for EndView {
    fn from(workload: &Workload) -> Self {
        let pod = workload.pod.as_ref().map(|pod| pod.name.name.clone());
        let attributes = workload.attributes.iter().filter(|(key, _)| *key != "k8s.pod.name").cloned().collect();
        Self { service: workload.service_name.clone(), namespace: workload.namespace.clone(), pod, attributes }
    }
}

/// A list of which only the beginning is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Cut<T> {
    /// How many there are.
    pub(super) total: usize,
    /// The first of them.
    pub(super) first: Vec<T>,
}

impl<T: Ord> Cut<T> {
    /// Sorted, and at most [`MAX_ENTRIES`].
    pub(super) fn of(all: impl IntoIterator<Item = T>) -> Self {
        let mut first: Vec<T> = all.into_iter().collect();
        first.sort_unstable();
        let total = first.len();
        first.truncate(MAX_ENTRIES);
        Self { total, first }
    }
}
