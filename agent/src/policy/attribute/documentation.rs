//! `docs/attributes.md`, made from the table of keys.

use std::fmt::Write as _;

use super::{Key, Type, When};

/// Set to anything, the test writes the file instead of comparing it.
const UPDATE: &str = "TELLTALE_UPDATE_DOCS";

/// What stands before the tables.
const INTRODUCTION: &str = include_str!("documentation/introduction.md");

/// The sections of the table, each with its first key.
const SECTIONS: &[(&str, Key)] = &[
    ("Request", Key::HttpRequestMethod),
    ("Response", Key::HttpResponseStatusCode),
    ("gRPC", Key::RpcSystemName),
    ("Authorization", Key::EventAction),
    ("Connection", Key::NetworkPeerAddress),
    ("Source: the client", Key::SourceAddress),
    ("Destination: the server", Key::DestinationAddress),
    ("Workload that reports", Key::ServiceName),
    ("Trace", Key::TraceId),
    ("Language models", Key::GenAiOperationName),
    ("Tools and MCP", Key::GenAiToolName),
];

fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    for &key in Key::ALL {
        if let Some((title, _)) = SECTIONS.iter().find(|(_, first)| *first == key) {
            let _ = write!(
                page,
                "\n### {title}\n\n| `attributeKey` | in CEL also | `accessLogs.fields` also | type | exists | captured | |\n|---|---|---|---|---|---|---|\n"
            );
        }
        let row = key.row();
        let names = |names: &mut dyn Iterator<Item = &'static str>| {
            names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
        };
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} | {} | {} | {} |",
            names(&mut row.attribute.into_iter()),
            names(&mut row.cel.iter().copied()),
            names(&mut row.log.iter().copied()),
            row.kind,
            row.when.describe(),
            row.needs.name(),
            row.description.trim()
        );
    }
    page
}

#[test]
fn the_page_is_what_the_table_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/attributes.md");
    let page = page();
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(path, &page).expect("docs/attributes.md can be written");
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    let differs = page.lines().zip(written.lines()).find(|(wanted, written)| wanted != written);
    assert!(
        page == written,
        "docs/attributes.md differs, first at {differs:?}; set {UPDATE} and run this test to write it"
    );
}

#[test]
fn every_key_is_in_a_section() {
    assert_eq!(SECTIONS[0].1, Key::ALL[0]);
    assert!(SECTIONS.is_sorted_by_key(|(_, first)| *first));
    // What only CEL can ask has no other name.
    for key in Key::ALL {
        let row = key.row();
        if row.kind == Type::Map {
            assert!(row.attribute.is_none() && row.log.is_empty(), "{key:?}");
        }
        assert!(row.when != When::Never || !row.description.is_empty(), "{key:?}");
    }
}
