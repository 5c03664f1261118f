//! Many at once, and many one after the other.

use std::{
    collections::BTreeSet,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use nix::sys::signal::Signal;

use crate::common::{
    agent::{Run, run_command},
    program::{Server, done},
    seen::{Row, row, text},
    tools, wait_for,
};

/// Exchanges without an end, on some connections at once, until it is dropped: more of them in any millisecond than one, and not so many that a
/// full ring is what an unoptimised agent then has to read.
struct Load {
    port: u16,
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    const CONNECTIONS: usize = 4;
    const PAUSE: Duration = Duration::from_micros(500);

    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback works");
        let address = listener.local_addr().expect("it is bound");
        let over = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        for _ in 0..Self::CONNECTIONS {
            let mut client = TcpStream::connect(address).expect("it listens");
            let (mut server, _) = listener.accept().expect("it was asked");
            threads.push(std::thread::spawn(move || {
                let mut request = [0; 256];
                while server.read(&mut request).is_ok_and(|length| length > 0) {
                    if server.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_err() {
                        return;
                    }
                }
            }));
            let over = Arc::clone(&over);
            threads.push(std::thread::spawn(move || {
                let mut response = [0; 256];
                while !over.load(Ordering::Relaxed) {
                    client.write_all(b"GET /load HTTP/1.1\r\nHost: h\r\n\r\n").expect("the server reads");
                    assert!(client.read(&mut response).expect("the server answers") > 0);
                    std::thread::sleep(Self::PAUSE);
                }
            }));
        }
        Self { port: address.port(), over, threads }
    }

    /// Ends it. It must have gone on until now.
    fn finish(mut self) {
        self.over.store(true, Ordering::Relaxed);
        for thread in std::mem::take(&mut self.threads) {
            thread.join().expect("a thread that ends");
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// What the ring holds is told, and no more is waited for, though more would come for as long as somebody waits.
#[test]
fn a_stop_under_load_ends_the_run() {
    let load = Load::start();
    let run = Run::port(load.port);
    wait_for("exchanges", || (run.value("telltale_exchanges_total", "") >= 1000.0).then_some(()));
    let (code, stderr) = run.end_unread(Signal::SIGTERM);
    load.finish();
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("request bytes"), "no summary: {stderr}");
}

/// 200 connections open at once, two requests on each: 800 lines.
#[test]
fn two_hundred_connections() {
    let server = Server::python();
    let run = Run::port(server.port);
    done(tools::python("client.py").arg("concurrent").arg(server.url("")).arg("200"));
    let expected: Vec<Row> = (0..200)
        .flat_map(|size| (0..2).map(move |turn| row("GET", format!("/bytes/{size}?turn={turn}"), 200, 0, size)))
        .collect();
    run.expect_both_ends(&expected);
}

/// 200 processes that live for some milliseconds each: every one complete, and known by name.
#[test]
fn two_hundred_short_lives() {
    let server = Server::go();
    let run = run_command(
        &[],
        &[
            "sh",
            "-c",
            "for n in $(seq 200); do curl -s -o /dev/null --noproxy '*' \"$0/bytes/$n?n=$n\"; done",
            &server.url(""),
        ],
    );
    assert_eq!(run.code(), 0, "{}", run.stderr());
    let expected: Vec<Row> = (1..=200).map(|n| row("GET", format!("/bytes/{n}?n={n}"), 200, 0, n)).collect();
    run.seen.assert_reporter("client", &expected);
    assert_eq!(run.seen.logs.len(), 200, "the server is out of scope");
    let sources: BTreeSet<&str> = run.seen.logs.iter().map(|line| text(line, "source")).collect();
    assert_eq!(sources, BTreeSet::from(["curl"]));
}
