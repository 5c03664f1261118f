//! An object that may not be there.

/// What is known of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Known<T> {
    /// Nothing: it has to be read.
    #[default]
    Unread,
    /// That there is none.
    Absent,
    /// The object.
    There(T),
}

impl<T> Known<T> {
    /// The object, if it is known to be there.
    pub(super) const fn there(&self) -> Option<&T> {
        match self {
            Self::There(object) => Some(object),
            Self::Unread | Self::Absent => None,
        }
    }
}

impl<T> From<Option<T>> for Known<T> {
    fn from(read: Option<T>) -> Self {
        read.map_or(Self::Absent, Self::There)
    }
}
