//! A live run's outputs, taken by those who take them in production.

use std::{
    fs,
    io::Write as _,
    process::{Command, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::common::{
    agent::{Run, get},
    program::{Program, Server, curl, done, free_port},
    rotel::Rotel,
    seen::row,
    wait_for,
};

#[test]
fn promtool_finds_nothing_wrong() {
    let server = Server::python();
    let run = Run::port(server.port);
    done(&mut curl(["-d", "abc", &server.url("/bytes/1")]));
    wait_for("the exchanges", || (run.value("telltale_exchanges_total", "") >= 2.0).then_some(()));
    let scrape = run.scrape();
    let seen = run.expect_both_ends(&[row("POST", "/bytes/1", 200, 3, 1)]);
    for text in [scrape, seen.metrics] {
        let mut promtool = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("promtool is of Debian's prometheus: run `cargo xtask setup`");
        promtool.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("it reads");
        let output = promtool.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{said}\n{text}");
        for (metric, labels) in [
            ("http_server_request_duration_seconds_count", "service_name=\"server\""),
            ("http_client_request_duration_seconds_count", "service_name=\"curl\""),
            ("http_client_request_body_size_bytes_sum", "service_name=\"curl\""),
        ] {
            let expected = if metric.ends_with("_sum") { 3.0 } else { 1.0 };
            let value = crate::common::agent::value(&text, metric, labels);
            assert!((value - expected).abs() < f64::EPSILON, "{metric}: {value}\n{text}");
        }
    }
}

#[test]
fn prometheus_scrapes_a_run() {
    let server = Server::python();
    let run = Run::port(server.port);
    for _ in 0..3 {
        done(&mut curl([server.url("/bytes/1")]));
    }
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join("prometheus.yml");
    let configuration = format!(
        "global: {{scrape_interval: 200ms}}\nscrape_configs: [{{job_name: telltale, static_configs: [{{targets: ['{}']}}]}}]\n",
        run.address()
    );
    fs::write(&file, configuration).expect("a file can be written");
    let web = free_port();
    let _prometheus = Program::start(
        Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{web}"))
            .arg("--log.level=error"),
    );
    let address = ([127, 0, 0, 1], web).into();
    wait_for("prometheus", || std::net::TcpStream::connect(address).ok());
    for name in ["http_client_request_duration_seconds_count", "http_server_request_duration_seconds_count"] {
        let answer = wait_for(name, || {
            let answer = get(address, &format!("/api/v1/query?query={name}"));
            answer.contains("\"3\"").then_some(answer)
        });
        assert!(answer.contains("\"service_name\":\""), "{answer}");
        assert!(!answer.contains("exported_"), "{answer}");
    }
}

/// What an output loses only when the run ends is in the summary as well.
#[test]
fn the_summary_has_what_the_end_lost() {
    let server = Server::python();
    let nobody = format!("http://127.0.0.1:{}/v1/traces", free_port());
    let run = Run::start_with(["--port", &server.port.to_string()], |_, command| {
        // Nothing is sent before the end.
        command.env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", nobody).env("OTEL_BSP_SCHEDULE_DELAY", "600000")
    });
    done(&mut curl([server.url("/bytes/1")]));
    let seen = run.expect_both_ends(&[row("GET", "/bytes/1", 200, 0, 1)]);
    assert!(seen.stderr.contains("\nentries lost by an output: 2 (2 otlp_spans shutdown)"), "{}", seen.stderr);
}

/// Spans of a live run reach a receiver over either protocol, before the run ends.
#[test]
fn rotel_takes_spans_of_a_run() {
    let receiver = Rotel::start();
    for (protocol, port) in [("grpc", receiver.grpc), ("http/protobuf", receiver.http)] {
        let server = Server::python();
        let run = Run::start_with(["--port", &server.port.to_string()], |_, command| {
            command
                .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://127.0.0.1:{port}"))
                .env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
                .env("OTEL_BSP_SCHEDULE_DELAY", "100")
        });
        done(&mut curl([server.url("/bytes/1")]));
        wait_for(protocol, || receiver.output().contains(&server.url("/bytes/1")).then_some(()));
        run.expect_both_ends(&[row("GET", "/bytes/1", 200, 0, 1)]);
    }
}

/// A pager that shows its first page: the pipe is full for good. Capture goes on, and the run ends.
#[test]
fn a_reader_of_spans_that_does_not_read_holds_nothing_up() {
    const REQUESTS: usize = 400;
    let server = Server::python();
    let mut pipe = None;
    let run = Run::start_with(["--port", &server.port.to_string()], |folder, command| {
        let path = folder.join("spans");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("a pipe can be made");
        let open = fs::OpenOptions::new().read(true).write(true).open(path);
        pipe = Some(open.expect("a pipe can be opened"));
        command
    });
    let urls = vec![server.url("/bytes/1"); REQUESTS];
    done(&mut curl(urls));
    wait_for("all lines", || {
        let written = fs::read_to_string(run.file("logs")).unwrap_or_default();
        (written.lines().count() == 2 * REQUESTS).then_some(())
    });
    // Whoever reads what the run wrote does not read that.
    fs::remove_file(run.file("spans")).expect("a pipe can be removed");
    let seen = run.stop();
    assert!(seen.stderr.contains("spans were not written before the deadline"), "{}", seen.stderr);
    drop(pipe);
}

/// As logrotate does it, where flags name the files: they are moved away, then there is a hangup, which does not end the run.
#[test]
fn files_of_flags_that_are_rotated_have_each_line_once() {
    const ROUNDS: usize = 3;
    let server = Server::python();
    let run = Run::port(server.port);
    let mut requests = 0;
    let mut request = || {
        requests += 1;
        done(&mut curl([server.url("/bytes/1")]));
    };
    for round in 0..ROUNDS {
        // The first after a hangup may still come to the file that was moved.
        wait_for("new files", || {
            request();
            ["logs", "spans"].iter().all(|name| run.file(name).exists()).then_some(())
        });
        for name in ["logs", "spans"] {
            fs::rename(run.file(name), run.file(&format!("{name}.{round}"))).expect("a file can be renamed");
        }
        kill(Pid::from_raw(run.id().cast_signed()), Signal::SIGHUP).expect("it is our child");
    }
    wait_for("the last files", || {
        request();
        ["logs", "spans"].iter().all(|name| run.file(name).exists()).then_some(())
    });
    let parts = |name: &str| {
        let moved = (0..ROUNDS).map(|round| run.file(&format!("{name}.{round}")));
        moved.chain([run.file(name)]).map(|part| fs::read_to_string(part).unwrap_or_default()).collect::<Vec<_>>()
    };
    let count = |name: &str, what: &str| parts(name).iter().map(|part| part.matches(what).count()).sum::<usize>();
    for (name, what) in [("logs", "\n"), ("spans", "\"spanId\"")] {
        wait_for(name, || (count(name, what) >= 2 * requests).then_some(()));
        assert_eq!(count(name, what), 2 * requests);
    }
    assert!(parts("logs").concat().lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    run.stop();
}
