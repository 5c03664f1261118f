use super::*;
use crate::{
    exchange::{
        genai::{GenAi, ToolCall, Usage},
        mcp::Message,
    },
    telemetry::{
        cost::Cost,
        test_support::{
            Sample,
            calls::{after, chat, failed, session, streamed, tool_call},
        },
    },
};

fn record(summary: &mut Summary, sample: &Sample) {
    let exchange = sample.exchange();
    summary.record(&Facts::of(&exchange).expect("a sample has a request"));
}

#[test]
fn what_is_not_known_is_a_dash() {
    let mut summary = Summary::default();
    record(&mut summary, &Sample::new(Role::Client).unanswered(Incomplete::Reset));
    let text = summary.render(false, &["gaps: 5 B".to_owned()]);
    assert!(text.contains(" - "), "{text}");
    assert!(text.ends_with("not seen whole: 1 (1 reset)\ngaps: 5 B\n"), "{text}");
}

#[test]
fn workers_add_up() {
    let mut shares = [Summary::default(), Summary::default()];
    for share in &mut shares {
        record(share, &Sample::new(Role::Client));
        record(share, &Sample::new(Role::Server));
    }
    let mut sum = Summary::default();
    for share in &shares {
        sum.merge(share);
    }
    assert_eq!(sum.exchanges(), 4);
    let text = sum.render(false, &[]);
    assert_eq!(text.lines().filter(|line| line.contains("12.4 ms") && line.contains(" 2 ")).count(), 2, "{text}");
}

#[test]
fn peers_beyond_the_bound_share_a_row() {
    let mut summary = Summary::default();
    for number in 0..MAX_PEERS + 3 {
        record(&mut summary, &Sample::new(Role::Client).header("host", &format!("h{number}")));
    }
    let text = summary.render(false, &[]);
    assert_eq!(text.lines().count(), MAX_PEERS + 2);
    assert!(text.lines().last().unwrap().starts_with(" -       (other peers)"), "{text}");
}

#[test]
fn rows_are_sorted_clients_first() {
    let mut summary = Summary::default();
    record(&mut summary, &Sample::new(Role::Server));
    for host in ["b:80", "[::1]:81", "a.example:9", "a:81", "a:80"] {
        record(&mut summary, &Sample::new(Role::Client).header("host", host));
    }
    let text = summary.render(false, &[]);
    let names: Vec<_> = text.lines().skip(1).map(|line| line.split_whitespace().nth(1).unwrap()).collect();
    assert_eq!(names, ["[::1]:81", "a.example:9", "a:80", "a:81", "b:80", "shop"]);
}

#[test]
fn nothing_seen_is_said() {
    assert_eq!(Summary::default().render(true, &[]), "no HTTP exchanges\n");
}

/// A call of this model that asks for these tools.
fn asking(model: &str, tools: &[&str]) -> GenAi {
    let tool_calls = tools.iter().map(|tool| ToolCall { id: None, name: Some((*tool).into()) }).collect();
    let mut call = GenAi { stream: streamed().stream, ..chat() };
    call.request.model = Some(model.into());
    call.response.tool_calls = tool_calls;
    call
}

#[test]
fn models_and_tools_have_tables_where_there_are_any() {
    let mut summary = Summary::default();
    record(&mut summary, &Sample::new(Role::Client));
    assert_eq!(summary.render(false, &[]).lines().count(), 2);
    record(&mut summary, &Sample::genai(Role::Client, asking("gpt-4o", &["search", "local"])));
    let overloaded = GenAi { usage: Usage::default(), error: Some("overloaded_error".into()), ..chat() };
    record(&mut summary, &Sample::genai(Role::Client, overloaded));
    let unsaid = GenAi { usage: Usage::default(), ..asking("llama3", &[]) };
    record(&mut summary, &Sample::genai(Role::Server, unsaid));
    let batch = session(vec![tool_call(), failed(-32603)]);
    record(&mut summary, &Sample::mcp(Role::Client, batch));
    let text = summary.render(false, &["gaps: 5 B".to_owned()]);
    insta::assert_snapshot!(text);
    let mut both = summary.take();
    assert_eq!(summary.exchanges(), 0);
    both.merge(&both.clone());
    insta::assert_snapshot!("twice", both.render(true, &[]));
}

#[test]
fn costs_are_shown_where_prices_are_known() {
    let mut summary = Summary::default();
    for (model, cost) in [("gpt-4o", Cost::Dollars(0.01)), ("gpt-9", Cost::NoPrice), ("gpt-9", Cost::NoPrice)] {
        let exchange = Sample::genai(Role::Client, asking(model, &[])).exchange();
        let mut facts = Facts::of(&exchange).unwrap();
        facts.cost = cost;
        summary.record(&facts);
    }
    let text = summary.render(false, &[]);
    assert!(text.contains(" $0.0100 "), "{text}");
    assert!(text.ends_with("calls without a price: gpt-9 (2)\n"), "{text}");
}

#[test]
fn models_and_tools_beyond_the_bounds_share_a_row() {
    let mut summary = Summary::default();
    for number in 0..MAX_MODELS + 2 {
        let name = format!("n{number}");
        record(&mut summary, &Sample::genai(Role::Client, asking(&name, &[&name])));
    }
    let text = summary.render(false, &[]);
    for name in ["(other models)", "(other tools)"] {
        let line = text.lines().find(|line| line.contains(name)).unwrap();
        assert_eq!(line.split_whitespace().nth(3), Some("2"), "{line}");
    }
}

/// A sample so many microseconds after the first, on a connection of its own.
fn at(sample: Sample, micros: u64, port: u16) -> Sample {
    sample.begins(micros).connection(port)
}

fn unstreamed(call: GenAi) -> GenAi {
    GenAi { stream: None, ..call }
}

#[test]
fn the_tree_shows_what_followed_from_what() {
    let mut summary = Summary::with_tree();
    let model = |tools: &[&str]| Sample::genai(Role::Client, asking("gpt-4o", tools));
    let tool = |role, name: &str, micros: u64| {
        let times = |message: Message| Message { start: after(micros), end: Some(after(micros + 9_000)), ..message };
        Sample::mcp(role, session(vec![times(Message { tool: Some(name.into()), ..tool_call() })]))
    };
    record(&mut summary, &at(model(&["search", "weather", "search"]), 0, 1));
    record(&mut summary, &at(tool(Role::Client, "search", 20_000), 20_000, 2));
    // The same call at the end of the server, which asks a model of its own on the way.
    record(&mut summary, &at(tool(Role::Server, "search", 20_500), 20_500, 2));
    let within = Sample::genai(Role::Client, GenAi { error: Some("429".into()), ..unstreamed(asking("small", &[])) });
    record(&mut summary, &at(within.service("shop"), 21_000, 3));
    record(&mut summary, &at(tool(Role::Client, "search", 22_000), 22_000, 4));
    // Nobody asked for it a third time.
    record(&mut summary, &at(tool(Role::Client, "search", 40_000), 40_000, 5));
    let last = Sample::genai(Role::Client, unstreamed(asking("gpt-4o", &[])));
    record(&mut summary, &at(last, 50_000, 6));
    let mut merged = Summary::default();
    merged.merge(&summary);
    assert_eq!(Summary::default().render_tree(true), "");
    assert_eq!(Summary::with_tree().render_tree(true), "no calls of language models or tools\n");
    insta::assert_snapshot!(merged.render_tree(true));
    let (tables, tree) = (merged.render(true, &[]), merged.render_tree(true));
    assert_eq!(merged.render_all(true, Some(&[])), format!("{tables}\n{tree}"));
    assert_eq!(merged.render_all(true, None), tree);
    assert_eq!(Summary::default().render_all(true, Some(&[])), "no HTTP exchanges\n");
    assert!(merged.render_tree(false).is_ascii());
}

#[test]
fn the_tree_is_bounded() {
    let mut summary = Summary::with_tree();
    for _ in 0..MAX_NODES + 2 {
        record(&mut summary, &Sample::genai(Role::Client, chat()));
    }
    assert!(summary.render_tree(true).ends_with("\n2 more calls are not shown\n"));
    let mut twice = summary.clone();
    twice.merge(&summary);
    assert!(twice.render_tree(true).ends_with(&format!("\n{} more calls are not shown\n", MAX_NODES + 4)));
}
