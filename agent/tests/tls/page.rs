//! The table of `docs/tls.md`, which a run of the tests writes.

use std::fmt::Write as _;

/// Set to anything, the test writes the table instead of comparing it.
const UPDATE: &str = "TELLTALE_UPDATE_DOCS";
const BEGIN: &str = "<!-- programs: written by agent/tests/tls -->\n";
const END: &str = "<!-- end of programs -->\n";

/// A program that was seen as it should be.
pub(crate) struct Tested {
    pub(crate) name: String,
    /// Which end it was: `client`, `server`, `both`.
    pub(crate) end: &'static str,
    pub(crate) library: &'static str,
    /// How many it made; each was seen once.
    pub(crate) requests: usize,
}

/// Writes or compares the table.
pub(crate) fn write(tested: &[Tested]) {
    let mut table = "| program | end | TLS by | requests made | exchanges seen |\n|---|---|---|---|---|\n".to_owned();
    for Tested { name, end, library, requests } in tested {
        let seen = if *end == "both" { 2 * requests } else { *requests };
        let _ = writeln!(table, "| {name} | {end} | {library} | {requests} | {seen} |");
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/tls.md");
    let page = std::fs::read_to_string(path).expect("docs/tls.md can be read");
    let (before, rest) = page.split_once(BEGIN).expect("the page has a place for the table");
    let (written, after) = rest.split_once(END).expect("the place ends");
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(path, [before, BEGIN, &table, END, after].concat()).expect("docs/tls.md can be written");
    } else {
        assert_eq!(written, table, "docs/tls.md differs; set {UPDATE} and run this test to write it");
    }
}
