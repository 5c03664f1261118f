//! What is known of the cluster at one time.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;

use super::Definition;
use crate::policy::{
    document::{Document, Documents},
    model::{Dialect, PolicyKey},
    objects::Objects,
};

/// A policy of the API server.
#[derive(Clone, Debug)]
pub struct PolicyObject {
    /// Which.
    pub key: PolicyKey,
    /// `metadata.uid`
    pub uid: String,
    /// `metadata.generation`
    pub generation: i64,
    /// `metadata.resourceVersion`: with it the object that was read can be replaced.
    pub resource_version: String,
    /// What it says, read once for each generation.
    pub document: Arc<Document>,
    /// What of it a status is written to, as JSON, which is a fraction of what it takes as a tree: not what it says, nor its annotations.
    text: Box<str>,
    /// Bytes of what it says, as JSON.
    said: usize,
}

impl PolicyObject {
    /// From the object, without `managedFields`; `before` is what it was.
    pub(super) fn new(dialect: Dialect, object: &Value, before: Option<&Self>) -> Self {
        let metadata = &object["metadata"];
        let text = |key: &str| metadata[key].as_str().unwrap_or_default().to_owned();
        let (uid, generation) = (text("uid"), metadata["generation"].as_i64().unwrap_or_default());
        let same = before.filter(|before| (&before.uid, before.generation) == (&uid, generation));
        let (document, said) = match same {
            Some(before) => (Arc::clone(&before.document), before.said),
            None => (Arc::new(Document::of_object(dialect, object)), object["spec"].to_string().len()),
        };
        Self {
            key: document.key.clone(),
            uid,
            generation,
            resource_version: text("resourceVersion"),
            document,
            text: for_status(object).to_string().into(),
            said,
        }
    }

    /// The object as it was read, but only its status and what names it: `apiVersion`, `kind`, and of `metadata` the namespace, the name, the uid,
    /// `resourceVersion` and `generation`.
    pub fn value(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    /// Bytes of what is kept as text, and of what it says, which is kept as what was read from it.
    pub(super) fn sizes(&self) -> (usize, usize) {
        (self.text.len(), self.said)
    }
}

/// What [`PolicyObject::value`] gives.
fn for_status(object: &Value) -> Value {
    let pick = |from: &Value, keys: &[&str]| -> Value {
        let picked = keys.iter().filter_map(|&key| Some((key.to_owned(), from.get(key)?.clone())));
        Value::Object(picked.collect())
    };
    let mut kept = pick(object, &["apiVersion", "kind", "status"]);
    kept["metadata"] = pick(&object["metadata"], &["namespace", "name", "uid", "resourceVersion", "generation"]);
    kept
}

impl PartialEq for PolicyObject {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// What is known of the cluster. Immutable, and cheap to make: what has not changed is shared with the one before.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Policies of both dialects, ordered by key.
    pub policies: Vec<Arc<PolicyObject>>,
    /// Everything else.
    pub objects: Arc<Objects>,
    /// Dialects whose definition is installed.
    pub dialects: BTreeMap<Dialect, Definition>,
    /// Whether all of it has been read once. Before, nothing is to be concluded from what is missing.
    pub synced: bool,
}

impl Snapshot {
    /// The policies as documents, with the objects, to be compiled.
    pub fn documents(&self) -> Documents {
        let documents = self.policies.iter().map(|policy| Arc::clone(&policy.document));
        Documents::of_objects(documents, Arc::clone(&self.objects))
    }
}
