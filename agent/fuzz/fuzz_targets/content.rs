//! Any bytes as content of a message, cut anywhere, under policies that redact: what comes out has nothing in it that they select.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use telltale::{
    capture::{Direction, GapReason, Open, Timestamp},
    exchange::{Asked, Assembler, Budget, Content},
    policy::{
        Defaults, Plan, Setting, Trust, compile,
        document::{Documents, Source},
        validation,
    },
    protocol::{End, Head, Headers, HttpVersion, Incomplete, MessageSink as _, StartLine},
    workload::Workload,
};

/// Bytes of content that are kept.
const MAX_BYTES: usize = 100;

const REDACTIONS: [&str; 4] = [
    "[{jsonPath: $..k}]",
    "[{pattern: '[0-9]{4}'}]",
    "[{pattern: '[0-9]{4}[0-9]*'}]",
    "[{jsonPath: '$.a[-1].k'}, {jsonPath: '$..k'}, {pattern: '[0-9]{4}'}]",
];

static PLANS: LazyLock<Vec<Arc<Plan>>> = LazyLock::new(|| REDACTIONS.map(plan).into());

fn plan(redact: &str) -> Arc<Plan> {
    let policy = format!(
        "apiVersion: gateway.networking.x-k8s.io/v1alpha1\nkind: TelemetryPolicy\nmetadata: {{name: p, namespace: shop}}\nspec:\n  \
         targetRefs: [{{group: '', kind: Namespace, name: shop}}]\n  accessLogs: {{mode: Enabled}}\n  \
         content: {{capture: Request, maxBytes: {MAX_BYTES}, redact: {redact}}}\n"
    );
    let documents = Documents::read(&[Source::new("policy.yaml", policy)]);
    let setting = Setting { defaults: Defaults::default(), trust: Trust::own() };
    let plan = compile(&validation::candidates(&documents)[0].policy, &setting).0;
    assert!(plan.content.is_some());
    Arc::new(plan)
}

/// What is given out of a request of which these pieces were seen; an empty piece stands for bytes that were not.
fn given_out(plan: &Arc<Plan>, pieces: &[&[u8]], whole: bool) -> Option<Content> {
    let budget = Arc::new(Budget::default());
    let open = Open::new(([10, 0, 0, 1], 4000).into(), ([10, 0, 0, 2], 80).into());
    let mut assembler = Assembler::new(open, Arc::new(Workload::default()), Asked::by(plan, &budget, &Arc::default()));
    let mut headers = Headers::default();
    headers.push(b"Content-Type", b"application/json");
    let (direction, time) = (Direction::Out, Timestamp(1));
    assembler.head(
        direction,
        Head {
            start: StartLine::Request { method: "POST".into(), target: "/".into() },
            version: HttpVersion::Http11,
            headers,
            position: 0,
            first_byte: time,
            complete: time,
            request: 0,
        },
    );
    for piece in pieces {
        if piece.is_empty() {
            assembler.body_gap(direction, 1, GapReason::RingFull);
        } else {
            assembler.body(direction, time, piece);
        }
    }
    if whole {
        assembler.end(direction, End { time, ..End::default() });
    }
    assembler.close(time, Incomplete::Truncated);
    let exchange = assembler.take_done().next().expect("a request is an exchange");
    assert_eq!(budget.held(), 0);
    exchange.request.content.map(|content| *content)
}

fn shows_a_value(value: &Value) -> bool {
    match value {
        Value::Object(members) => {
            members.iter().any(|(name, value)| if name == "k" { value != "REDACTED" } else { shows_a_value(value) })
        }
        Value::Array(values) => values.iter().any(shows_a_value),
        _ => false,
    }
}

fuzz_target!(|input: (u8, u8, bool, &[u8])| {
    let (which, cut, whole, bytes) = input;
    let which = usize::from(which) % REDACTIONS.len();
    let plan = &PLANS[which];
    let (first, second) = bytes.split_at(usize::from(cut).min(bytes.len()));
    let halves: Vec<&[u8]> = [first, second].into_iter().filter(|piece| !piece.is_empty()).collect();
    let content = given_out(plan, &halves, whole);
    assert_eq!(content, given_out(plan, &bytes.chunks(1).collect::<Vec<_>>(), whole), "pieces do not matter");
    for content in [content, given_out(plan, &[first, &[], second], whole)].into_iter().flatten() {
        assert!(content.text.is_some() || content.incomplete.is_some());
        let Some(text) = content.text else { continue };
        assert!(text.len() <= MAX_BYTES);
        if REDACTIONS[which].contains("pattern") {
            let mut run = 0;
            for byte in text.bytes() {
                run = if byte.is_ascii_digit() { run + 1 } else { 0 };
                assert!(run < 4, "{text}");
            }
        }
        if content.incomplete.is_none()
            && which == 0
            && let Ok(value) = serde_json::from_str(&text)
        {
            assert!(!shows_a_value(&value), "{text}");
        }
    }
});
