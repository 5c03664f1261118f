//! Flags and arguments of every verb.

use std::{convert::Infallible, ffi::OsString, fmt, path::PathBuf, str::FromStr};

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use super::policy::{CrdsArgs, PolicyArgs};
#[cfg(all(feature = "ebpf", target_os = "linux"))]
use crate::admin::ADMIN_ADDRESS;

const EXAMPLES: &str = "\
Examples:
  sudo telltale run -- python my_agent.py            every HTTP request of one program
  sudo telltale run --port 8080 --logs -             whoever uses this port
  sudo telltale run --all --record traffic.jsonl     everything, kept for a replay
  telltale replay traffic.jsonl --spans spans.jsonl  the same outputs again, without kernel and root
  telltale replay traffic.jsonl --scrub public.jsonl secrets overwritten";

/// Captures the HTTP of selected processes, in plaintext and inside TLS, and turns it into metrics, spans and access logs.
#[derive(Debug, Parser)]
#[command(name = "telltale", version, about, after_help = EXAMPLES, arg_required_else_help = true)]
pub struct Cli {
    /// Say more on stderr (-vv: still more); `RUST_LOG` decides in detail
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// Say only warnings and errors on stderr, and no summary
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Capture on this machine
    #[cfg(all(feature = "ebpf", target_os = "linux"))]
    Run(Box<RunArgs>),
    /// Capture on a node of a Kubernetes cluster, as the policies of its namespaces ask
    #[cfg(all(feature = "ebpf", target_os = "linux"))]
    Agent(Box<AgentArgs>),
    /// Turn recordings into outputs, without kernel and root
    Replay(ReplayArgs),
    /// Check, show and convert policy files, without a cluster
    Policy(PolicyArgs),
    /// Print the custom resource definitions of both dialects
    Crds(CrdsArgs),
    /// Become COMMAND; what `run` starts
    #[cfg(all(feature = "ebpf", target_os = "linux"))]
    #[command(hide = true)]
    Launch(LaunchArgs),
    /// Show what can be captured on this machine, and what is missing
    #[cfg(all(feature = "ebpf", target_os = "linux"))]
    Check(CheckArgs),
}

fn pod_name(text: &str) -> Result<String, String> {
    match text.split_once('/') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && !name.contains('/') => {
            Ok(text.to_owned())
        }
        _ => Err("a pod is named NAMESPACE/NAME".to_owned()),
    }
}

/// Where an output goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Out {
    /// `-`
    Stdout,
    /// A file.
    File(PathBuf),
}

impl FromStr for Out {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(if text == "-" { Self::Stdout } else { Self::File(PathBuf::from(text)) })
    }
}

impl fmt::Display for Out {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdout => f.write_str("stdout"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// The outputs that `run` and `replay` share.
#[derive(Clone, Debug, Default, Args)]
pub struct OutputArgs {
    /// Write spans as OTLP JSON lines to this file (- for stdout)
    #[arg(long, value_name = "OUT")]
    pub spans: Option<Out>,
    /// Write the access log to this file (- for stdout)
    #[arg(long, value_name = "OUT")]
    pub logs: Option<Out>,
    /// Write the metrics at the end, as Prometheus text, to this file (- for stdout)
    #[arg(long, value_name = "OUT")]
    pub metrics: Option<Out>,
}

impl OutputArgs {
    /// Every output that was asked for, with its flag.
    pub fn given(&self) -> impl Iterator<Item = (&'static str, &Out)> {
        [("--spans", &self.spans), ("--logs", &self.logs), ("--metrics", &self.metrics)]
            .into_iter()
            .filter_map(|(flag, out)| out.as_ref().map(|out| (flag, out)))
    }
}

/// What `run` and `agent` share.
#[derive(Clone, Debug, Args)]
pub struct LiveArgs {
    /// Outputs.
    #[command(flatten)]
    pub output: OutputArgs,
    /// Serve metrics and health here (127.0.0.1:9464 unless `OTEL_EXPORTER_PROMETHEUS_*` or --config says otherwise); port 0 picks one and prints it
    #[arg(long, value_name = "ADDR")]
    pub metrics_addr: Option<String>,
    /// Read this configuration, for what neither policies, flags nor `OTEL_*` variables say (docs/config.md)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Write the log files that policies ask for below this folder only; `agent` writes none without it
    #[arg(long, value_name = "DIR")]
    pub log_dir: Option<PathBuf>,
    /// Use this capture backend instead of the best that works
    #[arg(long, value_name = "NAME")]
    pub backend: Option<String>,
    /// Do not look inside TLS: attach to no library
    #[arg(long)]
    pub no_tls: bool,
}

/// `telltale run`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
What to capture is one or more of --pid, --cgroup, --port, or --all, or a COMMAND after `--`.
COMMAND runs as the user who called sudo and owns stdin, stdout and the terminal; Telltale writes to stderr
unless --logs says otherwise. Exit code: COMMAND's own; 125 Telltale failed, 126 COMMAND cannot be executed, 127 not found.

Examples:
  sudo telltale run -- curl -s http://127.0.0.1:8080/
  sudo telltale run --logs access.jsonl --port 8080 --port 9090
  sudo telltale run --policy policies/ --port 8080
  sudo telltale run --all --metrics-addr 127.0.0.1:0")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct RunArgs {
    /// Capture this process and what it starts from now on (may be repeated)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub pid: Vec<u32>,
    /// Capture the processes below this cgroup directory (may be repeated)
    #[arg(long, value_name = "PATH")]
    pub cgroup: Vec<PathBuf>,
    /// Capture connections with this local or remote TCP port (may be repeated)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Vec<u16>,
    /// Capture every process of this machine
    #[arg(long, conflicts_with_all = ["pid", "cgroup", "port"])]
    pub all: bool,
    /// Do what these policies say, not what the built-in one does: Kubernetes YAML, or a folder of it (may be repeated); changes are followed
    #[arg(long, value_name = "FILE")]
    pub policy: Vec<PathBuf>,
    /// What every capture on this machine has.
    #[command(flatten)]
    pub live: LiveArgs,
    /// Show on stderr at the end which calls of language models and tools followed from which
    #[arg(long)]
    pub tree: bool,
    /// Keep the traffic as it was in this file, for `telltale replay`
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// Serve the live state as JSON here, for this machine only: workloads, plans, connections (docs/admin.md); port 0 picks one and prints it
    #[arg(long, value_name = "ADDR")]
    pub admin_addr: Option<String>,
    /// Run COMMAND as root, not as the user who called sudo
    #[arg(long, requires = "command")]
    pub root: bool,
    /// Show the log lines of the kernel programs (slow)
    #[arg(long)]
    pub debug_ebpf: bool,
    /// Run this, and capture it with all its descendants
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

impl RunArgs {
    /// Whether the flags say what to capture. Without it only the pods of `--policy` are, which name their cgroups.
    pub fn has_scope(&self) -> bool {
        self.all || !self.pid.is_empty() || !self.cgroup.is_empty() || !self.port.is_empty() || !self.command.is_empty()
    }
}

/// `telltale agent`
#[cfg(all(feature = "ebpf", target_os = "linux"))]
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
One agent for each node: it captures the pods of its node of which a TelemetryPolicy asks for something, and nothing else.
Without --kubeconfig it uses the service account of its pod, then $KUBECONFIG. It runs until it is told to stop (SIGTERM, SIGINT);
SIGHUP opens log files again. docs/kubernetes.md tells how it is installed, and what it needs.

Examples:
  telltale agent                                          in a pod of the DaemonSet
  sudo telltale agent --kubeconfig admin.conf --node-name worker-1 --logs -
  sudo telltale agent --config agent.yaml --log-dir /var/log/telltale")]
pub struct AgentArgs {
    /// The name of this node in the cluster (the host's name if it is not given)
    #[arg(long, value_name = "NAME", env = "TELLTALE_NODE_NAME")]
    pub node_name: Option<String>,
    /// The namespace of the agents' leases (that of the service account if it is not given, else `telltale`)
    #[arg(long, value_name = "NS", env = "TELLTALE_NAMESPACE")]
    pub namespace: Option<String>,
    /// The name of the pod that this agent runs in
    #[arg(long, value_name = "NAME", env = "TELLTALE_POD_NAME")]
    pub pod_name: Option<String>,
    /// Talk to the API server as this file says
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Where the cgroup file system of the host is mounted
    #[arg(long, value_name = "DIR", env = "TELLTALE_CGROUP_ROOT", default_value = "/sys/fs/cgroup")]
    pub cgroup_root: PathBuf,
    /// What every capture on this machine has.
    #[command(flatten)]
    pub live: LiveArgs,
    /// Serve the live state as JSON here, for this machine only: workloads, plans, connections (docs/admin.md); port 0 picks one and prints it
    #[arg(long, value_name = "ADDR", default_value = ADMIN_ADDRESS)]
    pub admin_addr: String,
}

/// `telltale replay`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Without --spans, --logs, --metrics and --scrub the access log goes to stdout. The same recordings give the same output.

Examples:
  telltale replay traffic.jsonl
  telltale replay a.jsonl b.jsonl --spans spans.jsonl --logs - --metrics metrics.txt
  telltale replay traffic.jsonl --policy policy.yaml --as-pod shop/cart-1
  telltale replay traffic.jsonl --scrub public.jsonl")]
pub struct ReplayArgs {
    /// Recordings, replayed one after the other
    #[arg(value_name = "RECORDING", required = true)]
    pub recordings: Vec<PathBuf>,
    /// Do what these policies say, not what the built-in one does: Kubernetes YAML, or a folder of it (may be repeated)
    #[arg(long, value_name = "FILE")]
    pub policy: Vec<PathBuf>,
    /// Read this configuration: secrets, limits, the default policy (docs/config.md)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Take connections that name no pod for those of this pod
    #[arg(long, value_name = "NS/NAME", value_parser = pod_name)]
    pub as_pod: Option<String>,
    /// Outputs.
    #[command(flatten)]
    pub output: OutputArgs,
    /// Show on stderr at the end which calls of language models and tools followed from which
    #[arg(long)]
    pub tree: bool,
    /// Write the recording to this file (- for stdout) with its secrets overwritten at equal length
    #[arg(long, value_name = "OUT")]
    pub scrub: Option<Out>,
    /// Skip broken lines, count them and go on, instead of stopping at the first
    #[arg(long)]
    pub keep_going: bool,
}

/// `telltale check`
#[derive(Clone, Debug, Args)]
pub struct CheckArgs {
    /// How to show it
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = CheckFormat::Text)]
    pub output: CheckFormat,
    /// Show of this process instead which TLS libraries it executes, and which of them can be read inside
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), conflicts_with = "cluster")]
    pub pid: Option<u32>,
    /// Read this configuration, for its `tls.targets`
    #[arg(long, value_name = "FILE", requires = "pid")]
    pub config: Option<PathBuf>,
    /// Where the cgroup file system of the host is mounted
    #[arg(long, value_name = "DIR", env = "TELLTALE_CGROUP_ROOT", default_value = "/sys/fs/cgroup")]
    pub cgroup_root: PathBuf,
    /// Ask the API server too: what this account may do, and which kinds of policies are installed
    #[arg(long)]
    pub cluster: bool,
    /// Talk to the API server as this file says (the service account of the pod if it is not given, else `KUBECONFIG`)
    #[arg(long, value_name = "FILE", requires = "cluster")]
    pub kubeconfig: Option<PathBuf>,
    /// The namespace of the agents' leases (that of the service account if it is not given)
    #[arg(long, value_name = "NS", env = "TELLTALE_NAMESPACE")]
    pub namespace: Option<String>,
}

/// How `check` shows what it found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CheckFormat {
    /// A table.
    Text,
    /// One JSON object.
    Json,
}

/// `telltale launch`: how `run` starts COMMAND, in scope and as the right user; not for people.
#[derive(Clone, Debug, Args)]
pub struct LaunchArgs {
    /// The `cgroup.procs` file of the cgroup to enter
    #[arg(long)]
    pub cgroup_file: Option<PathBuf>,
    /// The user to become
    #[arg(long)]
    pub uid: Option<u32>,
    /// The group to take on
    #[arg(long)]
    pub gid: Option<u32>,
    /// How many files may be open, as where `run` was started
    #[arg(long)]
    pub open_files: Option<u64>,
    /// What to become
    #[arg(last = true, required = true)]
    pub command: Vec<OsString>,
}
