//! JSON-RPC that is not MCP, and what is neither.

use super::harness::told;

fn post(fields: &str, request: &str, response: &str) -> String {
    let fields = if fields.is_empty() { "Content-Type: application/json" } else { fields };
    told(&format!("POST /rpc\n{fields}\n\n{request}"), &format!("200 OK\nContent-Type: application/json\n\n{response}"))
}

#[test]
fn of_other_protocols() {
    let ok = r#"{"jsonrpc":"2.0","id":1,"result":"0x1"}"#;
    for (request, response, expected) in [
        (
            r#"{"jsonrpc":"2.0","method":"eth_blockNumber","params":[],"id":1}"#,
            ok,
            "\n> eth_blockNumber #1: ok, 10 to 21",
        ),
        (
            r#"{"jsonrpc":"2.0","method":"item.get","params":{"name":"tool"},"auth":"x","id":1}"#,
            r#"{"jsonrpc":"2.0","error":{"code":-32602,"message":"Invalid params.","data":"No permissions"},"id":1}"#,
            "\n> item.get #1: error -32602 \"Invalid params.\", 10 to 21",
        ),
        (
            r#"{"jsonrpc":"1.0","id":"curltest","method":"getblockcount","params":[]}"#,
            r#"{"result":null,"error":{"code":-28,"message":"Loading"},"id":"curltest"}"#,
            "\n> getblockcount #curltest jsonrpc=1.0: no answer, 10",
        ),
        (
            r#"[{"jsonrpc":"2.0","method":"sum","params":[1],"id":"1"},{"jsonrpc":"2.0","method":"note"}]"#,
            r#"[{"jsonrpc":"2.0","result":7,"id":"1"}]"#,
            " batch\n> sum #1: ok, 11 to 21\n> note: notification, 11 to 11",
        ),
        // The Language Server Protocol and A2A have methods of the same names.
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"processId":1,"clientInfo":{"name":"vim","version":"9"},"capabilities":{}}}"#,
            ok,
            "\n> initialize #1: ok, 10 to 21",
        ),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{"id":"t"}}"#, ok, "\n> tasks/get #1: ok, 10 to 21"),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"message/send","params":{"message":{"parts":[]},"_meta":{"traceparent":"x"}}}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{"isError":true,"resultType":"x"}}"#,
            "\n> message/send #1: ok, 10 to 21",
        ),
    ] {
        assert_eq!(post("", request, response), format!("json-rpc{expected}"), "{request}");
    }
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    assert_eq!(post("", ping, ok), "json-rpc\n> ping #1: ok, 10 to 21");
    let both = "Content-Type: application/json\nAccept: application/json, text/event-stream";
    assert_eq!(post(both, ping, ok), "mcp\n> ping #1: ok, 10 to 21");
    let a2a = format!("{both}\nA2A-Version: 1.0");
    let task = r#"{"jsonrpc":"2.0","id":1,"method":"tasks/get"}"#;
    assert_eq!(post(&a2a, task, ok), "json-rpc\n> tasks/get #1: ok, 10 to 21");
    assert_eq!(post("X: y", ping, ok), "json-rpc\n> ping #1: ok, 10 to 21");
    assert_eq!(post("Content-Type: text/plain", ping, ok), "json-rpc\n> ping #1: ok, 10 to 21");
}

#[test]
fn what_looks_alike_is_nothing() {
    let answer = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
    for request in [
        r#"{"model":"gpt-4o","messages":[{"role":"user","content":"{\"jsonrpc\":\"2.0\",\"method\":\"tools/call\",\"id\":1}"}]}"#,
        r#"{"method":"tools/call","params":{"name":"x"},"id":1}"#,
        r#"{"jsonrpc":"2.0","id":1}"#,
        r#"{"jsonrpc":2.0,"method":"tools/call","id":1}"#,
        r#"{"jsonrpc":"2.0","method":"pay","params":"EUR 5","id":1}"#,
        r#"{"data":{"jsonrpc":"2.0","method":"tools/call","id":1}}"#,
        r#"[{"name":"x"},{"jsonrpc":"2.0","method":"tools/call","id":1}]"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
        "[]",
        "[1,2,3]",
        "\"tools/call\"",
        "jsonrpc=2.0&method=tools/call",
        "",
    ] {
        assert_eq!(post("", request, answer), "nothing", "{request}");
    }
    let call = r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"x"},"id":1}"#;
    assert_eq!(post("Content-Type: application/x-www-form-urlencoded", call, answer), "nothing");
    assert_eq!(told(&format!("PUT /mcp\n\n{call}"), "200 OK"), "nothing");
    assert_eq!(told("GET /mcp\nAccept: application/json", &format!("200 OK\n\n{answer}")), "nothing");
    assert_eq!(told("DELETE /items/5", "204 No Content"), "nothing");
}

#[test]
fn another_stream_of_events_is_nothing() {
    let stream = |events: &str| {
        told("GET /events\nAccept: text/event-stream", &format!("200 OK\nContent-Type: text/event-stream\n\n{events}"))
    };
    assert_eq!(stream("event: tick\ndata: {\"price\":5}"), "nothing");
    assert_eq!(stream("data: hello\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\"}"), "nothing");
    assert_eq!(stream("event: endpoint\ndata: {\"url\":\"/x\"}"), "nothing");
    assert_eq!(stream(""), "nothing");
    assert_eq!(
        stream("data: {\"jsonrpc\":\"2.0\",\"method\":\"block\",\"params\":[1]}"),
        "json-rpc\n< block: notification, 21 to 21"
    );
    assert_eq!(told("GET /page\nAccept: text/event-stream", "200 OK\nContent-Type: text/html\n\n<p>"), "nothing");
}
