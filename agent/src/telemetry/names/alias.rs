//! Which instruments a name in a policy means.

use super::{Conventions, Instrument, Kind, every_instrument, instruments, prometheus};
use crate::policy::model::Profile;

/// Names that people write, and what they mean in each profile.
struct Alias {
    names: &'static [&'static str],
    /// What a metric of such a name is elsewhere.
    kind: Kind,
    open_telemetry: &'static [&'static str],
    istio: &'static [&'static str],
}

const ALIASES: &[Alias] = &[
    // A histogram counts: its `_count` is the counter.
    Alias {
        names: &[
            "request_count",
            "requests",
            "request_total",
            "requests_total",
            "http_requests",
            "http_requests_total",
            "http_request_count",
            "http.requests",
            "http.request.count",
            "gateway.networking.k8s.io/http/request_count",
            "istio_requests_total",
            "istio_requests",
            "REQUEST_COUNT",
        ],
        kind: Kind::Counter,
        open_telemetry: &["http.server.request.duration", "http.client.request.duration"],
        istio: &["istio_requests_total"],
    },
    Alias {
        names: &["http_server_requests_total", "http_server_request_count", "istio.io/service/server/request_count"],
        kind: Kind::Counter,
        open_telemetry: &["http.server.request.duration"],
        istio: &[],
    },
    Alias {
        names: &["http_client_requests_total", "http_client_request_count", "istio.io/service/client/request_count"],
        kind: Kind::Counter,
        open_telemetry: &["http.client.request.duration"],
        istio: &[],
    },
    Alias {
        names: &[
            "request_duration",
            "request_duration_seconds",
            "request_latency",
            "http_request_duration",
            "http_request_duration_seconds",
            "http.request.duration",
            "gateway.networking.k8s.io/http/request_duration",
            "istio_request_duration_milliseconds",
            "istio_request_duration",
            "REQUEST_DURATION",
        ],
        kind: Kind::Histogram,
        open_telemetry: &["http.server.request.duration", "http.client.request.duration"],
        istio: &["istio_request_duration_milliseconds"],
    },
    Alias {
        // The second: before the conventions became stable.
        names: &["istio.io/service/server/response_latencies", "http.server.duration"],
        kind: Kind::Histogram,
        open_telemetry: &["http.server.request.duration"],
        istio: &[],
    },
    Alias {
        names: &["istio.io/service/client/roundtrip_latencies", "http.client.duration"],
        kind: Kind::Histogram,
        open_telemetry: &["http.client.request.duration"],
        istio: &[],
    },
    Alias {
        names: &[
            "request_size",
            "request_bytes",
            "http_request_size_bytes",
            "gateway.networking.k8s.io/http/request_size",
            "istio_request_bytes",
            "REQUEST_SIZE",
        ],
        kind: Kind::Histogram,
        open_telemetry: &["http.server.request.body.size", "http.client.request.body.size"],
        istio: &["istio_request_bytes"],
    },
    Alias {
        names: &["istio.io/service/server/request_bytes", "http.server.request.size"],
        kind: Kind::Histogram,
        open_telemetry: &["http.server.request.body.size"],
        istio: &[],
    },
    Alias {
        names: &["istio.io/service/client/request_bytes", "http.client.request.size"],
        kind: Kind::Histogram,
        open_telemetry: &["http.client.request.body.size"],
        istio: &[],
    },
    Alias {
        names: &[
            "response_size",
            "response_bytes",
            "http_response_size_bytes",
            "gateway.networking.k8s.io/http/response_size",
            "istio_response_bytes",
            "RESPONSE_SIZE",
        ],
        kind: Kind::Histogram,
        open_telemetry: &["http.server.response.body.size", "http.client.response.body.size"],
        istio: &["istio_response_bytes"],
    },
    Alias {
        names: &["istio.io/service/server/response_bytes", "http.server.response.size"],
        kind: Kind::Histogram,
        open_telemetry: &["http.server.response.body.size"],
        istio: &[],
    },
    Alias {
        names: &["istio.io/service/client/response_bytes", "http.client.response.size"],
        kind: Kind::Histogram,
        open_telemetry: &["http.client.response.body.size"],
        istio: &[],
    },
    // Calls beyond HTTP. A name that only one version of the conventions has means in the other what took its place.
    Alias {
        names: &["gen_ai_tokens", "llm_tokens", "token_usage", "gen_ai.client.token.usage"],
        kind: Kind::Histogram,
        open_telemetry: TOKENS,
        istio: TOKENS,
    },
    Alias {
        names: &[
            "gen_ai_tokens_total",
            "llm_tokens_total",
            "gen_ai.client.inference.usage.input_tokens",
            "gen_ai.client.inference.usage.output_tokens",
        ],
        kind: Kind::Counter,
        open_telemetry: TOKEN_SUMS,
        istio: TOKEN_SUMS,
    },
    Alias {
        names: &["gen_ai.client.inference.duration"],
        kind: Kind::Histogram,
        open_telemetry: CLIENT_DURATION,
        istio: CLIENT_DURATION,
    },
    Alias {
        names: &["gen_ai_request_duration", "llm_request_duration", "llm_request_duration_seconds"],
        kind: Kind::Histogram,
        open_telemetry: CALL_DURATION,
        istio: CALL_DURATION,
    },
    Alias {
        names: &["gen_ai.client.inference.time_to_first_chunk", "gen_ai.client.operation.time_to_first_chunk"],
        kind: Kind::Histogram,
        open_telemetry: FIRST_CHUNK,
        istio: FIRST_CHUNK,
    },
    Alias {
        names: &["gen_ai.client.inference.time_per_output_chunk", "gen_ai.client.operation.time_per_output_chunk"],
        kind: Kind::Histogram,
        open_telemetry: CHUNKS,
        istio: CHUNKS,
    },
    // vLLM's names are of its own: what a server sees of itself.
    Alias {
        names: &["ttft", "time_to_first_token", "time_to_first_token_seconds"],
        kind: Kind::Histogram,
        open_telemetry: FIRST_TOKEN,
        istio: FIRST_TOKEN,
    },
    Alias {
        names: &["tpot", "time_per_output_token", "time_per_output_token_seconds"],
        kind: Kind::Histogram,
        open_telemetry: &["gen_ai.server.time_per_output_token"],
        istio: &["gen_ai.server.time_per_output_token"],
    },
    Alias {
        names: &["gen_ai_cost", "llm_cost", "gen_ai_cost_total", "llm_cost_total"],
        kind: Kind::Counter,
        open_telemetry: &["telltale.gen_ai.cost"],
        istio: &["telltale.gen_ai.cost"],
    },
    Alias {
        names: &["mcp_requests", "mcp_requests_total", "mcp_tool_calls", "mcp_tool_calls_total"],
        kind: Kind::Counter,
        open_telemetry: MCP_DURATION,
        istio: MCP_DURATION,
    },
    Alias {
        names: &["mcp.operation.duration", "mcp_operation_duration", "mcp_operation_duration_seconds"],
        kind: Kind::Histogram,
        open_telemetry: MCP_DURATION,
        istio: MCP_DURATION,
    },
];

const TOKENS: &[&str] = &[
    "gen_ai.client.token.usage",
    "gen_ai.client.inference.operation.input_tokens",
    "gen_ai.client.inference.operation.output_tokens",
];
const TOKEN_SUMS: &[&str] = &[
    "gen_ai.client.token.usage",
    "gen_ai.client.inference.usage.input_tokens",
    "gen_ai.client.inference.usage.output_tokens",
];
const CLIENT_DURATION: &[&str] = &["gen_ai.client.operation.duration"];
const CALL_DURATION: &[&str] =
    &["gen_ai.client.operation.duration", "gen_ai.client.inference.duration", "gen_ai.server.request.duration"];
const FIRST_CHUNK: &[&str] =
    &["gen_ai.client.operation.time_to_first_chunk", "gen_ai.client.inference.time_to_first_chunk"];
const CHUNKS: &[&str] =
    &["gen_ai.client.operation.time_per_output_chunk", "gen_ai.client.inference.time_per_output_chunk"];
const FIRST_TOKEN: &[&str] = &[
    "gen_ai.client.operation.time_to_first_chunk",
    "gen_ai.client.inference.time_to_first_chunk",
    "gen_ai.server.time_to_first_token",
];
const MCP_DURATION: &[&str] = &["mcp.client.operation.duration", "mcp.server.operation.duration"];

/// The instruments that a name means.
#[derive(Clone, Debug)]
pub struct Selection {
    /// One or more, in the order of the table.
    pub instruments: Vec<&'static Instrument>,
    /// What a metric of that name is where the name comes from.
    pub kind: Kind,
}

impl Selection {
    fn one(instrument: &'static Instrument) -> Self {
        Self { instruments: vec![instrument], kind: instrument.kind() }
    }

    /// Whether `type` of an override fits: what the name stands for, or what the instruments are.
    pub fn fits(&self, instrument_type: &str) -> bool {
        instrument_type == self.kind.name()
            || self.instruments.iter().all(|instrument| instrument.kind().name() == instrument_type)
    }
}

/// What a name means in a profile: an OpenTelemetry name, a Prometheus name (of the family or of a series of it) or an alias.
/// `None` if it means nothing there.
pub fn select(name: &str, profile: Profile, conventions: Conventions) -> Option<Selection> {
    let rows = || instruments(profile, conventions);
    if let Some(row) = rows().find(|row| row.name == name || row.prometheus_name() == name) {
        return Some(Selection::one(row));
    }
    if let Some(alias) = alias(name) {
        let wanted = match profile {
            Profile::OpenTelemetry => alias.open_telemetry,
            Profile::Istio => alias.istio,
        };
        let instruments: Vec<_> = rows().filter(|row| wanted.contains(&row.name)).collect();
        return (!instruments.is_empty()).then_some(Selection { instruments, kind: alias.kind });
    }
    let series = |suffix: &str| {
        let family = name.strip_suffix(suffix)?;
        rows().find(|row| row.kind() == Kind::Histogram && row.prometheus_name() == family)
    };
    let of_series = ["_count", "_sum", "_bucket"].into_iter().find_map(|suffix| series(suffix).zip(Some(suffix)));
    of_series.map(|(row, suffix)| {
        let kind = if suffix == "_bucket" { Kind::Histogram } else { Kind::Counter };
        Selection { instruments: vec![row], kind }
    })
}

fn alias(name: &str) -> Option<&'static Alias> {
    let of = |name: &str| ALIASES.iter().find(|alias| alias.names.contains(&name));
    // Also the Prometheus name of what only other conventions have.
    of(name).or_else(|| of(every_instrument().find(|row| row.prometheus_name() == name)?.name))
}

/// What a metric of this name is where the name comes from: of any row of the table, or an alias. Compared as Prometheus spells it.
pub fn kind_of_alias(name: &str) -> Option<Kind> {
    let name = prometheus::label(name);
    ALIASES
        .iter()
        .find(|alias| alias.names.iter().any(|other| prometheus::label(other) == name))
        .map(|alias| alias.kind)
        .or_else(|| every_instrument().find(|row| row.prometheus_name() == name).map(Instrument::kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(name: &str, profile: Profile) -> Vec<&'static str> {
        let selection = select(name, profile, Conventions::V1_41);
        selection.map(|found| found.instruments.iter().map(|row| row.name).collect()).unwrap_or_default()
    }

    #[test]
    fn every_spelling_finds_its_instrument() {
        let open_telemetry = |name: &str| names(name, Profile::OpenTelemetry);
        for row in instruments(Profile::OpenTelemetry, Conventions::V1_41) {
            assert_eq!(open_telemetry(row.name), [row.name]);
            assert_eq!(open_telemetry(&row.prometheus_name()), [row.name]);
            if row.kind() == Kind::Histogram {
                assert_eq!(open_telemetry(&format!("{}_count", row.prometheus_name())), [row.name]);
            }
        }
        let both = ["http.server.request.duration", "http.client.request.duration"];
        for name in ["request_count", "http_requests_total", "gateway.networking.k8s.io/http/request_count"] {
            assert_eq!(open_telemetry(name), both, "{name}");
        }
        assert_eq!(open_telemetry("istio_requests_total"), both);
        assert!(open_telemetry("nonsense").is_empty());
        let istio = |name: &str| names(name, Profile::Istio);
        assert_eq!(istio("istio_requests_total"), ["istio_requests_total"]);
        assert_eq!(istio("request_count"), ["istio_requests_total"]);
        assert_eq!(istio("REQUEST_DURATION"), ["istio_request_duration_milliseconds"]);
        assert!(istio("http.server.request.duration").is_empty());
    }

    #[test]
    fn names_of_other_conventions_mean_what_took_their_place() {
        let of = |name: &str, conventions| {
            let selection = select(name, Profile::OpenTelemetry, conventions).unwrap();
            selection.instruments.iter().map(|row| row.name).collect::<Vec<_>>()
        };
        let (old, new) = (Conventions::V1_41, Conventions::Latest);
        let tokens =
            ["gen_ai.client.inference.operation.input_tokens", "gen_ai.client.inference.operation.output_tokens"];
        assert_eq!(of("gen_ai.client.token.usage", new), tokens);
        assert_eq!(of("gen_ai_client_token_usage", new), tokens);
        assert_eq!(of("gen_ai.client.token.usage", old), ["gen_ai.client.token.usage"]);
        assert_eq!(of("gen_ai.client.inference.duration", old), ["gen_ai.client.operation.duration"]);
        assert_eq!(of("gen_ai.client.inference.duration", new), ["gen_ai.client.inference.duration"]);
        assert_eq!(of("gen_ai_client_inference_duration_seconds", old), ["gen_ai.client.operation.duration"]);
        for (profile, conventions) in [(Profile::Istio, old), (Profile::OpenTelemetry, new)] {
            assert_eq!(select("llm_cost_total", profile, conventions).unwrap().instruments.len(), 1);
            assert_eq!(select("mcp_tool_calls_total", profile, conventions).unwrap().kind, Kind::Counter);
            assert_eq!(select("ttft", profile, conventions).unwrap().instruments.len(), 2);
        }
    }

    #[test]
    fn each_alias_is_one_row_and_names_instruments() {
        let mut seen = std::collections::BTreeSet::new();
        for alias in ALIASES {
            assert!(alias.names.iter().all(|name| seen.insert(name)), "{:?}", alias.names);
            for (names, profile) in [(alias.open_telemetry, Profile::OpenTelemetry), (alias.istio, Profile::Istio)] {
                for wanted in names {
                    let known = [Conventions::V1_41, Conventions::Latest].map(|c| instruments(profile, c));
                    assert!(known.into_iter().flatten().any(|row| row.name == *wanted), "{wanted}");
                }
            }
        }
    }

    #[test]
    fn a_counter_fits_what_counts() {
        let fits = |name, word| select(name, Profile::OpenTelemetry, Conventions::V1_41).unwrap().fits(word);
        assert!(fits("request_count", "Counter") && fits("request_count", "Histogram"));
        assert!(!fits("request_count", "Gauge"));
        assert!(!fits("http.server.request.duration", "Counter"));
        assert!(fits("http_server_request_duration_seconds_count", "Counter"));
    }
}
