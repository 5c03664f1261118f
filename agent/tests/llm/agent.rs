//! `telltale run -- COMMAND` for somebody who writes an agent: what the end of the run says.

use crate::{
    common::agent::run_command_with,
    mcp::Recording,
    peers::{Models, python},
};

/// Words of the line that begins so, below the line whose words include `heading`.
fn row<'a>(text: &'a str, heading: &str, start: &[&str]) -> Vec<&'a str> {
    let words = |line: &'a str| line.split_whitespace().collect::<Vec<_>>();
    let below = text.lines().skip_while(|line| !line.contains(heading)).skip(1);
    let found = below.map(words).find(|words| words.starts_with(start));
    found.unwrap_or_else(|| panic!("no row {start:?} below {heading:?} in\n{text}"))
}

/// Models with calls and tokens, tools with who asked for them and who called them, and what followed from what.
#[test]
fn summary_and_tree_of_an_agent() {
    let (models, tools) = (Models::start(), Recording::start("json"));
    let command = python("client_agent.py");
    let program = command.get_program().to_str().expect("a path of text").to_owned();
    let arguments = command.get_args().map(|argument| argument.to_str().expect("text").to_owned());
    let mut line: Vec<String> = std::iter::once(program).chain(arguments).collect();
    line.extend([models.url(), tools.server.url("")]);
    let line: Vec<&str> = line.iter().map(String::as_str).collect();
    let run = run_command_with(&["--tree"], &line, |command| {
        command.env_remove("http_proxy").env("NO_PROXY", "*").env("PYTHONDONTWRITEBYTECODE", "1")
    });
    assert_eq!(run.code(), 0, "{}", run.stderr());
    assert_eq!(run.stdout().lines().next(), Some("The wind blows où il veut 🌬"));
    let said = run.stderr() + &run.stdout();
    // Side, model, calls, errors, tokens in, tokens out.
    assert_eq!(row(&said, "input tokens", &["client", "gpt-4.1-mini"])[2..6], ["1", "0", "19", "7"]);
    assert_eq!(row(&said, "input tokens", &["client", "gpt-4.1"])[2..6], ["1", "0", "19", "7"]);
    // Side, tool, asked for by models, calls by MCP, errors.
    assert_eq!(row(&said, "asked for by models", &["client", "get_weather"])[2..5], ["1", "1", "0"]);
    // What a model asked for hangs below its call.
    let lines: Vec<&str> = said.lines().collect();
    let place = |what: &str| {
        let found = lines.iter().position(|line| line.contains(" s  ") && line.contains(what));
        found.unwrap_or_else(|| panic!("no {what:?} in\n{said}"))
    };
    let (asks, tool, answers) = (place("chat gpt-4.1-mini "), place("tool get_weather "), place("chat gpt-4.1 "));
    assert!(asks < tool && tool < answers, "{said}");
    let depth = |line: usize| lines[line].find('+');
    assert!(depth(tool) > depth(asks) && depth(answers) == depth(asks), "{said}");
}
