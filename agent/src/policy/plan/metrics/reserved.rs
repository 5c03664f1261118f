//! Names that a policy cannot take: they say whose series it is, or belong to Prometheus.

use crate::telemetry::names::{Instrument, Kind, every_instrument, kind_of_alias, prometheus};

/// Labels that are not a policy's to set or to remove (POLICY.md section 4).
const LABELS: &[&str] = &["service_name", "k8s_namespace_name", "job", "instance", "le", "quantile"];

/// Longest name of an instrument (metrics API specification, "Instrument name syntax").
const MAX_NAME: usize = 255;

/// The reserved label that an attribute key would become in Prometheus, if it is one.
pub(super) fn reserved_label(key: &str) -> Option<String> {
    // Repeated underscores collapse, so that `__` must be looked for before.
    let plain: String = key.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let label = prometheus::label(key);
    if plain.starts_with("__") {
        return Some(plain);
    }
    (LABELS.contains(&label.as_str()) || label.starts_with("otel_")).then_some(label)
}

/// Why a key cannot be a label at all.
pub(super) fn not_a_label(key: &str) -> Option<&'static str> {
    (!key.contains(|c: char| c.is_ascii_alphanumeric()))
        .then_some("no letter or digit would be left of it in Prometheus")
}

/// Why an instrument cannot have this name.
pub(super) fn not_a_name(name: &str, instrument: &Instrument) -> Option<String> {
    // Metrics API specification, "Instrument name syntax".
    let starts = name.starts_with(|first: char| first.is_ascii_alphabetic());
    if !starts || name.contains(|c: char| !(c.is_ascii_alphanumeric() || "_.-/".contains(c))) || name.len() > MAX_NAME {
        return Some("a name is a letter and then at most 254 letters, digits, `_`, `.`, `-` and `/`".to_owned());
    }
    let family = prometheus::family(name, instrument.unit, instrument.kind());
    let of_table = |row: &&Instrument| row.name == name || row.prometheus_name() == family;
    if let Some(row) = every_instrument().find(of_table) {
        return Some(format!("it is the name of the instrument `{}`", row.name));
    }
    if family.starts_with("telltale_") || family.starts_with("target_info") || family.starts_with("otel_") {
        return Some(format!("`{family}` is a name of the agent's own metrics"));
    }
    // Elsewhere this name is a counter; a histogram of that name would mislead who knows it.
    kind_of_alias(name).filter(|kind| *kind != instrument.kind()).map(|kind| {
        let (theirs, ours) = (kind_word(kind), kind_word(instrument.kind()));
        format!("it is a name of a {theirs}, and `{}` is a {ours}", instrument.name)
    })
}

const fn kind_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "counter",
        Kind::Histogram => "histogram",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::names::INSTRUMENTS;

    #[test]
    fn what_prometheus_or_the_agent_owns_is_reserved() {
        for key in
            ["service.name", "service_name", "service..name", "k8s.namespace.name", "job", "le", "otel.scope.name"]
        {
            assert!(reserved_label(key).is_some(), "{key}");
        }
        for key in ["__name__", "..a", "-_x"] {
            assert!(reserved_label(key).unwrap().starts_with("__"), "{key}");
        }
        for key in ["service.name2", "jobs", "model_id", "_x", "hotel.name"] {
            assert_eq!(reserved_label(key), None);
        }
        assert!(not_a_label("..").is_some() && not_a_label("é").is_some() && not_a_label("a").is_none());
    }

    #[test]
    fn names_of_the_table_and_of_other_types_are_refused() {
        let refused = |name: &str| not_a_name(name, &INSTRUMENTS[0]);
        for name in
            ["http.client.request.duration", "http_server_request_duration", "http_server_request_duration_seconds"]
        {
            assert!(refused(name).unwrap().contains("name of the instrument"), "{name}");
        }
        assert!(refused("http_requests_total").unwrap().contains("counter"));
        assert!(refused("telltale.x").is_some() && refused("1a").is_some() && refused("a b").is_some());
        assert!(refused(&"a".repeat(256)).is_some());
        assert_eq!(refused("my.duration"), None);
        assert_eq!(refused("http.server.duration"), None);
    }
}
