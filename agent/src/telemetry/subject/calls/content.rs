//! What a policy's `content` keeps of the call of a tool: its arguments and its result, out of the text that was kept and redacted.

use serde_json::Value;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// `params.arguments` of the request.
    Arguments,
    /// `result` of its answer.
    Result,
}

/// This part of the call with this id, as JSON. `None` if the text does not have the message whole.
pub(super) fn of_tool(text: &str, id: Option<&str>, part: Part) -> Option<String> {
    let is_asked = |message: &&Value| {
        let said = match &message["id"] {
            Value::String(id) => Some(id.clone()),
            Value::Number(id) => Some(id.to_string()),
            _ => None,
        };
        said.as_deref() == id && message["method"].is_string() == (part == Part::Arguments)
    };
    documents(text).find_map(|document| {
        let messages = if let Value::Array(batch) = &document { &batch[..] } else { std::slice::from_ref(&document) };
        let message = messages.iter().find(is_asked)?;
        let value = match part {
            Part::Arguments => message.get("params")?.get("arguments")?,
            Part::Result => message.get("result")?,
        };
        Some(value.to_string())
    })
}

/// The text if it is a document, else the data of its events: servers write each message in one line.
fn documents(text: &str) -> impl Iterator<Item = Value> {
    let whole = text.trim_start().starts_with(['{', '[']).then_some(text);
    let events = text.lines().filter(move |_| whole.is_none()).filter_map(|line| line.strip_prefix("data:"));
    whole.into_iter().chain(events).filter_map(|document| serde_json::from_str(document).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_and_results_are_those_of_their_call() {
        let call =
            r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"x","arguments":{"q":"REDACTED"}}}"#;
        let other = r#"{"jsonrpc":"2.0","id":"8","method":"tools/call","params":{"arguments":{"q":1}}}"#;
        let arguments = |text: &str, id| of_tool(text, Some(id), Part::Arguments);
        assert_eq!(arguments(call, "7").as_deref(), Some(r#"{"q":"REDACTED"}"#));
        assert_eq!(arguments(&format!("[{call},{other}]"), "8").as_deref(), Some(r#"{"q":1}"#));
        assert_eq!(arguments(call, "8"), None);
        assert_eq!(arguments(&call[..call.len() - 1], "7"), None);
        assert_eq!(arguments("not JSON", "7"), None);
        let answer = r#"{"jsonrpc":"2.0","id":7,"result":{"content":[],"isError":false}}"#;
        let result = |text: &str| of_tool(text, Some("7"), Part::Result);
        let expected = Some(r#"{"content":[],"isError":false}"#);
        assert_eq!(result(answer).as_deref(), expected);
        assert_eq!(result(&format!("[{answer}]")).as_deref(), expected);
        let asked = r#"{"jsonrpc":"2.0","id":7,"method":"roots/list","result":{}}"#;
        let events =
            format!(": x\r\nevent: message\r\ndata: {asked}\r\n\r\ndata:\r\n\r\ndata: {answer}\r\n\r\ndata: {{");
        assert_eq!(result(&events).as_deref(), expected);
        assert_eq!(result(r#"{"jsonrpc":"2.0","id":7,"error":{"code":1,"message":"x"}}"#), None);
    }
}
