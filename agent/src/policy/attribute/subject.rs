//! What is asked for values.

use std::borrow::Cow;

/// Whose header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The request's.
    Request,
    /// The response's.
    Response,
}

/// An exchange as attributes see it. The stage that has the exchange implements it; policies know nothing else about exchanges.
pub trait Subject {
    /// The value of a header field, several joined by `, ` (RFC 9110 section 5.3), compared without case. Never one that POLICY.md section 3 forbids.
    fn header(&self, side: Side, name: &str) -> Option<Cow<'_, str>>;
    /// A label of the pod that reports.
    fn pod_label(&self, key: &str) -> Option<&str>;
    /// An annotation of the pod that reports.
    fn pod_annotation(&self, key: &str) -> Option<&str>;
    /// A label of its namespace.
    fn namespace_label(&self, key: &str) -> Option<&str>;
}
