//! Programs as people use them: what each asks or answers is seen once, at the right addresses, with the right sizes.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    process::Command,
};

use crate::{
    common::{
        agent::{run_command_with, value},
        program::done,
        seen::{Row, Seen, attribute, row, text},
        tools,
    },
    installed, models,
    page::{Tested, write},
    peers::{Authority, base, capture},
};

/// What every client asks; the content of the answers is checked by the clients.
fn script() -> Vec<Row> {
    vec![
        row("GET", "/bytes/1000", 200, 0, 1000),
        row("POST", "/sink", 200, 500, 2),
        row("GET", "/bytes/200000", 200, 0, 200_000),
        row("GET", "/status/404", 404, 0, 2),
    ]
}

/// A client: what the page calls it, the library that it has TLS from, and its command.
struct Client {
    name: &'static str,
    library: &'static str,
    command: fn(&Authority, u16) -> Command,
}

const SHARED: &str = "OpenSSL, shared";
const PYTHON: &str = "OpenSSL, of the interpreter's `_ssl`";
const NODE: &str = "OpenSSL, inside `node`";

fn own(authority: &Authority, way: &str, port: u16) -> Command {
    authority.client(tools::interpreter(), way, port)
}

const CLIENTS: &[Client] = &[
    Client {
        name: "curl, one connection",
        library: SHARED,
        command: |authority, port| curl(authority, port, " --next"),
    },
    Client {
        name: "curl, a process each",
        library: SHARED,
        command: |authority, port| curl(authority, port, "; curl"),
    },
    Client { name: "wget, GET and `--post-data`", library: SHARED, command: wget },
    Client {
        name: "Python `http.client`",
        library: PYTHON,
        command: |authority, port| own(authority, "http_client", port),
    },
    Client {
        name: "Python `asyncio` streams (memory BIOs)",
        library: PYTHON,
        command: |authority, port| own(authority, "asyncio_streams", port),
    },
    Client {
        name: "Python `requests`",
        library: PYTHON,
        command: |authority, port| authority.client(installed::with_sdks(), "requests", port),
    },
    Client {
        name: "Python `httpx`",
        library: PYTHON,
        command: |authority, port| authority.client(installed::with_sdks(), "httpx", port),
    },
    Client {
        name: "Python `httpx`, asynchronous (memory BIOs)",
        library: PYTHON,
        command: |authority, port| authority.client(installed::with_sdks(), "httpx_async", port),
    },
    Client {
        name: "Python `aiohttp` (memory BIOs)",
        library: PYTHON,
        command: |authority, port| authority.client(installed::with_clients(), "aiohttp", port),
    },
    Client { name: "Node `https`", library: NODE, command: |authority, port| authority.node_client("https", port) },
    Client { name: "Node `fetch`", library: NODE, command: |authority, port| authority.node_client("fetch", port) },
    Client {
        name: "Node 16 `https`",
        library: "OpenSSL 1.1.1, inside `node`",
        command: |authority, port| authority.client_of_node(&installed::node(16), "https", port),
    },
    Client {
        name: "Node 24 `fetch`",
        library: "OpenSSL 3.5, inside `node`",
        command: |authority, port| authority.client_of_node(&installed::node(24), "fetch", port),
    },
    Client {
        name: "Python `pycurl`",
        library: "OpenSSL 3.6, of its wheel",
        command: |authority, port| authority.client(installed::with_clients(), "pycurl", port),
    },
    Client {
        name: "Python `pyOpenSSL` (memory BIOs)",
        library: "OpenSSL 4.0, inside `cryptography`",
        command: |authority, port| authority.client(installed::with_clients(), "pyopenssl", port),
    },
    Client {
        name: "Python `curl_cffi`",
        library: "BoringSSL, inside its extension",
        command: |authority, port| authority.client(installed::with_clients(), "curl_cffi", port),
    },
    Client {
        name: "a client by the functions of `libssl` (memory BIOs)",
        library: "OpenSSL 1.1.1, of a wheel",
        command: |authority, port| authority.library(&installed::library("psycopg2_binary"), "memory", port),
    },
    Client {
        name: "a client by the functions of `libssl` (memory BIOs)",
        library: "OpenSSL 3.3, of a wheel",
        command: |authority, port| authority.library(&installed::library("psycopg_binary"), "memory", port),
    },
];

/// The script by `curl`; `then` is what stands between two requests.
fn curl(authority: &Authority, port: u16, then: &str) -> Command {
    let url = base(port);
    let quiet = "--silent --show-error --output /dev/null";
    let steps = [
        format!("{quiet} {url}/bytes/1000"),
        format!("{quiet} --data $(printf %500s x | tr ' ' p) {url}/sink"),
        format!("{quiet} {url}/bytes/200000"),
        format!("{quiet} {url}/status/404"),
    ];
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("curl {}", steps.join(&format!("{then} "))));
    authority.trusted_by(command)
}

/// The script by `wget`, which looks at the head of an answer (`SSL_peek`) before it reads it. What it is told to post goes with every request of a process,
/// so there are two: three requests over one connection, and one.
fn wget(authority: &Authority, port: u16) -> Command {
    let (url, program, certificate) = (base(port), installed::wget(), authority.file("ca.pem"));
    let wget = format!(
        "{} --quiet --no-config --no-hsts --tries=1 --output-document=- --ca-certificate={}",
        program.display(),
        certificate.display()
    );
    let fetch = format!("{wget} {url}/bytes/1000 {url}/bytes/200000 {url}/status/404");
    let send = format!("{wget} --post-data=$(printf %500s x | tr ' ' p) {url}/sink");
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("test $({fetch} | wc -c) = 201000 && test $({send}) = ok"));
    authority.trusted_by(command)
}

/// Runs a command under `telltale run -- COMMAND`.
fn observed(command: &Command, flags: &[&str]) -> Seen {
    let line: Vec<&str> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_str().expect("text"))
        .collect();
    let finished = run_command_with(flags, &line, |run| {
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => run.env(name, value),
                None => run.env_remove(name),
            };
        }
        run
    });
    assert_eq!(finished.code(), 0, "{}", finished.stderr());
    finished.seen
}

/// The lines and spans of one end say where the other end is, and that it was TLS.
fn assert_right(seen: &Seen, kind: u64, port: u16, both: bool) {
    let spans: Vec<_> = seen.spans.iter().filter(|span| span["kind"] == kind).collect();
    assert_eq!(spans.len() * (1 + usize::from(both)), seen.logs.len());
    for span in spans {
        assert_eq!(attribute(span, "network.peer.address").as_deref(), Some("127.0.0.1"), "{span}");
        assert_eq!(attribute(span, "server.address").as_deref(), Some("localhost"), "{span}");
        assert_eq!(attribute(span, "server.port"), Some(port.to_string()), "{span}");
        assert_eq!(attribute(span, "tls.protocol.version").as_deref(), Some("1.3"), "{span}");
        if kind == 3 {
            assert_eq!(attribute(span, "network.peer.port"), Some(port.to_string()), "{span}");
            let url = attribute(span, "url.full").unwrap_or_default();
            assert!(url.starts_with(&base(port)), "{span}");
        } else {
            assert_eq!(attribute(span, "url.scheme").as_deref(), Some("https"), "{span}");
        }
    }
    for line in &seen.logs {
        assert_eq!(text(line, "authority"), format!("localhost:{port}"), "{line}");
    }
}

/// Every connection was decrypted, and told of once.
fn assert_decrypted(seen: &Seen, reporter: &str) {
    let of = |what: &str| {
        let metric = "telltale_connections_total";
        let labels = format!("telltale_reporter=\"{reporter}\"");
        let samples = seen.metrics.lines().filter(|line| line.contains(&labels)).collect::<Vec<_>>().join("\n");
        value(&samples, metric, what)
    };
    assert!(of("decrypted") > 0.0, "{}", seen.stderr);
    let others: Vec<&str> = seen
        .metrics
        .lines()
        .filter(|line| line.starts_with("telltale_connections_total{") && line.contains("opaque_reason=\"tls\""))
        .collect();
    assert!(others.is_empty(), "{others:?}");
}

fn client(client: &Client) -> Tested {
    let authority = Authority::new();
    let server = authority.python("threads");
    let command = (client.command)(&authority, server.port);
    let seen = observed(&command, &[]);
    let expected = script();
    seen.assert_reporter("client", &expected);
    assert_eq!(seen.logs.len(), expected.len());
    assert_right(&seen, 3, server.port, false);
    assert_decrypted(&seen, "client");
    Tested { name: client.name.to_owned(), end: "client", library: client.library, requests: expected.len() }
}

/// A server that was there before the agent, asked by a client of whom nobody asks what it says.
fn server(name: &str, library: &'static str, port: u16, authority: &Authority) -> Tested {
    let run = capture(port);
    let expected = script();
    done(&mut own(authority, "http_client", port));
    let seen = run.stop_after(expected.len());
    seen.assert_reporter("server", &expected);
    let of_server = Seen {
        logs: seen.logs.iter().filter(|line| line["reporter"] == "server").cloned().collect(),
        spans: seen.spans.iter().filter(|span| span["kind"] == 2).cloned().collect(),
        ..seen
    };
    assert_right(&of_server, 2, port, false);
    Tested { name: name.to_owned(), end: "server", library, requests: expected.len() }
}

/// Both ends by one interpreter, so that the client's library is known from the server: one trace each.
fn both_ends(way: &'static str, client: &'static str) -> Tested {
    let authority = Authority::new();
    let server = authority.python(way);
    let run = capture(server.port);
    done(&mut own(&authority, client, server.port));
    let expected = script();
    let seen = run.expect_both_ends(&expected);
    assert_right(&seen, 2, server.port, true);
    assert_right(&seen, 3, server.port, true);
    assert_decrypted(&seen, "client");
    assert_decrypted(&seen, "server");
    let name = format!("Python `ssl`, {way}, with {client}: both ends in one trace");
    Tested { name, end: "both", library: PYTHON, requests: expected.len() }
}

/// Runs every row of the page, and writes it. All are run even where one fails. `TELLTALE_TEST_ONLY` names what to run, as a part of its name.
#[test]
fn real_programs() {
    let only = std::env::var("TELLTALE_TEST_ONLY").unwrap_or_default();
    let mut rows: Vec<models::Row> = Vec::new();
    for row in CLIENTS {
        rows.push((row.name.to_owned(), Box::new(|| client(row))));
    }
    rows.extend(models::rows());
    for way in ["threads", "asyncio"] {
        let name = format!("Python `ssl` server, {}", if way == "asyncio" { "asyncio (memory BIOs)" } else { way });
        let shown = name.clone();
        rows.push((
            name,
            Box::new(move || {
                let authority = Authority::new();
                let program = authority.python(way);
                server(&shown, PYTHON, program.port, &authority)
            }),
        ));
    }
    rows.push((
        "Node `https` server".to_owned(),
        Box::new(|| {
            let authority = Authority::new();
            let program = authority.node();
            server("Node `https` server", NODE, program.port, &authority)
        }),
    ));
    rows.push((
        "nginx, two workers".to_owned(),
        Box::new(|| {
            let authority = Authority::new();
            let (_program, port) = authority.nginx();
            server("nginx, two workers", SHARED, port, &authority)
        }),
    ));
    for (way, client) in [("threads", "http_client"), ("asyncio", "asyncio_streams"), ("threads", "asyncio_streams")] {
        rows.push((format!("both ends, {way} {client}"), Box::new(move || both_ends(way, client))));
    }
    let (mut tested, mut failed) = (Vec::new(), Vec::new());
    for (name, run) in rows.iter().filter(|(name, _)| name.contains(&only)) {
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(row) => tested.push(row),
            Err(_) => failed.push(name.as_str()),
        }
    }
    assert!(failed.is_empty(), "these are not seen as they should be: {failed:#?}");
    if only.is_empty() {
        write(&tested);
    }
}

/// A library that is not probed: nothing of what it says is told, and all that can be known of the connection is.
#[test]
fn what_is_not_covered_is_opaque() {
    let path = Path::new("/usr/bin/wget");
    let linked = Command::new("ldd").arg(path).output();
    if !linked.is_ok_and(|linked| String::from_utf8_lossy(&linked.stdout).contains("libgnutls")) {
        eprintln!("left out: there is no wget with GnuTLS here");
        return;
    }
    let authority = Authority::new();
    let server = authority.python("threads");
    let mut command = Command::new(path);
    let options = ["--quiet", "--output-document=/dev/null", "--no-config"];
    let certificate = format!("--ca-certificate={}", authority.file("ca.pem").display());
    command.args(options).arg(certificate).arg(format!("{}/bytes/5000", base(server.port)));
    let seen = observed(&authority.trusted_by(command), &[]);
    assert!(seen.logs.is_empty() && seen.spans.is_empty());
    let labels = "telltale_reporter=\"client\",telltale_connection_visibility=\"opaque\",telltale_connection_opaque_reason=\"tls\",tls_protocol_version=\"1.3\",server_address=\"localhost\"";
    assert!(value(&seen.metrics, "telltale_connections_total", labels) >= 1.0, "{}", seen.metrics);
    let received = value(&seen.metrics, "telltale_connection_io_bytes_total", "network_io_direction=\"receive\"");
    assert!((5000.0..20_000.0).contains(&received), "{received}");
}
