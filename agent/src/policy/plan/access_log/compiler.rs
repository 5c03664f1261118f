//! What the parts of the stanza are compiled with.

use crate::{
    policy::{Effect, Finding, Trust, model::FieldPath},
    protocol::secret::is_secret_header,
};

/// What a policy may do, and what was found.
pub(super) struct Compiler<'a> {
    pub(super) trust: &'a Trust,
    pub(super) findings: &'a mut Vec<Finding>,
}

impl<'a> Compiler<'a> {
    pub(super) fn new(trust: &'a Trust, findings: &'a mut Vec<Finding>) -> Self {
        Self { trust, findings }
    }

    pub(super) fn push(&mut self, finding: Finding) {
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    /// Whether a header field may be given out (POLICY.md section 3); a message says so if not.
    pub(super) fn may_give_out(&mut self, at: &FieldPath, name: &str) -> bool {
        let secret = is_secret_header(name.as_bytes());
        if secret {
            let name = name.to_ascii_lowercase();
            self.push(Finding::new(at, Effect::Message, format!("header `{name}` holds credentials and is left out")));
        }
        !secret
    }
}
