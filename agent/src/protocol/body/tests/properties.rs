//! Any segmentation gives the same items; no loss makes one up; memory is bounded whatever comes.

use proptest::{prelude::*, sample::Index};

use super::{Came, Recorder, codings, headers, messages::message, read_pieces};
use crate::{
    capture::Timestamp,
    protocol::body::{Body, Counters, MAX_EVENT},
};

const TYPES: [&str; 5] =
    ["application/json", "text/event-stream", "application/x-ndjson", "application/vnd.amazon.eventstream", ""];

fn piece() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => prop::sample::select(vec![
            "{", "}", "[", "]", ",", "\"", "\\", "\n", "\r", "\r\n", "\n\n", "\r\n\r\n", " ", "{}", "{\"a\":1}\n", "{\"a\":[{}]},", "data: {\"a\":1}\n\n",
            "data:", "event: x\n", "id: 1\n", ":", "data\n", "\u{feff}", "x", "\x1e", "[{",
        ]).prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 1..6),
        1 => prop::sample::select(vec!["", "{}"])
            .prop_map(|payload| message(&[(":event-type", "e")], payload.as_bytes())),
    ]
}

fn content() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(piece(), 0..14).prop_map(|pieces| pieces.concat())
}

fn cut<'a>(bytes: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places.dedup();
    places.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

fn coded(content: &[u8], coding: &str) -> Vec<u8> {
    match coding {
        "gzip" => codings::gzip(content),
        "deflate" => codings::raw(content),
        "zstd" => codings::zstd(content),
        "deflate, gzip" => codings::gzip(&codings::zlib(content)),
        _ => content.to_vec(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_segmentation_gives_the_same_items(
        content in content(),
        content_type in prop::sample::select(TYPES.to_vec()),
        coding in prop::sample::select(vec!["", "", "gzip", "deflate", "zstd", "deflate, gzip"]),
        cuts in prop::collection::vec(any::<Index>(), 0..8),
        complete in any::<bool>(),
    ) {
        let headers = headers(content_type, coding);
        let content = coded(&content, coding);
        let (whole, counted) = read_pieces(&headers, cut(&content, &[]), complete);
        let (pieces, counted_too) = read_pieces(&headers, cut(&content, &cuts), complete);
        prop_assert_eq!(pieces.lines(), whole.lines());
        prop_assert_eq!(&counted_too, &counted);
        let (bytes, counted_too) = read_pieces(&headers, content.chunks(1), complete);
        prop_assert_eq!(bytes.lines(), whole.lines());
        prop_assert_eq!(counted_too, counted);
    }

    #[test]
    fn an_item_is_complete_when_its_last_byte_came(
        content in content(),
        content_type in prop::sample::select(TYPES.to_vec()),
    ) {
        let headers = headers(content_type, "");
        let (whole, _) = read_pieces(&headers, content.chunks(1), true);
        for came in &whole.came {
            let Came::Item { time, whole: true, .. } = came else { continue };
            // What came by then is enough for as many items.
            let until = *time as usize;
            let (part, _) = read_pieces(&headers, content[..until].chunks(1), true);
            let items = |recorder: &Recorder| {
                recorder.came.iter().filter(|came| matches!(came, Came::Item { time, .. } if *time as usize <= until)).count()
            };
            prop_assert_eq!(items(&part), items(&whole));
        }
    }

    #[test]
    fn loss_makes_no_item_up(
        lines in prop::collection::vec("[ab]{1,4}", 1..8),
        cuts in prop::array::uniform2(any::<Index>()),
        format in 0_usize..3,
    ) {
        let (content_type, content): (_, Vec<u8>) = match format {
            0 => ("text/event-stream", lines.iter().flat_map(|line| format!("data: {line}\n\n").into_bytes()).collect()),
            1 => ("application/x-ndjson", lines.iter().flat_map(|line| format!("{line}\n").into_bytes()).collect()),
            _ => (
                "application/vnd.amazon.eventstream",
                lines.iter().flat_map(|line| message(&[(":event-type", "")], line.as_bytes())).collect(),
            ),
        };
        let mut places = cuts.map(|cut| cut.index(content.len() + 1));
        places.sort_unstable();
        let [from, to] = places;
        let pieces = [&content[..from], b"", &content[to..]];
        let present = [true, true, to < content.len()].into_iter().zip(pieces);
        let pieces = present.filter(|(present, _)| *present).map(|(_, piece)| piece).skip(usize::from(from == 0));
        let (recorder, _) = read_pieces(&headers(content_type, ""), pieces, true);
        let mut left = lines.iter();
        for came in &recorder.came {
            if let Came::Item { bytes, whole: true, .. } = came {
                let text = String::from_utf8_lossy(bytes);
                prop_assert!(left.any(|line| *line == text), "{text} was not sent, or not there");
            }
        }
        prop_assert!(recorder.came.contains(&Came::Cut));
    }
}

#[test]
fn endless_content_of_any_kind_takes_bounded_memory() {
    for content_type in TYPES {
        for start in ["", "{", "[{", "data: ", "event: ", "x", "\0\0\0"] {
            for piece in ["{", "\"", "x", "\n", "data: x\n", "data", "event: x", ":", "\0", "[", "\\"] {
                let piece = piece.repeat(4000);
                let (mut recorder, mut counters) = (Recorder::default(), Counters::default());
                let mut body = Body::new(&headers(content_type, ""), &mut counters).unwrap();
                body.push(Timestamp(0), start.as_bytes(), &mut counters, &mut recorder);
                for _ in 0..40 {
                    body.push(Timestamp(0), piece.as_bytes(), &mut counters, &mut recorder);
                    assert!(body.held() <= 2 * MAX_EVENT + 4096, "{content_type} {start} {}", body.held());
                }
            }
        }
    }
}
