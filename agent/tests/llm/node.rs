//! `openai` and `@anthropic-ai/sdk` for Node.

use crate::{
    peers::{Models, call, node},
    told::expect_calls_but,
};

/// The SDKs drop the answer to an attempt that is made again.
fn tried_again(line: &str) -> bool {
    line.contains("-once ")
}

#[test]
fn openai() {
    let models = Models::start();
    let run = models.capture();
    call(node("client_node.cjs"), "openai", &models.url());
    expect_calls_but(
        run,
        &[
            "chat openai gpt-4.1-mini answered=gpt-4.1-mini-2026-04-14 in=19 out=7 read=4 reasoning=0 finish=stop 200",
            "chat openai o4-mini answered=o4-mini-2026-04-14 stream=true in=19 out=12 read=4 reasoning=5 finish=stop 200",
            "chat openai gpt-5 answered=gpt-5-2026-04-14 stream=true in=36 out=87 read=8 reasoning=64 finish=completed 200",
            "embeddings openai text-embedding-3-small answered=text-embedding-3-small in=9 200",
            "chat openai fault-429-once 429 error=rate_limit_exceeded",
            "chat openai fault-429-once answered=fault-429-once-2026-04-14 in=19 out=7 read=4 reasoning=0 finish=stop 200",
            "chat openai fault-400 400 error=context_length_exceeded",
            "chat openai endless answered=endless-2026-04-14 stream=true 200",
        ],
        tried_again,
    );
}

#[test]
fn anthropic() {
    let models = Models::start();
    let run = models.capture();
    call(node("client_node.cjs"), "anthropic", &models.url());
    let tokens = "in=18 out=29 read=5 written=3";
    let overloaded = "chat anthropic fault-529-once";
    expect_calls_but(
        run,
        &[
            &format!("chat anthropic claude-sonnet-5 answered=claude-sonnet-5-20260414 {tokens} finish=end_turn 200"),
            &format!(
                "chat anthropic claude-haiku-5 answered=claude-haiku-5-20260414 stream=true {tokens} finish=tool_use tools=get_weather 200"
            ),
            &format!("{overloaded} 529 error=overloaded_error"),
            &format!("{overloaded} answered=fault-529-once-20260414 {tokens} finish=end_turn 200"),
            "chat anthropic breaks answered=breaks-20260414 stream=true in=18 read=5 written=3 200 error=overloaded_error",
        ],
        tried_again,
    );
}
