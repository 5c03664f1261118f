//! Answers over another connection than their requests.

use std::{net::SocketAddr, sync::Arc};

use super::super::{Correlator, Link, MAX_ANSWERS, MAX_SESSIONS, MAX_WAIT, MAX_WAITING, Waiting};
use super::harness::{Pieces, read_linked, read_pieces, text, wire};
use crate::{
    capture::{Open, Role, Timestamp},
    exchange::{Connection, Exchange, Half},
    protocol::{Headers, Protocol},
    workload::Workload,
};

const STREAM: &str = "GET /sse\nAccept: text/event-stream";
const EVENTS: &str = "200 OK\nContent-Type: text/event-stream\n\n";
const ENDPOINT: &str = "event: endpoint\ndata: /messages?session_id=4f2a\n";
const POST: &str = "POST /messages?session_id=4f2a\nContent-Type: application/json\n\n";

fn connection(role: Role, pid: u32) -> Arc<Connection> {
    let address: SocketAddr = "127.0.0.1:1".parse().unwrap();
    let open = Open { pid, ..Open::new(address, address) };
    Arc::new(Connection { open, role, workload: Arc::new(Workload::default()), peer: None, protocol: Protocol::Http1 })
}

/// One end, with its connections.
struct End {
    correlator: Arc<Correlator>,
    connection: Arc<Connection>,
}

impl End {
    fn client(correlator: &Arc<Correlator>, pid: u32) -> Self {
        Self { correlator: Arc::clone(correlator), connection: connection(Role::Client, pid) }
    }

    fn link(&self) -> Link {
        Link::of(&self.correlator, &self.connection)
    }

    /// An exchange that ended at this time.
    fn exchange(&self, request: &str, response: &str, end: u64) -> Exchange {
        let call = read_linked(request, response, Some(&self.link()));
        let half = |text: &str| Half {
            head: wire(text).head,
            body_size: None,
            trailers: Headers::default(),
            last_byte: Timestamp(end),
            complete: true,
            content: None,
        };
        Exchange {
            connection: Arc::clone(&self.connection),
            request: half(request),
            response: Some(half(response)),
            incomplete: None,
            end: Timestamp(end),
            call,
            closed: false,
            epoch: 0,
        }
    }
}

fn request(id: u32, method: &str) -> String {
    format!("{POST}{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"{method}\",\"params\":{{\"name\":\"x\"}}}}")
}

fn answers(ids: std::ops::Range<usize>) -> String {
    let answer = |id| format!("data: {{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{\"isError\":true}}}}\n");
    format!("{EVENTS}{ENDPOINT}{}", ids.map(answer).collect::<String>())
}

/// A stream that stays open: what it has told so far.
struct OpenStream {
    _reader: Box<dyn crate::exchange::reader::Reader>,
}

impl OpenStream {
    fn new(link: &Link, events: &str) -> Self {
        let mut reader = super::super::recognise(&wire(STREAM).head, || Some(link.clone())).unwrap();
        let response = wire(events);
        reader.response_head(&response.head);
        super::harness::push(&mut *reader, &response, 25);
        Self { _reader: reader }
    }
}

#[test]
fn an_answer_on_the_stream_comes_to_its_request() {
    let correlator = Arc::new(Correlator::default());
    let end = End::client(&correlator, 7);
    let mut waiting: Waiting<&str> = Waiting::new(Arc::clone(&correlator));
    let stream = OpenStream::new(&end.link(), &format!("{EVENTS}{ENDPOINT}"));
    let exchange = end.exchange(&request(1, "tools/call"), "202 Accepted", 21);
    assert!(waiting.offer(exchange, "plan").is_none());
    assert_eq!(waiting.len(), 1);
    assert!(waiting.take_ready(Timestamp(22)).is_empty());
    let _other = OpenStream::new(&end.link(), &answers(1..2));
    let ready = waiting.take_ready(Timestamp(30));
    assert_eq!(ready.len(), 1);
    let (exchange, plan) = &ready[0];
    assert_eq!(*plan, "plan");
    assert_eq!(text(exchange.call.as_ref()), "mcp session=4f2a\n> tools/call #1 tool=x: tool error, 10 to 25");
    assert!(waiting.is_empty());
    assert_eq!(correlator.take_counters().joined, 1);
    drop(stream);
}

#[test]
fn an_answer_may_come_before_the_end_of_the_post() {
    let correlator = Arc::new(Correlator::default());
    let end = End::client(&correlator, 7);
    let _stream = OpenStream::new(&end.link(), &answers(1..2));
    let mut waiting: Waiting<()> = Waiting::new(Arc::clone(&correlator));
    let (exchange, ()) = waiting.offer(end.exchange(&request(1, "tools/call"), "202 Accepted", 21), ()).unwrap();
    assert_eq!(text(exchange.call.as_ref()), "mcp session=4f2a\n> tools/call #1 tool=x: tool error, 10 to 25");
    assert_eq!(correlator.answers(), 0);
}

#[test]
fn what_the_ends_agreed_to_holds_for_the_session() {
    let correlator = Arc::new(Correlator::default());
    let end = End::client(&correlator, 7);
    let mut waiting: Waiting<()> = Waiting::new(Arc::clone(&correlator));
    let initialize = "event: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":0,\"result\":{\"protocolVersion\":\"2024-11-05\",\"serverInfo\":{\"name\":\"s\",\"version\":\"1\"}}}";
    let _stream = OpenStream::new(&end.link(), &format!("{EVENTS}{ENDPOINT}{initialize}"));
    let asked = format!(
        "{POST}{{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":{{\"protocolVersion\":\"2025-06-18\"}}}}"
    );
    let (exchange, ()) = waiting.offer(end.exchange(&asked, "202 Accepted", 21), ()).unwrap();
    assert_eq!(
        text(exchange.call.as_ref()),
        "mcp version=2024-11-05 session=4f2a\n> initialize #0 server=s/1: ok, 10 to 25"
    );
    let next = end.exchange(&request(1, "ping"), "202 Accepted", 31);
    assert_eq!(text(next.call.as_ref()), "mcp version=2024-11-05 session=4f2a\n> ping #1: no answer, 10");
    // The same over the transport of 2025-03-26, which names the session and not the revision.
    let streamable = "POST /mcp\nContent-Type: application/json\n";
    let begins = read_linked(
        &format!(
            "{streamable}\n{{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":{{\"protocolVersion\":\"2025-03-26\"}}}}"
        ),
        "200 OK\nContent-Type: application/json\nMcp-Session-Id: u\n\n{\"jsonrpc\":\"2.0\",\"id\":0,\"result\":{\"protocolVersion\":\"2025-03-26\"}}",
        Some(&end.link()),
    );
    assert_eq!(text(begins.as_ref()), "mcp version=2025-03-26 session=u it=begins\n> initialize #0: ok, 10 to 21");
    let ping = format!("{streamable}Mcp-Session-Id: u\n\n{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}}");
    let answer = "200 OK\nContent-Type: application/json\n\n{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}";
    assert_eq!(
        text(read_linked(&ping, answer, Some(&end.link())).as_ref()),
        "mcp version=2025-03-26 session=u\n> ping #1: ok, 10 to 21"
    );
    let ends = read_linked("DELETE /mcp\nMcp-Session-Id: u", "200 OK", Some(&end.link()));
    assert_eq!(text(ends.as_ref()), "mcp version=2025-03-26 session=u it=ends");
    assert_eq!(
        text(read_linked(&ping, "404 Not Found", Some(&end.link())).as_ref()),
        "mcp session=u it=expired\n> ping #1: no answer, 10"
    );
}

#[test]
fn what_the_server_asked_is_answered_by_a_post() {
    let correlator = Arc::new(Correlator::default());
    let end = End::client(&correlator, 7);
    let head = "POST /mcp\nContent-Type: application/json\nMcp-Session-Id: u\n\n";
    let reply = format!("{head}{{\"jsonrpc\":\"2.0\",\"id\":\"s1\",\"result\":{{\"action\":\"accept\"}}}}");
    assert_eq!(text(read_linked(&reply, "202 Accepted", Some(&end.link())).as_ref()), "mcp session=u");
    let call =
        format!("{head}{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{{\"name\":\"x\"}}}}");
    let stream = format!(
        "{EVENTS}data: {{\"jsonrpc\":\"2.0\",\"id\":\"s1\",\"method\":\"elicitation/create\"}}\ndata: {{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{{}}}}"
    );
    let mut waiting: Waiting<()> = Waiting::new(Arc::clone(&correlator));
    let (exchange, ()) = waiting.offer(end.exchange(&call, &stream, 40), ()).unwrap();
    assert_eq!(
        text(exchange.call.as_ref()),
        "mcp session=u\n> tools/call #1 tool=x: ok, 10 to 21\n< elicitation/create #s1: ok, 21 to 11"
    );
}

#[test]
fn a_stream_that_is_resumed_brings_the_answer() {
    let correlator = Arc::new(Correlator::default());
    let end = End::client(&correlator, 7);
    let session = "Mcp-Session-Id: u\nMCP-Protocol-Version: 2025-11-25";
    let call = format!(
        "POST /mcp\nContent-Type: application/json\n{session}\n\n{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{{\"name\":\"x\"}}}}"
    );
    let mut waiting: Waiting<()> = Waiting::new(Arc::clone(&correlator));
    assert!(waiting.offer(end.exchange(&call, &format!("{EVENTS}id: 1\ndata:\n"), 21), ()).is_none());
    let resumed = format!("GET /mcp\nAccept: text/event-stream\nLast-Event-ID: 1\n{session}");
    let answer = format!("{EVENTS}id: 2\ndata: {{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{{}}}}");
    let stream = read_linked(&resumed, &answer, Some(&end.link()));
    assert_eq!(text(stream.as_ref()), "mcp version=2025-11-25 session=u");
    let ready = waiting.take_ready(Timestamp(50));
    assert_eq!(
        text(ready[0].0.call.as_ref()),
        "mcp version=2025-11-25 session=u\n> tools/call #1 tool=x: ok, 10 to 21"
    );
}

#[test]
fn nothing_waits_for_what_cannot_come() {
    let correlator = Arc::new(Correlator::default());
    let end = End::client(&correlator, 7);
    let mut waiting: Waiting<()> = Waiting::new(Arc::clone(&correlator));
    // Whose stream is not seen; then one that is over; then other answers than 202.
    assert!(waiting.offer(end.exchange(&request(1, "tools/call"), "202 Accepted", 21), ()).is_some());
    drop(OpenStream::new(&end.link(), &format!("{EVENTS}{ENDPOINT}")));
    assert!(waiting.offer(end.exchange(&request(1, "tools/call"), "202 Accepted", 21), ()).is_some());
    let _stream = OpenStream::new(&end.link(), &format!("{EVENTS}{ENDPOINT}"));
    assert!(waiting.offer(end.exchange(&request(1, "tools/call"), "500 Internal Server Error", 21), ()).is_some());
    let note = format!("{POST}{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}}");
    assert!(waiting.offer(end.exchange(&note, "202 Accepted", 21), ()).is_some());
    assert!(waiting.offer(end.exchange(&request(1, "tools/call"), "202 Accepted", 21), ()).is_none());
}

#[test]
fn the_end_of_the_stream_ends_the_wait() {
    let correlator = Arc::new(Correlator::default());
    let end = End::client(&correlator, 7);
    let stream = OpenStream::new(&end.link(), &format!("{EVENTS}{ENDPOINT}"));
    let mut waiting: Waiting<()> = Waiting::new(Arc::clone(&correlator));
    assert!(waiting.offer(end.exchange(&request(1, "tools/call"), "202 Accepted", 21), ()).is_none());
    drop(stream);
    let ready = waiting.take_ready(Timestamp(30));
    assert_eq!(text(ready[0].0.call.as_ref()), "mcp session=4f2a\n> tools/call #1 tool=x: no answer, 10");
    assert_eq!(correlator.take_counters().waited_in_vain, 1);
}

#[test]
fn both_ends_of_a_session_on_one_node_are_apart() {
    let correlator = Arc::new(Correlator::default());
    let client = End::client(&correlator, 7);
    let others =
        [End { connection: connection(Role::Server, 7), ..End::client(&correlator, 7) }, End::client(&correlator, 8)];
    let _stream = OpenStream::new(&client.link(), &answers(1..2));
    for other in &others {
        let _stream = OpenStream::new(&other.link(), &format!("{EVENTS}{ENDPOINT}"));
        let mut waiting: Waiting<()> = Waiting::new(Arc::clone(&correlator));
        assert!(waiting.offer(other.exchange(&request(1, "tools/call"), "202 Accepted", 21), ()).is_none());
    }
    let mut waiting: Waiting<()> = Waiting::new(Arc::clone(&correlator));
    assert!(waiting.offer(client.exchange(&request(1, "tools/call"), "202 Accepted", 21), ()).is_some());
}

#[test]
fn every_bound_is_counted() {
    let correlator = Arc::new(Correlator::default());
    let end = End::client(&correlator, 7);
    let _stream = OpenStream::new(&end.link(), &answers(0..MAX_ANSWERS + 3));
    assert_eq!((correlator.answers(), correlator.take_counters().answers_beyond), (MAX_ANSWERS, 3));
    let mut waiting: Waiting<usize> = Waiting::new(Arc::clone(&correlator));
    let mut pushed_out = Vec::new();
    let first = MAX_ANSWERS as u32 + 10;
    for number in 0..MAX_WAITING + 2 {
        let exchange = end.exchange(&request(first + number as u32, "tools/call"), "202 Accepted", 30 + number as u64);
        pushed_out.extend(waiting.offer(exchange, number).map(|(_, number)| number));
    }
    assert_eq!(pushed_out, [0, 1]);
    assert_eq!((waiting.len(), correlator.take_counters().waiting_beyond), (MAX_WAITING, 2));
    let late = Timestamp(30 + MAX_WAIT.as_nanos() as u64 + 4);
    let ready: Vec<_> = waiting.take_ready(late).into_iter().map(|(_, number)| number).collect();
    assert_eq!(ready, [2, 3, 4]);
    assert_eq!(correlator.take_counters().waited_in_vain, 3);
    assert_eq!(waiting.take_all().len(), MAX_WAITING - 3);
    for session in 0..MAX_SESSIONS {
        let head = "POST /mcp\nContent-Type: application/json\n\n";
        let request = format!(
            "{head}{{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":{{\"protocolVersion\":\"2025-03-26\"}}}}"
        );
        let response = format!(
            "200 OK\nContent-Type: application/json\nMcp-Session-Id: {session}\n\n{{\"jsonrpc\":\"2.0\",\"id\":0,\"result\":{{\"protocolVersion\":\"2025-03-26\"}}}}"
        );
        read_linked(&request, &response, Some(&end.link()));
    }
    assert_eq!(correlator.take_counters().sessions_beyond, 1);
}

#[test]
fn what_nobody_asks_for_is_forgotten() {
    let correlator = Arc::new(Correlator::default());
    let link = End::client(&correlator, 7).link();
    let tell = |time: u64, id: usize| {
        let response = wire(&answers(id..id + 1));
        let pieces = Pieces::whole(&response.body, time);
        read_pieces((&wire(STREAM), &Pieces::whole(&[], 0)), Some((&response, &pieces)), Some(&link));
    };
    let wait = MAX_WAIT.as_nanos() as u64;
    tell(100, 1);
    tell(100 + wait, 2);
    assert_eq!((correlator.answers(), correlator.take_counters().answers_unasked), (2, 0));
    tell(101 + wait, 3);
    assert_eq!((correlator.answers(), correlator.take_counters().answers_unasked), (2, 1));
}
