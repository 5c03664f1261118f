//! Any bytes as content of a request and its answer at any endpoint, in any pieces: nothing panics, the pieces do not matter, and what is kept is bounded and
//! redacted.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use telltale::{
    capture::{Direction, GapReason, Open, Timestamp},
    exchange::{
        Asked, Assembler, Budget, Call,
        genai::{MAX_INTERVALS, MAX_LISTED, MAX_NAME, Providers},
    },
    policy::{
        Defaults, Plan, Setting, Trust, compile,
        document::{Documents, Source},
        validation,
    },
    protocol::{End, Head, Headers, HttpVersion, Incomplete, MessageSink as _, StartLine},
    workload::Workload,
};

const PLACES: [(&str, &str); 16] = [
    ("gateway", "/v1/chat/completions"),
    ("gateway", "/ask"),
    ("api.openai.com", "/v1/responses"),
    ("api.openai.com", "/v1/embeddings"),
    ("api.openai.com", "/v1/audio/transcriptions"),
    ("api.anthropic.com", "/v1/messages"),
    ("generativelanguage.googleapis.com", "/v1beta/models/m:streamGenerateContent"),
    ("aiplatform.googleapis.com", "/v1/projects/p/locations/l/publishers/google/models/m:predict"),
    ("bedrock-runtime.us-east-1.amazonaws.com", "/model/m%3A0/converse-stream"),
    ("bedrock-runtime.us-east-1.amazonaws.com", "/model/m%3A0/invoke-with-response-stream"),
    ("api.cohere.com", "/v1/chat"),
    ("us-south.ml.cloud.ibm.com", "/ml/v1/text/generation_stream"),
    ("ollama", "/api/chat"),
    ("tgi", "/generate"),
    ("llama", "/completion"),
    ("tgi", "/"),
];

const TYPES: [&str; 6] = [
    "application/json",
    "text/event-stream",
    "application/x-ndjson",
    "application/vnd.amazon.eventstream",
    "text/plain",
    "",
];

static PLAN: LazyLock<Arc<Plan>> = LazyLock::new(|| {
    let policy = "apiVersion: gateway.networking.x-k8s.io/v1alpha1\nkind: TelemetryPolicy\nmetadata: {name: p, namespace: shop}\nspec:\n  \
                  targetRefs: [{group: '', kind: Namespace, name: shop}]\n  metrics: {mode: Enabled}\n  tracing: {}\n  \
                  content: {capture: All, maxBytes: 700, redact: [{pattern: '[0-9]{3,5}'}]}\n";
    let documents = Documents::read(&[Source::new("policy.yaml", policy)]);
    let setting = Setting { defaults: Defaults::default(), trust: Trust::own() };
    let plan = compile(&validation::candidates(&documents)[0].policy, &setting).0;
    assert!(plan.calls);
    Arc::new(plan)
});

/// What [`PLAN`] keeps of a message.
const MAX_BYTES: usize = 700;

static PROVIDERS: LazyLock<Arc<Providers>> = LazyLock::new(Arc::default);

struct Input<'a> {
    place: (&'a str, &'a str),
    media_types: [&'a str; 2],
    status: u16,
    contents: [&'a [u8]; 2],
    /// Where bytes of the answer were not seen.
    gap: Option<usize>,
    whole: bool,
}

fn head(start: StartLine, host: &str, media_type: &str) -> Head {
    let mut headers = Headers::default();
    headers.push(b"Host", host.as_bytes());
    if !media_type.is_empty() {
        headers.push(b"Content-Type", media_type.as_bytes());
    }
    let time = Timestamp(1);
    Head { start, version: HttpVersion::Http11, headers, position: 0, first_byte: time, complete: time, request: 0 }
}

fn call(input: &Input<'_>, pieces: usize) -> Option<Call> {
    let budget = Arc::new(Budget::default());
    let open = Open::new(([10, 0, 0, 1], 4000).into(), ([10, 0, 0, 2], 80).into());
    let mut assembler = Assembler::new(open, Arc::new(Workload::default()), Asked::by(&PLAN, &budget, &PROVIDERS));
    let (host, target) = input.place;
    let request = StartLine::Request { method: "POST".into(), target: target.into() };
    let response = StartLine::Response { status: input.status };
    let time = Timestamp(1);
    for (number, direction) in [Direction::Out, Direction::In].into_iter().enumerate() {
        let start = if number == 0 { request.clone() } else { response.clone() };
        assembler.head(direction, head(start, host, input.media_types[number]));
        let content = input.contents[number];
        let gap = input.gap.filter(|gap| number == 1 && *gap < content.len());
        let (before, after) = content.split_at(gap.unwrap_or(content.len()));
        for (part, lost) in [(before, false), (after, true)] {
            if lost && gap.is_some() {
                assembler.body_gap(direction, 1, GapReason::RingFull);
            }
            part.chunks(pieces).for_each(|piece| assembler.body(direction, time, piece));
        }
        if input.whole || number == 0 {
            assembler.end(direction, End { time, ..End::default() });
        }
    }
    assembler.close(time, Incomplete::Truncated);
    let exchange = assembler.take_done().next().expect("a request is an exchange");
    assert_eq!(budget.held(), 0);
    exchange.call
}

fuzz_target!(|input: (u8, u8, u8, bool, bool, u16, &[u8], &[u8])| {
    let (place, media_type, gap, has_gap, whole, piece, request, response) = input;
    let input = Input {
        place: PLACES[usize::from(place) % PLACES.len()],
        media_types: ["application/json", TYPES[usize::from(media_type) % TYPES.len()]],
        status: if media_type & 128 == 0 { 200 } else { 429 },
        contents: [request, response],
        gap: has_gap.then_some(usize::from(gap)),
        whole,
    };
    let read = call(&input, usize::MAX);
    assert_eq!(read, call(&input, usize::from(piece) % 64 + 1), "pieces do not matter");
    let Some(Call::GenAi(read)) = read else { return };
    let lists = [&read.request.stop_sequences, &read.request.encoding_formats, &read.response.finish_reasons];
    assert!(lists.iter().all(|list| list.len() <= MAX_LISTED) && read.response.tool_calls.len() <= MAX_LISTED);
    let names = [&read.request.model, &read.response.model, &read.response.id, &read.error];
    assert!(names.into_iter().flatten().all(|name| name.len() <= MAX_NAME));
    if let Some(content) = &read.content {
        let request = [&content.system_instructions, &content.input_messages, &content.tool_definitions];
        let length = |texts: &[&Option<Box<str>>]| texts.iter().copied().flatten().map(|text| text.len()).sum::<usize>();
        assert!(length(&request) <= MAX_BYTES && length(&[&content.output_messages]) <= MAX_BYTES, "{content:?}");
        for text in request.into_iter().chain([&content.output_messages]).flatten() {
            assert!(serde_json::from_str::<serde_json::Value>(text).is_ok(), "{text}");
        }
    }
    assert!(read.stream.is_none_or(|stream| stream.intervals.len() <= MAX_INTERVALS));
});
