//! The recordings, and the traffic of each.

use std::{fs, path::Path, process::Command};

use crate::common::{
    agent::{Run, TELLTALE},
    program::{Program, Server, curl, done},
    tools, wait_for,
};

/// The files, without `.jsonl`.
const NAMES: [&str; 7] =
    ["bad_endings", "chat_stream", "curl_python", "late_join", "nginx_sendfile", "node", "pipelined"];

/// Whether the command line names this one, or none.
fn is_wanted(name: &str) -> bool {
    assert!(NAMES.contains(&name), "{name} is missing in the list of names");
    let mut wanted = std::env::args().skip(1).peekable();
    wanted.peek().is_none() || wanted.any(|wanted| wanted == name)
}

/// Runs the traffic if this recording is wanted, scrubs what was recorded and puts it where the replay tests look.
fn take(name: &str, server: &Server, lines: usize, traffic: impl FnOnce()) {
    if !is_wanted(name) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder can be made");
    let recording = folder.path().join("recording");
    let run =
        Run::start_with(["--port", &server.port.to_string()], |_, command| command.arg("--record").arg(&recording));
    traffic();
    let logs = run.file("logs");
    wait_for("the lines", || (fs::read_to_string(&logs).ok()?.lines().count() >= lines).then_some(()));
    run.stop();
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings").join(format!("{name}.jsonl"));
    done(Command::new(TELLTALE).arg("replay").arg(&recording).arg("--scrub").arg(&kept));
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    fs::set_permissions(&kept, mode).expect("the file is ours");
    let size = fs::metadata(&kept).expect("it was written").len();
    assert!(size < 60_000, "{name} is too large");
    println!("{name}: {size} bytes");
}

fn python(way: &str, server: &Server) -> Command {
    let mut command = tools::python("client.py");
    command.arg(way).arg(server.url(""));
    command
}

pub(crate) fn take_all() {
    for wanted in std::env::args().skip(1) {
        assert!(NAMES.contains(&&*wanted), "no recording {wanted}; there are {}", NAMES.join(", "));
    }
    let server = Server::python();
    take("curl_python", &server, 6, || {
        let mut client = curl(["-H", "Authorization: Bearer hunter2", &server.url("/bytes/100?api_key=hunter2")]);
        client.args(["--next", "--silent", "-o", "/dev/null", "-d", "form", &server.url("/echo")]);
        client.args(["--next", "--silent", "-o", "/dev/null", &server.url("/chunked/1500")]);
        done(&mut client);
    });
    take("pipelined", &server, 20, || {
        done(python("pipelined", &server).arg("10"));
    });
    take("chat_stream", &server, 2, || {
        done(&mut python("chat", &server));
    });
    take("bad_endings", &server, 4, || {
        done(&mut python("hung_up", &server));
    });
    let node = Server::node();
    take("node", &node, 14, || {
        done(tools::node("client.mjs").arg("http").arg(node.url("")));
    });
    let nginx = Server::nginx(&[3000]);
    take("nginx_sendfile", &nginx, 4, || {
        done(&mut curl([&nginx.url("/3000"), "-o", "/dev/null", &nginx.url("/missing")]));
    });
    let mut client = Program::start(&mut python("held", &server));
    assert_eq!(client.line(), "ready");
    take("late_join", &server, 4, || {
        for path in ["/bytes/200", "/chunked/21"] {
            client.say(path);
            assert_eq!(client.line(), "done");
        }
        client.finish();
    });
}
