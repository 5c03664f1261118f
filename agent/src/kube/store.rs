//! What all watches together know.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use serde_json::Value;

use super::{
    Definition, Snapshot,
    kinds::{Defined, Kind, Subject},
    received::Received,
    size::{Size, of_labels},
    snapshot::PolicyObject,
};
use crate::policy::{
    document::cluster,
    model::{Dialect, PolicyKey},
    objects::{Labels, ObjectName, Objects, Pod, ReferenceGrant},
};

/// What is held of one subject.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Book {
    pub(super) objects: usize,
    /// Estimated.
    pub(super) bytes: usize,
    /// Times that an object was not taken, since there were too many, or too many bytes of them.
    pub(super) refused: u64,
}

impl Book {
    /// Enters a new object, or one in place of another. False if it is the same, one too many, or too large: then the old one stays.
    fn take<T: Size + PartialEq>(&mut self, kind: &Kind, name: &ObjectName, old: Option<&T>, new: &T) -> bool {
        if old == Some(new) {
            return false;
        }
        let (before, after) = (old.map_or(0, |old| old.size(name)), new.size(name));
        let bytes = self.bytes.saturating_sub(before) + after;
        if (old.is_none() && self.objects >= kind.limit) || (after > before && bytes > kind.bytes) {
            self.refused += 1;
            return false;
        }
        self.objects += usize::from(old.is_none());
        self.bytes = bytes;
        true
    }

    fn give_back<T: Size>(&mut self, name: &ObjectName, old: &T) {
        self.objects = self.objects.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(old.size(name));
    }
}

/// The objects of all watches. What it gives out is shared and copied only when it changes afterwards.
#[derive(Debug)]
pub(super) struct Store {
    node: String,
    objects: Arc<Objects>,
    grants: BTreeMap<ObjectName, ReferenceGrant>,
    policies: BTreeMap<PolicyKey, Arc<PolicyObject>>,
    definitions: BTreeMap<Defined, Definition>,
    /// What a list that is not complete has named so far.
    listing: HashMap<Subject, HashSet<ObjectName>>,
    /// What was listed completely at least once.
    listed: HashSet<Subject>,
    books: BTreeMap<Subject, Book>,
    labels: Shared,
}

/// Bytes of a value of a label or an annotation. The API allows 256 KiB of annotations for one object; what is longer than this is no word of a
/// metric, and left out.
const MAX_VALUE: usize = 4096;

/// Bytes of all labels and annotations of pods, estimated.
const MAX_LABEL_BYTES: usize = 64 << 20;

fn bounded(mut labels: Labels) -> Labels {
    labels.retain(|_, value| value.len() <= MAX_VALUE);
    labels
}

/// Labels and annotations of pods, each set once.
#[derive(Debug, Default)]
struct Shared {
    sets: HashSet<Arc<Labels>>,
    /// Estimated.
    bytes: usize,
    /// At so many it is looked which are of no pod any more.
    limit: usize,
}

impl Shared {
    /// False if there is no room for it.
    fn share(&mut self, labels: &mut Arc<Labels>) -> bool {
        if let Some(known) = self.sets.get(labels) {
            *labels = Arc::clone(known);
            return true;
        }
        let bytes = of_labels(labels);
        if self.sets.len() >= self.limit || self.bytes + bytes > MAX_LABEL_BYTES {
            self.sets.retain(|labels| Arc::strong_count(labels) > 1);
            self.limit = (self.sets.len() * 2).max(64);
            self.bytes = self.sets.iter().map(|set| of_labels(set)).sum();
        }
        let has_room = self.bytes + bytes <= MAX_LABEL_BYTES;
        if has_room {
            self.bytes += bytes;
            self.sets.insert(Arc::clone(labels));
        }
        has_room
    }
}

impl Store {
    pub(super) fn new(node: String) -> Self {
        Self {
            node,
            objects: Arc::default(),
            grants: BTreeMap::new(),
            policies: BTreeMap::new(),
            definitions: BTreeMap::new(),
            listing: HashMap::new(),
            listed: HashSet::new(),
            books: BTreeMap::new(),
            labels: Shared::default(),
        }
    }

    /// A list of a subject begins. What is known stays until it is complete.
    pub(super) fn begin(&mut self, subject: Subject) {
        self.listing.insert(subject, HashSet::new());
    }

    /// The list is complete: what it did not name is gone. True if something has changed.
    pub(super) fn complete(&mut self, subject: Subject) -> bool {
        let seen = self.listing.remove(&subject).unwrap_or_default();
        let gone: Vec<_> = self.names(subject).into_iter().filter(|name| !seen.contains(name)).collect();
        for name in &gone {
            self.remove(subject, name);
        }
        let has_changed = self.listed.insert(subject) || !gone.is_empty();
        self.know_of_pods();
        has_changed
    }

    /// Whether no pod is missing.
    fn know_of_pods(&mut self) {
        let all = [Subject::Pods, Subject::Peers].iter().all(|subject| {
            self.listed.contains(subject) && self.books.get(subject).is_none_or(|book| book.refused == 0)
        });
        if self.objects.all_pods != all {
            Arc::make_mut(&mut self.objects).all_pods = all;
        }
    }

    /// Nothing of this subject is watched any more. True if something has changed.
    pub(super) fn clear(&mut self, subject: Subject) -> bool {
        self.listing.remove(&subject);
        let names = self.names(subject);
        for name in &names {
            self.remove(subject, name);
        }
        self.listed.remove(&subject) || !names.is_empty()
    }

    /// What there is now under a name. True if something has changed.
    pub(super) fn put(&mut self, subject: Subject, name: ObjectName, received: Received) -> bool {
        if let Some(seen) = self.listing.get_mut(&subject) {
            seen.insert(name.clone());
        }
        match received {
            Received::Peer(pod) => self.put_pod(subject, name, *pod),
            Received::Whole(value) => self.put_value(subject, name, &value),
        }
    }

    fn put_value(&mut self, subject: Subject, name: ObjectName, value: &Value) -> bool {
        let kind = subject.kind();
        let book = self.books.entry(subject).or_default();
        macro_rules! put {
            ($map:ident, $key:expr, $new:expr) => {{
                let new = $new;
                let is_taken = book.take(kind, &name, self.objects.$map.get(&$key), &new);
                if is_taken {
                    Arc::make_mut(&mut self.objects).$map.insert($key, new);
                }
                is_taken
            }};
        }
        match subject {
            Subject::Pods | Subject::Peers => self.put_pod(subject, name, cluster::pod(value)),
            Subject::Namespaces => put!(namespaces, name.name.clone(), cluster::namespace(value)),
            Subject::Nodes => put!(nodes, name.name.clone(), cluster::node(value)),
            Subject::Services => put!(services, name.clone(), cluster::service(value)),
            Subject::Gateways => put!(gateways, name.clone(), bounded(cluster::labels(&value["metadata"]["labels"]))),
            Subject::Grants => {
                let new = cluster::grant(name.namespace.clone(), value);
                let is_taken = book.take(kind, &name, self.grants.get(&name), &new);
                if is_taken {
                    self.grants.insert(name, new);
                    self.copy_grants();
                }
                is_taken
            }
            Subject::Policies(dialect) => {
                let key = policy_key(dialect, &name);
                let before = self.policies.get(&key).map(|before| &**before);
                let new = PolicyObject::new(dialect, value, before);
                let is_taken = book.take(kind, &name, before, &new);
                if is_taken {
                    self.policies.insert(key, Arc::new(new));
                }
                is_taken
            }
            Subject::Definition(defined) => match Definition::of(defined, value) {
                Some(new) if self.definitions.get(&defined) == Some(&new) => false,
                Some(new) => self.definitions.insert(defined, new).is_none_or(|_| true),
                None => self.definitions.remove(&defined).is_some(),
            },
        }
    }

    /// A pod that is gone from this node and one of the same name on another node are told of by two watches, in any order.
    fn put_pod(&mut self, subject: Subject, name: ObjectName, mut pod: Pod) -> bool {
        for set in [&mut pod.labels, &mut pod.annotations] {
            if set.values().any(|value| value.len() > MAX_VALUE) {
                *set = Arc::new(bounded(std::mem::take(Arc::make_mut(set))));
            }
            if !self.labels.share(set) {
                self.books.entry(subject).or_default().refused += 1;
                self.know_of_pods();
                return false;
            }
        }
        let mut old = self.objects.pods.get(&name);
        if let Some(other) = old.map(|old| self.subject_of(old)).filter(|&other| other != subject)
            && let Some(old) = old.take()
        {
            self.books.entry(other).or_default().give_back(&name, &**old);
        }
        let book = self.books.entry(subject).or_default();
        let is_taken = book.take(subject.kind(), &name, old.map(|old| &**old), &pod);
        if is_taken {
            Arc::make_mut(&mut self.objects).pods.insert(name, Arc::new(pod));
        } else {
            self.know_of_pods();
        }
        is_taken
    }

    fn subject_of(&self, pod: &Pod) -> Subject {
        if pod.node.as_deref() == Some(&self.node) { Subject::Pods } else { Subject::Peers }
    }

    /// What was under a name is gone. True if something has changed.
    pub(super) fn remove(&mut self, subject: Subject, name: &ObjectName) -> bool {
        let book = self.books.entry(subject).or_default();
        macro_rules! remove {
            ($map:ident, $key:expr) => {{
                let Some(old) = self.objects.$map.get($key) else { return false };
                book.give_back(name, old);
                Arc::make_mut(&mut self.objects).$map.remove($key);
            }};
        }
        match subject {
            Subject::Pods | Subject::Peers => {
                let old = self.objects.pods.get(name).filter(|old| self.subject_of(old) == subject);
                let Some(old) = old else { return false };
                self.books.entry(subject).or_default().give_back(name, &**old);
                Arc::make_mut(&mut self.objects).pods.remove(name);
            }
            Subject::Namespaces => remove!(namespaces, &name.name),
            Subject::Nodes => remove!(nodes, &name.name),
            Subject::Services => remove!(services, name),
            Subject::Gateways => remove!(gateways, name),
            Subject::Grants => {
                let Some(old) = self.grants.remove(name) else { return false };
                book.give_back(name, &old);
                self.copy_grants();
            }
            Subject::Policies(dialect) => {
                let Some(old) = self.policies.remove(&policy_key(dialect, name)) else { return false };
                book.give_back(name, &*old);
            }
            Subject::Definition(defined) => return self.definitions.remove(&defined).is_some(),
        }
        true
    }

    fn copy_grants(&mut self) {
        Arc::make_mut(&mut self.objects).grants = self.grants.values().cloned().collect();
    }

    fn names(&self, subject: Subject) -> Vec<ObjectName> {
        let of_cluster = |name: &String| ObjectName::new("", name);
        match subject {
            Subject::Pods | Subject::Peers => {
                let pods = self.objects.pods.iter().filter(|(_, pod)| self.subject_of(pod) == subject);
                pods.map(|(name, _)| name.clone()).collect()
            }
            Subject::Namespaces => self.objects.namespaces.keys().map(of_cluster).collect(),
            Subject::Nodes => self.objects.nodes.keys().map(of_cluster).collect(),
            Subject::Services => self.objects.services.keys().cloned().collect(),
            Subject::Gateways => self.objects.gateways.keys().cloned().collect(),
            Subject::Grants => self.grants.keys().cloned().collect(),
            Subject::Policies(dialect) => {
                let keys = self.policies.keys().filter(|key| key.dialect == dialect);
                keys.map(|key| ObjectName::new(&key.namespace, &key.name)).collect()
            }
            Subject::Definition(defined) => {
                let is_known = self.definitions.contains_key(&defined);
                is_known.then(|| ObjectName::new("", defined.definition())).into_iter().collect()
            }
        }
    }

    /// The version in which a subject is served; `None` where its definition is not installed.
    pub(super) fn version(&self, defined: Defined) -> Option<&str> {
        self.definitions.get(&defined)?.version.as_deref()
    }

    /// What was not read yet, of what has to be before anything may be concluded. Peers only add names, and are not waited for.
    pub(super) fn waiting(&self) -> Vec<Subject> {
        let fixed = [Subject::Pods, Subject::Namespaces, Subject::Nodes, Subject::Services];
        let defined = Defined::ALL.into_iter().flat_map(|defined| {
            let subject = self.version(defined).map(|_| defined.subject());
            [Some(Subject::Definition(defined)), subject]
        });
        let all = fixed.into_iter().chain(defined.flatten());
        all.filter(|subject| !self.listed.contains(subject)).collect()
    }

    /// Whether a list is not complete.
    pub(super) fn is_listing(&self) -> bool {
        !self.listing.is_empty()
    }

    /// How many objects are copied when one of them changes.
    pub(super) fn len(&self) -> usize {
        let Objects { namespaces, gateways, pods, all_pods: _, nodes, services, grants } = &*self.objects;
        namespaces.len() + gateways.len() + pods.len() + nodes.len() + services.len() + grants.len()
    }

    pub(super) fn books(&self) -> impl Iterator<Item = (Subject, Book)> {
        self.books.iter().map(|(&subject, &book)| (subject, book))
    }

    /// The sets of labels and annotations that pods share: how many, and their bytes, estimated.
    pub(super) fn labels(&self) -> (usize, usize) {
        (self.labels.sets.len(), self.labels.bytes)
    }

    /// Dialects whose definition is installed.
    pub(super) fn dialects(&self) -> BTreeMap<Dialect, Definition> {
        let of = |dialect| Some((dialect, self.definitions.get(&Defined::Policies(dialect))?.clone()));
        Dialect::ALL.into_iter().filter_map(of).collect()
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        // Half of the policies of a dialect would resolve otherwise than all of them.
        let is_listed = |dialect| self.listed.contains(&Subject::Policies(dialect));
        let policies = self.policies.iter().filter(|(key, _)| is_listed(key.dialect));
        Snapshot {
            policies: policies.map(|(_, policy)| Arc::clone(policy)).collect(),
            objects: Arc::clone(&self.objects),
            dialects: self.dialects(),
            synced: self.waiting().is_empty(),
        }
    }
}

fn policy_key(dialect: Dialect, name: &ObjectName) -> PolicyKey {
    PolicyKey { namespace: name.namespace.clone(), name: name.name.clone(), dialect }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(uid: &str, node: &str, address: &str) -> Received {
        Received::Peer(Box::new(Pod {
            uid: Some(uid.to_owned()),
            node: Some(node.to_owned()),
            addresses: vec![address.parse().unwrap()],
            ..Pod::default()
        }))
    }

    fn name() -> ObjectName {
        ObjectName::new("shop", "db-0")
    }

    fn uid(store: &Store) -> Option<String> {
        store.objects.pods.get(&name()).and_then(|pod| pod.uid.clone())
    }

    #[test]
    fn a_list_removes_what_it_does_not_name() {
        let mut store = Store::new("n1".to_owned());
        store.begin(Subject::Namespaces);
        for namespace in ["a", "b"] {
            assert!(store.put(Subject::Namespaces, ObjectName::new("", namespace), Received::Whole(json!({}))));
        }
        assert!(store.complete(Subject::Namespaces));
        // As after `410 Gone`: until the list is complete everything stays.
        store.begin(Subject::Namespaces);
        assert!(!store.put(Subject::Namespaces, ObjectName::new("", "b"), Received::Whole(json!({}))));
        assert_eq!(store.objects.namespaces.len(), 2);
        assert!(store.complete(Subject::Namespaces));
        assert_eq!(store.objects.namespaces.keys().collect::<Vec<_>>(), ["b"]);
    }

    #[test]
    fn what_was_given_out_does_not_change_and_what_is_the_same_is_shared() {
        let mut store = Store::new("n1".to_owned());
        store.put(Subject::Peers, name(), pod("1", "n2", "10.0.0.1"));
        let first = store.snapshot();
        assert!(!store.put(Subject::Peers, name(), pod("1", "n2", "10.0.0.1")));
        assert!(Arc::ptr_eq(&first.objects, &store.snapshot().objects));
        assert!(store.put(Subject::Peers, name(), pod("2", "n2", "10.0.0.1")));
        assert_eq!(first.objects.pods[&name()].uid.as_deref(), Some("1"));
        assert_eq!(uid(&store).as_deref(), Some("2"));
    }

    #[test]
    fn a_pod_that_moves_between_nodes_is_known_whichever_watch_speaks_first() {
        for local_first in [true, false] {
            let mut store = Store::new("n1".to_owned());
            store.put(Subject::Peers, name(), pod("old", "n2", "10.0.0.1"));
            if local_first {
                assert!(store.put(Subject::Pods, name(), pod("new", "n1", "10.0.1.1")));
                assert!(!store.remove(Subject::Peers, &name()));
            } else {
                assert!(store.remove(Subject::Peers, &name()));
                assert!(store.put(Subject::Pods, name(), pod("new", "n1", "10.0.1.1")));
            }
            assert_eq!(uid(&store).as_deref(), Some("new"));
            let held: Vec<_> = store.books().map(|(subject, book)| (subject, book.objects)).collect();
            assert_eq!(held, [(Subject::Pods, 1), (Subject::Peers, 0)]);
            assert!(store.remove(Subject::Pods, &name()));
            assert!(store.books().all(|(_, book)| book == Book::default()));
        }
    }

    #[test]
    fn pods_with_the_same_labels_share_them() {
        let mut store = Store::new("n1".to_owned());
        let labelled = |app: usize| {
            let labels = Arc::new([("app".to_owned(), app.to_string())].into());
            Received::Peer(Box::new(Pod { node: Some("n2".to_owned()), labels, ..Pod::default() }))
        };
        for index in 0..100 {
            store.put(Subject::Peers, ObjectName::new("shop", index.to_string()), labelled(index / 50));
        }
        // Two of them, and that of no annotations.
        assert_eq!(store.labels().0, 3);
        let pods: Vec<_> = store.objects.pods.values().collect();
        assert!(Arc::ptr_eq(&pods[0].labels, &pods[1].labels));
        // What no pod has any more goes.
        for app in 0..10_000 {
            store.put(Subject::Peers, name(), labelled(app));
        }
        assert!(store.labels().0 < 200, "{:?}", store.labels());
    }

    #[test]
    fn objects_beyond_the_limit_are_counted() {
        let mut store = Store::new("n1".to_owned());
        let limit = Subject::Pods.kind().limit;
        for index in 0..limit + 3 {
            store.put(Subject::Pods, ObjectName::new("shop", index.to_string()), pod("1", "n1", "10.0.0.1"));
        }
        assert_eq!(store.objects.pods.len(), limit);
        let (_, book) = store.books().next().unwrap();
        assert_eq!((book.objects, book.refused), (limit, 3));
        assert!(book.bytes > limit * size_of::<Pod>());
    }

    #[test]
    fn large_objects_are_kept_up_to_a_number_of_bytes_and_without_what_is_not_needed() {
        let mut store = Store::new("n1".to_owned());
        let policies = Subject::Policies(Dialect::Gep);
        let policy = |note: usize, word: usize| {
            Received::Whole(json!({
                "metadata": {
                    "namespace": "shop", "name": "p", "uid": "u", "generation": word, "resourceVersion": format!("{word}.{note}"),
                    "annotations": {"note": "x".repeat(note)},
                },
                "spec": {"targetRefs": [{"group": "", "kind": "Namespace", "name": "x".repeat(word)}]},
                "status": {"ancestors": []},
            }))
        };
        let book = |store: &Store, subject| store.books().find(|(of, _)| *of == subject).unwrap().1;
        store.put(policies, name(), policy(1, 1));
        let bytes = book(&store, policies).bytes;
        assert!(store.put(policies, name(), policy(200_000, 1)));
        assert!(book(&store, policies).bytes < bytes + 100, "its annotations are not kept");
        let value = store.policies.values().next().unwrap().value();
        assert_eq!((&value["status"], value.get("spec")), (&json!({"ancestors": []}), None));
        // One that grows too large stays what it was.
        assert!(!store.put(policies, name(), policy(1, policies.kind().bytes)));
        assert_eq!(book(&store, policies).refused, 1);
        assert_eq!(store.policies.values().next().unwrap().generation, 1);

        let gateway =
            |value: usize| Received::Whole(json!({"metadata": {"labels": {"short": "x", "long": "x".repeat(value)}}}));
        store.put(Subject::Gateways, name(), gateway(MAX_VALUE + 1));
        assert_eq!(store.objects.gateways[&name()].keys().collect::<Vec<_>>(), ["short"]);
        let annotated = |index: usize| {
            let note = |note: usize| (format!("resource.opentelemetry.io/{note}"), format!("{index:0MAX_VALUE$}"));
            let annotations = Arc::new((0..32).map(note).collect());
            Received::Peer(Box::new(Pod { node: Some("n2".to_owned()), annotations, ..Pod::default() }))
        };
        for index in 0..1_000 {
            store.put(Subject::Peers, ObjectName::new("shop", index.to_string()), annotated(index));
        }
        assert!(
            store.labels().1 <= MAX_LABEL_BYTES && book(&store, Subject::Peers).refused > 400,
            "{:?}",
            store.labels()
        );
    }

    #[test]
    fn all_pods_are_known_when_those_of_other_nodes_are_listed_too() {
        let mut store = Store::new("n1".to_owned());
        let mut all_after = |subject| {
            store.begin(subject);
            store.put(subject, name(), pod("1", if subject == Subject::Pods { "n1" } else { "n2" }, "10.0.0.1"));
            assert!(store.complete(subject));
            store.snapshot().objects.all_pods
        };
        assert_eq!((all_after(Subject::Pods), all_after(Subject::Peers)), (false, true));
    }

    #[test]
    fn a_policy_is_read_again_only_when_its_generation_changes() {
        let mut store = Store::new("n1".to_owned());
        let subject = Subject::Policies(Dialect::Gep);
        let object = |generation: i64, version: &str| {
            Received::Whole(json!({
                "apiVersion": Dialect::Gep.api_version(), "kind": "TelemetryPolicy",
                "metadata": {"namespace": "shop", "name": "db-0", "uid": "u", "generation": generation, "resourceVersion": version},
                "spec": {"targetRefs": [{"group": "", "kind": "Namespace", "name": "shop"}]},
            }))
        };
        store.put(subject, name(), object(1, "7"));
        assert!(store.snapshot().policies.is_empty(), "not all of them are known");
        store.begin(subject);
        store.put(subject, name(), object(1, "7"));
        store.complete(subject);
        let first = Arc::clone(&store.snapshot().policies[0]);
        assert!(store.put(subject, name(), object(1, "8")), "its status was written");
        let second = Arc::clone(&store.snapshot().policies[0]);
        assert!(Arc::ptr_eq(&first.document, &second.document));
        assert_eq!((second.resource_version.as_str(), &second.value()["metadata"]["generation"]), ("8", &json!(1)));
        store.put(subject, name(), object(2, "9"));
        assert!(!Arc::ptr_eq(&first.document, &store.snapshot().policies[0].document));
        assert!(store.clear(subject));
        assert!(store.snapshot().policies.is_empty());
    }

    #[test]
    fn it_waits_for_all_that_is_installed() {
        let mut store = Store::new("n1".to_owned());
        let fixed = [Subject::Pods, Subject::Namespaces, Subject::Nodes, Subject::Services];
        for subject in fixed.into_iter().chain(Defined::ALL.map(Subject::Definition)) {
            assert!(!store.snapshot().synced);
            store.begin(subject);
            store.complete(subject);
        }
        assert!(store.snapshot().synced);
        let defined = Defined::Gateways;
        let definition = json!({
            "metadata": {"name": defined.definition()},
            "spec": {"versions": [{"name": "v1", "served": true}]},
            "status": {"conditions": [{"type": "Established", "status": "True"}]},
        });
        assert!(store.put(
            Subject::Definition(defined),
            ObjectName::new("", defined.definition()),
            Received::Whole(definition)
        ));
        assert_eq!((store.version(defined), store.waiting()), (Some("v1"), vec![Subject::Gateways]));
        assert!(store.remove(Subject::Definition(defined), &ObjectName::new("", defined.definition())));
        assert_eq!((store.version(defined), store.waiting()), (None, Vec::new()));
    }
}
