//! `anthropic` for Python.

use crate::{
    peers::{Models, call, python},
    told::expect_calls,
};

fn case(way: &str, expected: &[&str]) {
    let models = Models::start();
    let run = models.capture();
    call(python("client_anthropic.py"), way, &models.url());
    expect_calls(run, expected);
}

/// Cached tokens are part of the input.
#[test]
fn documents() {
    case(
        "plain",
        &[
            "chat anthropic claude-sonnet-5 answered=claude-sonnet-5-20260414 in=18 out=29 read=5 written=3 finish=end_turn 200",
            "chat anthropic claude-haiku-5 answered=claude-haiku-5-20260414 in=18 out=29 read=5 written=3 finish=tool_use tools=get_weather 200",
        ],
    );
}

/// The last of the cumulative counts is the count.
#[test]
fn streams() {
    case(
        "streamed",
        &[
            "chat anthropic claude-sonnet-5 answered=claude-sonnet-5-20260414 stream=true in=18 out=29 read=5 written=3 finish=end_turn 200",
            "chat anthropic claude-haiku-5 answered=claude-haiku-5-20260414 stream=true in=18 out=29 read=5 written=3 finish=tool_use tools=get_weather 200",
            "chat anthropic claude-opus-5 answered=claude-opus-5-20260414 stream=true in=18 out=29 read=5 written=3 finish=end_turn 200",
        ],
    );
}

#[test]
fn errors_and_retries() {
    let answered = |model: &str| {
        format!("chat anthropic {model} answered={model}-20260414 in=18 out=29 read=5 written=3 finish=end_turn 200")
    };
    let (limited, overloaded) = (answered("fault-429-once"), answered("fault-529-once"));
    case(
        "errors",
        &[
            "chat anthropic fault-400 400 error=invalid_request_error",
            "chat anthropic fault-401 401 error=authentication_error",
            "chat anthropic fault-429-once 429 error=rate_limit_error",
            &limited,
            "chat anthropic fault-529-once 529 error=overloaded_error",
            &overloaded,
            "chat anthropic fault-500 500 error=api_error",
            "chat anthropic breaks answered=breaks-20260414 stream=true in=18 read=5 written=3 200 error=overloaded_error",
        ],
    );
}

/// Input is known from the start of the stream, output only at its end.
#[test]
fn aborted_in_the_middle() {
    case("aborted", &["chat anthropic endless answered=endless-20260414 stream=true in=18 read=5 written=3 200"]);
}
