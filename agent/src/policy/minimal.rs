//! The part of a TelemetryPolicy document that decides which signals are on. Fields that are not named here are read over.

use serde::Deserialize;

/// A policy that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the policy: {0}")]
pub struct PolicyError(#[from] serde_saphyr::Error);

/// Whether a signal is on (GEP-4768).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) enum Mode {
    /// On.
    Enabled,
    /// Off.
    Disabled,
    /// As the implementation documents (POLICY.md section 1).
    #[default]
    ImplementationDefault,
}

impl From<Mode> for super::model::Mode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Enabled => Self::Enabled,
            Mode::Disabled => Self::Disabled,
            Mode::ImplementationDefault => Self::ImplementationDefault,
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Document {
    pub(super) spec: Spec,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Spec {
    pub(super) metrics: Option<Stanza>,
    pub(super) tracing: Option<Stanza>,
    pub(super) access_logs: Option<Stanza>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Stanza {
    #[serde(default)]
    pub(super) mode: Mode,
}

impl Document {
    pub(super) fn parse(text: &str) -> Result<Self, PolicyError> {
        Ok(serde_saphyr::from_str(text)?)
    }
}
