//! What goes wrong with readers that expect the ordinary.

use super::super::{MAX_MESSAGES, MAX_NAME, MAX_NOTIFICATIONS};
use super::harness::{Pieces, read, read_pieces, text, told, wire};
use crate::{exchange::Call, protocol::body::Body};

const POST: &str = "POST /mcp\nContent-Type: application/json\nMcp-Session-Id: s\n\n";
const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x"}}"#;
const JSON: &str = "200 OK\nContent-Type: application/json\n\n";
const EVENTS: &str = "200 OK\nContent-Type: text/event-stream\n\n";

fn call(response: &str) -> String {
    let told = told(&format!("{POST}{CALL}"), response);
    told.strip_prefix("mcp session=s").unwrap_or(&told).trim_start().to_owned()
}

#[test]
fn an_error_of_a_tool_is_inside_a_200() {
    let answer = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"{\"isError\":false}"}],"isError":true}}"#;
    assert_eq!(call(&format!("{JSON}{answer}")), "> tools/call #1 tool=x: tool error, 10 to 21");
    assert_eq!(call(&format!("{EVENTS}data: {answer}")), "> tools/call #1 tool=x: tool error, 10 to 21");
    // It is a boolean, of the result itself.
    for result in [
        r#"{"isError":"true"}"#,
        r#"{"content":[{"isError":true}]}"#,
        r#"{"structuredContent":{"isError":true}}"#,
        "null",
    ] {
        let answer = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#);
        assert_eq!(call(&format!("{JSON}{answer}")), "> tools/call #1 tool=x: ok, 10 to 21", "{result}");
    }
}

#[test]
fn an_error_inside_a_200_is_an_error() {
    for (answer, expected) in [
        (
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"boom","data":{"code":7,"message":"no"}}}"#,
            "error -32603 \"boom\"",
        ),
        (r#"{"jsonrpc":"2.0","id":1,"error":{"message":"boom","code":-32603.0}}"#, "error -32603 \"boom\""),
        (r#"{"jsonrpc":"2.0","id":1,"error":{"code":"-5","message":7}}"#, "error -5 \"\""),
        (r#"{"jsonrpc":"2.0","id":1,"error":"boom"}"#, "error 0 \"\""),
        (r#"{"jsonrpc":"2.0","id":1,"error":null,"result":{}}"#, "ok"),
        (
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}"#,
            "error -32700 \"Parse error\"",
        ),
        (
            r#"{"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid Request"}}"#,
            "error -32600 \"Invalid Request\"",
        ),
    ] {
        assert_eq!(
            call(&format!("{JSON}{answer}")),
            format!("> tools/call #1 tool=x: {expected}, 10 to 21"),
            "{answer}"
        );
    }
}

#[test]
fn what_a_proxy_answers_is_no_answer() {
    for response in [
        "502 Bad Gateway\nContent-Type: text/html\n\n<html><h1>502</h1>".to_owned(),
        "401 Unauthorized\nContent-Type: application/json\n\n{\"error\":\"invalid_token\",\"error_description\":\"x\"}"
            .to_owned(),
        format!("{JSON}{{\"status\":\"ok\",\"id\":1,\"result\":{{}}}}"),
        "500 Internal Server Error".to_owned(),
        "503 Service Unavailable\nContent-Type: text/plain\n\nupstream connect error".to_owned(),
    ] {
        assert_eq!(call(&response), "> tools/call #1 tool=x: no answer, 10", "{response}");
    }
}

#[test]
fn ids_are_compared_as_they_are() {
    let answer = |id: &str| call(&format!("{JSON}{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{}}}}"));
    assert_eq!(answer("1"), "> tools/call #1 tool=x: ok, 10 to 21");
    assert_eq!(answer("1.0"), "> tools/call #1 tool=x: ok, 10 to 21");
    for other in ["\"1\"", "2", "-1", "10"] {
        assert_eq!(answer(other), "> tools/call #1 tool=x: no answer, 10", "{other}");
    }
    // Requests of the server have ids of their own.
    assert_eq!(
        call(&format!(
            "{EVENTS}data: {{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}}\ndata: {{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{{}}}}"
        )),
        "> tools/call #1 tool=x: ok, 10 to 21\n< ping #1: no answer, 21"
    );
    // Only one of two requests can be meant by an error that names none.
    let two = format!("{POST}[{CALL},{}]", CALL.replace("\"id\":1", "\"id\":2"));
    let unnamed = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"x"}}"#;
    assert!(
        told(&two, &format!("{JSON}{unnamed}"))
            .ends_with("#1 tool=x: no answer, 11\n> tools/call #2 tool=x: no answer, 11")
    );
}

#[test]
fn a_notification_that_is_refused_has_an_error() {
    let request = format!("{POST}{}", r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    let refusal = r#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"Bad Request: no session"}}"#;
    assert_eq!(
        told(&request, &format!("400 Bad Request\nContent-Type: application/json\n\n{refusal}")),
        "mcp session=s\n> notifications/initialized: error -32000 \"Bad Request: no session\", 10 to 21"
    );
}

#[test]
fn names_are_taken_as_they_are() {
    let request = format!(
        "{POST}{}",
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"github.com/org:repo \"x\"\u002fy","arguments":{"name":"no","_meta":{"traceparent":"no"}}}}"#
    );
    assert_eq!(told(&request, JSON), "mcp session=s\n> tools/call #1 tool=github.com/org:repo \"x\"/y: no answer, 10");
    let long = "a".repeat(10_000);
    let Some(Call::Mcp(messages)) = read(&format!("{POST}{}", CALL.replace("\"x\"", &format!("\"{long}\""))), JSON)
    else {
        panic!("nothing")
    };
    assert_eq!(messages.messages[0].tool.as_deref().map(str::len), Some(MAX_NAME));
}

#[test]
fn content_of_megabytes_is_passed_over() {
    let image = "iVBORw0KGgo".repeat(1_000_000);
    let request = wire(&format!("{POST}{CALL}"));
    let answer = format!(
        r#"{{"jsonrpc":"2.0","id":1,"result":{{"content":[{{"type":"image","data":"{image}","mimeType":"image/png"}}],"isError":true}}}}"#
    );
    for head in [JSON.to_owned(), format!("{EVENTS}data: ")] {
        let response = wire(&format!("{head}{answer}"));
        let pieces: Vec<_> = response.body.chunks(16_384).map(|piece| (21, piece)).collect();
        let call = read_pieces(
            (&request, &Pieces::whole(&request.body, 11)),
            Some((&response, &Pieces { pieces, complete: true })),
            None,
        );
        assert_eq!(text(call.as_ref()), "mcp session=s\n> tools/call #1 tool=x: tool error, 10 to 21");
    }
}

#[test]
fn what_was_complete_before_the_cut_is_used_and_marked() {
    let cut = |request: &str, response: &str| {
        let (request, response) = (wire(request), wire(response));
        let pieces = |body| Pieces { pieces: vec![(11, body)], complete: false };
        let call = read_pieces((&request, &pieces(&request.body)), Some((&response, &pieces(&response.body))), None);
        text(call.as_ref())
    };
    let half = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":{"text":"and so on"#;
    assert_eq!(
        cut(&format!("{POST}{half}"), &format!("{JSON}{{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{{\"content\":[")),
        "mcp session=s cut\n> tools/call #1 tool=x: cut, 10"
    );
    // The id comes last: the only answer is that of the only request.
    let other = r#"{"method":"tools/call","params":{"name":"x","arguments":{"text":"and so on"#;
    assert_eq!(
        cut(&format!("{POST}{other}"), &format!("{JSON}{{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{{\"code\":-32602,")),
        "mcp session=s cut\n> tools/call tool=x: error -32602 \"\", 10"
    );
    assert_eq!(
        cut(&format!("{POST}{other}"), &format!("{JSON}{{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{{\"code\":")),
        "mcp session=s cut\n> tools/call tool=x: no answer, 10"
    );
    // Without a head that tells, nothing says that it is a message.
    let plain = "POST /rpc\nContent-Type: application/json\n\n";
    assert_eq!(cut(&format!("{plain}{other}"), JSON), "nothing");
    assert_eq!(cut(&format!("{plain}{half}"), JSON), "mcp cut\n> tools/call #1 tool=x: no answer, 10");
}

#[test]
fn a_stream_that_is_cut_keeps_what_came() {
    let request = wire(&format!("{POST}{CALL}"));
    let response = wire(&format!(
        "{EVENTS}data: {{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{{}}}}\ndata: {{\"jsonrpc\":\"2.0\",\"id\":1,\"resu"
    ));
    let pieces = Pieces { pieces: vec![(21, &response.body[..response.body.len() - 2])], complete: false };
    let call = read_pieces((&request, &Pieces::whole(&request.body, 11)), Some((&response, &pieces)), None);
    assert_eq!(
        text(call.as_ref()),
        "mcp session=s cut\n> tools/call #1 tool=x: no answer, 10\n< notifications/progress: notification, 21 to 21"
    );
}

#[test]
fn messages_have_a_bound_and_answers_still_come_to_theirs() {
    let many = 3 * MAX_MESSAGES;
    let progress = "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{}}\n".repeat(many);
    let asks = "data: {\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"sampling/createMessage\"}\n";
    let Some(Call::Mcp(messages)) = read(
        &format!("{POST}{CALL}"),
        &format!("{EVENTS}{progress}{asks}data: {{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{{}}}}"),
    ) else {
        panic!("nothing")
    };
    assert_eq!(messages.messages.len(), MAX_NOTIFICATIONS + 2);
    assert_eq!(messages.beyond, (many - MAX_NOTIFICATIONS) as u64);
    assert_eq!(&*messages.messages.last().unwrap().method, "sampling/createMessage");
    assert!(messages.messages[0].answered);
    // A batch of requests with as many answers.
    let requests: Vec<_> = (0..many).map(|id| format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#)).collect();
    let answers: Vec<_> = (0..many).rev().map(|id| format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#)).collect();
    let Some(Call::Mcp(messages)) =
        read(&format!("{POST}[{}]", requests.join(",")), &format!("{JSON}[{}]", answers.join(",")))
    else {
        panic!("nothing")
    };
    assert_eq!(messages.messages.len(), MAX_MESSAGES);
    assert!(messages.messages.iter().all(|message| message.answered));
    // Long names take their part of the room.
    let name = "n".repeat(MAX_NAME);
    let requests: Vec<_> = (0..MAX_MESSAGES)
        .map(|id| {
            format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{name}","params":{{"clientInfo":{{"name":"{name}","version":"{name}"}}}}}}"#)
        })
        .collect();
    let Some(Call::Mcp(messages)) = read(&format!("{POST}[{}]", requests.join(",")), JSON) else { panic!("nothing") };
    assert!(messages.messages.len() < MAX_MESSAGES);
    assert_eq!(messages.messages.len() as u64 + messages.beyond, MAX_MESSAGES as u64);
}

#[test]
fn times_are_those_of_the_last_bytes() {
    let request = wire(&format!("{POST}{CALL}"));
    let response = wire(&format!(
        "{EVENTS}data: {{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{{}}}}\ndata: {{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{{}}}}"
    ));
    let second = response.body.windows(7).position(|part| part == b"\"id\":1,").unwrap();
    let body = &response.body;
    let pieces = Pieces { pieces: vec![(30, &body[..second]), (40, &body[second..])], complete: true };
    let call = read_pieces((&request, &Pieces::whole(&request.body, 11)), Some((&response, &pieces)), None);
    assert_eq!(
        text(call.as_ref()),
        "mcp session=s\n> tools/call #1 tool=x: ok, 10 to 40\n< notifications/progress: notification, 30 to 30"
    );
}

#[test]
fn the_first_request_of_a_legacy_client_is_refused_and_its_second_transport_is_seen() {
    // A client of both transports posts first, and takes 405 for "ask with GET".
    let initialize = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"c"}}}"#;
    assert_eq!(
        told(&format!("POST /sse\nContent-Type: application/json\n\n{initialize}"), "405 Method Not Allowed"),
        "mcp\n> initialize #0 client=c/?: no answer, 10"
    );
}

#[test]
fn no_item_of_a_request_without_content_is_awaited() {
    let request = wire("POST /mcp\nContent-Type: application/json");
    assert!(Body::new(&request.head.headers, &mut crate::protocol::body::Counters::default()).is_some());
    assert_eq!(told("POST /mcp\nContent-Type: application/json", "200 OK"), "nothing");
    assert_eq!(told("POST /mcp\nMcp-Session-Id: s", "400 Bad Request"), "mcp session=s");
}
