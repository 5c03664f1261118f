//! A real server (nginx, one worker) and a real load (wrk).

use std::{
    fs,
    net::SocketAddr,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use crate::{
    exec::{self, Owned},
    http, workspace,
};

/// What each response carries.
const BODY: &str =
    "a small response, of the size that services give each other; about one hundred bytes of it, plain..";

/// A running nginx with one worker, on a core of its own.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// The worker's process id: who accepts, reads and writes.
    pub(crate) worker: u32,
    master: Owned,
}

impl Server {
    /// Starts it and waits until it answers.
    pub(crate) fn start(core: usize) -> Result<Self> {
        let address = http::free_address()?;
        let folder = workspace::target().join("bench/nginx");
        fs::create_dir_all(&folder)?;
        let configuration = folder.join("nginx.conf");
        let path = folder.display();
        fs::write(
            &configuration,
            format!(
                "worker_processes 1; worker_rlimit_nofile 65536; daemon off; pid {path}/pid; error_log {path}/error.log;\n\
                 events {{ worker_connections 32768; }}\n\
                 http {{ access_log off; keepalive_requests 1000000000; client_body_temp_path {path}/t1;\n\
                 proxy_temp_path {path}/t2; fastcgi_temp_path {path}/t3; uwsgi_temp_path {path}/t4; scgi_temp_path {path}/t5;\n\
                 server {{ listen {address} backlog=16384; location / {{ default_type text/plain; return 200 \"{BODY}\"; }} }} }}\n"
            ),
        )?;
        let mut command = Command::new("taskset");
        command.args(["-c", &core.to_string(), "nginx", "-p"]).arg(&folder).arg("-c").arg(&configuration);
        let master = Owned::start(command.env("PATH", search_path()).stdin(Stdio::null()))?;
        let start = Instant::now();
        while http::get(address, "/").is_err() {
            if start.elapsed() > Duration::from_secs(5) {
                bail!("nginx does not answer; see {}", folder.join("error.log").display());
            }
            thread::sleep(Duration::from_millis(20));
        }
        // taskset became nginx, whose one child is the worker.
        let id = master.0.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        let worker = children.split_whitespace().next().and_then(|id| id.parse().ok());
        let worker = worker.map_or_else(|| child_of(id), Ok)?;
        Ok(Self { address, worker, master })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Killing the master would leave the worker. Nothing to report to.
        let _ = exec::run(Command::new("kill").args(["-TERM", &self.master.0.id().to_string()]));
        let _ = exec::wait(&mut self.master.0, Duration::from_secs(5));
    }
}

/// The search path with the folders where Debian puts servers.
fn search_path() -> String {
    format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default())
}

/// The first process whose parent is this one, for kernels that have no list of children.
fn child_of(parent: u32) -> Result<u32> {
    let processes = fs::read_dir("/proc")?.filter_map(Result::ok);
    let mut ids = processes.filter_map(|entry| entry.file_name().to_string_lossy().parse::<u32>().ok());
    let is_child = |id: &u32| {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        // After the command's name, which can hold anything: state, parent.
        let parent_of = stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1)?.parse::<u32>().ok());
        parent_of == Some(parent)
    };
    ids.find(is_child).context("nginx has no worker")
}

/// A load: how many connections, for how long, at what pace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) connections: u32,
    pub(crate) seconds: u32,
    /// Requests a second over all connections; as many as the server gives if `None`.
    pub(crate) rate: Option<f64>,
}

/// What the load generator counted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Done {
    /// Requests answered.
    pub(crate) requests: u64,
    /// Requests answered a second.
    pub(crate) rate: f64,
}

impl Load {
    /// Runs it on that core.
    pub(crate) fn run(self, server: &Server, core: usize) -> Result<Done> {
        let mut command = Command::new("taskset");
        command.args(["-c", &core.to_string(), "wrk", "-t1"]).arg(format!("-c{}", self.connections));
        command.arg(format!("-d{}s", self.seconds));
        if let Some(rate) = self.rate {
            // Each connection waits between two requests; the delay is in whole milliseconds.
            let delay = (f64::from(self.connections) / rate * 1000.0).max(1.0).round();
            let script = workspace::target().join("bench/paced.lua");
            fs::write(&script, format!("function delay() return {delay} end\n"))?;
            command.arg("-s").arg(script);
        }
        let text = exec::output(command.arg(format!("http://{}/", server.address)))?;
        parse(&text).with_context(|| format!("wrk printed no figures:\n{text}"))
    }
}

fn parse(text: &str) -> Option<Done> {
    let requests = text.lines().find_map(|line| line.trim().split_once(" requests in ")?.0.parse().ok())?;
    let rate = text.lines().find_map(|line| line.strip_prefix("Requests/sec:")?.trim().parse().ok())?;
    Some(Done { requests, rate })
}

#[cfg(test)]
mod tests {
    use super::{Done, parse};

    #[test]
    fn figures_of_wrk_are_read() {
        let text =
            "Running 4s test @ http://127.0.0.1:1/\n  193208 requests in 4.00s, 40.4MB read\nRequests/sec:  48294.21\n";
        assert_eq!(parse(text), Some(Done { requests: 193_208, rate: 48_294.21 }));
        assert_eq!(parse("unable to connect"), None);
    }
}
