//! The attributes of the instruments of calls beyond HTTP and of connections.

use super::label::{Label, Own};
use crate::{
    policy::attribute::Key,
    telemetry::names::{Instrument, Measure, key},
};

/// Those that it has unless a policy says otherwise. One that the call does not tell is absent, in every profile.
pub(super) fn labels(instrument: &'static Instrument) -> Vec<Label> {
    let of_connection = matches!(instrument.measure, Measure::Connection(_));
    let source = |name| match name {
        // What a server is asked for is what anybody wrote.
        key::SERVER_ADDRESS if of_connection => Own::OfClient(Key::ServerAddress),
        _ => source(name),
    };
    instrument.default_attributes().map(|name| Label::own(name, source(name), None)).collect()
}

fn source(name: &str) -> Own {
    match name {
        key::GEN_AI_TOKEN_TYPE => Own::TokenType,
        key::GEN_AI_TOKEN_MODALITY => Own::Modality,
        key::NETWORK_IO_DIRECTION => Own::IoDirection,
        _ => Key::of_attribute(name).map_or(Own::Nothing, Own::Key),
    }
}
