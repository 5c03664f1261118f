//! `google-genai`, `cohere`, `mistralai`, `ollama` and `boto3` for Python.

use crate::{
    peers::{Models, call, python},
    told::expect_calls,
};

fn case(way: &str, expected: &[&str]) {
    let models = Models::start();
    let run = models.capture();
    call(python("client_others.py"), way, &models.url());
    expect_calls(run, expected);
}

/// Thoughts are part of the output. One stream is of events, one is an array.
#[test]
fn google() {
    case(
        "google",
        &[
            "generate_content gcp.gemini gemini-2.5-flash answered=gemini-2.5-flash-001 in=11 out=13 read=6 reasoning=4 finish=STOP 200",
            "generate_content gcp.gemini gemini-2.5-pro answered=gemini-2.5-pro-001 in=11 out=13 read=6 reasoning=4 finish=STOP tools=get_weather 200",
            "generate_content gcp.gemini gemini-2.5-flash-lite answered=gemini-2.5-flash-lite-001 stream=true in=11 out=13 read=6 reasoning=4 finish=STOP 200",
            "embeddings gcp.gemini gemini-embedding-001 dimensions=4 200",
            "generate_content gcp.gemini fault-429 429 error=RESOURCE_EXHAUSTED",
            "generate_content gcp.gemini gemini-2.0-flash answered=gemini-2.0-flash-001 stream=true in=11 out=13 read=6 reasoning=4 finish=STOP 200",
        ],
    );
}

/// Billed tokens, not those that were used.
#[test]
fn cohere() {
    case(
        "cohere",
        &[
            "chat cohere command-a-03-2025 in=5 out=8 finish=COMPLETE 200",
            "chat cohere command-r7b-12-2024 in=5 out=8 finish=TOOL_CALL tools=get_weather 200",
            "chat cohere command-r-plus stream=true in=5 out=8 finish=MAX_TOKENS 200",
            "embeddings cohere embed-v4.0 in=6 dimensions=4 200",
            "rerank cohere rerank-v3.5 200",
            "chat cohere fault-401 401 error=401",
            "chat cohere command-r in=5 out=8 finish=COMPLETE 200",
            "chat cohere command-light stream=true in=5 out=8 finish=COMPLETE 200",
        ],
    );
}

/// Behind a prefix, as gateways have.
#[test]
fn mistral() {
    case(
        "mistral",
        &[
            "chat mistral_ai mistral-small-latest answered=mistral-small-latest in=15 out=14 read=2 finish=stop 200",
            "chat mistral_ai mistral-medium-latest answered=mistral-medium-latest in=15 out=14 read=2 finish=tool_calls tools=get_weather 200",
            "chat mistral_ai ministral-8b-latest answered=ministral-8b-latest stream=true in=15 out=14 read=2 finish=length 200",
            "text_completion mistral_ai codestral-latest answered=codestral-latest in=15 out=14 read=2 finish=stop 200",
            "embeddings mistral_ai mistral-embed answered=mistral-embed in=15 dimensions=4 200",
            "chat mistral_ai fault-400 400 error=rate_limited",
        ],
    );
}

#[test]
fn ollama() {
    case(
        "ollama",
        &[
            "chat ollama llama3.2:1b answered=llama3.2:1b in=18 out=17 finish=stop 200",
            "chat ollama qwen3:0.6b answered=qwen3:0.6b stream=true in=18 out=17 finish=stop 200",
            "chat ollama library/llama3.2:latest answered=library/llama3.2:latest in=18 out=17 finish=stop tools=get_weather 200",
            "text_completion ollama smollm:135m answered=smollm:135m stream=true in=18 out=17 finish=stop 200",
            "text_completion ollama gemma3:1b answered=gemma3:1b in=18 out=17 finish=stop 200",
            "embeddings ollama all-minilm answered=all-minilm in=8 dimensions=4 200",
            "chat ollama fault-404 404 error=404",
        ],
    );
}

/// Tokens of `invoke` are in header fields or in the stream's last chunk; a stream's messages have checksums.
#[test]
fn bedrock() {
    case(
        "bedrock",
        &[
            "chat aws.bedrock us.amazon.nova-lite-v1:0 in=28 out=13 read=4 written=3 finish=end_turn 200",
            "chat aws.bedrock anthropic.claude-sonnet-5-v1:0 in=28 out=13 read=4 written=3 finish=tool_use tools=get_weather 200",
            "chat aws.bedrock us.amazon.nova-pro-v1:0 stream=true in=21 out=13 finish=tool_use tools=search 200",
            "chat aws.bedrock anthropic.claude-haiku-5-v1:0 answered=claude-sonnet-4-5-20250929 in=17 out=6 finish=end_turn 200",
            "text_completion aws.bedrock meta.llama3-2-1b-instruct-v1:0 in=17 out=6 finish=length 200",
            "embeddings aws.bedrock amazon.titan-embed-text-v2:0 in=17 dimensions=8 200",
            "chat aws.bedrock anthropic.claude-opus-5-v1:0 answered=claude-sonnet-4-5-20250929 stream=true in=17 out=6 finish=end_turn 200",
            "chat aws.bedrock fault-400 400 error=ValidationException",
            "chat aws.bedrock fault-429-once 429 error=ThrottlingException",
            "chat aws.bedrock fault-429-once in=28 out=13 read=4 written=3 finish=end_turn 200",
            "chat aws.bedrock breaks stream=true 200 error=modelStreamErrorException",
        ],
    );
}
