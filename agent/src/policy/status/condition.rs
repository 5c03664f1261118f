//! One condition, and every reason that it can have.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A condition (Kubernetes, `metav1.Condition`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// `Accepted`, `ResolvedRefs` or `Programmed`.
    #[serde(rename = "type")]
    pub condition_type: String,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// The generation of the policy that this is about.
    pub observed_generation: i64,
    /// Since when the status is what it is.
    pub last_transition_time: Transition,
    /// Why, in one word.
    pub reason: String,
    /// Why, for people. At most [`Self::MAX_MESSAGE`] bytes.
    pub message: String,
}

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConditionStatus {
    /// It does.
    True,
    /// It does not.
    False,
    /// Nobody knows.
    Unknown,
}

/// A time as Kubernetes writes it: whole seconds, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Transition(Timestamp);

impl Transition {
    /// Where nobody saw when it changed: the same in every run. Gateway API writes it into conditions that no controller has set yet.
    pub const UNKNOWN: Self = Self(Timestamp::UNIX_EPOCH);

    /// At a time; fractions of a second are left out.
    pub fn at(time: Timestamp) -> Self {
        Self(Timestamp::from_second(time.as_second()).unwrap_or(Timestamp::UNIX_EPOCH))
    }
}

impl From<Transition> for String {
    fn from(transition: Transition) -> Self {
        transition.0.to_string()
    }
}

impl TryFrom<String> for Transition {
    type Error = jiff::Error;

    fn try_from(text: String) -> Result<Self, jiff::Error> {
        text.parse().map(Self)
    }
}

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
    /// Its word, the type that it belongs to and the status that it says.
    pub const fn parts(self) -> (&'static str, &'static str, ConditionStatus) {
        use ConditionStatus::{False, True};
        match self {
            Self::Accepted => ("Accepted", Condition::ACCEPTED, True),
            Self::Conflicted => ("Conflicted", Condition::ACCEPTED, False),
            Self::Invalid => ("Invalid", Condition::ACCEPTED, False),
            Self::TargetNotFound => ("TargetNotFound", Condition::ACCEPTED, False),
            Self::ResolvedRefs => ("ResolvedRefs", Condition::RESOLVED_REFS, True),
            Self::BackendNotFound => ("BackendNotFound", Condition::RESOLVED_REFS, False),
            Self::RefNotPermitted => ("RefNotPermitted", Condition::RESOLVED_REFS, False),
            Self::InvalidKind => ("InvalidKind", Condition::RESOLVED_REFS, False),
            Self::Programmed => ("Programmed", Condition::PROGRAMMED, True),
            Self::PartiallyProgrammed => ("PartiallyProgrammed", Condition::PROGRAMMED, True),
            Self::Reconciling => ("Reconciling", Condition::PROGRAMMED, False),
            Self::Overridden => ("Overridden", Condition::PROGRAMMED, False),
        }
    }
}

impl Condition {
    /// Whether the policy holds for the target.
    pub const ACCEPTED: &'static str = "Accepted";
    /// Whether what the policy refers to is there; only where it refers to something.
    pub const RESOLVED_REFS: &'static str = "ResolvedRefs";
    /// Whether the nodes do it; only where it is accepted.
    pub const PROGRAMMED: &'static str = "Programmed";
    /// The types that we write. Those of others are theirs.
    pub const OURS: [&'static str; 3] = [Self::ACCEPTED, Self::RESOLVED_REFS, Self::PROGRAMMED];
    /// Bytes of a message (Kubernetes, `metav1.Condition`).
    pub const MAX_MESSAGE: usize = 32_768;

    /// A condition with this reason.
    pub fn new(reason: Reason, mut message: String, generation: i64, since: Transition) -> Self {
        const ELLIPSIS: &str = "...";
        if message.len() > Self::MAX_MESSAGE {
            message.truncate(message.floor_char_boundary(Self::MAX_MESSAGE - ELLIPSIS.len()));
            message.push_str(ELLIPSIS);
        }
        let (word, condition_type, status) = reason.parts();
        Self {
            condition_type: condition_type.to_owned(),
            status,
            observed_generation: generation,
            last_transition_time: since,
            reason: word.to_owned(),
            message,
        }
    }
}
