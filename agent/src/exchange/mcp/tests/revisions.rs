//! The messages of each revision, over its transport.

use super::harness::told;

const POST: &str = "POST /mcp
    Content-Type: application/json
    Accept: application/json, text/event-stream";
const JSON: &str = "200 OK
    Content-Type: application/json";
const EVENTS: &str = "200 OK
    Content-Type: text/event-stream";

/// An exchange over the transport of 2025-03-26 and later, whose request has these further fields.
fn over(fields: &str, request: &str, head: &str, response: &str) -> String {
    let fields = if fields.is_empty() { String::new() } else { format!("\n{fields}") };
    told(&format!("{POST}{fields}\n\n{request}"), &format!("{head}\n\n{response}"))
}

#[test]
fn of_2024_11_05() {
    let initialize = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2024-11-05",
        "capabilities":{"sampling":{},"roots":{"listChanged":true}},"clientInfo":{"name":"desk","version":"0.7.2"}}}"#;
    let post = "POST /messages/?session_id=1beded10\nContent-Type: application/json";
    assert_eq!(
        told(&format!("{post}\n\n{initialize}"), "202 Accepted\nContent-Length: 8\n\nAccepted"),
        "mcp session=1beded10\n> initialize #0 client=desk/0.7.2: no answer, 10"
    );
    assert_eq!(
        told(
            "GET /sse\nAccept: text/event-stream",
            &format!(
                "{EVENTS}

                event: endpoint
                data: /messages/?session_id=1beded10
                event: message
                data: {{\"jsonrpc\":\"2.0\",\"id\":0,\"result\":{{\"protocolVersion\":\"2024-11-05\",\"capabilities\":{{}}}}}}
                event: message
                data: {{\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}}
                event: message
                data: {{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"roots/list\"}}"
            )
        ),
        "mcp session=1beded10 it=whole\n< notifications/tools/list_changed: notification, 21 to 21\n< roots/list #1: no answer, 21"
    );
}

#[test]
fn of_2025_03_26() {
    let initialize = r#"{"method":"initialize","params":{"protocolVersion":"2025-03-26","capabilities":{},
        "clientInfo":{"name":"mcp","version":"0.1.0"}},"jsonrpc":"2.0","id":0}"#;
    let answer = r#"{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-03-26","capabilities":{"tools":{}},"serverInfo":{"name":"weather","version":"1.9.4"}}}"#;
    let expected = "mcp version=2025-03-26 session=5c1f it=begins\n> initialize #0 client=mcp/0.1.0 server=weather/1.9.4: ok, 10 to 21";
    assert_eq!(over("", initialize, &format!("{JSON}\nMcp-Session-Id: 5c1f"), answer), expected);
    let events = format!("event: message\ndata: {answer}");
    assert_eq!(over("", initialize, &format!("{EVENTS}\nmcp-session-id: 5c1f"), &events), expected);
    // A server without sessions.
    assert_eq!(
        over("", initialize, JSON, answer),
        "mcp version=2025-03-26\n> initialize #0 client=mcp/0.1.0 server=weather/1.9.4: ok, 10 to 21"
    );
    let session = "Mcp-Session-Id: 5c1f";
    assert_eq!(
        over(session, r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#, "202 Accepted", ""),
        "mcp session=5c1f\n> notifications/initialized: notification, 10 to 11"
    );
    let batch = r#"[{"jsonrpc":"2.0","id":1,"method":"tools/list"},
        {"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":9}},
        {"jsonrpc":"2.0","id":"b","method":"prompts/get","params":{"name":"review","arguments":{"name":"not this"}}}]"#;
    let answers = "[{\"jsonrpc\":\"2.0\",\"id\":\"b\",\"result\":{\"messages\":[]}},\n{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32603,\"message\":\"broken\"}}]";
    let expected = "mcp session=5c1f batch\n> tools/list #1: error -32603 \"broken\", 11 to 21\n\
        > notifications/cancelled: notification, 11 to 11\n> prompts/get #b prompt=review: ok, 11 to 21";
    assert_eq!(over(session, batch, JSON, answers), expected);
    assert_eq!(over(session, batch, EVENTS, &format!("data: {}", answers.replace('\n', ""))), expected);
    let apart = answers.trim_matches(['[', ']']).split(",\n").map(|answer| format!("data: {answer}\n"));
    assert_eq!(over(session, batch, EVENTS, &apart.collect::<String>()), expected);
    for (status, expected) in [
        ("200 OK", "mcp session=5c1f it=ends"),
        ("204 No Content", "mcp session=5c1f it=ends"),
        ("404 Not Found", "mcp session=5c1f it=expired"),
        ("405 Method Not Allowed", "mcp session=5c1f"),
    ] {
        assert_eq!(told("DELETE /mcp\nMcp-Session-Id: 5c1f", status), expected);
    }
}

#[test]
fn of_2025_06_18() {
    let fields = "MCP-Protocol-Version: 2025-06-18\nMcp-Session-Id: 5c1f";
    let head = "mcp version=2025-06-18 session=5c1f";
    let call = r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"get_weather","arguments":{"city":"Oslo"},
        "_meta":{"progressToken":"t","traceparent":"00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01","tracestate":"a=1"}}}"#;
    let stream = r#"
        event: message
        data: {"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"t","progress":1}}
        event: message
        data: {"jsonrpc":"2.0","id":2,"method":"elicitation/create","params":{"message":"Which Oslo?","requestedSchema":{}}}
        event: message
        data: {"jsonrpc":"2.0","id":2,"result":{"content":[{"type":"text","text":"9 C"}],"structuredContent":{"c":9},"isError":false}}"#;
    assert_eq!(
        over(fields, call, EVENTS, stream),
        format!(
            "{head}\n> tools/call #2 tool=get_weather traceparent=00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01 tracestate=a=1: ok, 10 to 21\n\
            < notifications/progress: notification, 21 to 21\n< elicitation/create #2: no answer, 21"
        )
    );
    // What the server asked for; its answer is told to the correlator.
    let reply = r#"{"jsonrpc":"2.0","id":2,"result":{"action":"accept","content":{"country":"NO"}}}"#;
    assert_eq!(over(fields, reply, "202 Accepted", ""), head);
    let read = r#"{"jsonrpc":"2.0","id":3,"method":"resources/read","params":{"uri":"file:///project/src/main.rs"}}"#;
    let missing =
        r#"{"jsonrpc":"2.0","id":3,"error":{"code":-32002,"message":"Resource not found","data":{"code":1}}}"#;
    assert_eq!(
        over(fields, read, JSON, missing),
        format!(
            "{head}\n> resources/read #3 resource=file:///project/src/main.rs: error -32002 \"Resource not found\", 10 to 21"
        )
    );
    for (reference, expected) in [
        (r#"{"type":"ref/prompt","name":"review","title":"x"}"#, "prompt=review"),
        (r#"{"type":"ref/resource","uri":"file:///{path}"}"#, "resource=file:///{path}"),
    ] {
        let complete = format!(
            r#"{{"jsonrpc":"2.0","id":4,"method":"completion/complete","params":{{"ref":{reference},"argument":{{"name":"language","value":"py"}}}}}}"#
        );
        let answer = r#"{"jsonrpc":"2.0","id":4,"result":{"completion":{"values":["python"],"total":1}}}"#;
        assert_eq!(
            over(fields, &complete, JSON, answer),
            format!("{head}\n> completion/complete #4 {expected}: ok, 10 to 21")
        );
    }
    let gone = over(fields, r#"{"jsonrpc":"2.0","id":5,"method":"ping"}"#, "404 Not Found", "");
    assert_eq!(gone, format!("{head} it=expired\n> ping #5: no answer, 10"));
    assert_eq!(
        told(
            &format!("GET /mcp\nAccept: text/event-stream\n{fields}"),
            &format!(
                r#"{EVENTS}

                data: {{"jsonrpc":"2.0","id":1,"method":"sampling/createMessage","params":{{"messages":[],"maxTokens":9}}}}
                data: {{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{{"uri":"file:///a"}}}}"#
            )
        ),
        format!(
            "{head}\n< sampling/createMessage #1: no answer, 21\n< notifications/resources/updated resource=file:///a: notification, 21 to 21"
        )
    );
    let refused = told(&format!("GET /mcp\nAccept: text/event-stream\n{fields}"), "405 Method Not Allowed");
    assert_eq!(refused, head);
}

#[test]
fn of_2025_11_25() {
    let fields = "MCP-Protocol-Version: 2025-11-25\nMCP-Session-Id: 5c1f";
    let head = "mcp version=2025-11-25 session=5c1f";
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"report","arguments":{},"task":{"ttl":60000}}}"#;
    let created = r#"{"jsonrpc":"2.0","id":1,"result":{"task":{"taskId":"786512e2","status":"working","ttl":60000}}}"#;
    assert_eq!(
        over(fields, call, JSON, created),
        format!("{head}\n> tools/call #1 tool=report type=task: ok, 10 to 21")
    );
    // The event that primes the client to come back has no data.
    let primed = format!("id: e1\ndata:\nid: e2\ndata: {created}");
    assert_eq!(
        over(fields, call, EVENTS, &primed),
        format!("{head}\n> tools/call #1 tool=report type=task: ok, 10 to 21")
    );
    for (method, result, expected) in [
        ("tasks/get", r#"{"taskId":"786512e2","status":"failed"}"#, "ok"),
        ("tasks/list", r#"{"tasks":[{"taskId":"786512e2","status":"working"}]}"#, "ok"),
        ("tasks/cancel", r#"{"taskId":"786512e2","status":"cancelled"}"#, "ok"),
        (
            "tasks/result",
            r#"{"content":[],"isError":true,"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"786512e2"}}}"#,
            "tool error",
        ),
    ] {
        let request = format!(r#"{{"jsonrpc":"2.0","id":2,"method":"{method}","params":{{"taskId":"786512e2"}}}}"#);
        let answer = format!(r#"{{"jsonrpc":"2.0","id":2,"result":{result}}}"#);
        assert_eq!(over(fields, &request, JSON, &answer), format!("{head}\n> {method} #2: {expected}, 10 to 21"));
    }
    let url = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32042,"message":"URL elicitation required","data":{"elicitations":[{"url":"https://x"}]}}}"#;
    assert_eq!(
        over(fields, call, JSON, url),
        format!("{head}\n> tools/call #1 tool=report: error -32042 \"URL elicitation required\", 10 to 21")
    );
}

const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"agent","version":"3.1"},"io.modelcontextprotocol/clientCapabilities":{}}"#;

#[test]
fn of_2026_07_28() {
    let head = "mcp version=2026-07-28";
    let fields = |method: &str, name: &str| {
        let name = if name.is_empty() { String::new() } else { format!("\nMcp-Name: {name}") };
        format!("MCP-Protocol-Version: 2026-07-28\nMcp-Method: {method}{name}")
    };
    let discover = format!(r#"{{"jsonrpc":"2.0","id":"d","method":"server/discover","params":{{{META}}}}}"#);
    let found = r#"{"jsonrpc":"2.0","id":"d","result":{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{},
        "_meta":{"io.modelcontextprotocol/serverInfo":{"name":"weather","version":"2.0.0"}}}}"#;
    assert_eq!(
        over(&fields("server/discover", ""), &discover, JSON, found),
        format!("{head}\n> server/discover #d client=agent/3.1 server=weather/2.0.0 type=complete: ok, 10 to 21")
    );
    let call = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"get_weather","arguments":{{"location":"Seattle"}},{META}}}}}"#
    );
    let wants = r#"{"jsonrpc":"2.0","id":1,"result":{"resultType":"input_required","requestState":"x",
        "inputRequests":{"login":{"method":"elicitation/create","params":{"message":"?"}}}}}"#;
    assert_eq!(
        over(&fields("tools/call", "get_weather"), &call, JSON, wants),
        format!("{head}\n> tools/call #1 tool=get_weather client=agent/3.1 type=input_required: ok, 10 to 21")
    );
    let mismatch = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32020,"message":"Header mismatch"}}"#;
    assert_eq!(
        over(&fields("tools/call", "other"), &call, "400 Bad Request\nContent-Type: application/json", mismatch),
        format!(
            "{head}\n> tools/call #1 tool=get_weather client=agent/3.1: error -32020 \"Header mismatch\", 10 to 21"
        )
    );
    // Not found is a method, and never a session: there are none.
    let unknown = format!(r#"{{"jsonrpc":"2.0","id":4,"method":"prompts/list","params":{{{META}}}}}"#);
    let not_found = r#"{"jsonrpc":"2.0","id":4,"error":{"code":-32601,"message":"Method not found"}}"#;
    let with_session = format!("{}\nMcp-Session-Id: stale", fields("prompts/list", ""));
    assert_eq!(
        over(&with_session, &unknown, "404 Not Found\nContent-Type: application/json", not_found),
        format!(
            "{head} session=stale\n> prompts/list #4 client=agent/3.1: error -32601 \"Method not found\", 10 to 21"
        )
    );
    let listen = format!(
        r#"{{"jsonrpc":"2.0","id":7,"method":"subscriptions/listen","params":{{{META},"notifications":{{"toolsListChanged":true}}}}}}"#
    );
    let stream = r#"
        data: {"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":7},"notifications":{}}}
        :
        data: {"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":7}}}"#;
    assert_eq!(
        over(&fields("subscriptions/listen", ""), &listen, EVENTS, stream),
        format!(
            "{head}\n> subscriptions/listen #7 client=agent/3.1: no answer, 10\n\
            < notifications/subscriptions/acknowledged: notification, 21 to 21\n< notifications/tools/list_changed: notification, 21 to 21"
        )
    );
    let update = format!(
        r#"{{"jsonrpc":"2.0","id":8,"method":"tasks/update","params":{{"taskId":"786512e2","inputResponses":{{}},{META}}}}}"#
    );
    let updated = r#"{"jsonrpc":"2.0","id":8,"result":{"resultType":"complete"}}"#;
    assert_eq!(
        over(&fields("tasks/update", "786512e2"), &update, JSON, updated),
        format!("{head}\n> tasks/update #8 client=agent/3.1 type=complete: ok, 10 to 21")
    );
}

#[test]
fn heads_are_enough_where_content_cannot_be_read() {
    let answer = r#"{"jsonrpc":"2.0","id":5,"result":{"isError":true}}"#;
    for (fields, expected) in [
        ("Mcp-Method: tools/call\nMcp-Name: get_weather", "> tools/call tool=get_weather: tool error, 10 to 21"),
        ("Mcp-Method: tools/call\nMcp-Name: =?base64?5LiW55WM?=", "> tools/call tool=世界: tool error, 10 to 21"),
        ("Mcp-Method: prompts/get\nMcp-Name: review", "> prompts/get prompt=review: tool error, 10 to 21"),
        (
            "Mcp-Method: resources/read\nMcp-Name: file:///a",
            "> resources/read resource=file:///a: tool error, 10 to 21",
        ),
        ("Mcp-Method: tasks/get\nMcp-Name: 786512e2", "> tasks/get: tool error, 10 to 21"),
        ("Mcp-Method: acme/custom\nMcp-Name: x", "> acme/custom: tool error, 10 to 21"),
    ] {
        let fields = format!("MCP-Protocol-Version: 2026-07-28\nContent-Encoding: compress\n{fields}");
        assert_eq!(over(&fields, "not to be read", JSON, answer), format!("mcp version=2026-07-28\n{expected}"));
    }
    let fields = "MCP-Protocol-Version: 2026-07-28\nContent-Encoding: compress\nMcp-Method: notifications/x";
    assert_eq!(
        over(fields, "x", "202 Accepted", ""),
        "mcp version=2026-07-28\n> notifications/x: notification, 10 to 11"
    );
}
