//! Clients and servers that people run, in every pair that tells something new.

use std::{
    net::TcpStream,
    process::{Command, Stdio},
};

use crate::common::{
    agent::Run,
    program::{Program, Server, curl, done, free_port},
    seen::{Row, row, text},
    tools, wait_for,
};

/// What the clients of `programs/` ask for.
fn script() -> Vec<Row> {
    vec![
        row("GET", "/bytes/1000", 200, 0, 1000),
        row("POST", "/echo", 200, 500, 500),
        row("GET", "/status/404", 404, 0, 7),
        row("DELETE", "/status/204", 204, 0, 0),
        row("GET", "/chunked/3000", 200, 0, 3000),
        row("HEAD", "/bytes/1000", 200, 0, 0),
        row("POST", "/echo", 200, 300, 300),
    ]
}

fn client(server: &Server, client: &mut Command) {
    let run = Run::port(server.port);
    done(client.arg(server.url("")));
    let seen = run.expect_both_ends(&script());
    for line in seen.of("client") {
        assert_eq!(text(line, "destination"), format!("127.0.0.1:{}", server.port));
        assert_eq!(text(line, "authority"), format!("127.0.0.1:{}", server.port));
        assert_eq!(text(line, "protocol"), "HTTP/1.1");
    }
    for line in seen.of("server") {
        let (host, port) = text(line, "source").rsplit_once(':').expect("an address");
        assert_eq!(host, "127.0.0.1");
        assert!(port.parse::<u16>().is_ok_and(|port| port != server.port), "{line}");
    }
}

#[test]
fn python_http_client_on_one_connection() {
    client(&Server::python(), tools::python("client.py").arg("http_client"));
}

#[test]
fn python_http_client_with_a_connection_each() {
    client(&Server::python(), tools::python("client.py").arg("http_client_short"));
}

#[test]
fn python_requests() {
    client(&Server::node(), tools::python_with_requests("client.py").arg("requests_session"));
}

#[test]
fn node_http() {
    client(&Server::node(), tools::node("client.mjs").arg("http"));
}

#[test]
fn node_fetch() {
    client(&Server::python(), tools::node("client.mjs").arg("fetch"));
}

#[test]
fn go_net_http() {
    client(&Server::go(), tools::go().arg("get"));
}

#[test]
fn go_to_node() {
    client(&Server::node(), tools::go().arg("get"));
}

#[test]
fn node_to_go() {
    client(&Server::go(), tools::node("client.mjs").arg("fetch"));
}

/// One process, two connections: curl reuses one while it may.
#[test]
fn curl_with_several_urls() {
    let server = Server::python();
    let run = Run::port(server.port);
    let [one, two, three] = ["/bytes/5", "/chunked/70000", "/close/600"].map(|path| server.url(path));
    done(&mut curl([&one, "-o", "/dev/null", &two, "-o", "/dev/null", &three, "-o", "/dev/null", &one]));
    run.expect_both_ends(&[
        row("GET", "/bytes/5", 200, 0, 5),
        row("GET", "/bytes/5", 200, 0, 5),
        row("GET", "/chunked/70000", 200, 0, 70_000),
        row("GET", "/close/600", 200, 0, 600),
    ]);
}

/// HTTP/1.0 answers that end with the connection, from the module that everybody has.
#[test]
fn python_http_server_module() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    std::fs::write(folder.path().join("page"), vec![b'p'; 70_000]).expect("a file can be written");
    let port = free_port();
    let _server = Program::start(
        Command::new(tools::interpreter())
            .args(["-m", "http.server", "--bind", "127.0.0.1", &port.to_string()])
            .current_dir(folder.path())
            .stderr(Stdio::null()),
    );
    wait_for("http.server", || TcpStream::connect(("127.0.0.1", port)).ok());
    let run = Run::port(port);
    let url = format!("http://127.0.0.1:{port}/page");
    done(&mut curl([&url]));
    done(&mut curl(["--http1.0", "--head", &url]));
    let seen = run.expect_both_ends(&[row("GET", "/page", 200, 0, 70_000), row("HEAD", "/page", 200, 0, 0)]);
    assert!(seen.of("server").iter().all(|line| text(line, "destination") == "http.server"), "{:?}", seen.logs);
    let mut versions: Vec<&str> = seen.of("client").iter().map(|line| text(line, "protocol")).collect();
    versions.sort_unstable();
    assert_eq!(versions, ["HTTP/1.0", "HTTP/1.1"]);
}

/// The bodies go from file to socket inside the kernel: they are counted, not seen, and what follows on the connection is right.
#[test]
fn nginx_with_sendfile() {
    let server = Server::nginx(&[10, 100_000, 400_000]);
    let run = Run::port(server.port);
    let urls = ["/10", "/100000", "/400000", "/10", "/empty", "/missing"].map(|path| server.url(path));
    let mut client = curl([&urls[0]]);
    for url in &urls[1..] {
        client.args(["-o", "/dev/null", url]);
    }
    done(&mut client);
    let seen = run.stop_after(12);
    let common = |file: &dyn Fn(&'static str, u64) -> Row| {
        let missing =
            seen.of("client").iter().find(|line| line["path"] == "/missing").map(|line| line["bytes_sent"].clone());
        let missing = missing.and_then(|sent| sent.as_u64()).expect("the size of the error page");
        vec![
            file("/10", 10),
            file("/10", 10),
            file("/100000", 100_000),
            file("/400000", 400_000),
            row("GET", "/empty", 204, 0, 0),
            row("GET", "/missing", 404, 0, missing),
        ]
    };
    seen.assert_reporter("client", &common(&|path, size| row("GET", path, 200, 0, size)));
    seen.assert_reporter("server", &common(&|path, size| row("GET", path, 200, 0, size).incomplete("sendfile")));
    seen.assert_joined();
    assert!(seen.logs.iter().all(|line| line["duration"].is_u64()), "both ends of each were seen");
}
