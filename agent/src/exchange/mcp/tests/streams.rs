//! Answers over another connection than their requests.

use std::{net::SocketAddr, sync::Arc};

use super::super::{Correlator, Link, MAX_ANSWERS, MAX_SESSIONS, MAX_WAIT, MAX_WAITING, MAX_WAITING_CONTENT, Waiting};
use super::harness::{Pieces, read_linked, read_pieces, text, wire};
use crate::{
    capture::{Open, Role, Timestamp},
    exchange::{Call, Connection, Content, Exchange, Half},
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
    Arc::new(Connection {
        open,
        role,
        workload: Arc::new(Workload::default()),
        peer: None,
        protocol: Protocol::Http1,
        hello: None,
    })
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
        self.timed((request, 10), (response, 21), end)
    }

    /// One whose messages moved at these times.
    fn timed(&self, request: (&str, u64), response: (&str, u64), end: u64) -> Exchange {
        let call = read_timed(request, response, Some(&self.link()));
        let (request, response) = (request.0, response.0);
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

/// What is read where the request begins at this time, and all of the response moves at that.
fn read_timed(request: (&str, u64), response: (&str, u64), link: Option<&Link>) -> Option<Call> {
    let (mut asked, answered) = (wire(request.0), wire(response.0));
    asked.head.first_byte = Timestamp(request.1);
    let pieces = (Pieces::whole(&asked.body, request.1 + 1), Pieces::whole(&answered.body, response.1));
    read_pieces((&asked, &pieces.0), Some((&answered, &pieces.1)), link)
}

/// What an exchange is that need not wait.
fn at_once(waiting: &mut Waiting<()>, exchange: Exchange) -> String {
    let mut back = waiting.offer(exchange, ());
    assert_eq!(back.len(), 1);
    text(back.remove(0).0.call.as_ref())
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
        let mut reader = super::super::recognise(&wire(STREAM).head, None, || Some(link.clone())).unwrap();
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
    assert!(waiting.offer(exchange, "plan").is_empty());
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
    let (exchange, ()) = waiting.offer(end.exchange(&request(1, "tools/call"), "202 Accepted", 21), ()).remove(0);
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
    let (exchange, ()) = waiting.offer(end.exchange(&asked, "202 Accepted", 21), ()).remove(0);
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
    let call =
        format!("{head}{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{{\"name\":\"x\"}}}}");
    let stream = format!(
        "{EVENTS}data: {{\"jsonrpc\":\"2.0\",\"id\":\"s1\",\"method\":\"elicitation/create\"}}\ndata: {{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{{}}}}"
    );
    let exchange = end.timed((&call, 10), (&stream, 21), 40);
    // People take their time.
    let late = 22 + 3 * MAX_WAIT.as_nanos() as u64;
    let replied = read_timed((&reply, late), ("202 Accepted", late + 9), Some(&end.link()));
    assert_eq!(text(replied.as_ref()), "mcp session=u");
    for other in 0..3 {
        end.link().cancel("other", false, super::super::draft::Id::Number("7".into()), Timestamp(late * (other + 2)));
    }
    let mut waiting: Waiting<()> = Waiting::new(Arc::clone(&correlator));
    assert_eq!(
        at_once(&mut waiting, exchange),
        format!(
            "mcp session=u\n> tools/call #1 tool=x: ok, 10 to 21\n< elicitation/create #s1: ok, 21 to {}",
            late + 1
        )
    );
}

#[test]
fn what_the_server_asked_on_a_stream_of_2024_is_answered_by_a_post() {
    let correlator = Arc::new(Correlator::default());
    let end = End::client(&correlator, 7);
    let asks = "data: {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"roots/list\"}\ndata: {\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"ping\"}";
    let mut stream = super::super::recognise(&wire(STREAM).head, None, || Some(end.link())).unwrap();
    let response = wire(&format!("{EVENTS}{ENDPOINT}{asks}"));
    stream.response_head(&response.head);
    super::harness::push(&mut *stream, &response, 25);
    let reply = format!("{POST}{{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{{\"roots\":[]}}}}");
    let replied = read_timed((&reply, 30), ("202 Accepted", 35), Some(&end.link()));
    assert_eq!(text(replied.as_ref()), "mcp session=4f2a");
    let over = end.exchange(STREAM, &format!("{EVENTS}{ENDPOINT}"), 90);
    let call = stream.finish(&over.request, over.response.as_ref());
    let mut waiting: Waiting<()> = Waiting::new(Arc::clone(&correlator));
    assert_eq!(
        at_once(&mut waiting, Exchange { call, ..over }),
        "mcp session=4f2a it=whole\n< roots/list #1: ok, 25 to 31\n< ping #2: no answer, 25"
    );
}

#[test]
fn an_answer_is_that_of_its_request_alone() {
    let correlator = Arc::new(Correlator::default());
    let end = End::client(&correlator, 7);
    let _stream = OpenStream::new(&end.link(), &answers(1..4));
    let mut waiting: Waiting<()> = Waiting::new(Arc::clone(&correlator));
    // One that was refused was answered by nobody.
    let refused = end.exchange(&request(1, "ping"), "503 Service Unavailable", 21);
    assert_eq!(at_once(&mut waiting, refused), "mcp session=4f2a\n> ping #1: no answer, 10");
    // What came before the request was no answer to it.
    assert!(waiting.offer(end.timed((&request(2, "ping"), 26), ("202 Accepted", 27), 27), ()).is_empty());
    // Text is not a number.
    let named = request(3, "ping").replace("\"id\":3", "\"id\":\"3\"");
    assert!(waiting.offer(end.exchange(&named, "202 Accepted", 21), ()).is_empty());
    assert_eq!(
        at_once(&mut waiting, end.exchange(&request(3, "ping"), "202 Accepted", 21)),
        "mcp session=4f2a\n> ping #3: tool error, 10 to 25"
    );
    // Without an id or a stream a path is the session of anybody.
    let post = "POST /mcp\nContent-Type: application/json\nAccept: application/json, text/event-stream\n\n";
    let loose = format!("{post}{{\"jsonrpc\":\"2.0\",\"id\":9,\"result\":{{}}}}");
    read_timed((&loose, 50), ("202 Accepted", 51), Some(&end.link()));
    let asks = format!("{EVENTS}data: {{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"ping\"}}");
    let call = format!("{post}{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}}");
    assert_eq!(
        at_once(&mut waiting, end.exchange(&call, &asks, 60)),
        "mcp\n> tools/list #1: no answer, 10\n< ping #9: no answer, 21"
    );
}

#[test]
fn nobody_waits_for_what_nobody_will_send() {
    let correlator = Arc::new(Correlator::default());
    let end = End::client(&correlator, 7);
    let head = "POST /mcp\nContent-Type: application/json\nMcp-Session-Id: u\n\n";
    let call = |id: u32| format!("{head}{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"tools/list\"}}");
    let stream = format!("{EVENTS}id: 1\ndata:\n");
    let mut waiting: Waiting<()> = Waiting::new(Arc::clone(&correlator));
    // Without ids no stream is resumed; nor where the answer itself was lost.
    let unresumable = end.exchange(&call(1), &format!("{EVENTS}data:\n"), 21);
    assert_eq!(at_once(&mut waiting, unresumable), "mcp session=u\n> tools/list #1: no answer, 10");
    assert!(waiting.offer(end.exchange(&call(2), &stream, 21), ()).is_empty());
    assert!(waiting.offer(end.exchange(&call(3), &stream, 21), ()).is_empty());
    assert!(waiting.take_ready(Timestamp(30)).is_empty());
    let cancel =
        format!("{head}{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{{\"requestId\":2}}}}");
    read_timed((&cancel, 40), ("202 Accepted", 41), Some(&end.link()));
    let ready = waiting.take_ready(Timestamp(50));
    assert_eq!(text(ready[0].0.call.as_ref()), "mcp session=u\n> tools/list #2: no answer, 10");
    assert_eq!((ready.len(), waiting.len()), (1, 1));
    // One that was cancelled before its exchange was over.
    read_timed((&cancel.replace("\"requestId\":2", "\"requestId\":4"), 60), ("202 Accepted", 61), Some(&end.link()));
    assert_eq!(
        at_once(&mut waiting, end.exchange(&call(4), &stream, 70)),
        "mcp session=u\n> tools/list #4: no answer, 10"
    );
    read_linked("DELETE /mcp\nMcp-Session-Id: u", "200 OK", Some(&end.link()));
    assert_eq!(waiting.take_ready(Timestamp(80)).len(), 1);
    assert_eq!(
        at_once(&mut waiting, end.exchange(&call(5), &stream, 90)),
        "mcp session=u\n> tools/list #5: no answer, 10"
    );
}

#[test]
fn a_stream_that_broke_is_resumed_too() {
    let correlator = Arc::new(Correlator::default());
    let end = End::client(&correlator, 7);
    let call = "POST /mcp\nContent-Type: application/json\nMcp-Session-Id: u\n\n{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}";
    let mut broken = end.exchange(call, &format!("{EVENTS}id: 1\ndata:\n"), 21);
    let (asked, answered) = (wire(call), wire(&format!("{EVENTS}id: 1\ndata: {{\"jsonrpc\":\"2.0\",\"id\":1,\"res")));
    let pieces = (Pieces::whole(&asked.body, 11), Pieces { pieces: vec![(21, &answered.body)], complete: false });
    broken.call = read_pieces((&asked, &pieces.0), Some((&answered, &pieces.1)), Some(&end.link()));
    let mut waiting: Waiting<()> = Waiting::new(Arc::clone(&correlator));
    assert!(waiting.offer(broken, ()).is_empty());
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
    assert!(waiting.offer(end.exchange(&call, &format!("{EVENTS}id: 1\ndata:\n"), 21), ()).is_empty());
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
    assert!(!waiting.offer(end.exchange(&request(1, "tools/call"), "202 Accepted", 21), ()).is_empty());
    drop(OpenStream::new(&end.link(), &format!("{EVENTS}{ENDPOINT}")));
    assert!(!waiting.offer(end.exchange(&request(1, "tools/call"), "202 Accepted", 21), ()).is_empty());
    let _stream = OpenStream::new(&end.link(), &format!("{EVENTS}{ENDPOINT}"));
    assert!(!waiting.offer(end.exchange(&request(1, "tools/call"), "500 Internal Server Error", 21), ()).is_empty());
    let note = format!("{POST}{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}}");
    assert!(!waiting.offer(end.exchange(&note, "202 Accepted", 21), ()).is_empty());
    assert!(waiting.offer(end.exchange(&request(1, "tools/call"), "202 Accepted", 21), ()).is_empty());
}

#[test]
fn the_end_of_the_stream_ends_the_wait() {
    let correlator = Arc::new(Correlator::default());
    let end = End::client(&correlator, 7);
    let stream = OpenStream::new(&end.link(), &format!("{EVENTS}{ENDPOINT}"));
    let mut waiting: Waiting<()> = Waiting::new(Arc::clone(&correlator));
    assert!(waiting.offer(end.exchange(&request(1, "tools/call"), "202 Accepted", 21), ()).is_empty());
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
        assert!(waiting.offer(other.exchange(&request(1, "tools/call"), "202 Accepted", 21), ()).is_empty());
    }
    let mut waiting: Waiting<()> = Waiting::new(Arc::clone(&correlator));
    assert!(!waiting.offer(client.exchange(&request(1, "tools/call"), "202 Accepted", 21), ()).is_empty());
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
        pushed_out.extend(waiting.offer(exchange, number).into_iter().map(|(_, number)| number));
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

#[test]
fn what_waits_holds_a_bounded_amount_of_content() {
    let correlator = Arc::new(Correlator::default());
    let end = End::client(&correlator, 7);
    let _stream = OpenStream::new(&end.link(), &format!("{EVENTS}{ENDPOINT}"));
    let mut waiting: Waiting<u32> = Waiting::new(Arc::clone(&correlator));
    let mut offer = |id: u32| {
        let mut exchange = end.exchange(&request(id, "tools/call"), "202 Accepted", 21);
        let text = Some("x".repeat(MAX_WAITING_CONTENT / 4).into());
        exchange.request.content = Some(Box::new(Content { text, incomplete: None }));
        waiting.offer(exchange, id).into_iter().map(|(_, id)| id).collect::<Vec<_>>()
    };
    let pushed_out: Vec<_> = (0..6).map(&mut offer).collect();
    assert_eq!(pushed_out, [vec![], vec![], vec![], vec![], vec![0], vec![1]]);
    assert_eq!(correlator.take_counters().waiting_beyond, 2);
    assert_eq!(waiting.take_all().len(), 4);
    assert_eq!(waiting.offer(end.exchange(&request(9, "tools/call"), "202 Accepted", 21), 9).len(), 0);
}
