//! Which plan holds for whom, and how it is replaced while traffic goes on.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    objects::{ObjectName, Objects},
    plan::{Capture, Plan},
};

/// The plans of all workloads at one time. Immutable.
#[derive(Debug, Default)]
pub struct Plans {
    /// Of pods.
    pub pods: HashMap<ObjectName, Arc<Plan>>,
    /// Of a pod of which nothing but its namespace is known.
    pub namespaces: HashMap<String, Arc<Plan>>,
    /// Of a local process (DESIGN section 8).
    pub local: Arc<Plan>,
    /// Where no policy applies: nothing is asked for.
    pub none: Arc<Plan>,
    /// What the policies were resolved against.
    pub objects: Arc<Objects>,
}

impl Plans {
    /// One plan for local processes and every pod: where no policy file was given.
    pub fn everywhere(plan: impl Into<Arc<Plan>>) -> Self {
        let plan = plan.into();
        Self { local: Arc::clone(&plan), none: plan, ..Self::default() }
    }

    /// The plan of a pod, or of a local process.
    pub fn of(&self, pod: Option<&ObjectName>) -> &Arc<Plan> {
        let Some(pod) = pod else { return &self.local };
        self.pods.get(pod).or_else(|| self.namespaces.get(&pod.namespace)).unwrap_or(&self.none)
    }

    /// Whether everybody has the very same plans as with `other`.
    pub fn asks_the_same(&self, other: &Self) -> bool {
        fn same<K: Eq + std::hash::Hash>(one: &HashMap<K, Arc<Plan>>, other: &HashMap<K, Arc<Plan>>) -> bool {
            let is_in = |(key, plan): (&K, &Arc<Plan>)| other.get(key).is_some_and(|other| Arc::ptr_eq(plan, other));
            one.len() == other.len() && one.iter().all(is_in)
        }
        // What nobody asks for need not be the same nothing.
        let alike = |one: &Arc<Plan>, other: &Arc<Plan>| {
            Arc::ptr_eq(one, other) || (one.capture == Capture::Nothing && other.capture == Capture::Nothing)
        };
        same(&self.pods, &other.pods)
            && same(&self.namespaces, &other.namespaces)
            && alike(&self.local, &other.local)
            && alike(&self.none, &other.none)
    }

    /// Each plan once.
    pub fn distinct(&self) -> Vec<&Arc<Plan>> {
        let mut found: Vec<&Arc<Plan>> = Vec::new();
        for plan in self.pods.values().chain(self.namespaces.values()).chain([&self.local, &self.none]) {
            if !found.iter().any(|other| Arc::ptr_eq(other, plan)) {
                found.push(plan);
            }
        }
        found
    }
}

/// The plans that hold now, shared by all workers. A worker looks at a number for each event, and takes a lock only when it has changed.
#[derive(Debug)]
pub struct PlanStore {
    generation: AtomicU64,
    current: Mutex<Arc<Plans>>,
}

impl PlanStore {
    /// Plans that hold from the start.
    pub fn new(plans: Plans) -> Arc<Self> {
        Arc::new(Self { generation: AtomicU64::new(1), current: Mutex::new(Arc::new(plans)) })
    }

    /// Replaces the plans. Exchanges that have begun finish under the ones that they began with.
    pub fn replace(&self, plans: Plans) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(plans);
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Changes with every [`Self::replace`].
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The plans that hold now, with their generation.
    pub fn current(&self) -> (u64, Arc<Plans>) {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        (self.generation(), Arc::clone(&current))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(metrics: bool) -> Arc<Plan> {
        Arc::new(Plan::of_signals(metrics, false, false))
    }

    #[test]
    fn a_pod_follows_its_own_plan_then_its_namespaces_then_none() {
        let (pod, namespace, local) = (plan(true), plan(true), plan(true));
        let plans = Plans {
            pods: [(ObjectName::new("a", "gateway"), Arc::clone(&pod))].into(),
            namespaces: [("a".to_owned(), Arc::clone(&namespace))].into(),
            local: Arc::clone(&local),
            none: Arc::default(),
            objects: Arc::default(),
        };
        let of = |pod: Option<(&str, &str)>| {
            plans.of(pod.map(|(namespace, name)| ObjectName::new(namespace, name)).as_ref())
        };
        assert!(Arc::ptr_eq(of(Some(("a", "gateway"))), &pod));
        assert!(Arc::ptr_eq(of(Some(("a", "other"))), &namespace));
        assert!(Arc::ptr_eq(of(None), &local));
        assert!(of(Some(("b", "gateway"))).metrics.is_none());
        assert_eq!(plans.distinct().len(), 4);
    }

    #[test]
    fn the_same_plans_ask_the_same() {
        let of = |name: &str, plan: &Arc<Plan>| Plans {
            namespaces: [(name.to_owned(), Arc::clone(plan))].into(),
            ..Plans::default()
        };
        let (one, equal) = (plan(true), plan(true));
        assert!(of("a", &one).asks_the_same(&of("a", &one)));
        assert!(!of("a", &one).asks_the_same(&of("a", &equal)), "its series are another's");
        assert!(!of("a", &one).asks_the_same(&of("b", &one)));
        assert!(!of("a", &one).asks_the_same(&Plans { local: Arc::clone(&one), ..of("a", &one) }));
        assert!(!of("a", &one).asks_the_same(&Plans::default()) && !Plans::default().asks_the_same(&of("a", &one)));
    }

    #[test]
    fn a_replacement_changes_the_generation() {
        let store = PlanStore::new(Plans::everywhere(Plan::default()));
        let (before, old) = store.current();
        store.replace(Plans::everywhere(Plan::of_signals(true, false, false)));
        let (after, new) = store.current();
        assert_ne!(before, after);
        assert!(old.of(None).metrics.is_none() && new.of(None).metrics.is_some());
    }
}
