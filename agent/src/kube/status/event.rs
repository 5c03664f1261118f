//! Events on policies (`events.k8s.io/v1`).
//!
//! Written once for what is so, by the writer of statuses; a recorder that makes series of them would need a permission more.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
    jiff::Timestamp,
};
use kube::{Api, Client, api::PostParams};

use super::PolicyObjectRef;
use crate::{
    admin::Health,
    kube::{
        clock,
        failure::{Failure, Writes, within},
    },
    policy::{
        api::status::AncestorReference,
        model::KIND,
        status::{CONTROLLER_NAME, MAX_ANCESTORS},
    },
};

const REQUEST: Duration = Duration::from_secs(10);
/// Bytes of a note and of the name of a reporting instance (the API's validation of events).
const MAX_NOTE: usize = 1024;
const MAX_INSTANCE: usize = 128;

/// Writes events.
pub(super) struct Events {
    client: Client,
    instance: String,
    writes: Writes,
}

impl Events {
    pub(super) fn new(client: Client, identity: &str, health: &Arc<Health>) -> Self {
        let instance = identity[..identity.floor_char_boundary(MAX_INSTANCE)].to_owned();
        Self { client, instance, writes: Writes::new("event", health) }
    }

    /// That the status of a policy has no room for these entries. Whether that is done, or cannot be done.
    pub(super) async fn no_room(&self, policy: &PolicyObjectRef, left_out: &[AncestorReference]) -> bool {
        let key = &policy.key;
        let event = Event {
            metadata: ObjectMeta {
                namespace: Some(key.namespace.clone()),
                // A name has at most 253 bytes.
                name: Some(format!("{}.{:016x}", &key.name[..key.name.floor_char_boundary(200)], clock::random())),
                ..ObjectMeta::default()
            },
            type_: Some("Warning".to_owned()),
            action: Some("WriteStatus".to_owned()),
            reason: Some("StatusIsFull".to_owned()),
            note: Some(note(left_out)),
            event_time: Some(MicroTime(Timestamp::now())),
            reporting_controller: Some(CONTROLLER_NAME.to_owned()),
            reporting_instance: Some(self.instance.clone()),
            regarding: Some(ObjectReference {
                api_version: Some(key.dialect.api_version().to_owned()),
                kind: Some(KIND.to_owned()),
                namespace: Some(key.namespace.clone()),
                name: Some(key.name.clone()),
                uid: Some(policy.uid.clone()),
                ..ObjectReference::default()
            }),
            ..Event::default()
        };
        let api: Api<Event> = Api::namespaced(self.client.clone(), &key.namespace);
        match within(REQUEST, api.create(&PostParams::default(), &event)).await {
            Ok(_) => {
                self.writes.written();
                true
            }
            Err((failure, message)) => {
                self.writes.failed(failure);
                tracing::debug!("cannot write an event about {key}: {message}");
                matches!(failure, Failure::NotFound | Failure::Forbidden | Failure::Refused)
            }
        }
    }
}

fn note(left_out: &[AncestorReference]) -> String {
    const REST: usize = 16;
    let mut note = format!(
        "status.ancestors has the {MAX_ANCESTORS} entries that it may have, of all controllers, so that {CONTROLLER_NAME} cannot say what became of this policy for: "
    );
    for (place, ancestor) in left_out.iter().enumerate() {
        let namespace = ancestor.namespace.as_deref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
        let name = format!("{}{} {namespace}{}", if place == 0 { "" } else { ", " }, ancestor.kind, ancestor.name);
        if note.len() + name.len() > MAX_NOTE - REST {
            let _ = write!(note, " and {} more", left_out.len() - place);
            break;
        }
        note.push_str(&name);
    }
    note
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_names_what_has_no_room_and_stays_short() {
        let ancestor = |name: &str, namespace: Option<&str>| AncestorReference {
            kind: "Gateway".to_owned(),
            name: name.to_owned(),
            namespace: namespace.map(str::to_owned),
            ..AncestorReference::default()
        };
        assert!(note(&[ancestor("a", None), ancestor("b", Some("n"))]).ends_with(" for: Gateway a, Gateway n/b"));
        let many = vec![ancestor(&"x".repeat(253), None); 16];
        assert!(note(&many).len() <= MAX_NOTE && note(&many).ends_with(" and 13 more"), "{}", note(&many));
    }
}
