//! However the bytes arrive, the same is read.

use proptest::prelude::*;

use super::harness::{Pieces, Wire, read_pieces, text, wire};
use crate::exchange::Call;

const REQUESTS: &[&str] = &[
    "POST /mcp
    Content-Type: application/json
    Mcp-Session-Id: s

    {\"method\":\"tools/call\",\"params\":{\"name\":\"w\u{e9}ather\",\"arguments\":{\"a\":[1,{\"name\":\"no\"}]}},\"jsonrpc\":\"2.0\",\"id\":2}",
    "POST /mcp
    Content-Type: application/json
    Accept: application/json, text/event-stream

    [ {\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/list\"} , {\"jsonrpc\":\"2.0\",\"method\":\"ping\"},{\"x\":1},{\"jsonrpc\":\"2.0\",\"id\":\"2\",\"method\":\"ping\"}]",
    "POST /rpc

    {\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"eth_call\",\"params\":[{}]}",
    "POST /rpc

    {\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"late\",\"params\":\"no message after all\"}",
    "POST /rpc

    {\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"broken\",\"params\":{]",
    "POST /v1/chat/completions
    Content-Type: application/json

    {\"model\":\"m\",\"messages\":[{\"role\":\"user\"}],\"jsonrpc\":\"2.0\",\"method\":\"x\"}",
    "GET /mcp
    Accept: text/event-stream",
];

const RESPONSES: &[&str] = &[
    "200 OK
    Content-Type: application/json

    {\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"\\u00e9\"}],\"isError\":true}}",
    "200 OK
    Content-Type: text/event-stream

    event: endpoint
    data: /messages?sessionId=4f2a
    : a comment
    event: message
    data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"level\":\"info\"}}
    data: {\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"roots/list\"}
    data: [{\"jsonrpc\":\"2.0\",\"id\":\"2\",\"result\":{}},{\"jsonrpc\":\"2.0\",\"id\":2,\"error\":{\"code\":-32601,\"message\":\"no\"}}]",
    "400 Bad Request
    Content-Type: application/json

    {\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32700,\"message\":\"Parse error\"}}",
    "502 Bad Gateway
    Content-Type: text/html

    <html>",
    "202 Accepted",
];

fn cut<'a>(body: &'a [u8], at: &[usize], time: u64, until: usize) -> Pieces<'a> {
    let end = until.min(body.len());
    let mut at: Vec<usize> = at.iter().map(|at| at % (end + 1)).collect();
    at.sort_unstable();
    let (mut pieces, mut from) = (Vec::new(), 0);
    for to in at.into_iter().chain([end]) {
        if to > from {
            pieces.push((time, &body[from..to]));
            from = to;
        }
    }
    Pieces { pieces, complete: end == body.len() }
}

fn read(request: &Wire, response: &Wire, cuts: (&[usize], &[usize]), until: (usize, usize)) -> Option<Call> {
    let request_pieces = cut(&request.body, cuts.0, 11, until.0);
    let response_pieces = cut(&response.body, cuts.1, 21, until.1);
    read_pieces((request, &request_pieces), Some((response, &response_pieces)), None)
}

#[test]
fn a_byte_at_a_time_is_the_same_as_all_at_once() {
    for (request, response) in
        REQUESTS.iter().flat_map(|request| RESPONSES.iter().map(move |response| (request, response)))
    {
        let (request, response) = (wire(request), wire(response));
        let all: [Vec<usize>; 2] = [(0..request.body.len()).collect(), (0..response.body.len()).collect()];
        let once = read(&request, &response, (&[], &[]), (usize::MAX, usize::MAX));
        let apart = read(&request, &response, (&all[0], &all[1]), (usize::MAX, usize::MAX));
        assert_eq!(text(once.as_ref()), text(apart.as_ref()), "{request:?} {response:?}");
    }
}

proptest! {
    /// Cut off anywhere, and in any pieces.
    #[test]
    fn any_segmentation_gives_the_same(
        request in 0..REQUESTS.len(),
        response in 0..RESPONSES.len(),
        cuts in proptest::collection::vec(0_usize..4096, 0..12),
        more in proptest::collection::vec(0_usize..4096, 0..12),
        until in (0_usize..1200, 0_usize..1200),
    ) {
        let (request, response) = (wire(REQUESTS[request]), wire(RESPONSES[response]));
        let once = read(&request, &response, (&[], &[]), until);
        let apart = read(&request, &response, (&cuts, &more), until);
        prop_assert_eq!(text(once.as_ref()), text(apart.as_ref()));
    }
}
