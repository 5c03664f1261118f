//! What objects cost in memory, estimated: the structures themselves, their texts, and the nodes of their maps.

use std::mem::size_of;

use super::snapshot::PolicyObject;
use crate::policy::objects::{Labels, Namespace, Node, ObjectName, Pod, ReferenceGrant, Service};

/// A node of a `BTreeMap` holds up to 11 entries; in one that was filled in order about six are used.
const ENTRIES: usize = 6;

/// What the allocator adds to a piece of memory, and what is left unused at its end.
const PIECE: usize = 16;

fn text(text: &str) -> usize {
    if text.is_empty() { 0 } else { text.len() + PIECE }
}

fn option(value: Option<&String>) -> usize {
    value.map_or(0, |value| text(value))
}

fn labels(labels: &Labels) -> usize {
    let nodes = labels.len().div_ceil(ENTRIES) * (11 * 2 * size_of::<String>() + PIECE);
    nodes + labels.iter().map(|(key, value)| text(key) + text(value)).sum::<usize>()
}

/// The entry of a map by name.
fn entry<T>(name: &ObjectName) -> usize {
    (size_of::<ObjectName>() + size_of::<T>()) * 11 / ENTRIES + text(&name.namespace) + text(&name.name)
}

/// What a set of labels costs that pods share.
pub(super) fn of_labels(set: &Labels) -> usize {
    size_of::<Labels>() + PIECE + labels(set)
}

/// What an object under a name costs.
pub(super) trait Size: Sized {
    fn inner(&self) -> usize;

    fn size(&self, name: &ObjectName) -> usize {
        entry::<Self>(name) + self.inner()
    }
}

impl Size for Pod {
    fn size(&self, name: &ObjectName) -> usize {
        entry::<std::sync::Arc<Self>>(name) + self.inner()
    }

    fn inner(&self) -> usize {
        let owner = self.owner.as_ref().map_or(0, |(kind, name)| text(kind) + text(name));
        let containers = self.containers.iter().map(|container| {
            size_of_val(container)
                + text(&container.name)
                + option(container.id.as_ref())
                + option(container.image.as_ref())
        });
        // It is shared, and its labels are counted once for all pods that have them.
        size_of::<Self>()
            + PIECE
            + option(self.uid.as_ref())
            + option(self.service_account.as_ref())
            + option(self.node.as_ref())
            + size_of_val(&self.addresses[..])
            + owner
            + containers.sum::<usize>()
    }
}

impl Size for Namespace {
    fn inner(&self) -> usize {
        labels(&self.labels)
    }
}

impl Size for Labels {
    fn inner(&self) -> usize {
        labels(self)
    }
}

impl Size for Node {
    fn inner(&self) -> usize {
        size_of_val(&self.addresses[..]) + size_of_val(&self.pod_ranges[..])
    }
}

impl Size for Service {
    fn inner(&self) -> usize {
        size_of_val(&self.ports[..]) + size_of_val(&self.addresses[..])
    }
}

impl Size for ReferenceGrant {
    fn inner(&self) -> usize {
        let from = self.from.iter().map(|from| size_of_val(from) + text(&from.0) + text(&from.1) + text(&from.2));
        let to = self.to.iter().map(|to| size_of_val(to) + text(&to.0) + text(&to.1) + option(to.2.as_ref()));
        text(&self.namespace) + from.sum::<usize>() + to.sum::<usize>()
    }
}

impl Size for PolicyObject {
    fn inner(&self) -> usize {
        // What was read from it is about three times as large as its text.
        let (text, said) = self.sizes();
        size_of::<crate::policy::document::Document>() + text + said * 3
    }
}
