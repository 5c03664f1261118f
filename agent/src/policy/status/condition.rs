//! One condition, and every reason that it can have.

use jiff::Timestamp;

use crate::policy::api::status::{Condition, ConditionStatus};

/// Whether the policy holds for the target.
pub const ACCEPTED: &str = "Accepted";
/// Whether what the policy refers to is there; only where it refers to something.
pub const RESOLVED_REFS: &str = "ResolvedRefs";
/// Whether the nodes do it; only where it is accepted.
pub const PROGRAMMED: &str = "Programmed";
/// The types that we write. Those of others are theirs.
pub(super) const OURS: [&str; 3] = [ACCEPTED, RESOLVED_REFS, PROGRAMMED];
/// Bytes of a message (apimachinery, `metav1.Condition`, counts characters).
pub(super) const MAX_MESSAGE: usize = 32_768;

/// The time of a condition that nobody saw change, the same in every run: Gateway API has it in conditions that no controller has set yet.
pub const NOT_OBSERVED: Timestamp = Timestamp::UNIX_EPOCH;

/// Why a condition has its status. Each belongs to one type and says one status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// `Accepted` True.
    Accepted,
    /// `Accepted` False: another policy holds.
    Conflicted,
    /// `Accepted` False: the policy or the target is not one that can be.
    Invalid,
    /// `Accepted` False: there is no such target.
    TargetNotFound,
    /// `ResolvedRefs` True.
    ResolvedRefs,
    /// `ResolvedRefs` False: there is no such receiver.
    BackendNotFound,
    /// `ResolvedRefs` False: it is in another namespace, which grants nothing.
    RefNotPermitted,
    /// `ResolvedRefs` False: nothing can be sent to this kind.
    InvalidKind,
    /// `Programmed` True.
    Programmed,
    /// `Programmed` True, but not all of it.
    PartiallyProgrammed,
    /// `Programmed` False: not all nodes have it yet.
    Reconciling,
    /// `Programmed` False: all its pods follow the policy of a Gateway.
    Overridden,
}

impl Reason {
    /// Every one.
    pub const ALL: [Self; 12] = [
        Self::Accepted,
        Self::Conflicted,
        Self::Invalid,
        Self::TargetNotFound,
        Self::ResolvedRefs,
        Self::BackendNotFound,
        Self::RefNotPermitted,
        Self::InvalidKind,
        Self::Programmed,
        Self::PartiallyProgrammed,
        Self::Reconciling,
        Self::Overridden,
    ];

    /// Its word, the type that it belongs to and the status that it says.
    pub const fn parts(self) -> (&'static str, &'static str, ConditionStatus) {
        use ConditionStatus::{False, True};
        match self {
            Self::Accepted => ("Accepted", ACCEPTED, True),
            Self::Conflicted => ("Conflicted", ACCEPTED, False),
            Self::Invalid => ("Invalid", ACCEPTED, False),
            Self::TargetNotFound => ("TargetNotFound", ACCEPTED, False),
            Self::ResolvedRefs => ("ResolvedRefs", RESOLVED_REFS, True),
            Self::BackendNotFound => ("BackendNotFound", RESOLVED_REFS, False),
            Self::RefNotPermitted => ("RefNotPermitted", RESOLVED_REFS, False),
            Self::InvalidKind => ("InvalidKind", RESOLVED_REFS, False),
            Self::Programmed => ("Programmed", PROGRAMMED, True),
            Self::PartiallyProgrammed => ("PartiallyProgrammed", PROGRAMMED, True),
            Self::Reconciling => ("Reconciling", PROGRAMMED, False),
            Self::Overridden => ("Overridden", PROGRAMMED, False),
        }
    }
}

/// A condition with this reason. Kubernetes keeps whole seconds of `since`.
pub(super) fn condition(reason: Reason, mut message: String, generation: i64, since: Timestamp) -> Condition {
    const ELLIPSIS: &str = "...";
    if message.len() > MAX_MESSAGE {
        message.truncate(message.floor_char_boundary(MAX_MESSAGE - ELLIPSIS.len()));
        message.push_str(ELLIPSIS);
    }
    let (word, condition_type, status) = reason.parts();
    let since = Timestamp::from_second(since.as_second()).unwrap_or(NOT_OBSERVED);
    Condition {
        kind: condition_type.to_owned(),
        status,
        observed_generation: Some(generation),
        last_transition_time: since.to_string(),
        reason: word.to_owned(),
        message,
    }
}
