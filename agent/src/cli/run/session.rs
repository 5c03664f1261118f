//! One run: sources, workers and outputs put together, and taken apart again in order.

use std::{
    io::IsTerminal as _,
    path::{Path, PathBuf},
    process::Child,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, anyhow};
use tokio::runtime::Runtime;

use super::{
    follow::{Follower, is_inside_tls_wanted, plain_cgroups, pod_cgroups},
    launch::{self, Identity},
};
use crate::{
    admin::{
        Routes, Server, default_metrics_address,
        live::{About, LiveState},
    },
    capture::{
        command_cgroup::CommandCgroup,
        kernel::{Scope, Settings},
        recording,
        tls::{follower::Scope as TlsScope, processes::Members},
    },
    cli::{
        args::RunArgs,
        capturing::{self, Captured, Capturing, InsideTls},
        exit::{Exit, Failure},
        outputs::{Live, Outputs},
        policies::Policies,
        report,
        signals::Signals,
    },
    config::{Author, Config},
    policy::{Plans, model::Tls},
    workload::{CGROUP_ANNOTATION, Directory},
};

/// After COMMAND has ended: time for the ends of its connections to be seen.
const AFTERGLOW: Duration = Duration::from_millis(150);
/// How long the end of a run waits for a scrape that is under way.
const SERVER_DEADLINE: Duration = Duration::from_secs(1);

/// A run under way.
pub(super) struct Session<'a> {
    args: &'a RunArgs,
    show_summary: bool,
    runtime: Runtime,
    signals: Signals,
    outputs: Outputs,
    server: Server,
    admin: Option<Server>,
    capturing: Capturing,
    recorder: Option<recording::Recorder>,
    /// How many files COMMAND may have open: probes take more.
    open_files: Option<u64>,
    command: Option<Child>,
    /// Last: processes that are still in it are moved out after all else.
    cgroup: Option<CommandCgroup>,
}

impl<'a> Session<'a> {
    /// Opens the outputs, starts to capture, then starts COMMAND.
    pub(super) fn start(args: &'a RunArgs, config: &Config, show_summary: bool) -> Result<Self, Failure> {
        let open_files = launch::open_files();
        let runtime = exporters_runtime().context("cannot start the runtime of the exporters")?;
        let signals = {
            let _entered = runtime.enter();
            Signals::catch().context("cannot catch signals")?
        };
        let cgroup = if args.command.is_empty() { None } else { command_cgroup() };
        let output = Live {
            output: &args.live.output,
            log_dir: args.live.log_dir.as_deref(),
            config_file: args.live.config.as_deref(),
            config,
            author: Author::Operator,
            stdout_taken: !args.command.is_empty(),
        };
        let (mut outputs, setting, fallback) = Outputs::live(&output, &runtime)?;
        outputs.tree = args.tree;
        let policies = Policies::load(&args.policy, setting, fallback)?;
        let compiled = policies.plans();
        outputs.attribution.directory.replace(Directory::of(&compiled.objects));
        outputs.plans.replace(compiled);
        let mut scope = scope(args, cgroup.as_ref());
        let own_cgroups = scope.cgroups.clone();
        let plans = outputs.plans.current().1;
        scope.cgroups.extend(pod_cgroups(&plans));
        let plain = plain_cgroups(&plans, &own_cgroups);
        let cgroups = scope.cgroups.clone();
        let follows_cgroups = !scope.all && scope.ports.is_empty() && !scope.follows_processes();
        // Who is in a cgroup can be left out by it. Others could not be: where nobody is to be read, there are no probes.
        let looks_inside_tls = !args.live.no_tls && (follows_cgroups || is_inside_tls_wanted(&plans));
        let inside_tls = looks_inside_tls.then(|| InsideTls {
            targets: config.tls_targets(),
            scope: tls_scope(args, &scope, &plain, &plans),
            by_connections: true,
        });
        let settings = settings(args, scope, looks_inside_tls)?;
        let live = LiveState::new(
            About::of_this_process(None),
            &outputs.health,
            &outputs.plans,
            &outputs.attribution.directory,
        );
        if args.admin_addr.is_some() {
            // Else they would be kept for nobody.
            live.set_policies(policies.compiled());
        }
        let capture_gate = live.readiness().gate("capture", "not capturing yet");
        let lookup = |name: &str| config.variable(name, &|name| std::env::var(name).ok());
        let address = args.live.metrics_addr.clone().unwrap_or_else(|| default_metrics_address(&lookup));
        let routes = Routes::observed(outputs.exposition(), live.liveness().clone(), live.readiness().clone());
        let server = runtime.block_on(Server::start(&address, routes)).map_err(anyhow::Error::from)?;
        let admin = match &args.admin_addr {
            Some(address) => {
                let routes = Routes::live(live.clone(), config.admin_allows_remote());
                let server = runtime.block_on(Server::start(address, routes)).map_err(anyhow::Error::from)?;
                tracing::info!("live state at http://{}/", server.address());
                Some(server)
            }
            None => None,
        };
        let recorder = args.record.as_deref().map(record_to).transpose()?;
        let mut capturing = Capturing::start(&settings, inside_tls, &outputs, recorder.as_ref(), &live, &runtime)?;
        let capture = capturing.capture().context("it was just started")?;
        tracing::info!(
            "capturing with backend {}, metrics at http://{}/metrics",
            capture.backend().name(),
            server.address()
        );
        let mut scope = capture.scope_control().map_err(anyhow::Error::from)?;
        if !plain.is_empty() {
            scope.set_cgroups(&cgroups, &plain).map_err(anyhow::Error::from)?;
        }
        if policies.may_change() {
            let looks_inside_tls = looks_inside_tls || args.live.no_tls;
            let plans = Arc::clone(&outputs.plans);
            let series = outputs.series();
            let directory = Arc::clone(&outputs.attribution.directory);
            let tls = follows_cgroups.then(|| capturing.tls()).flatten();
            let follower =
                Follower { policies, plans, series, directory, scope, tls, own_cgroups, looks_inside_tls, live };
            follower.start(capturing.stopping()).context("cannot start the thread that follows policies")?;
        }
        capture_gate.open();
        let mut session = Self {
            args,
            show_summary,
            runtime,
            signals,
            outputs,
            server,
            admin,
            capturing,
            recorder,
            open_files,
            command: None,
            cgroup,
        };
        session.start_command()?;
        Ok(session)
    }

    fn start_command(&mut self) -> Result<(), Failure> {
        if self.args.command.is_empty() {
            return Ok(());
        }
        let identity = if self.args.root { None } else { Identity::of_sudo() };
        let file = self.cgroup.as_ref().map(CommandCgroup::processes_file);
        let command = &self.args.command;
        let start = || launch::start(command, file.as_deref(), identity.as_ref(), self.open_files);
        let child = match (&file, self.capturing.capture()) {
            (None, Some(capture)) => capture.following(start).map_err(anyhow::Error::from)?,
            _ => start(),
        };
        self.command = Some(child.context("cannot start COMMAND")?);
        Ok(())
    }

    /// Waits for the end, then stops everything from the source to the sinks, so that what was captured comes out.
    pub(super) fn finish(mut self) -> Result<Exit, Failure> {
        let command_exit = if let Some(child) = self.command.take() {
            Some(self.wait_for(child)?)
        } else {
            let panicked = self.capturing.panicked();
            self.runtime.block_on(async {
                tokio::select! {
                    () = self.signals.any(|| self.outputs.reopen_logs()) => {}
                    () = panicked.notified() => {}
                }
            });
            None
        };
        if command_exit.is_some() {
            std::thread::sleep(AFTERGLOW);
        }
        let Captured { summary, panicked, _detaching } = self.capturing.stop();
        let recording_lost = self.recorder.is_some_and(|recorder| report::recording(&recorder.finish()));
        for server in [Some(self.server), self.admin].into_iter().flatten() {
            self.runtime.block_on(server.stop(SERVER_DEADLINE));
        }
        let health = Arc::clone(&self.outputs.health);
        let exit = self.outputs.finish()?;
        let losses = self.show_summary.then(|| {
            let mut lines = report::losses(&health);
            lines.extend(report::cost_of_others(&health));
            lines
        });
        eprint!("{}", summary.render_all(std::io::stderr().is_terminal(), losses.as_deref()));
        if panicked {
            return Err(anyhow!("a worker panicked; its last telemetry is lost").into());
        }
        Ok(match command_exit {
            Some(code) => Exit::Command(code),
            None if recording_lost => Exit::Failed,
            None => exit,
        })
    }

    fn wait_for(&mut self, mut child: Child) -> Result<u8, Failure> {
        let process = child.id();
        let (sender, ended) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || sender.send(child.wait()));
        let Self { runtime, signals, outputs, capturing, .. } = self;
        let panicked = capturing.panicked();
        let status = runtime.block_on(async {
            let ended = signals.while_command(process, ended, || outputs.reopen_logs());
            tokio::pin!(ended);
            tokio::select! {
                status = &mut ended => return status,
                () = panicked.notified() => {}
            }
            // COMMAND goes on, unobserved.
            capturing.detach();
            ended.await
        });
        Ok(launch::code(status.context("cannot wait for COMMAND")?.context("cannot wait for COMMAND")?))
    }
}

fn exporters_runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name("telltale-export").enable_all().build()
}

fn command_cgroup() -> Option<CommandCgroup> {
    match CommandCgroup::create() {
        Ok(cgroup) => Some(cgroup),
        Err(error) => {
            tracing::debug!("no cgroup for COMMAND, following its processes instead: {error}");
            None
        }
    }
}

fn record_to(path: &Path) -> anyhow::Result<recording::Recorder> {
    tracing::warn!(
        "{} will hold traffic as it was, credentials included; `telltale replay --scrub` overwrites them",
        path.display()
    );
    recording::Recorder::start(path).with_context(|| format!("cannot record to {}", path.display()))
}

fn settings(args: &RunArgs, scope: Scope, tls: bool) -> Result<Settings, Failure> {
    if scope.kinds() == 0 && !scope.descendants {
        return Err(Failure::Usage(format!(
            "nothing to capture: no Pod of --policy has a policy and the annotation {CGROUP_ANNOTATION}; give --pid, --cgroup, --port or --all, or a COMMAND after `--`"
        )));
    }
    let backend = capturing::backend(args.live.backend.as_deref())?;
    Ok(Settings { backend, scope, workers: capturing::workers(), debug: args.debug_ebpf, tls, ..Settings::default() })
}

/// What the flags say.
fn scope(args: &RunArgs, cgroup: Option<&CommandCgroup>) -> Scope {
    let mut cgroups = args.cgroup.clone();
    cgroups.extend(cgroup.map(|cgroup| cgroup.path().to_owned()));
    Scope {
        all: args.all,
        processes: args.pid.clone(),
        descendants: !args.command.is_empty() && cgroup.is_none(),
        cgroups,
        ports: args.port.clone(),
        hierarchy: None,
    }
}

/// Whose TLS libraries get probes, before COMMAND is started.
fn tls_scope(args: &RunArgs, scope: &Scope, plain: &[PathBuf], plans: &Plans) -> TlsScope {
    let members = if scope.all || !scope.ports.is_empty() {
        // Anybody may use a port.
        Members::All
    } else if scope.follows_processes() {
        Members::Unknown
    } else {
        Members::Cgroups { included: scope.cgroups.clone(), excluded: plain.to_vec() }
    };
    let reads_command = !args.command.is_empty() && plans.local.tls == Tls::Enabled;
    let command = reads_command.then(|| args.command.clone());
    TlsScope { members, processes: scope.processes.clone(), command }
}
