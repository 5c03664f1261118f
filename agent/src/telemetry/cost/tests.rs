use std::sync::Arc;

use super::*;
use crate::{
    capture::Role,
    exchange::genai::Usage,
    telemetry::test_support::{Sample, calls::chat},
};

/// Written for these tests, in litellm's form; the prices are nobody's.
const LITELLM: &[u8] = include_bytes!("../../../tests/prices/litellm.json");
/// The same in the form of genai-prices.
const GENAI_PRICES: &[u8] = include_bytes!("../../../tests/prices/genai_prices.json");

fn calculator(file: &[u8]) -> Calculator {
    Calculator::new(Arc::new(Prices::parse(file).expect("it has prices")))
}

/// In millionths of a dollar.
fn cost(file: &[u8], call: GenAi) -> Option<i64> {
    let exchange = Sample::genai(Role::Client, call).exchange();
    let mut calculator = calculator(file);
    let cost = calculator.cost(&exchange);
    assert_eq!(calculator.cost(&exchange), cost, "what is remembered is the same");
    match cost {
        Cost::Dollars(dollars) => Some((dollars * 1e6).round() as i64),
        Cost::NoPrice => None,
        Cost::Unknown => panic!("{cost:?}"),
    }
}

fn asked(provider: &'static str, model: &str, usage: Usage) -> GenAi {
    let mut call = GenAi { provider: provider.into(), usage, ..chat() };
    call.request.model = Some(model.into());
    call.response.model = None;
    call
}

fn tokens(input: u64, output: u64) -> Usage {
    Usage { input: Some(input), output: Some(output), ..Usage::default() }
}

/// Both forms say the same prices, so that the same calls cost the same.
#[test]
fn both_forms_price_alike() {
    let cached = Usage { cache_read: Some(400), cache_creation: Some(100), ..tokens(1000, 10) };
    let audio = Usage { input_audio: Some(50), output_audio: Some(5), reasoning: Some(20), ..tokens(150, 100) };
    for (provider, model, usage, expected) in [
        // 2 and 8 dollars a million.
        ("openai", "gpt-4o", tokens(1000, 100), Some(2000 + 800)),
        ("openai", "gpt-4o-2024-08-06", tokens(1, 0), Some(2)),
        // Reasoning costs 10, heard audio 40 and spoken 80.
        ("openai", "gpt-4o", audio, Some(100 * 2 + 50 * 40 + 75 * 8 + 20 * 10 + 5 * 80)),
        // 3 and 15; read from the cache 1, written 4. Above 200000 input tokens twice as much, for all of them.
        ("anthropic", "claude-sonnet-4-5", cached, Some(500 * 3 + 400 + 400 + 150)),
        ("anthropic", "claude-sonnet-4-5", tokens(200_000, 1), Some(600_000 + 15)),
        ("anthropic", "claude-sonnet-4-5", tokens(200_001, 1), Some(1_200_006 + 30)),
        // The same model of another provider.
        ("azure.ai.openai", "gpt-4o", tokens(1000, 0), Some(3000)),
        // What is told to be more than the whole costs no more.
        (
            "anthropic",
            "claude-sonnet-4-5",
            Usage { cache_read: Some(5000), cache_creation: Some(9), ..tokens(1000, 0) },
            Some(1000),
        ),
        (
            "openai",
            "gpt-4o",
            Usage { reasoning: Some(70), output_audio: Some(70), ..tokens(0, 100) },
            Some(70 * 10 + 30 * 80),
        ),
        (
            "anthropic",
            "claude-sonnet-4-5",
            Usage { cache_creation_hour: Some(60), ..cached },
            Some(500 * 3 + 400 + 40 * 4 + 60 * 6 + 150),
        ),
        // Pictures cost 30, heard audio that was cached 20.
        ("openai", "gpt-4o", Usage { output_image: Some(90), ..tokens(0, 100) }, Some(90 * 30 + 10 * 8)),
        (
            "openai",
            "gpt-4o",
            Usage { cache_read: Some(400), cache_read_audio: Some(30), input_audio: Some(50), ..tokens(1000, 0) },
            Some(580 * 2 + 370 * 2 + 30 * 20 + 20 * 40),
        ),
        // What no rate is for costs what it is a part of.
        (
            "groq",
            "llama-3.3-70b",
            Usage { cache_read: Some(500), reasoning: Some(50), ..tokens(1000, 100) },
            Some(1100),
        ),
        // No such model, none of this provider, no such provider.
        ("openai", "gpt-9", tokens(1, 1), None),
        ("openai", "llama-3.3-70b", tokens(1, 1), None),
        ("vllm", "gpt-4o", tokens(1, 1), None),
        // It has no price for output.
        ("openai", "text-embedding-3-small", Usage { input: Some(100), ..Usage::default() }, Some(100)),
        ("openai", "text-embedding-3-small", tokens(100, 1), None),
    ] {
        for file in [LITELLM, GENAI_PRICES] {
            assert_eq!(cost(file, asked(provider, model, usage)), expected, "{provider} {model} {usage:?}");
        }
    }
}

#[test]
fn the_model_that_answered_comes_before_the_one_that_was_asked_for() {
    let mut call = asked("anthropic", "claude-sonnet-4-5", tokens(1000, 0));
    call.response.model = Some("claude-haiku-4-5".into());
    assert_eq!(cost(LITELLM, call.clone()), Some(1000));
    call.response.model = Some("a name that nobody knows".into());
    assert_eq!(cost(LITELLM, call), Some(3000));
}

#[test]
fn a_service_tier_can_cost_more() {
    let mut call = asked("openai", "gpt-4o", tokens(1000, 100));
    call.response.service_tier = Some("priority".into());
    assert_eq!(cost(LITELLM, call.clone()), Some(4000 + 800));
    call.response.service_tier = Some("default".into());
    assert_eq!(cost(LITELLM, call), Some(2000 + 800));
}

/// Prices that hold from a date or for hours of the day; the sample is of 2023-11-14, 22:13 UTC.
#[test]
fn prices_change_with_time() {
    let one = |model: &'static str| cost(GENAI_PRICES, asked("deepseek", model, tokens(1000, 0)));
    assert_eq!(one("by-date"), Some(2000));
    assert_eq!(one("by-hour"), Some(1000));
    assert_eq!(one("in-vain"), Some(4000));
}

#[test]
fn what_is_offered_for_others_has_their_prices() {
    assert_eq!(
        cost(GENAI_PRICES, asked("aws.bedrock", "anthropic.claude-haiku-4-5-v1:0", tokens(1000, 0))),
        Some(1000)
    );
    assert_eq!(cost(GENAI_PRICES, asked("aws.bedrock", "by-hour", tokens(1000, 0))), None);
    // By another of its names, and by a pattern.
    assert_eq!(cost(GENAI_PRICES, asked("my-anthropic-proxy", "CLAUDE-haiku-4-5", tokens(1000, 0))), Some(1000));
}

#[test]
fn what_the_provider_says_comes_first_and_tokens_that_are_not_said_cost_nothing_that_is_known() {
    let mut call = asked("openai", "gpt-4o", Usage { cost: Some(0.5), ..tokens(1, 1) });
    let of = |call: &GenAi| calculator(LITELLM).cost(&Sample::genai(Role::Client, call.clone()).exchange());
    assert_eq!(of(&call), Cost::Dollars(0.5));
    assert_eq!(Cost::of(&Sample::genai(Role::Client, call.clone()).exchange()), Cost::Dollars(0.5));
    call.usage = Usage::default();
    assert_eq!(of(&call), Cost::Unknown);
    assert_eq!(calculator(LITELLM).cost(&Sample::new(Role::Client).exchange()), Cost::Unknown);
}

#[test]
fn what_is_no_file_of_prices_is_refused() {
    let said = |text: &str| Prices::parse(text.as_bytes()).unwrap_err().to_string();
    assert!(said("{").contains("not JSON"), "{}", said("{"));
    for text in ["1", "{}", "[]", r#"{"gpt-4o": {"mode": "chat"}}"#, r#"[{"id": "openai", "models": [{"id": "x"}]}]"#] {
        assert!(said(text).contains("has no prices"), "{text}");
    }
    assert!(matches!(Prices::read(Path::new("/nonexistent")), Err(PricesError::Io(_))));
    // A part that cannot be understood takes nothing else with it.
    let prices = r#"{"sample_spec": {"input_cost_per_token": 1}, "a": {"input_cost_per_token": -1}, "b": 7,
        "c": {"input_cost_per_token": 1e-6, "input_cost_per_token_above_xk_tokens": 1, "output_cost_per_token": "free"}}"#;
    assert_eq!(Prices::parse(prices.as_bytes()).unwrap().models(), 1);
}
