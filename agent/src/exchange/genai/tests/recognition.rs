//! When it is known whether an exchange is a call.

use super::*;

fn reader(request: &str) -> Option<Box<dyn Reader>> {
    let request = message(request);
    let mut reader = recognise(&request.head, &Providers::default(), None)?;
    feed(Which::Request, &request, &mut reader);
    Some(reader)
}

#[test]
fn a_request_decides_where_it_can() {
    for (request, expected) in [
        ("POST api.openai.com/v1/chat/completions\n\n", Standing::Is),
        ("POST x/v1/chat/completions\n\n", Standing::Undecided),
        ("POST x/v1/chat/completions\n\n{\"messages\":[", Standing::Is),
        ("POST x/v1/chat/completions\n\n{\"text\":1}", Standing::IsNot),
        ("POST x/v1/messages\n\n{\"messages\":[]}", Standing::IsNot),
        ("POST x/v1/messages\n\n{\"messages\":[{\"role\":\"user\"}]}", Standing::Is),
        ("POST x/orders\n\n{\"a\":", Standing::Undecided),
        ("POST x/orders\n\n{\"a\":1}", Standing::IsNot),
        ("POST x/orders\n\n{\"model\":\"m\",\"prompt\":\"x\"}", Standing::Is),
        ("POST x/orders\n\n{\"jsonrpc\":\"2.0\",", Standing::IsNot),
        ("POST x/orders\n\nno JSON", Standing::IsNot),
        ("POST x/orders\n\n[{\"model\":\"m\",\"prompt\":\"x\"}]", Standing::IsNot),
    ] {
        let reader = reader(&request.replacen('\n', "!\n", usize::from(!request.ends_with(['}', ']', 'N'])))).unwrap();
        assert_eq!(reader.standing(), expected, "{request}");
    }
    for request in
        ["GET x/v1/models\n\n", "POST api.openai.com/v1/batches\n\n{}", "POST x/y\nContent-Type: image/png\n\nx"]
    {
        assert!(reader(request).is_none(), "{request}");
    }
}

/// A conversation may hold a picture before it names its model.
#[test]
fn a_sign_of_a_call_is_worth_reading_on() {
    for (request, expected) in [
        ("POST x/orders!\n\n{\"a\":\"xxx", false),
        ("POST x/orders!\n\n{\"messages\":[{\"role\":\"user\",\"content\":\"AAAA", true),
        ("POST x/api/chat!\n\n{\"a\":\"xxx", true),
    ] {
        let reader = reader(request).unwrap();
        assert_eq!((reader.is_likely(), reader.standing()), (expected, Standing::Undecided), "{request}");
    }
}

#[test]
fn a_picture_of_ten_megabytes_hides_nothing() {
    let picture = "A".repeat(10 * 1024 * 1024);
    let request = message(&format!(
        "POST gateway/v1/chat/completions\n\n{{\"messages\":[{{\"role\":\"user\",\"content\":[{{\"type\":\"image_url\",\"image_url\":{{\"url\":\
         \"data:image/png;base64,{picture}\"}}}}]}}],\"model\":\"gpt-4o\",\"seed\":1}}"
    ));
    let response = message(&format!(
        "200\n\n{{\"created\":1,\"choices\":[{{\"index\":0,\"message\":{{\"role\":\"assistant\",\"content\":\"{picture}\"}},\
         \"finish_reason\":\"stop\"}}],\"usage\":{{\"prompt_tokens\":9,\"completion_tokens\":3}},\"model\":\"gpt-4o\"}}"
    ));
    let call = read(&request, Some(&response), &Providers::default()).unwrap();
    assert_eq!((call.request.seed, call.usage.output, call.cut), (Some(1), Some(3), false));
}

#[test]
fn an_operator_names_a_gateway() {
    let providers = Providers::with([("anthropic", "gateway.internal")]);
    let request = message("POST gateway.internal/v1/messages\n\n{\"model\":\"m\",\"messages\":[]}");
    let response = message("500\n\noops");
    let call = read(&request, Some(&response), &providers).unwrap();
    assert_eq!(call.provider, "anthropic");
    assert_eq!(read(&request, Some(&response), &Providers::default()), None);
}

#[test]
fn a_proxy_is_asked_with_the_whole_target() {
    let mut request = message("POST proxy:3128/x\n\n{\"model\":\"m\",\"messages\":[{\"role\":\"user\"}]}");
    request.head.start = StartLine::Request {
        method: "POST".into(),
        target: "http://api.groq.com/openai/v1/chat/completions?a=b".into(),
    };
    assert_eq!(read(&request, None, &Providers::default()).unwrap().provider, "groq");
}

/// Lists and names are bounded, and streams of any length are.
#[test]
fn what_is_kept_is_bounded() {
    use super::super::{MAX_INTERVALS, MAX_LISTED, MAX_NAME};
    let long = "é".repeat(1000);
    let request = message(&format!(
        "POST api.openai.com/v1/chat/completions\n\n{{\"model\":\"{long}\",\"messages\":[],\"stream\":true,\"stop\":[{}]}}",
        vec!["\"x\""; 1000].join(",")
    ));
    let chunk = "data: {\"id\":\"1\",\"choices\":[{\"index\":9,\"delta\":{\"tool_calls\":[{\"function\":{\"name\":\"f\"},\"id\":\"N\"}]}}]}\n\n";
    let chunks: String = (0..MAX_INTERVALS + 1000).map(|number| chunk.replace('N', &number.to_string())).collect();
    let response = message(&format!("200\nContent-Type: text/event-stream\n\n{chunks}"));
    let call = read(&request, Some(&response), &Providers::default()).unwrap();
    let stream = call.stream.unwrap();
    assert_eq!((stream.intervals.len(), stream.chunks), (MAX_INTERVALS, MAX_INTERVALS as u64 + 1000));
    assert_eq!((call.response.tool_calls.len(), call.request.stop_sequences.len()), (MAX_LISTED, MAX_LISTED));
    assert_eq!(call.request.model.unwrap().len(), MAX_NAME);
}
