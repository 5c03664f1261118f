//! The policies of a cluster, compiled; what did not change is not compiled again.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use crate::{
    kube::Snapshot,
    policy::{
        Compiled, Effect, Fallback, Finding, Plan, Plans, Setting,
        attachment::Candidate,
        model::{FieldPath, PolicyKey},
        validation,
    },
};

/// The policies of a cluster.
pub(super) struct ClusterPolicies {
    setting: Setting,
    fallback: Fallback,
    /// The generations of which the log has told.
    told: HashMap<PolicyKey, (String, i64)>,
    compiled: Arc<Compiled>,
}

impl ClusterPolicies {
    /// None yet.
    pub(super) fn new(setting: Setting, fallback: Fallback) -> Self {
        Self { setting, fallback, told: HashMap::new(), compiled: Arc::default() }
    }

    /// Compiles and resolves what there is now.
    pub(super) fn update(&mut self, snapshot: &Snapshot) {
        let mut candidates = validation::candidates(&snapshot.documents());
        for candidate in &mut candidates {
            candidate.findings.extend(pruned(snapshot, candidate));
        }
        let objects = Arc::clone(&snapshot.objects);
        self.compiled = Arc::new(self.fallback.compile(candidates, objects, &self.setting, Some(&self.compiled)));
        self.tell(snapshot);
    }

    /// What became of them.
    pub(super) const fn compiled(&self) -> &Arc<Compiled> {
        &self.compiled
    }

    /// The plans of all pods. What is of no pod is nobody's business here: a policy speaks for the pods that it selects and nothing else.
    pub(super) fn plans(&self) -> Plans {
        let default = self.compiled.default.as_ref().map(|default| Arc::clone(&default.plan));
        let none = default.unwrap_or_else(|| Arc::new(Plan::default()));
        Plans { local: Arc::default(), ..self.compiled.plans(none) }
    }

    /// Tells the log what came, changed and went. What is wrong with a policy is for its author, and so in its status.
    fn tell(&mut self, snapshot: &Snapshot) {
        let mut before = std::mem::take(&mut self.told);
        for (object, candidate) in snapshot.policies.iter().zip(&self.compiled.candidates) {
            let now = (object.uid.clone(), object.generation);
            if before.remove(&object.key).as_ref() != Some(&now) {
                let verdict = if candidate.is_valid() { "valid" } else { "not valid, see its status" };
                tracing::info!("policy {}: generation {} is {verdict}", object.key, object.generation);
            }
            self.told.insert(object.key.clone(), now);
        }
        for key in before.keys() {
            tracing::info!("policy {key}: is gone");
        }
    }
}

/// What the API server drops of policies of this dialect, since another definition of it is installed.
fn pruned(snapshot: &Snapshot, candidate: &Candidate) -> Option<Finding> {
    let definition = snapshot.dialects.get(&candidate.policy.key.dialect)?;
    if definition.pruned.is_empty() {
        return None;
    }
    let fields = definition.pruned.join(", ");
    let problem = format!(
        "the installed definition of this kind does not have {fields}: the API server drops what is said there"
    );
    let finding = Finding::new(&FieldPath::new("spec"), Effect::Message, problem);
    Some(finding.instead("ask the operator for the definition that `telltale crds` prints"))
}

/// `metadata.uid` of each policy.
pub(super) fn uids(snapshot: &Snapshot) -> BTreeMap<&PolicyKey, &str> {
    snapshot.policies.iter().map(|object| (&object.key, object.uid.as_str())).collect()
}
