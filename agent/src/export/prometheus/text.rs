//! From the OpenMetrics text that `prometheus-client` writes to what is sent.

use std::{collections::HashSet, fmt::Write as _};

use crate::telemetry::metrics::Exemplar;

/// The text format 0.0.4: no `# UNIT` and `# EOF`; the family of a counter is called like its sample, `_total` included; an info becomes a gauge.
pub(super) fn from_openmetrics(openmetrics: &str) -> String {
    let mut text = String::with_capacity(openmetrics.len());
    // HELP precedes TYPE, and its name depends on the type: held until the type is known.
    let mut help = None;
    for line in openmetrics.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ');
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                "unknown" => ("", "untyped"),
                other => ("", other),
            };
            if let Some((_, words)) = help.take().filter(|(helped, _)| *helped == name) {
                let _ = writeln!(text, "# HELP {name}{suffix} {words}");
            }
            let _ = writeln!(text, "# TYPE {name}{suffix} {kind}");
        } else if !line.starts_with('#') {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

/// OpenMetrics with an exemplar after each `_bucket` sample that has one. `exemplars` are of all `_bucket` samples of histograms, in order.
pub(super) fn with_exemplars(openmetrics: &str, exemplars: &[Option<Exemplar>]) -> String {
    if exemplars.iter().all(Option::is_none) {
        return openmetrics.to_owned();
    }
    let mut text = String::with_capacity(openmetrics.len() + exemplars.len() * 40);
    let mut histograms = HashSet::new();
    let mut exemplars = exemplars.iter();
    for line in openmetrics.lines() {
        text.push_str(line);
        if let Some((name, "histogram")) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            histograms.insert(name);
        } else if !line.starts_with('#')
            && let Some((family, _)) = line.split_once("_bucket{")
            && histograms.contains(family)
            && let Some(Some(exemplar)) = exemplars.next()
        {
            let seconds = exemplar.time as f64 / 1e9;
            let _ = write!(
                text,
                " # {{trace_id=\"{:032x}\",span_id=\"{:016x}\"}} {:?} {seconds:.3}",
                exemplar.trace_id, exemplar.span_id, exemplar.value
            );
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPENMETRICS: &str = "\
# HELP a_seconds Words here.
# TYPE a_seconds histogram
# UNIT a_seconds seconds
a_seconds_sum{x=\"y # {z\"} 1.0
a_seconds_count{x=\"y # {z\"} 1
a_seconds_bucket{le=\"1.0\",x=\"_bucket{\"} 1
a_seconds_bucket{le=\"+Inf\",x=\"_bucket{\"} 1
# HELP b B.
# TYPE b counter
b_total 3
# HELP target T.
# TYPE target info
target_info{c=\"d\"} 1
# EOF
";

    #[test]
    fn text_format_names_counters_with_total() {
        insta::assert_snapshot!(from_openmetrics(OPENMETRICS), @r##"
        # HELP a_seconds Words here.
        # TYPE a_seconds histogram
        a_seconds_sum{x="y # {z"} 1.0
        a_seconds_count{x="y # {z"} 1
        a_seconds_bucket{le="1.0",x="_bucket{"} 1
        a_seconds_bucket{le="+Inf",x="_bucket{"} 1
        # HELP b_total B.
        # TYPE b_total counter
        b_total 3
        # HELP target_info T.
        # TYPE target_info gauge
        target_info{c="d"} 1
        "##);
    }

    #[test]
    fn exemplars_follow_their_bucket() {
        let exemplar = Exemplar { trace_id: 1, span_id: 2, value: 0.5, time: 1_700_000_000_123_456_789 };
        let text = with_exemplars(OPENMETRICS, &[None, Some(exemplar)]);
        let changed: Vec<_> = text.lines().filter(|line| line.contains("trace_id")).collect();
        let bucket = r#"a_seconds_bucket{le="+Inf",x="_bucket{"} 1"#;
        let ids = r#"trace_id="00000000000000000000000000000001",span_id="0000000000000002""#;
        assert_eq!(changed, [format!("{bucket} # {{{ids}}} 0.5 1700000000.123")]);
        assert!(text.ends_with("# EOF\n"));
    }
}
