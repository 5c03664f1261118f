//! The instruments of connections, whatever they carry: of what is not read, all that there is to tell.

use super::{ConnectionMeasure, DURATION_BUCKETS, Instrument, Level, Measure, key};

const ATTRIBUTES: &[(&str, Level)] = &[
    (key::TELLTALE_REPORTER, Level::Conditional),
    (key::TELLTALE_CONNECTION_VISIBILITY, Level::Conditional),
    (key::TELLTALE_CONNECTION_OPAQUE_REASON, Level::Conditional),
    (key::NETWORK_PROTOCOL_NAME, Level::Conditional),
    (key::NETWORK_PROTOCOL_VERSION, Level::Conditional),
    (key::TLS_PROTOCOL_VERSION, Level::Conditional),
    (key::SERVER_ADDRESS, Level::Recommended),
    (key::SERVER_PORT, Level::OptIn),
];

const IO_ATTRIBUTES: &[(&str, Level)] = &[
    (key::NETWORK_IO_DIRECTION, Level::Required),
    (key::TELLTALE_REPORTER, Level::Conditional),
    (key::TELLTALE_CONNECTION_VISIBILITY, Level::Conditional),
    (key::TELLTALE_CONNECTION_OPAQUE_REASON, Level::Conditional),
    (key::NETWORK_PROTOCOL_NAME, Level::Conditional),
    (key::NETWORK_PROTOCOL_VERSION, Level::Conditional),
    (key::TLS_PROTOCOL_VERSION, Level::Conditional),
    (key::SERVER_ADDRESS, Level::Recommended),
    (key::SERVER_PORT, Level::OptIn),
];

const fn row(
    name: &'static str,
    measure: ConnectionMeasure,
    unit: &'static str,
    description: &'static str,
) -> Instrument {
    let of_duration = matches!(measure, ConnectionMeasure::Duration);
    let of_bytes = matches!(measure, ConnectionMeasure::Io);
    Instrument {
        name,
        role: None,
        measure: Measure::Connection(measure),
        unit,
        description,
        buckets: if of_duration { DURATION_BUCKETS } else { &[] },
        attributes: if of_bytes { IO_ATTRIBUTES } else { ATTRIBUTES },
        opt_in: false,
        conventions: None,
    }
}

/// The instruments of connections: the same in every profile.
pub static CONNECTION_INSTRUMENTS: &[Instrument] = &[
    row("telltale.connections", ConnectionMeasure::Ended, "{connection}", "Connections that are over."),
    row(
        "telltale.connection.duration",
        ConnectionMeasure::Duration,
        "s",
        "Duration of connections that were seen from their first byte to their end.",
    ),
    row("telltale.connection.io", ConnectionMeasure::Io, "By", "Bytes that connections moved, read or not."),
];
