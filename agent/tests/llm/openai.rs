//! `openai` for Python.

use crate::{
    peers::{Models, call, python},
    told::{CLIENT, SERVER, attribute, expect_calls, expect_calls_but},
};

fn case(way: &str, expected: &[&str]) {
    case_but(way, expected, |_| false);
}

fn case_but(way: &str, expected: &[&str], unread: fn(&str) -> bool) {
    let models = Models::start();
    let run = models.capture();
    call(python("client_openai.py"), way, &models.url());
    expect_calls_but(run, expected, unread);
}

#[test]
fn documents() {
    case(
        "plain",
        &[
            "chat openai gpt-4.1-mini answered=gpt-4.1-mini-2026-04-14 in=19 out=7 read=4 reasoning=0 finish=stop 200",
            "chat openai o4-mini answered=o4-mini-2026-04-14 in=19 out=12 read=4 reasoning=5 finish=stop,length 200",
            "chat openai gpt-4.1-mini answered=gpt-4.1-mini-2026-04-14 in=19 out=7 read=4 reasoning=0 finish=tool_calls tools=get_weather 200",
            "text_completion openai gpt-3.5-turbo-instruct answered=gpt-3.5-turbo-instruct in=5 out=7 finish=length 200",
            "embeddings openai text-embedding-3-small answered=text-embedding-3-small in=9 dimensions=16 200",
            "moderation openai omni-moderation-latest answered=omni-moderation-latest 200",
        ],
    );
}

/// Tokens only where the request asked for them.
#[test]
fn streams() {
    case(
        "streamed",
        &[
            "chat openai gpt-4.1-mini answered=gpt-4.1-mini-2026-04-14 stream=true finish=stop 200",
            "chat openai gpt-4.1 answered=gpt-4.1-2026-04-14 stream=true in=19 out=7 read=4 reasoning=0 finish=stop 200",
            "chat openai gpt-4.1-nano answered=gpt-4.1-nano-2026-04-14 stream=true finish=tool_calls tools=get_weather 200",
            "chat openai o4-mini answered=o4-mini-2026-04-14 stream=true in=19 out=12 read=4 reasoning=5 finish=stop 200",
            "text_completion openai gpt-3.5-turbo-instruct answered=gpt-3.5-turbo-instruct stream=true finish=length 200",
        ],
    );
}

#[test]
fn responses() {
    case(
        "responses",
        &[
            "chat openai gpt-5 answered=gpt-5-2026-04-14 in=36 out=87 read=8 reasoning=64 finish=completed 200",
            "chat openai gpt-5-mini answered=gpt-5-mini-2026-04-14 stream=true in=36 out=87 read=8 reasoning=64 finish=completed 200",
            "chat openai gpt-5 answered=gpt-5-2026-04-14 in=36 out=87 read=8 reasoning=64 finish=completed tools=search 200",
        ],
    );
}

#[test]
fn twelve_at_once() {
    let expected: Vec<String> = (0..12)
        .map(|index| {
            let stream = if index % 2 == 0 { "stream=true " } else { "" };
            format!("chat openai async-{index} answered=async-{index}-2026-04-14 {stream}in=19 out=7 read=4 reasoning=0 finish=stop 200")
        })
        .collect();
    case("concurrent", &expected.iter().map(String::as_str).collect::<Vec<_>>());
}

/// An attempt that failed is a call, as is the one that came after it. Of a stream that it tries again the SDK drops the answer unread.
#[test]
fn errors_and_retries() {
    case_but(
        "errors",
        &[
            "chat openai fault-400 400 error=context_length_exceeded",
            "chat openai fault-401 401 error=invalid_api_key",
            "chat openai fault-429-once 429 error=rate_limit_exceeded",
            "chat openai fault-429-once answered=fault-429-once-2026-04-14 in=19 out=7 read=4 reasoning=0 finish=stop 200",
            "chat openai fault-500-once 500 error=server_error",
            "chat openai fault-500-once answered=fault-500-once-2026-04-14 in=19 out=7 read=4 reasoning=0 finish=stop 200",
            "chat openai fault-429 stream=true 429 error=rate_limit_exceeded",
            "chat openai fault-429 stream=true 429 error=rate_limit_exceeded",
            "chat openai breaks answered=breaks-2026-04-14 stream=true 200 error=server_error",
        ],
        |call| call.contains("fault-429 stream"),
    );
}

/// What came before the client went away is told, and nothing more.
#[test]
fn aborted_in_the_middle() {
    let models = Models::start();
    let run = models.capture();
    call(python("client_openai.py"), "aborted", &models.url());
    let seen = expect_calls(run, &["chat openai endless answered=endless-2026-04-14 stream=true 200"]);
    for line in &seen.logs {
        assert!(line["incomplete"].is_string(), "{line}");
    }
}

/// What is said is what the SDK made of it, at both ends and redacted: of streams, of arguments in pieces, of content that the server compressed.
#[test]
fn what_is_said() {
    let models = Models::start();
    let run = models.capture_content("wind");
    call(python("client_openai.py"), "streamed", &models.url());
    call(python("client_openai.py"), "plain", &models.url());
    let seen = run.stop_after(2 * (5 + 6));
    for kind in [CLIENT, SERVER] {
        let said = |model: &str, key: &str| {
            let spans = seen.spans.iter().filter(|span| span["kind"] == kind);
            let of_model = spans.filter(|span| attribute(span, "gen_ai.request.model").as_deref() == Some(model));
            of_model.filter_map(|span| attribute(span, key)).collect::<Vec<_>>()
        };
        let text = r#"[{"role":"assistant","parts":[{"type":"text","content":"The REDACTED blows où il veut 🌬"}],"finish_reason":"stop"}]"#;
        assert_eq!(said("gpt-4.1-mini", "gen_ai.output.messages")[..2], [text, text]);
        assert_eq!(said("gpt-4.1", "gen_ai.output.messages"), [text]);
        let called = &said("gpt-4.1-nano", "gen_ai.output.messages")[0];
        let called: serde_json::Value = serde_json::from_str(called).expect("it is JSON");
        let part = &called[0]["parts"][0];
        assert_eq!(
            (&part["type"], &part["name"], &part["arguments"]["place"]),
            (&"tool_call".into(), &"get_weather".into(), &"Ålesund".into())
        );
        assert!(said("gpt-4.1-nano", "gen_ai.tool.definitions")[0].contains("\"name\":\"get_weather\""));
        let asked = said("gpt-4.1-mini", "gen_ai.input.messages");
        assert!(
            asked.len() == 3
                && asked.iter().all(|asked| asked.contains("\"role\":\"user\"") && !asked.contains("wind")),
            "{asked:?}"
        );
        assert_eq!(said("text-embedding-3-small", "gen_ai.input.messages").len(), 0);
    }
}
