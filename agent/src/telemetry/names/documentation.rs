//! `docs/metrics.md`, made from the table of instruments.

use std::fmt::Write as _;

use super::{Conventions, Instrument, Kind, Level, Occasion, every_instrument};

/// Set to anything, the test writes the file instead of comparing it.
const UPDATE: &str = "TELLTALE_UPDATE_DOCS";

/// What stands before the tables.
const INTRODUCTION: &str = include_str!("documentation/introduction.md");

/// A section: title, a line about it, and whose rows are in it.
struct Section {
    title: &'static str,
    about: &'static str,
    has: fn(&Instrument) -> bool,
}

/// What a reader must know of the metrics of connections.
const CONNECTIONS: &str = "\
Of every connection, counted when it is over or followed no longer, in every profile. `telltale.connection.visibility` is `plain` (read as it is), \
`decrypted` (read inside TLS) or `opaque`, of which `telltale.connection.opaque_reason` says why: `tls` (TLS, or TLS within TLS, that nobody read inside of), `http2` \
(HTTP/2, which is not parsed yet, also inside TLS), `upgraded` (after an Upgrade or in a tunnel, also inside TLS), `unknown` (none of the protocols that are read, or joined where that cannot be told); it is absent \
where no byte moved. What was read inside TLS of which it is not known over which socket is not counted; its connection is `opaque` for `tls`. Of a decrypted connection the bytes are those of TLS, and it is one connection. `server.address` is the server name of the TLS \
handshake, else the address of the server; only of clients, unless a policy adds it. `network.protocol.version` is that of HTTP/2; of HTTP/1 each message has its own. Bytes are told after each minute of a connection, as what is known of it then, and at its end.";

const SECTIONS: &[Section] = &[
    Section {
        title: "HTTP",
        about: "Of every exchange, also of those that are calls of the sections below.",
        has: |row| is_of(row, &[Occasion::Exchange]) && row.name.starts_with("http."),
    },
    Section {
        title: "HTTP in the Istio profile",
        about: "With Istio's labels; one name for both ends, told apart by `reporter`.",
        has: |row| row.name.starts_with("istio_"),
    },
    Section {
        title: "Authorization",
        about: "Off until a policy switches it on; its labels are in [policy.md](policy.md#metrics).",
        has: |row| row.name.starts_with("telltale.authorization."),
    },
    Section {
        title: "Language models",
        about: "Conventions for generative AI of v1.41, which is the default.",
        has: |row| of_models(row) && row.conventions == Some(Conventions::V1_41),
    },
    Section {
        title: "Language models, in both conventions",
        about: "`gen_ai.server.*` are of a process that serves a model or a gateway, whether or not it knows of telemetry.",
        has: |row| of_models(row) && row.conventions.is_none(),
    },
    Section {
        title: "Language models with `conventions: latest`",
        about: "In place of those of v1.41.",
        has: |row| of_models(row) && row.conventions == Some(Conventions::Latest),
    },
    Section {
        title: "Model Context Protocol",
        about: "Client is who sends a message, server who receives it.",
        has: |row| is_of(row, &[Occasion::McpMessage, Occasion::McpSession]),
    },
    Section {
        title: "Connections",
        about: CONNECTIONS,
        has: |row| is_of(row, &[Occasion::Connection, Occasion::ConnectionIo]),
    },
    Section {
        title: "Other JSON-RPC",
        about: "What is JSON-RPC 2.0 and not MCP. gRPC is measured as HTTP.",
        has: |row| is_of(row, &[Occasion::JsonRpc]),
    },
];

fn is_of(row: &Instrument, occasions: &[Occasion]) -> bool {
    occasions.contains(&row.measure.occasion())
}

fn of_models(row: &Instrument) -> bool {
    is_of(row, &[Occasion::GenAi, Occasion::TokenType, Occasion::Modality])
}

fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    for section in SECTIONS {
        let _ = write!(
            page,
            "\n## {}\n\n{}\n\n| name | in Prometheus | | unit | attributes | opt-in attributes | buckets |\n|---|---|---|---|---|---|---|\n",
            section.title, section.about
        );
        for row in every_instrument().filter(|row| (section.has)(row)) {
            let (opt_in, given): (Vec<_>, Vec<_>) =
                row.attributes.iter().partition(|(_, level)| *level == Level::OptIn);
            let given = given.into_iter().map(|&(name, level)| format!("`{name}`{}", mark(level)));
            let opt_in = opt_in.into_iter().map(|(name, _)| format!("`{name}`"));
            let kind = if row.kind() == Kind::Counter { "counter" } else { "histogram" };
            let _ = writeln!(
                page,
                "| `{}` | `{}` | {kind} | {} | {} | {} | {} |",
                row.name,
                row.prometheus_name(),
                row.unit,
                given.collect::<Vec<_>>().join(", "),
                opt_in.collect::<Vec<_>>().join(", "),
                row.buckets.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
            );
        }
    }
    page
}

const fn mark(level: Level) -> &'static str {
    match level {
        Level::Required | Level::OptIn => "",
        Level::Conditional => "¹",
        Level::Recommended => "²",
    }
}

#[test]
fn the_page_is_what_the_table_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
    let page = page();
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(path, &page).expect("docs/metrics.md can be written");
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    let differs = page.lines().zip(written.lines()).find(|(wanted, written)| wanted != written);
    assert!(
        page == written,
        "docs/metrics.md differs, first at {differs:?}; set {UPDATE} and run this test to write it"
    );
}

#[test]
fn every_instrument_is_in_one_section() {
    for row in every_instrument() {
        let sections = SECTIONS.iter().filter(|section| (section.has)(row)).count();
        assert_eq!(sections, 1, "{}", row.name);
    }
}
