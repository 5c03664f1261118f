//! Any segmentation gives the same messages, any interleaving the same exchanges, and no loss makes one up.

use proptest::{prelude::*, sample::Index};

use crate::{
    capture::{Direction, GapReason, Role, Timestamp},
    protocol::{MAX_HEAD, StartLine, WAIT_BYTES, testing::Bench},
    stream::Segment,
};

/// The bytes of one exchange: the request, and the interim and final responses.
#[derive(Clone)]
struct Made {
    request: Vec<u8>,
    response: Vec<u8>,
}

impl std::fmt::Debug for Made {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {:?}", self.request.escape_ascii().to_string(), self.response.escape_ascii().to_string())
    }
}

fn framed(head: &str, body: &[u8], chunk: usize, has_content: bool) -> Vec<u8> {
    let mut bytes = head.as_bytes().to_vec();
    if chunk == 0 {
        bytes.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
        if has_content {
            bytes.extend_from_slice(body);
        }
        return bytes;
    }
    bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
    if has_content {
        for piece in body.chunks(chunk) {
            bytes.extend_from_slice(format!("{:X};x=y\r\n", piece.len()).as_bytes());
            bytes.extend_from_slice(piece);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(if chunk.is_multiple_of(2) { b"0\r\n\r\n" } else { b"0\r\nX-Trailer: t\r\n\r\n" });
    }
    bytes
}

prop_compose! {
    fn exchange(number: usize)(
        method in prop::sample::select(vec!["GET", "HEAD", "POST", "brew"]),
        status in prop::sample::select(vec![200_u16, 204, 304, 404, 500]),
        interim in 0_usize..3,
        bodies in prop::array::uniform2(prop::collection::vec(any::<u8>(), 0..60)),
        chunks in prop::array::uniform2(0_usize..9),
        line_end in prop::sample::select(vec!["", "\r\n"]),
    ) -> Made {
        let expect = if interim > 0 { "Expect: 100-continue\r\n" } else { "" };
        let head = format!("{line_end}{method} /{number}?token=x HTTP/1.1\r\nHost: h\r\nCookie: secret\r\n{expect}");
        let request = framed(&head, &bodies[0], chunks[0], true);
        let mut response = b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\n".repeat(interim);
        let has_content = method != "HEAD" && status != 204 && status != 304;
        let head = format!("HTTP/1.1 {status} Reason\r\nX-Answers: {number}\r\n");
        response.extend(framed(&head, &bodies[1], chunks[1], has_content));
        Made { request, response }
    }
}

fn exchanges(most: usize) -> impl Strategy<Value = Vec<Made>> {
    (1..=most).prop_flat_map(|count| (0..count).map(exchange).collect::<Vec<_>>())
}

/// Cuts at any places.
fn cut<'a>(bytes: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

fn without_times(transcript: &str) -> String {
    transcript
        .lines()
        .map(|line| line.split(' ').filter(|word| !word.starts_with("t=")).collect::<Vec<_>>().join(" ") + "\n")
        .collect()
}

/// One event of a script: when, which way, its bytes.
type Piece = (u64, Direction, Vec<u8>);

/// The pieces of both directions, each in order, in any order between them.
fn shuffle(pieces: [Vec<Piece>; 2], choices: &[bool]) -> Vec<Piece> {
    let [mut first, mut second] = pieces.map(|pieces| pieces.into_iter().peekable());
    let mut choices = choices.iter().cycle();
    let mut order = Vec::new();
    loop {
        let next = match (first.peek().is_some(), second.peek().is_some()) {
            (true, true) if *choices.next().unwrap_or(&true) => first.next(),
            (true, false) => first.next(),
            (_, true) => second.next(),
            (false, false) => return order,
        };
        order.extend(next);
    }
}

/// Checks that nothing was made up: every head stands in the streams where it is said to, and every pair belongs together.
fn check_truth(bench: &Bench, streams: &[Vec<u8>; 2]) -> Result<(), TestCaseError> {
    for (direction, position, start) in &bench.sink.heads {
        let at = &streams[direction.index()][*position as usize..];
        let expected = match start {
            StartLine::Request { method, target } => {
                format!("{method} {} HTTP/1.1\r\n", target.replace("token=REDACTED", "token=x"))
            }
            StartLine::Response { status } => format!("HTTP/1.1 {status} "),
        };
        prop_assert!(at.starts_with(expected.as_bytes()), "{expected:?} is not at {position}");
    }
    let lines = bench.transcript();
    prop_assert!(!lines.contains("secret\n") && !lines.contains("token=x"));
    Ok(())
}

/// The numbers in target and `X-Answers` of each reported exchange.
fn pair_numbers(bench: &Bench, streams: &[Vec<u8>; 2], responses: Direction) -> Vec<(String, String)> {
    let positions = bench.sink.heads.iter().filter(|(direction, ..)| *direction == responses);
    let answers = positions.map(|(_, position, _)| {
        let text = String::from_utf8_lossy(&streams[responses.index()][*position as usize..]).into_owned();
        text.split("X-Answers: ").nth(1).and_then(|text| text.split("\r\n").next()).unwrap_or("?").to_owned()
    });
    let requests = bench
        .sink
        .exchanges
        .iter()
        .map(|(_, request, _)| request.split(['/', '?']).nth(1).unwrap_or_default().to_owned());
    requests.zip(answers).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_segmentation_gives_the_same_messages(
        made in exchanges(4),
        cuts in prop::collection::vec(any::<Index>(), 0..12),
        byte_wise in any::<bool>(),
    ) {
        let mut whole = Bench::new(Some(Role::Server));
        let mut split = Bench::new(Some(Role::Server));
        for made in &made {
            whole.inc(&made.request).out(&made.response);
            let piece = |bytes: &[u8]| -> Vec<Vec<u8>> {
                if byte_wise {
                    bytes.chunks(1).map(<[u8]>::to_vec).collect()
                } else {
                    cut(bytes, &cuts).into_iter().map(<[u8]>::to_vec).collect()
                }
            };
            for bytes in piece(&made.request) {
                split.inc(bytes);
            }
            for bytes in piece(&made.response) {
                split.out(bytes);
            }
        }
        whole.fin();
        split.fin();
        prop_assert_eq!(whole.pairs().len(), made.len());
        prop_assert_eq!(without_times(&split.transcript()), without_times(&whole.transcript()));
        prop_assert_eq!(split.sink.bodies, whole.sink.bodies);
    }

    #[test]
    fn any_interleaving_gives_the_same_exchanges(
        made in exchanges(6),
        cuts in prop::array::uniform2(prop::collection::vec(any::<Index>(), 0..6)),
        choices in prop::collection::vec(any::<bool>(), 1..40),
        pipelined in any::<bool>(),
        role in prop::sample::select(vec![None, Some(Role::Client)]),
    ) {
        let mut pieces = [Vec::new(), Vec::new()];
        for (number, made) in made.iter().enumerate() {
            let number = number as u64;
            let (sent, received) = if pipelined { (number, 1000 + number) } else { (10 * number, 10 * number + 5) };
            pieces[0].extend(cut(&made.request, &cuts[0]).into_iter().map(|piece| (sent, Direction::Out, piece.to_vec())));
            pieces[1].extend(cut(&made.response, &cuts[1]).into_iter().map(|piece| (received, Direction::In, piece.to_vec())));
        }
        let mut bench = Bench::new(role);
        for (time, direction, bytes) in shuffle(pieces, &choices) {
            bench.data(direction, time, &bytes);
        }
        bench.fin();
        let numbers: Vec<_> = bench.sink.exchanges.iter().map(|(request, ..)| *request).collect();
        prop_assert_eq!(numbers, (0..made.len() as u64).collect::<Vec<_>>());
        prop_assert_eq!(bench.counters.orphan_responses + bench.counters.ambiguous_responses, 0);
    }

    #[test]
    fn no_loss_makes_anything_up(
        made in exchanges(8),
        cuts in prop::array::uniform2(prop::collection::vec(any::<Index>(), 0..4)),
        lost in prop::collection::vec(prop::bool::weighted(0.2), 1..60),
        pipelined in any::<bool>(),
        joined in prop::bool::weighted(0.2),
        role in prop::sample::select(vec![None, Some(Role::Client)]),
        swaps in prop::collection::vec(any::<bool>(), 1..40),
    ) {
        let mut streams = [b"rest".repeat(usize::from(joined)), b"rest".repeat(usize::from(joined))];
        let mut pieces = [Vec::new(), Vec::new()];
        for (number, made) in made.iter().enumerate() {
            let number = number as u64;
            let (sent, received) = if pipelined { (1 + number, 1000 + number) } else { (1 + 10 * number, 6 + 10 * number) };
            for (index, (bytes, time)) in [(&made.request, sent), (&made.response, received)].into_iter().enumerate() {
                let direction = [Direction::Out, Direction::In][index];
                streams[index].extend_from_slice(bytes);
                pieces[index].extend(cut(bytes, &cuts[index]).into_iter().map(|piece| (time, direction, piece.to_vec())));
            }
        }
        // As it happened, but that two neighbours may be swapped, each by its own thread.
        let mut order: Vec<_> = pieces.concat();
        order.sort_by_key(|(time, ..)| *time);
        for (index, swap) in (0..order.len().saturating_sub(1)).step_by(2).zip(swaps.iter().cycle()) {
            if *swap && order[index].1 != order[index + 1].1 {
                order.swap(index, index + 1);
            }
        }
        let mut bench = Bench::new(role).joined_at(4 * u64::from(joined), 4 * u64::from(joined));
        for ((time, direction, bytes), lost) in order.into_iter().zip(lost.iter().cycle()) {
            if *lost && !bytes.is_empty() {
                bench.gap(direction, time, bytes.len() as u64);
            } else {
                bench.data(direction, time, &bytes);
            }
        }
        bench.fin();
        check_truth(&bench, &streams)?;
        for (request, response) in pair_numbers(&bench, &streams, Direction::In) {
            prop_assert_eq!(request, response, "given to the wrong request: {}", bench.transcript());
        }
    }

    #[test]
    fn after_a_loss_the_next_exchange_is_right(
        made in exchanges(5),
        cuts in prop::array::uniform2(prop::collection::vec(any::<Index>(), 0..4)),
        lost in prop::collection::vec(any::<bool>(), 1..10),
        role in prop::sample::select(vec![Role::Server, Role::Client]),
    ) {
        // Lock-step: one exchange is whole, of the next some pieces are lost, and so on; the last two are whole.
        let mut bench = Bench::new(Some(role));
        let requests = if role == Role::Client { Direction::Out } else { Direction::In };
        let mut lost = lost.iter().cycle();
        let last = exchange_bytes();
        for (number, one) in made.iter().chain([&last, &last]).enumerate() {
            for (bytes, direction, cuts) in
                [(&one.request, requests, &cuts[0]), (&one.response, requests.reverse(), &cuts[1])]
            {
                for piece in cut(bytes, cuts) {
                    let time = bench.time + 1;
                    if number % 2 == 1 && number < made.len() && *lost.next().unwrap_or(&false) && !piece.is_empty() {
                        bench.gap(direction, time, piece.len() as u64);
                    } else {
                        bench.data(direction, time, piece);
                    }
                }
            }
        }
        bench.fin();
        let pairs = bench.pairs();
        prop_assert_eq!(&pairs[pairs.len().saturating_sub(1)..], &[("GET /last", 299)], "{}", bench.transcript());
    }

    #[test]
    fn nothing_read_does_harm(
        events in prop::collection::vec(
            (any::<bool>(), any::<bool>(), 0_u64..50, prop_oneof![
                prop::collection::vec(any::<u8>(), 1..80),
                prop::sample::select(vec![
                    &b"GET / HTTP/1.1\r\n"[..], b"\r\n", b"HTTP/1.1 200 OK\r\n", b"Content-Length: 5\r\n\r\n", b"hello",
                    b"Transfer-Encoding: chunked\r\n\r\n", b"5\r\n", b"0\r\n\r\n", b"CONNECT h:1 HTTP/1.1\r\n\r\n",
                    b"HTTP/1.1 101 S\r\n\r\n", b"HTTP/1.1 100 C\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"HEAD / HTTP/1.1\r\n\r\n",
                    b"HTTP/1.1 204 N\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n",
                ]).prop_map(<[u8]>::to_vec),
            ]),
            0..60
        ),
        start in prop::array::uniform2(prop::sample::select(vec![0, 7, u64::MAX - 4000])),
        role in prop::sample::select(vec![None, Some(Role::Client), Some(Role::Server)]),
    ) {
        let mut bench = Bench::new(role).joined_at(start[0], start[1]);
        for (out, gap, time, bytes) in events {
            let direction = if out { Direction::Out } else { Direction::In };
            if gap && time % 3 == 0 {
                bench.gap(direction, time * 100_000_000, 1 + time % 7);
            } else {
                bench.data(direction, time * 100_000_000, &bytes);
            }
            prop_assert!(bench.connection.retained() <= 2 * MAX_HEAD + 2 * WAIT_BYTES);
        }
        bench.fin();
    }
}

fn exchange_bytes() -> Made {
    Made {
        request: b"GET /last HTTP/1.1\r\n\r\n".to_vec(),
        response: b"HTTP/1.1 299 OK\r\nContent-Length: 0\r\n\r\n".to_vec(),
    }
}

#[test]
fn a_body_at_the_end_of_all_positions_does_not_overflow() {
    let mut bench = Bench::new(Some(Role::Client));
    bench.out("GET / HTTP/1.1\r\n\r\n").inc("HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n");
    let position = bench.position[1];
    let segment =
        Segment::Gap { position, length: u64::MAX - position, reason: GapReason::NotCopied, time: Timestamp(9) };
    bench.connection.segment(Direction::In, segment, &mut bench.counters, &mut bench.sink);
    bench.fin();
    assert!(bench.transcript().contains("incomplete=truncated"));
}
