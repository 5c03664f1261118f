//! Snapshots of decoded messages.

use crate::{
    capture::{CloseHow, Role},
    protocol::testing::Bench,
};

fn client() -> Bench {
    Bench::new(Some(Role::Client))
}

fn check(name: &str, bench: &mut Bench) {
    insta::with_settings!({ prepend_module_to_snapshot => false, snapshot_path => "snapshots", omit_expression => true }, {
        insta::assert_snapshot!(name, bench.transcript());
    });
}

#[test]
fn lengths() {
    let mut bench = client();
    bench
        .out("POST /a?token=x&b=1 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nAuthorization: Bearer x\r\n\r\nabc")
        .inc("HTTP/1.1 201 Created\r\nContent-Length: 2, 2\r\nSet-Cookie: a=b\r\nLocation: http://u:p@h/?sig=1\r\n\r\nok")
        .out("GET /b HTTP/1.1\r\nHost:h\r\nX-Fold: a\r\n  b\r\n\tc\r\nEmpty:\r\nno colon\r\nPadded :  v \t\r\n\r\n")
        .inc("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n")
        .fin();
    check("lengths", &mut bench);
    assert_eq!(bench.counters.bad_field_lines, 1);
}

#[test]
fn chunks() {
    let mut bench = Bench::new(Some(Role::Server));
    bench
        .inc("POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\nContent-Length: 99\r\n\r\n")
        .inc("3;name=\"v;\\r\"\r\nabc\r\n00A\r\n0123456789\r\n0\r\n\r\n")
        .out("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x\r\n\r\n")
        .out("1\r\nx\r\n0 ; e\r\nX-Sum: 1\r\nCookie: a\r\n\r\n")
        .fin();
    check("chunks", &mut bench);
}

#[test]
fn no_content() {
    let mut bench = client();
    bench
        .out("HEAD /h HTTP/1.1\r\n\r\n")
        .inc("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")
        .out("GET /204 HTTP/1.1\r\n\r\n")
        .inc("HTTP/1.1 204 No Content\r\nContent-Length: 7\r\n\r\n")
        .out("GET /304 HTTP/1.1\r\n\r\n")
        .inc("HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n")
        .out("GET /last HTTP/1.1\r\n\r\n")
        .inc("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n!")
        .fin();
    check("no_content", &mut bench);
}

#[test]
fn until_close() {
    let mut bench = client();
    bench.out("GET / HTTP/1.0\r\n\r\n").inc("HTTP/1.0 200 OK\r\n\r\nhello").inc(" world").in_gap(5).fin();
    check("until_close", &mut bench);
    let mut bench = client();
    bench.out("GET / HTTP/1.0\r\n\r\n").inc("HTTP/1.0 200 OK\r\n\r\nhello").close(Some(CloseHow::Reset));
    check("until_close_reset", &mut bench);
}

#[test]
fn interim_and_early_responses() {
    let mut bench = client();
    bench
        .out("POST /big HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 6\r\n\r\n")
        .inc("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n")
        .out("abc")
        .inc("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        .inc("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        .out("def")
        .out("GET /next HTTP/1.1\r\n\r\n")
        .inc("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        .fin();
    check("interim_and_early", &mut bench);
    assert_eq!(bench.counters.interim_responses, 3);
}

#[test]
fn upgrade_and_connect() {
    let mut bench = client();
    bench
        .out("GET /chat HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        .inc("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x01\x05GET / HTTP/1.1\r\n\r\n")
        .out("GET / HTTP/1.1\r\n\r\n")
        .fin();
    check("upgrade", &mut bench);
    let mut bench = client();
    bench
        .out("CONNECT me:pw@host:443 HTTP/1.1\r\n\r\n")
        .inc("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 2\r\n\r\nno")
        .out("CONNECT host:443 HTTP/1.1\r\n\r\n")
        .inc("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
        .out(b"\x16\x03\x01")
        .fin();
    check("connect", &mut bench);
}

#[test]
fn lenient_forms() {
    let mut bench = Bench::new(None);
    bench
        .inc("\r\n\nOPTIONS * HTTP/1.1\nHost: h\n\n")
        .out("HTTP/1.1 200 OK\nContent-Length: 2\n\nok")
        .inc("brew http://u:p@h/pot?key=k HTTP/1.1\r\n\r\n\r\nGET /caf\u{e9} HTTP/1.7\r\n\r\n")
        .out("HTTP/1.1 418 \r\nContent-Length: 0\r\n\r\n")
        .out("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        .fin();
    check("lenient_forms", &mut bench);
    assert_eq!(bench.connection.role(), Some(Role::Server));
}

#[test]
fn malformed_framing() {
    let mut bench = client();
    bench
        .out("GET /1 HTTP/1.1\r\n\r\n")
        .inc("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab")
        .out("GET /2 HTTP/1.1\r\n\r\n")
        .inc("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nab")
        .out("GET /3 HTTP/1.1\r\n\r\n")
        .inc("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n")
        .out("GET /4 HTTP/1.1\r\n\r\n")
        .inc("what is this\r\n\r\n")
        .out("POST /5 HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n....")
        .inc("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        .out("GET /6 HTTP/1.1\r\n\r\n")
        .inc("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        .fin();
    check("malformed_framing", &mut bench);
    let counters = &bench.counters;
    assert_eq!((counters.bad_content_lengths, counters.bad_chunks), (2, 1));
    assert_eq!((counters.bad_start_lines, counters.bad_transfer_encodings), (0, 1));
}

#[test]
fn bytes_that_are_no_start_line() {
    let mut bench = client();
    bench
        .out("GET /1 HTTP/1.1\r\n\r\n")
        .inc("what is this\r\n\r\n")
        .out("GET /2 HTTP/1.1\r\n\r\n")
        .inc("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        .out("GET /3 HTTP/3.1\r\n\r\n")
        .inc("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        .out("GET /4 HTTP/1.1\r\n\r\n")
        .inc("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        .fin();
    check("no_start_line", &mut bench);
    assert_eq!((bench.counters.bad_start_lines, bench.counters.orphan_responses), (2, 1));
}

#[test]
fn cut_off() {
    let mut bench = client();
    bench.out("GET / HTTP/1.1\r\n\r\n").inc("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc").fin();
    check("cut_off_length", &mut bench);
    let mut bench = client();
    bench
        .out("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab")
        .inc("HTTP/1.1 20")
        .close(Some(CloseHow::Reset));
    check("cut_off_reset", &mut bench);
    assert_eq!(bench.counters.truncated_heads, 1);
}

#[test]
fn bridged_gaps() {
    let mut bench = client();
    bench
        .out("PUT / HTTP/1.1\r\nContent-Length: 10\r\n\r\nab")
        .out_gap(8)
        .inc("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nab")
        .in_gap(6)
        .inc("\r\n0\r\n\r\n")
        .fin();
    check("bridged_gaps", &mut bench);
    assert_eq!(bench.counters.gap_heads, 0);
}
