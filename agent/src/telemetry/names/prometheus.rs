//! OpenTelemetry names -> those of Prometheus (specification, `compatibility/prometheus_and_openmetrics.md`).

use super::{Instrument, Kind};

/// A key as a metric or label name: what is not allowed becomes `_`, repeated ones collapse ("Metric Attributes").
pub fn label(key: &str) -> String {
    let mut name = String::with_capacity(key.len() + 1);
    for byte in key.chars() {
        let byte = if byte.is_ascii_alphanumeric() { byte } else { '_' };
        if !(byte == '_' && name.ends_with('_')) {
            name.push(byte);
        }
    }
    if name.starts_with(|first: char| first.is_ascii_digit()) {
        name.insert(0, '_');
    }
    name
}

/// The word of a unit that is appended to names ("Metric Metadata"); `None` for one that is left out.
pub fn unit_word(unit: &str) -> Option<&'static str> {
    match unit {
        "s" => Some("seconds"),
        "ms" => Some("milliseconds"),
        "By" => Some("bytes"),
        _ => None,
    }
}

/// The name of a metric family, without unit word and `_total`, which are appended to it.
pub fn stem(name: &str, unit: &str, kind: Kind) -> String {
    let mut stem = label(name);
    if kind == Kind::Counter && stem.len() > "_total".len() && stem.ends_with("_total") {
        stem.truncate(stem.len() - "_total".len());
    }
    if let Some(word) = unit_word(unit)
        && let Some(rest) = stem.strip_suffix(word).and_then(|rest| rest.strip_suffix('_'))
        && !rest.is_empty()
    {
        stem.truncate(rest.len());
    }
    stem
}

/// The whole name of a metric family, as a query spells it.
pub fn family(name: &str, unit: &str, kind: Kind) -> String {
    let mut family = stem(name, unit, kind);
    if let Some(word) = unit_word(unit) {
        family.push('_');
        family.push_str(word);
    }
    if kind == Kind::Counter {
        family.push_str("_total");
    }
    family
}

impl Instrument {
    /// Its name in Prometheus, as a query spells it.
    pub fn prometheus_name(&self) -> String {
        family(self.name, self.unit, self.kind())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_names() {
        assert_eq!(label("http.request.method"), "http_request_method");
        assert_eq!(label("a..b--c"), "a_b_c");
        assert_eq!(label("1a"), "_1a");
    }

    #[test]
    fn suffixes_come_once() {
        assert_eq!(
            family("http.server.request.duration", "s", Kind::Histogram),
            "http_server_request_duration_seconds"
        );
        assert_eq!(family("my_seconds", "s", Kind::Histogram), "my_seconds");
        assert_eq!(family("seconds", "s", Kind::Histogram), "seconds_seconds");
        assert_eq!(family("istio_requests_total", "1", Kind::Counter), "istio_requests_total");
        assert_eq!(family("a.total", "1", Kind::Histogram), "a_total");
        assert_eq!(family("x.bytes_total", "By", Kind::Counter), "x_bytes_total");
    }
}
