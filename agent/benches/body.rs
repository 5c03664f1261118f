//! Cost of reading content: a document scanned for what a reader of model calls asks, a stream taken apart into events, and the same compressed.

use std::{hint::black_box, io::Write as _};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use flate2::{Compression, write::GzEncoder};
use telltale::{
    capture::Timestamp,
    protocol::{
        Headers,
        body::{
            Body, Counters, Items,
            json::{Outcome, Paths, Scanner, Value},
        },
    },
};

/// About what a reader asks of a request and a response of chat completions.
const PATHS: [(&str, u16); 22] = [
    ("model", 1),
    ("stream", 2),
    ("max_tokens", 3),
    ("max_completion_tokens", 4),
    ("temperature", 5),
    ("top_p", 6),
    ("n", 7),
    ("seed", 8),
    ("stop", 9),
    ("stop[]", 10),
    ("response_format.type", 11),
    ("messages", 12),
    ("id", 13),
    ("choices[].finish_reason", 14),
    ("choices[].delta.content", 15),
    ("choices[].delta.tool_calls[].function.name", 16),
    ("choices[].message.tool_calls[].id", 17),
    ("usage.prompt_tokens", 18),
    ("usage.completion_tokens", 19),
    ("usage.prompt_tokens_details.cached_tokens", 20),
    ("usage.completion_tokens_details.reasoning_tokens", 21),
    ("error.code", 22),
];

/// A request of about 4 KB: a system prompt, some turns with line ends and quotes in them, and two tools.
fn request() -> String {
    let turn =
        "First, look at the \\\"orders\\\" table.\\nThen say which rows have no customer, and why.\\n\\nBe brief. "
            .repeat(6);
    let tool = r#"{"type":"function","function":{"name":"query","description":"Runs a query against the warehouse.","parameters":{"type":"object","properties":{"sql":{"type":"string","description":"One statement."},"limit":{"type":"integer","minimum":1,"maximum":1000}},"required":["sql"]}}}"#;
    let messages =
        (0..5).map(|at| format!("{{\"role\":\"{}\",\"content\":\"{turn}\"}}", ["user", "assistant"][at % 2]));
    format!(
        "{{\"messages\":[{}],\"model\":\"gpt-4o-mini\",\"stream\":true,\"temperature\":0.2,\"tools\":[{tool},{tool}]}}",
        messages.collect::<Vec<_>>().join(",")
    )
}

/// 200 chunks of a chat completion, with the members that these have.
fn stream() -> String {
    let chunk = |delta: &str| {
        format!(
            "data: {{\"id\":\"chatcmpl-AbCdEf0123456789\",\"object\":\"chat.completion.chunk\",\"created\":1760000000,\"model\":\"gpt-4o-mini-2024-07-18\",\
             \"service_tier\":\"default\",\"system_fingerprint\":\"fp_0123456789\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{delta}\"}},\
             \"logprobs\":null,\"finish_reason\":null}}],\"usage\":null}}\n\n"
        )
    };
    let chunks = (0..199).map(|at| chunk([" the", " a", ".\\n", " word"][at % 4])).collect::<String>();
    chunks + "data: [DONE]\n\n"
}

/// The array of numbers that is most of an answer with embeddings.
fn embedding() -> String {
    let numbers = (0..1536).map(|at| format!("-0.0{}", 1_234_567 + at * 97)).collect::<Vec<_>>().join(",");
    format!(
        "{{\"object\":\"list\",\"data\":[{{\"embedding\":[{numbers}]}}],\"model\":\"text-embedding-3-small\",\"usage\":{{\"prompt_tokens\":8}}}}"
    )
}

fn gzip(content: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content.as_bytes()).expect("writing to memory");
    encoder.finish().expect("writing to memory")
}

/// Scans each item, as a reader does.
struct Reading<'p> {
    scanner: Scanner<'p>,
    found: u64,
    items: u64,
}

impl Items for Reading<'_> {
    fn begin(&mut self, _: &[u8]) {}

    fn bytes(&mut self, bytes: &[u8]) {
        let found = &mut self.found;
        self.scanner.push(bytes, &mut |path: u16, _: &[u32], value: Value<'_>| {
            black_box((path, value));
            *found += 1;
        });
    }

    fn end(&mut self, _: Timestamp, whole: bool) {
        assert!(whole && self.scanner.end() != Outcome::Cut);
        self.items += 1;
    }

    fn cut(&mut self) {}
}

fn body(criterion: &mut Criterion) {
    let paths = Paths::new(&PATHS);
    let mut group = criterion.benchmark_group("body");
    let (request, stream, embedding) = (request(), stream(), embedding());
    for (name, content_type, coding, content, size) in [
        ("chat_request_4k", "application/json", "", request.clone().into_bytes(), request.len()),
        ("chat_request_4k_gzip", "application/json", "gzip", gzip(&request), request.len()),
        ("embedding_1536", "application/json", "", embedding.clone().into_bytes(), embedding.len()),
        ("events_200", "text/event-stream", "", stream.clone().into_bytes(), stream.len()),
        ("events_200_gzip", "text/event-stream", "gzip", gzip(&stream), stream.len()),
    ] {
        let mut headers = Headers::default();
        headers.push(b"content-type", content_type.as_bytes());
        if !coding.is_empty() {
            headers.push(b"content-encoding", coding.as_bytes());
        }
        group.throughput(Throughput::Bytes(size as u64));
        for piece in [usize::MAX, 256] {
            let id = BenchmarkId::new(name, if piece == 256 { "in_256_byte_pieces" } else { "whole" });
            group.bench_function(id, |bencher| {
                let mut counters = Counters::default();
                let mut reading = Reading { scanner: Scanner::new(&paths, 256), found: 0, items: 0 };
                bencher.iter(|| {
                    let mut body = Body::new(&headers, &mut counters).expect("it can be read");
                    for piece in content.chunks(piece.min(content.len())) {
                        body.push(Timestamp(1), piece, &mut counters, &mut reading);
                    }
                    body.end(true, &mut counters, &mut reading);
                });
                assert!(reading.found > 0 && reading.items > 0);
            });
        }
    }
    group.finish();
}

criterion_group!(benches, body);
criterion_main!(benches);
