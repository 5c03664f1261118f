//! What is asked for values.

use std::borrow::Cow;

use super::{Key, Value};

/// Whose header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The request's.
    Request,
    /// The response's.
    Response,
}

impl Side {
    /// The key that is the map of its header fields.
    pub const fn headers(self) -> Key {
        match self {
            Self::Request => Key::RequestHeaders,
            Self::Response => Key::ResponseHeaders,
        }
    }
}

/// An exchange as attributes see it. The stage that has the exchange implements it; policies know nothing else about exchanges.
///
/// Nothing that POLICY.md section 3 forbids comes out of any of these: credentials are not there, URLs are redacted.
pub trait Subject {
    /// The value of a header field, several joined by `, ` (RFC 9110 section 5.3), compared without case. Never one that POLICY.md section 3 forbids.
    fn header(&self, side: Side, name: &str) -> Option<Cow<'_, str>>;
    /// A label of the pod that reports.
    fn pod_label(&self, key: &str) -> Option<&str>;
    /// An annotation of the pod that reports.
    fn pod_annotation(&self, key: &str) -> Option<&str>;
    /// A label of its namespace.
    fn namespace_label(&self, key: &str) -> Option<&str>;
    /// The value of a key, of the type that its row says. `None` where it has none, and for maps.
    fn key(&self, key: Key) -> Option<Value<'_>>;
    /// One entry of a key that is a map.
    fn entry(&self, map: Key, name: &str) -> Option<Cow<'_, str>>;
    /// All entries of a key that is a map, each name once; `None` where the map is absent. For what iterates over them: [`Self::entry`] is cheaper.
    fn entries(&self, map: Key) -> Option<Vec<(Cow<'_, str>, Cow<'_, str>)>>;
    /// How many fields a look into this map goes over: as many as it has entries, and more where several are of one name. `None` where the map is
    /// absent. For what bounds the work of [`Self::entry`] and [`Self::entries`]; takes no time itself.
    fn fields(&self, map: Key) -> Option<usize>;
}
