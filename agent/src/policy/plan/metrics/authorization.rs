//! The labels of the authorization graph: who called whom, and what the answer said about it, as seen from outside.
//!
//! Which rule decided is not seen, and not made up.

use super::label::{Label, Own};
use crate::{policy::attribute::Key, telemetry::names::key};

const LABELS: &[(&str, Key)] = &[
    (key::EVENT_ACTION, Key::EventAction),
    (key::TELLTALE_REPORTER, Key::Reporter),
    ("source.workload", Key::SourceWorkload),
    ("source.namespace", Key::SourceNamespace),
    ("source.service_account", Key::SourceServiceAccount),
    ("destination.workload", Key::DestinationWorkload),
    ("destination.namespace", Key::DestinationNamespace),
    ("destination.service_account", Key::DestinationServiceAccount),
    (key::SERVER_ADDRESS, Key::ServerAddress),
];

/// An end of which nothing is known has no labels.
pub(super) fn labels() -> Vec<Label> {
    LABELS.iter().map(|&(name, key)| Label::own(name, Own::Key(key), None)).collect()
}
