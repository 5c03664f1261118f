//! `sudo telltale run -- python your_openai_script.py`: what somebody sees who does nothing more than that.

use std::{path::Path, process::Command};

use crate::{
    common::agent::TELLTALE,
    installed::{node_modules, with_sdks},
    models,
    peers::{Authority, base, file},
};

const SAID: &str = "The wind blows où il veut 🌬";

/// A script that asks one model for a document and another for a stream, without a word about what to look for: it says what it would have, and below that which models
/// were asked, how many tokens went each way, and when the first one came.
fn your_script(program: &Path, script: &str) {
    let authority = Authority::new();
    let server = models::server(&authority, &authority.file("clock"));
    let mut command = authority.trusted_by(Command::new(TELLTALE));
    // Else two at once would want the same port.
    command
        .args(["run", "--metrics-addr", "127.0.0.1:0", "--"])
        .arg(program)
        .arg(file(script))
        .env("NODE_PATH", node_modules());
    command.env("OPENAI_BASE_URL", format!("{}/v1", base(server.port))).env("OPENAI_API_KEY", "sk-tests");
    let output = command.output().expect("the binary runs");
    let [said, told] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    assert!(output.status.success(), "{told}");
    assert_eq!(said, format!("{SAID}\n{SAID}\n"));

    let table: Vec<Vec<&str>> = told.lines().map(|line| line.split_whitespace().collect()).collect();
    let row = |words: &[&str]| {
        let found = table.iter().find(|row| row.starts_with(words));
        found.unwrap_or_else(|| panic!("no row {words:?} in\n{told}"))
    };
    // Requests and errors.
    assert_eq!(row(&["client", &format!("localhost:{}", server.port)])[2..4], ["2", "0"], "{told}");
    // Calls, errors, tokens in, tokens out.
    assert_eq!(row(&["client", "gpt-4.1-mini"])[2..6], ["1", "0", "19", "7"], "{told}");
    let stream = row(&["client", "o4-mini"]);
    assert_eq!(stream[2..6], ["1", "0", "19", "12"], "{told}");
    let heading = table.iter().find(|row| row.starts_with(&["side", "model"])).expect("a heading");
    assert!(heading.join(" ").ends_with("first token p50 p99"), "{told}");
    // A document has no first token.
    assert_eq!(row(&["client", "gpt-4.1-mini"])[row(&["client", "gpt-4.1-mini"]).len() - 1], "-", "{told}");
    let [.., number, unit] = stream[..] else { panic!("{told}") };
    assert!(number.parse::<f64>().is_ok_and(|time| time > 0.0) && ["us", "ms", "s"].contains(&unit), "{told}");
    // The SDK for Python goes away after the last event, before the end of the stream.
    assert!(!told.contains("bytes not seen") && !told.contains("lost"), "{told}");
}

#[test]
fn your_openai_script_of_python() {
    your_script(with_sdks(), "your_openai_script.py");
}

#[test]
fn your_openai_script_of_node() {
    your_script(Path::new("node"), "your_openai_script.cjs");
}
