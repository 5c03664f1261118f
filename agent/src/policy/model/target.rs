//! References to other objects.

use super::FieldPath;

/// What a policy attaches to (GEP-713).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetRef {
    /// Where it stands.
    pub at: FieldPath,
    /// API group; empty for the core group.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Namespace of the target, if it is given.
    pub namespace: Option<String>,
    /// Part of the target; refused (POLICY.md section 2).
    pub section_name: Option<String>,
}

/// An object that receives telemetry (Gateway API, `BackendObjectReference`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendRef {
    /// Where it stands.
    pub at: FieldPath,
    /// API group; empty for the core group.
    pub group: String,
    /// Kind; `Service` unless the policy says otherwise.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Namespace; that of the policy if it is absent.
    pub namespace: Option<String>,
    /// Port; required of a Service.
    pub port: Option<u16>,
}
