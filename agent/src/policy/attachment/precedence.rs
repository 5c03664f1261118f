//! Which of two policies for one target holds.

use std::cmp::Ordering;

use crate::policy::model::Policy;

/// The one that holds comes first: oldest `creationTimestamp`, then `namespace/name`, then `apiVersion`. One without a timestamp counts as newest
/// (POLICY.md section 2; GEP-713 "Conflict resolution").
pub fn precedence(a: &Policy, b: &Policy) -> Ordering {
    a.created
        .is_none()
        .cmp(&b.created.is_none())
        .then_with(|| a.created.cmp(&b.created))
        .then_with(|| a.key.cmp(&b.key))
}
