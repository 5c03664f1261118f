//! Which policy holds where: targets, permissions, precedence (POLICY.md section 2, GEP-713).
//!
//! Pure functions of policies and cluster objects; neither order nor time changes what they say.

mod candidate;
mod grant;
mod precedence;
mod resolution;
mod standing;
mod target;
#[cfg(test)]
mod tests;

pub use candidate::{Candidate, PolicyIndex};
pub use grant::{BackendKind, is_backend_granted};
pub use precedence::precedence;
pub use resolution::{Coverage, Resolution, Verdict};
pub use standing::{Standing, Subject};
pub use target::{Target, TargetFault};
