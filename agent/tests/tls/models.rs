//! SDKs of language models over TLS.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    common::{
        agent::run_command_with,
        program::{Program, Server, done},
        seen::{attribute, text},
        tools, wait_for,
    },
    installed::{node_modules, with_sdks},
    page::Tested,
    peers::{Authority, base, capture},
};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/llm/programs").join(name)
}

/// An SDK: what the page calls it, its program, which of its ways, and the calls by operation, model and tokens of the answer.
struct Sdk {
    name: &'static str,
    program: &'static str,
    way: &'static str,
    calls: &'static [&'static str],
}

const SDKS: &[Sdk] = &[
    Sdk {
        name: "`openai` for Python",
        program: "client_openai.py",
        way: "plain",
        calls: &[
            "chat gpt-4.1-mini 19 7",
            "chat o4-mini 19 12",
            "chat gpt-4.1-mini 19 7",
            "text_completion gpt-3.5-turbo-instruct 5 7",
            "embeddings text-embedding-3-small 9 -",
            "moderation omni-moderation-latest - -",
        ],
    },
    Sdk {
        name: "`openai` for Python, streams",
        program: "client_openai.py",
        way: "streamed",
        calls: &[
            "chat gpt-4.1-mini - -",
            "chat gpt-4.1 19 7",
            "chat gpt-4.1-nano - -",
            "chat o4-mini 19 12",
            "text_completion gpt-3.5-turbo-instruct - -",
        ],
    },
    Sdk {
        name: "`openai` for Python, twelve asynchronous calls at once",
        program: "client_openai.py",
        way: "concurrent",
        calls: &[
            "chat async-0 19 7",
            "chat async-1 19 7",
            "chat async-2 19 7",
            "chat async-3 19 7",
            "chat async-4 19 7",
            "chat async-5 19 7",
            "chat async-6 19 7",
            "chat async-7 19 7",
            "chat async-8 19 7",
            "chat async-9 19 7",
            "chat async-10 19 7",
            "chat async-11 19 7",
        ],
    },
    Sdk {
        name: "`anthropic` for Python",
        program: "client_anthropic.py",
        way: "plain",
        calls: &["chat claude-sonnet-5 18 29", "chat claude-haiku-5 18 29"],
    },
    Sdk {
        name: "`anthropic` for Python, streams",
        program: "client_anthropic.py",
        way: "streamed",
        calls: &["chat claude-sonnet-5 18 29", "chat claude-haiku-5 18 29", "chat claude-opus-5 18 29"],
    },
    Sdk {
        name: "`openai` for Node",
        program: "client_node.cjs",
        way: "openai",
        calls: &[
            "chat gpt-4.1-mini 19 7",
            "chat o4-mini 19 12",
            "chat gpt-5 36 87",
            "embeddings text-embedding-3-small 9 -",
            "chat fault-429-once - -",
            "chat fault-429-once 19 7",
            "chat fault-400 - -",
            "chat endless - -",
        ],
    },
    Sdk {
        name: "`@anthropic-ai/sdk` for Node",
        program: "client_node.cjs",
        way: "anthropic",
        calls: &[
            "chat claude-sonnet-5 18 29",
            "chat claude-haiku-5 18 29",
            "chat fault-529-once - -",
            "chat fault-529-once 18 29",
            "chat breaks 18 -",
        ],
    },
];

/// A row of the page: its name, and what tests it.
pub(crate) type Row = (String, Box<dyn Fn() -> Tested>);

pub(crate) fn rows() -> impl Iterator<Item = Row> {
    let sdks = SDKS.iter().map(|sdk| -> Row { (sdk.name.to_owned(), Box::new(|| test(sdk))) });
    sdks.chain(MCP.iter().map(|pair| -> Row { (pair.name.to_owned(), Box::new(|| mcp(pair))) }))
}

/// A client of the Model Context Protocol, how its server answers, and how many exchanges it makes.
struct Pair {
    name: &'static str,
    /// The library of the client, if not that of the server.
    library: Option<&'static str>,
    client: fn() -> Command,
    way: &'static str,
    server: &'static str,
    exchanges: usize,
}

const MCP: &[Pair] = &[
    Pair {
        name: "`mcp` for Python, sessions",
        library: None,
        client: client_of_python,
        way: "sessions",
        server: "sse",
        exchanges: 11,
    },
    Pair {
        name: "`mcp` for Python, newest",
        library: None,
        client: client_of_python,
        way: "newest",
        server: "json",
        exchanges: 6,
    },
    Pair {
        name: "`@modelcontextprotocol/sdk` for Node",
        library: Some("OpenSSL, inside `node`, and of the interpreter's `_ssl`"),
        client: || {
            let mut command = Command::new("node");
            command.arg(file("client_node.cjs")).env("NODE_PATH", node_modules());
            command
        },
        way: "mcp",
        server: "sse",
        exchanges: 9,
    },
];

/// A `node` that does nothing until it is dropped.
fn idle_node() -> Program {
    let mut command = Command::new("node");
    let mut program = Program::start(command.args(["-e", "console.log('runs'); process.stdin.resume()"]));
    assert_eq!(program.line(), "runs");
    program
}

fn client_of_python() -> Command {
    let mut command = Command::new(with_sdks());
    command.arg("-W").arg("ignore").arg(file("client_mcp.py"));
    command
}

/// A client of the Model Context Protocol with a server by the SDK for Python, on `uvicorn`: both ends of each exchange that the server recorded.
fn mcp(pair: &Pair) -> Tested {
    let exchanges = pair.exchanges;
    let authority = Authority::new();
    let record = authority.file("record");
    let mut command = Command::new(with_sdks());
    command.arg("-W").arg("ignore").arg(file("server_mcp.py")).arg(pair.server).arg(&record);
    command.arg(authority.file("cert.pem")).arg(authority.file("key.pem")).env("PYTHONDONTWRITEBYTECODE", "1");
    let server = Server::start(&mut command);
    let mut command = authority.trusted_by((pair.client)());
    // A file gets its probes a moment after the first process has mapped it, and the client's first call may be sooner: one executes it before.
    let _first = (command.get_program() == "node").then(idle_node);
    let run = capture(server.port);
    done(command.arg(pair.way).arg(base(server.port)));
    let lines = || fs::read_to_string(&record).unwrap_or_default();
    wait_for("the record", || (lines().lines().count() >= exchanges).then_some(()));
    let seen = run.stop_after(2 * exchanges);
    let mut expected: Vec<String> = lines()
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("the record is JSON"))
        .map(|line| format!("{} {}", text(&line, "exchange"), line["status"]))
        .collect();
    expected.sort();
    for end in ["client", "server"] {
        let line = |line: &&serde_json::Value| {
            assert_eq!(text(line, "authority"), format!("localhost:{}", server.port), "{line}");
            let path = text(line, "path").split('?').next().unwrap_or_default();
            format!("{} {path} {}", text(line, "method"), line["response_code"])
        };
        let mut told: Vec<String> = seen.of(end).iter().map(line).collect();
        told.sort();
        assert_eq!(told, expected, "the {end} (left) and what the server recorded (right)\n{}", seen.stderr);
    }
    let calls = seen.spans.iter().filter(|span| attribute(span, "gen_ai.tool.name").as_deref() == Some("add")).count();
    assert_eq!(calls, 2, "the call of a tool at both ends");
    let name = format!("{}, with the server for Python on `uvicorn`: both ends", pair.name);
    let library = pair.library.unwrap_or("OpenSSL, of the interpreter's `_ssl`");
    Tested { name, end: "both", library, requests: exchanges }
}

/// The server of the models' wire formats, inside TLS.
pub(crate) fn server(authority: &Authority, clock: &Path) -> Server {
    let mut command = Command::new(tools::interpreter());
    command.arg(file("models.py")).arg(clock).arg(authority.file("cert.pem")).arg(authority.file("key.pem"));
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    Server::start(&mut command)
}

fn test(sdk: &Sdk) -> Tested {
    let authority = Authority::new();
    let server = server(&authority, &authority.file("clock"));
    let is_python = Path::new(sdk.program).extension().is_some_and(|extension| extension == "py");
    let program = if is_python { with_sdks().to_owned() } else { "node".into() };
    let (program, script) = (program.to_str().expect("text").to_owned(), file(sdk.program));
    let line = [&program, script.to_str().expect("text"), sdk.way, &base(server.port)];
    let finished = run_command_with(&[], &line, |run| {
        let command = authority.trusted_by(Command::new("true"));
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => run.env(name, value),
                None => run.env_remove(name),
            };
        }
        run.env("PYTHONWARNINGS", "ignore").env("NODE_PATH", node_modules())
    });
    assert_eq!(finished.code(), 0, "{}", finished.stderr());
    let seen = finished.seen;
    let mut told: Vec<String> = seen
        .spans
        .iter()
        .map(|span| {
            assert_eq!(attribute(span, "network.peer.port"), Some(server.port.to_string()), "{span}");
            assert_eq!(attribute(span, "server.address").as_deref(), Some("localhost"), "{span}");
            let word = |key: &str| attribute(span, key).unwrap_or_else(|| "-".to_owned());
            let keys = [
                "gen_ai.operation.name",
                "gen_ai.request.model",
                "gen_ai.usage.input_tokens",
                "gen_ai.usage.output_tokens",
            ];
            keys.map(word).join(" ")
        })
        .collect();
    let mut expected: Vec<&str> = sdk.calls.to_vec();
    told.sort_unstable();
    expected.sort_unstable();
    assert_eq!(told, expected, "{}", seen.stderr);
    let library = if is_python { "OpenSSL, of the interpreter's `_ssl`" } else { "OpenSSL, inside `node`" };
    Tested { name: sdk.name.to_owned(), end: "client", library, requests: expected.len() }
}
