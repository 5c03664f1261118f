//! One policy whose status is to be written: what it has, what it should have, and when to do something about that.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use serde_json::Value;
use tokio::time::Instant;

use crate::{
    kube::{PolicyObject, backoff::Backoff},
    policy::{
        api::status::{AncestorReference, PolicyStatus},
        model::PolicyKey,
        status::{Merged, merge},
    },
};

/// Versions that are remembered as replaced by us, in case a watch is behind by as many.
const MAX_REPLACED: usize = 8;
/// Between two writes of one policy that change words only: a count of nodes changes often while agents are replaced.
pub(super) const WORDS_SPACING: Duration = Duration::from_secs(30);
/// Events are kept for an hour by default, so that one about what is still so is repeated then.
pub(super) const EVENT_AGAIN: Duration = Duration::from_hours(1);

/// A policy as the API server has it.
#[derive(Clone, Debug)]
pub struct PolicyObjectRef {
    /// Which one it is.
    pub key: PolicyKey,
    /// `metadata.uid`
    pub uid: String,
    /// `metadata.resourceVersion`
    pub version: String,
    status: Status,
}

/// `status`, with the entries of all controllers.
#[derive(Clone, Debug)]
enum Status {
    Read(Option<Value>),
    /// Read where it is needed, which it seldom is.
    Watched(Arc<PolicyObject>),
}

impl PolicyObjectRef {
    /// From the object itself, as JSON.
    pub fn new(key: PolicyKey, object: &Value) -> Self {
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
        Self { key, uid: text("uid"), version: text("resourceVersion"), status: Status::Read(status(object)) }
    }

    /// With its status, so that it need not be read again.
    fn read(self) -> Self {
        let status = match self.status {
            Status::Read(status) => status,
            Status::Watched(object) => status(&object.value()),
        };
        Self { status: Status::Read(status), ..self }
    }

    fn status(&self) -> Option<&Value> {
        match &self.status {
            Status::Read(status) => status.as_ref(),
            Status::Watched(_) => None,
        }
    }
}

impl From<&Arc<PolicyObject>> for PolicyObjectRef {
    fn from(object: &Arc<PolicyObject>) -> Self {
        Self {
            key: object.key.clone(),
            uid: object.uid.clone(),
            version: object.resource_version.clone(),
            status: Status::Watched(Arc::clone(object)),
        }
    }
}

fn status(object: &Value) -> Option<Value> {
    object.get("status").filter(|status| status.is_object()).cloned()
}

/// What to do about a policy.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Todo {
    /// The status to write.
    pub(super) status: Option<Value>,
    /// Our entries for which there is no room, if that has to be said.
    pub(super) tell: Vec<AncestorReference>,
    /// Whether the write changes words only.
    pub(super) words_only: bool,
}

/// Everything that is known about one policy.
#[derive(Debug)]
pub(super) struct Entry {
    /// What it has, as far as we know.
    object: PolicyObjectRef,
    /// Versions that we replaced, so that `object` is newer than they are.
    replaced: VecDeque<String>,
    /// What it should have of us.
    ours: PolicyStatus,
    /// The version with which nothing more can be done, and what was wanted then: the server drops a part of what we write, or refuses it.
    settled: Option<(String, PolicyStatus)>,
    /// What was told last, and when.
    told: Option<(Vec<AncestorReference>, Instant)>,
    written: Option<Instant>,
    backoff: Backoff,
    /// It failed: nothing is tried before.
    not_before: Option<Instant>,
    /// When to do something.
    pub(super) due: Option<Instant>,
}

impl Entry {
    pub(super) fn new(object: PolicyObjectRef, ours: PolicyStatus, now: Instant) -> Self {
        let mut entry = Self {
            object: object.read(),
            replaced: VecDeque::new(),
            ours,
            settled: None,
            told: None,
            written: None,
            backoff: Backoff::default(),
            not_before: None,
            due: None,
        };
        entry.plan(now);
        entry
    }

    pub(super) fn object(&self) -> &PolicyObjectRef {
        &self.object
    }

    /// A watch shows this object, and this is wanted of it. It must be the same policy, by its uid.
    pub(super) fn want(&mut self, object: PolicyObjectRef, ours: PolicyStatus, now: Instant) {
        if object.version != self.object.version && !self.replaced.contains(&object.version) {
            self.object = object.read();
        }
        self.ours = ours;
        self.plan(now);
    }

    /// What is to do about it now.
    pub(super) fn todo(&self, now: Instant) -> Todo {
        let Merged { status, left_out } = merge(&self.object.key, self.object.status(), &self.ours);
        let is_settled = |(version, ours): &(String, PolicyStatus)| {
            *version == self.object.version && *ours == without_times(&self.ours)
        };
        let status = status.filter(|_| !self.settled.as_ref().is_some_and(is_settled));
        let words_only = status.as_ref().is_some_and(|status| {
            self.object.status().is_some_and(|before| without_words(before) == without_words(status))
        });
        let is_told = |(told, when): &(Vec<AncestorReference>, Instant)| *told == left_out && now < *when + EVENT_AGAIN;
        let tell = if self.told.as_ref().is_some_and(is_told) { Vec::new() } else { left_out };
        Todo { status, tell, words_only }
    }

    /// Decides when to do what is to do.
    fn plan(&mut self, now: Instant) {
        let todo = self.todo(now);
        let turn = match self.written {
            Some(written) if todo.words_only && todo.tell.is_empty() => now.max(written + WORDS_SPACING),
            // It keeps its place among the others.
            _ => self.due.map_or(now, |due| due.min(now)),
        };
        let is_done = todo.status.is_none() && todo.tell.is_empty();
        self.due = (!is_done).then(|| self.not_before.map_or(turn, |not_before| turn.max(not_before)));
    }

    /// The server has this now.
    pub(super) fn written(&mut self, object: PolicyObjectRef, now: Instant) {
        let before = std::mem::replace(&mut self.object, object).version;
        self.forget(before);
        // What is still missing, its schema drops.
        if merge(&self.object.key, self.object.status(), &self.ours).status.is_some() {
            self.settle();
        }
        self.written = Some(now);
        self.backoff.worked();
        self.not_before = None;
        self.due = None;
        self.plan(now);
    }

    /// It was read anew.
    pub(super) fn read(&mut self, object: PolicyObjectRef) {
        let before = std::mem::replace(&mut self.object, object).version;
        self.forget(before);
    }

    /// A version that is older than the one that we know.
    fn forget(&mut self, version: String) {
        if version != self.object.version && !self.replaced.contains(&version) {
            if self.replaced.len() == MAX_REPLACED {
                self.replaced.pop_front();
            }
            self.replaced.push_back(version);
        }
    }

    /// The server refuses what is wanted.
    pub(super) fn settle(&mut self) {
        self.settled = Some((self.object.version.clone(), without_times(&self.ours)));
        self.due = None;
    }

    /// That there was no room was said.
    pub(super) fn told(&mut self, left_out: Vec<AncestorReference>, now: Instant) {
        self.told = Some((left_out, now));
    }

    /// It did not work, and is tried again. Gives when.
    pub(super) fn failed(&mut self, now: Instant) -> Instant {
        let again = now + self.backoff.failed();
        self.not_before = Some(again);
        self.due = Some(again);
        again
    }
}

fn without_times(ours: &PolicyStatus) -> PolicyStatus {
    let mut ours = ours.clone();
    ours.ancestors.iter_mut().flat_map(|entry| &mut entry.conditions).for_each(|of| of.last_transition_time.clear());
    ours
}

/// A status without what may change while all conditions mean the same.
fn without_words(status: &Value) -> Value {
    let mut status = status.clone();
    for entry in status["ancestors"].as_array_mut().into_iter().flatten() {
        for condition in entry["conditions"].as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
            condition.remove("message");
            condition.remove("lastTransitionTime");
        }
    }
    status
}
