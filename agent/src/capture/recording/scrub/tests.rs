use super::*;
use crate::capture::Timestamp;

/// A recording of one connection; each piece is an event.
fn recording(pieces: &[(Direction, u64, &[u8])]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for &(direction, position, bytes) in pieces {
        let kind = EventKind::Data { direction, position, length: bytes.len() as u32, bytes };
        writer.write(&Event { time: Timestamp(1), connection: ConnectionId(1), kind }).unwrap();
    }
    writer.finish().unwrap()
}

/// The bytes of each direction after scrubbing, gaps closed up.
fn scrubbed(input: &[u8]) -> ([Vec<u8>; 2], Report) {
    let mut output = Vec::new();
    let report = scrub_twice(|| Ok(Reader::new("r".to_owned(), input)), "r", &mut output, false).unwrap();
    let mut streams = [Vec::new(), Vec::new()];
    let mut reader = Reader::new("s".to_owned(), &output[..]);
    while let Some(event) = reader.next_event() {
        if let EventKind::Data { direction, bytes, .. } = event.unwrap().kind {
            streams[direction.index()].extend_from_slice(bytes);
        }
    }
    (streams, report)
}

fn scrubbed_text(text: &str) -> String {
    let ([out, _], _) = scrubbed(&recording(&[(Direction::Out, 0, text.as_bytes())]));
    String::from_utf8(out).unwrap()
}

#[test]
fn each_kind_of_secret_is_overwritten_and_nothing_else() {
    let table = [
        (
            "GET /v1?api_key=s3cret&q=1 HTTP/1.1\r\nHost: h\r\nAUTHORIZATION:  Bearer s3cret \r\nAccept: */*\r\n\r\n",
            "GET /v1?api_key=xxxxxx&q=1 HTTP/1.1\r\nHost: h\r\nAUTHORIZATION:  xxxxxxxxxxxxxx\r\nAccept: */*\r\n\r\n",
        ),
        ("Cookie: a=b;\r\n  c=d\r\nX: y\r\n", "Cookie: xxxx\r\n  xxx\r\nX: y\r\n"),
        ("Set-Cookie : a\nset-cookie:b\n\nCookie", "Set-Cookie : x\nset-cookie:x\n\nCookie"),
        ("Location: https://u:p@h/a?sig=abc#f\r\n", "Location: https://xxx@h/a?sig=xxx#f\r\n"),
        (
            "{\"a\":\"b\",\"api_key\" : \"a\\\"b\\\\\",\"c\":\"d\"}",
            "{\"a\":\"b\",\"api_key\" : \"xxxxxx\",\"c\":\"d\"}",
        ),
        ("odd \" quote {\"password\":12.5e3,\"x\":1}", "odd \" quote {\"password\":11.1e1,\"x\":1}"),
        (r#"{"arguments":"{\"token\":\"ab\\\"c\",\"x\":1}"}"#, r#"{"arguments":"{\"token\":\"xxxxxxx\",\"x\":1}"}"#),
        (
            "{\"max_tokens\":5,\"tokens\":[1],\"token_type\":\"bearer\"}",
            "{\"max_tokens\":5,\"tokens\":[1],\"token_type\":\"bearer\"}",
        ),
        ("POST / HTTP/1.1\r\n\r\ntoken=abc&key=d&x=y", "POST / HTTP/1.1\r\n\r\ntoken=xxx&key=x&x=y"),
        ("GET http://u@h:80/ HTTP/1.1\r\n", "GET http://x@h:80/ HTTP/1.1\r\n"),
        (
            "GET /p?TOKEN=a;sig=y&api%5fkey=z#access_token=a HTTP/1.1\r\n",
            "GET /p?TOKEN=x;sig=x&api%5fkey=x#access_token=x HTTP/1.1\r\n",
        ),
        ("CONNECT u:p@h:443 HTTP/1.1\r\nLocation: //u@h/\r\n", "CONNECT xxx@h:443 HTTP/1.1\r\nLocation: //x@h/\r\n"),
        ("GET /a//b@c HTTP/1.1", "GET /a//b@c HTTP/1.1"),
        ("mailto a@b, http://h/@x", "mailto a@b, http://h/@x"),
    ];
    for (text, expected) in table {
        assert_eq!(scrubbed_text(text), expected);
    }
}

#[test]
fn chunk_frames_survive_inside_secrets() {
    let text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
        f;a=b\r\n{\"to\r\n4\r\nken\"\r\n6\r\n:\"s3cr\r\n5\r\net\"}\n\r\n0\r\nAuthorization: abc\r\n\r\nHTTP/1.1 200 OK\r\n";
    let expected = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
        f;a=b\r\n{\"to\r\n4\r\nken\"\r\n6\r\n:\"xxxx\r\n5\r\nxx\"}\n\r\n0\r\nAuthorization: xxx\r\n\r\nHTTP/1.1 200 OK\r\n";
    assert_eq!(scrubbed_text(text), expected);
}

#[test]
fn any_segmentation_gives_the_same() {
    let text = b"GET http://u:p@h/v1?api_key=s3cret&q=1 HTTP/1.1\r\nHost: h\r\nCookie: s3cret\r\n\r\n\
        5\r\n{\"pas\r\n10\r\nsword\":\"s3cret\"}\r\n0\r\n\r\nGET / HTTP/1.1\r\nAuthorization: s3cret\r\n\r\n";
    let ([whole, _], report) = scrubbed(&recording(&[(Direction::In, 0, b"x"), (Direction::Out, 0, text)]));
    assert!(!String::from_utf8(whole.clone()).unwrap().contains("s3cret"));
    assert_eq!(whole.len(), text.len());
    assert_eq!(report.bytes, 3 + 4 * 6);
    for size in 1..text.len() {
        let pieces: Vec<_> = text
            .chunks(size)
            .enumerate()
            .map(|(index, piece)| (Direction::Out, (index * size) as u64, piece))
            .collect();
        let ([out, _], _) = scrubbed(&recording(&pieces));
        assert_eq!(out, whole, "pieces of {size}");
    }
}

#[test]
fn the_rest_of_a_line_after_a_gap_counts_as_secret_unless_it_is_framing() {
    let after_gap = |before: &str, after: &str| {
        let pieces = [(Direction::Out, 0, before.as_bytes()), (Direction::Out, 1000, after.as_bytes())];
        let ([out, _], _) = scrubbed(&recording(&pieces));
        String::from_utf8(out[before.len()..].to_vec()).unwrap()
    };
    assert_eq!(after_gap("A: b\r\nAuthor", "ization: abc\r\nB: c\r\n"), "xxxxxxxxxxxx\r\nB: c\r\n");
    assert_eq!(after_gap("Cookie: ab", "cd\r\nB: c\r\n"), "xx\r\nB: c\r\n");
    assert_eq!(after_gap("body", "HTTP/1.1 200 OK\r\nB: c\r\n"), "HTTP/1.1 200 OK\r\nB: c\r\n");
    assert_eq!(after_gap("body", "dy}GET / HTTP/1.1\r\nB: c\r\n"), "dy}GET / HTTP/1.1\r\nB: c\r\n");
    assert_eq!(after_gap("chunk", "1f\r\nabc"), "1f\r\nabc");
    assert_eq!(after_gap("GET /?tok", "en=abc HTTP/1.1\r\nB: c\r\n"), "xxxxxxxxxxxxxxx\r\nB: c\r\n");
    assert_eq!(after_gap("{\"token\":\"ab", "cd\",\"x\":1}"), "xxxxxxxxxx");
}

#[test]
fn http2_keeps_only_its_preface() {
    let mut request = HTTP2_PREFACE.to_vec();
    request.extend_from_slice(b"secret");
    let pieces = [(Direction::In, 0, &b"secret"[..]), (Direction::Out, 0, &request)];
    let ([out, back], report) = scrubbed(&recording(&pieces));
    assert_eq!(&out[..24], HTTP2_PREFACE);
    assert_eq!((&out[24..], &back[..]), (&[0; 6][..], &[0; 6][..]));
    assert_eq!(report.http2_connections, 1);
}

#[test]
fn an_id_that_is_used_again_is_another_connection() {
    let mut writer = Writer::new(Vec::new());
    for text in ["Cookie: a\r\n", "Accept: a\r\n"] {
        let kind = EventKind::Data { direction: Direction::Out, position: 0, length: 11, bytes: text.as_bytes() };
        for kind in [kind, EventKind::Close { how: None }] {
            writer.write(&Event { time: Timestamp(1), connection: ConnectionId(1), kind }).unwrap();
        }
    }
    let ([out, _], _) = scrubbed(&writer.finish().unwrap());
    assert_eq!(String::from_utf8(out).unwrap(), "Cookie: x\r\nAccept: a\r\n");
}

#[test]
fn coded_bodies_are_counted_since_they_are_not_searched() {
    let (_, report) =
        scrubbed(&recording(&[(Direction::Out, 0, b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n")]));
    assert_eq!(report.coded_bodies, 1);
}

#[test]
fn a_recording_that_cannot_be_read_twice_is_an_error() {
    let input = recording(&[(Direction::Out, 0, b"a")]);
    let mut readings = vec![&b""[..], &input[..]];
    let open = || Ok(Reader::new("r".to_owned(), readings.pop().unwrap()));
    let error = scrub_twice(open, "r", Vec::new(), false).unwrap_err();
    assert_eq!(error.to_string(), "r: it changed while it was read");
}
