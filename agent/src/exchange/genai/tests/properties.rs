//! What holds for all exchanges of the table, however they arrive.

use std::io::Write as _;

use proptest::prelude::*;

use super::*;

/// A message in other pieces, of which all come at once.
fn in_pieces(message: &Message, lengths: &[usize]) -> Message {
    let body = message.body();
    let mut rest = &body[..];
    let mut pieces = Vec::new();
    let mut lengths = lengths.iter().cycle();
    while !rest.is_empty() {
        let length = lengths.next().map_or(rest.len(), |length| (*length).clamp(1, rest.len()));
        pieces.push(rest[..length].to_vec());
        rest = &rest[length..];
    }
    Message { pieces, ..message.clone() }
}

/// Keeps little, and less of it.
fn narrow() -> Kept {
    let kept = keeping(200);
    let patterns = vec![crate::policy::Pattern::new("[aeiou]{1,3}", 1 << 20).unwrap()];
    Kept { plan: Arc::new(ContentPlan { patterns, ..(*kept.plan).clone() }), ..kept }
}

/// Without the times, which are those of the pieces.
fn untimed(call: Option<GenAi>) -> Option<GenAi> {
    let mut call = call?;
    if let Some(stream) = &mut call.stream {
        stream.first_chunk = Timestamp(0);
        stream.last_chunk = Timestamp(0);
        stream.first_token = stream.first_token.map(|_| Timestamp(0));
        stream.last_token = stream.last_token.map(|_| Timestamp(0));
        stream.intervals.fill(0);
    }
    Some(call)
}

fn read_untimed(request: &Message, response: Option<&Message>) -> Option<GenAi> {
    untimed(read(request, response, &Providers::default()))
}

#[test]
fn one_byte_at_a_time() {
    for case in all() {
        let expected = read_untimed(&case.request, case.response.as_ref());
        let request = in_pieces(&case.request, &[1]);
        let response = case.response.as_ref().map(|response| in_pieces(response, &[1]));
        assert_eq!(read_untimed(&request, response.as_ref()), expected, "{}", case.name);
    }
}

/// In a content coding, as clients mostly ask for.
fn compressed(message: &Message) -> Message {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&message.body()).unwrap();
    let mut head = message.head.clone();
    head.headers.push(b"Content-Encoding", b"gzip");
    Message { head, pieces: vec![encoder.finish().unwrap()], ..message.clone() }
}

#[test]
fn compressed_content_says_the_same() {
    for case in all() {
        let expected = read_untimed(&case.request, case.response.as_ref());
        let response = case.response.as_ref().map(compressed);
        let read = read_untimed(&compressed(&case.request), response.as_ref());
        assert_eq!(read, expected, "{}", case.name);
    }
}

/// Wherever an answer breaks off: what is read was read of the whole too, and it is marked.
#[test]
fn what_is_cut_is_part_of_the_whole() {
    for case in all() {
        let Some(response) = &case.response else { continue };
        let whole = read_untimed(&case.request, Some(response));
        let body = response.body();
        for length in (0..body.len()).step_by(7) {
            let mut cut = in_pieces(&Message { pieces: vec![body[..length].to_vec()], ..response.clone() }, &[]);
            cut.complete = false;
            let Some(call) = read_untimed(&case.request, Some(&cut)) else { continue };
            assert!(call.cut, "{} {length}", case.name);
            let whole = whole.as_ref().unwrap_or_else(|| panic!("{} {length}: {call:?}", case.name));
            assert!(
                call.response.tool_calls.len() <= whole.response.tool_calls.len(),
                "{} {length}: {call:?}",
                case.name
            );
            // Cohere names an answer by its generation until the end says a better name.
            let renamed = case.name.starts_with("cohere");
            assert!(
                renamed || call.response.id.is_none() || call.response.id == whole.response.id,
                "{} {length}",
                case.name
            );
            for (part, whole) in [
                (&call.response.model, &whole.response.model),
                (&call.response.system_fingerprint, &whole.response.system_fingerprint),
            ] {
                assert!(
                    part.is_none() || part == whole || whole.is_none(),
                    "{} {length}: {part:?} {whole:?}",
                    case.name
                );
            }
            assert!(call.usage.input <= whole.usage.input || whole.usage.input.is_none(), "{} {length}", case.name);
            assert!(call.usage.output <= whole.usage.output, "{} {length}", case.name);
            assert_eq!(call.request.model, whole.request.model, "{} {length}", case.name);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_segmentation_gives_the_same(
        case in proptest::sample::select(all()),
        lengths in proptest::collection::vec(1_usize..200, 1..20),
    ) {
        let expected = read_untimed(&case.request, case.response.as_ref());
        let request = in_pieces(&case.request, &lengths);
        let response = case.response.as_ref().map(|response| in_pieces(response, &lengths));
        prop_assert_eq!(read_untimed(&request, response.as_ref()), expected);
    }

    /// Bytes of one message put anywhere into another, in requests as in answers.
    #[test]
    fn any_bytes_are_read(
        request in proptest::sample::select(all()),
        one in proptest::sample::select(all()),
        other in proptest::sample::select(all()),
        at in any::<proptest::sample::Index>(),
        take in any::<proptest::sample::Index>(),
    ) {
        let (Some(one), Some(other)) = (one.response, other.response) else { return Ok(()) };
        let (mut body, other) = (one.body(), other.body());
        let at = at.index(body.len() + 1);
        body.splice(at..at, other[..take.index(other.len() + 1)].iter().copied());
        let response = Message { pieces: vec![body], ..one };
        let mut request = request.request;
        let mut asked = request.body();
        let from = at % (asked.len() + 1);
        asked.splice(from..from, other.iter().rev().take(from).rev().copied());
        request.pieces = vec![asked];
        // Content of which not all fits, and of which something is redacted, too.
        let kept = narrow();
        let read = |request: &Message, response: &Message| {
            untimed(read_with(request, Some(response), &Providers::default(), Some(&kept)))
        };
        let whole = read(&request, &response);
        prop_assert_eq!(read(&in_pieces(&request, &[1]), &in_pieces(&response, &[1])), whole.clone());
        prop_assert_eq!(kept.budget.held(), 0);
        let content = whole.and_then(|call| call.content).unwrap_or_default();
        let length = |text: &Option<Box<str>>| text.as_ref().map_or(0, |text| text.len());
        prop_assert!(length(&content.output_messages) <= 200, "{:?}", content);
        prop_assert!(length(&content.input_messages) + length(&content.tool_definitions) + length(&content.system_instructions) <= 200, "{:?}", content);
    }
}
