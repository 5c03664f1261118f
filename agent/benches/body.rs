//! Cost of reading content: a document scanned for what a reader of model calls asks, a stream taken apart into events, and the same compressed; and a call as a
//! whole, with what is said in it and without.

use std::{hint::black_box, io::Write as _, sync::Arc};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use flate2::{Compression, write::GzEncoder};
use telltale::{
    capture::{Direction, Open, Timestamp},
    exchange::{Asked, Assembler, Budget, Call},
    policy::{Capture, Pattern, Plan, model::ContentCapture, plan::ContentPlan},
    protocol::{
        End, Head, Headers, HttpVersion, MessageSink as _, StartLine,
        body::{
            Body, Counters, Items,
            json::{Outcome, Paths, Scanner, Value},
        },
    },
    workload::Workload,
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

/// A plan that has calls read, and what is said in them if it keeps content.
fn plan(keeps: bool, redacts: bool) -> Arc<Plan> {
    let pattern = |text: &&str| Pattern::new(text, 1 << 20).expect("a pattern");
    let content = ContentPlan {
        capture: ContentCapture::All,
        max_bytes: 65_536,
        paths: Vec::new(),
        patterns: if redacts {
            ["[0-9]{13,19}", "sk-[A-Za-z0-9]{20,100}"].iter().map(pattern).collect()
        } else {
            Vec::new()
        },
    };
    Arc::new(Plan {
        capture: if keeps { Capture::Bodies } else { Capture::Heads },
        content: keeps.then(|| Arc::new(content)),
        ..Plan::of_signals(false, true, false)
    })
}

/// An exchange from its head to its end, as a worker reads it: a chat of 4 KB that is answered by 200 events, with what is said in it and without.
fn calls(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("calls");
    let (request, response) = (request(), stream());
    group.throughput(Throughput::Elements(1));
    for (name, keeps, redacts) in
        [("content_off", false, false), ("content_on", true, false), ("content_on_2_patterns", true, true)]
    {
        let (plan, budget) = (plan(keeps, redacts), Arc::new(Budget::default()));
        let asked = Asked::by(&plan, &budget, &Arc::default());
        let open = Open::new(([10, 0, 0, 1], 4000).into(), ([10, 0, 0, 2], 80).into());
        let mut assembler = Assembler::new(open, Arc::new(Workload::default()), asked);
        let head = |start, media_type: &[u8], request| {
            let mut headers = Headers::default();
            headers.push(b"Host", b"llm.shop");
            headers.push(b"Content-Type", media_type);
            let time = Timestamp(1);
            Head {
                start,
                version: HttpVersion::Http11,
                headers,
                position: 0,
                first_byte: time,
                complete: time,
                request,
            }
        };
        let mut number = 0;
        group.bench_function(format!("chat_4k_events_200/{name}"), |bencher| {
            bencher.iter(|| {
                let post = StartLine::Request { method: "POST".into(), target: "/v1/chat/completions".into() };
                assembler.head(Direction::Out, head(post, b"application/json", number));
                assembler.body(Direction::Out, Timestamp(2), request.as_bytes());
                assembler.end(Direction::Out, End { time: Timestamp(3), ..End::default() });
                assembler.head(Direction::In, head(StartLine::Response { status: 200 }, b"text/event-stream", number));
                for event in response.split_inclusive("\n\n") {
                    assembler.body(Direction::In, Timestamp(4), event.as_bytes());
                }
                assembler.end(Direction::In, End { time: Timestamp(5), ..End::default() });
                let exchange = assembler.take_done().next().expect("an exchange");
                let call = exchange.call.as_ref().and_then(Call::genai).expect("a call");
                assert_eq!(call.content.as_ref().is_some_and(|content| content.output_messages.is_some()), keeps);
                number += 1;
                black_box(exchange);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, body, calls);
criterion_main!(benches);
