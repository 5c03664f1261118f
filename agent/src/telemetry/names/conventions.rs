//! Which version of OpenTelemetry's semantic conventions the names follow.

use std::sync::OnceLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A version of the semantic conventions, as a profile of the tables of names.
///
/// From v1.41 to v1.44 no name, unit, bucket or default attribute of the HTTP conventions changed, so that there the two differ in the schema URL by which
/// a receiver knows what it gets. Those for generative AI and MCP have left the core conventions since, and go on in a repository of their own, which has no
/// release yet: their newest names are those of its main branch of October 2026.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Conventions {
    /// What backends know.
    #[default]
    #[serde(rename = "v1.41")]
    V1_41,
    /// The newest that this agent knows: v1.44.
    #[serde(rename = "latest")]
    Latest,
}

/// What [`follow`] was told.
static FOLLOWED: OnceLock<Conventions> = OnceLock::new();

impl Conventions {
    /// What `OTEL_SEMCONV_STABILITY_OPT_IN` asks for, if it asks for anything that makes a difference here.
    pub fn opted_in(list: &str) -> Option<Self> {
        list.split(',').any(|entry| entry.trim() == "gen_ai_latest_experimental").then_some(Self::Latest)
    }

    /// The schema URL of resources and scopes.
    pub const fn schema_url(self) -> &'static str {
        match self {
            Self::V1_41 => "https://opentelemetry.io/schemas/1.41.0",
            Self::Latest => "https://opentelemetry.io/schemas/1.44.0",
        }
    }

    /// The schema URL of scopes with names of generative AI and MCP. One of a version that has no release: nothing can be read there yet.
    pub const fn genai_schema_url(self) -> &'static str {
        match self {
            Self::V1_41 => self.schema_url(),
            Self::Latest => "https://opentelemetry.io/schemas/gen-ai-dev/1.42.0-dev",
        }
    }
}

/// Follow these from now on. It is said once, before anything is given out; what is said later changes nothing.
pub fn follow(conventions: Conventions) {
    let _ = FOLLOWED.set(conventions);
}

/// The conventions that are followed.
pub fn followed() -> Conventions {
    FOLLOWED.get().copied().unwrap_or_default()
}

/// The schema URL of the conventions that are followed.
pub fn schema_url() -> &'static str {
    followed().schema_url()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_asks_for_the_latest_among_others() {
        assert_eq!(Conventions::opted_in("http, gen_ai_latest_experimental"), Some(Conventions::Latest));
        assert_eq!(Conventions::opted_in("http/dup,rpc"), None);
        assert_eq!(Conventions::opted_in(""), None);
    }
}
