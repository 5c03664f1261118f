//! The attributes of the instruments of calls beyond HTTP.

use super::label::{Label, Own};
use crate::{
    policy::attribute::Key,
    telemetry::names::{Instrument, key},
};

/// Those that it has unless a policy says otherwise. One that the call does not tell is absent, in every profile.
pub(super) fn labels(instrument: &'static Instrument) -> Vec<Label> {
    instrument.default_attributes().map(|name| Label::own(name, source(name), None)).collect()
}

fn source(name: &str) -> Own {
    match name {
        key::GEN_AI_TOKEN_TYPE => Own::TokenType,
        key::GEN_AI_TOKEN_MODALITY => Own::Modality,
        _ => Key::of_attribute(name).map_or(Own::Nothing, Own::Key),
    }
}
