//! llama.cpp's own server with a tiny model of random weights: what it really sends, not what we think that it sends.

use serde_json::Value;

use crate::{
    common::{
        agent::Run,
        program::{Server, done},
    },
    peers::python,
    told::expect_calls,
};

/// Tokens are what the server told the SDKs, in each of the forms that it speaks.
#[test]
fn llama_cpp() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let server = Server::start(python("server_llama.py").arg(folder.path()).stderr(std::process::Stdio::null()));
    let run = Run::port(server.port);
    let output = done(python("client_llama.py").arg(server.url("")));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let expected: Vec<String> = said.lines().map(expected).collect();
    assert_eq!(expected.len(), 6, "{said}");
    expect_calls(run, &expected.iter().map(String::as_str).collect::<Vec<_>>());
}

fn expected(line: &str) -> String {
    let said: Value = serde_json::from_str(line).expect("the client writes JSON");
    let what = said["what"].as_str().unwrap_or_default();
    let head = match what {
        "completion" => "text_completion llama.cpp tiny-random",
        "messages stream" => "chat anthropic tiny-random",
        "native stream" => "text_completion llama.cpp",
        _ => "chat llama.cpp tiny-random",
    };
    let stream = if what.ends_with("stream") { " stream=true" } else { "" };
    let finish = said["finish"].as_str().unwrap_or_default();
    format!(
        "{head} answered=tiny-random{stream} in={} out={} read={} finish={finish} 200",
        said["in"], said["out"], said["cached"]
    )
}
