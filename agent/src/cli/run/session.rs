//! One run: sources, workers and outputs put together, and taken apart again in order.

use std::{
    io::IsTerminal as _,
    process::Child,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use anyhow::{Context as _, anyhow};
use tokio::{runtime::Runtime, sync::Notify};

use super::{
    follow::{Follower, pod_cgroups},
    launch::{self, Identity},
    signals::Signals,
    worker::CaptureWorker,
};
use crate::{
    capture::{
        command_cgroup::CommandCgroup,
        kernel::{Backend, Capture, Scope, Settings},
        recording,
    },
    cli::{
        args::RunArgs,
        exit::{Exit, Failure},
        health,
        outputs::Outputs,
        policies::Policies,
        report,
    },
    config::Config,
    export::prometheus::{Readiness, Server, default_address},
    pipeline::{self, MAX_CONNECTIONS, Pipeline},
    telemetry::summary::Summary,
    workload::{CGROUP_ANNOTATION, Source},
};

/// After COMMAND has ended: time for the ends of its connections to be seen.
const AFTERGLOW: Duration = Duration::from_millis(150);
/// How long the end of a run waits for a scrape that is under way.
const SERVER_DEADLINE: Duration = Duration::from_secs(1);

/// For tests, in builds with debug assertions only: set, workers panic at their first event.
#[cfg(debug_assertions)]
const PANIC: &str = "TELLTALE_TEST_PANIC";

/// Tells the run that a worker panicked, so that nothing stays attached that nobody reads.
struct Alarm(Arc<Notify>);

impl Drop for Alarm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!("a worker panicked: nothing more is captured");
            self.0.notify_one();
        }
    }
}

/// A run under way.
pub(super) struct Session<'a> {
    args: &'a RunArgs,
    show_summary: bool,
    runtime: Runtime,
    signals: Signals,
    outputs: Outputs,
    server: Server,
    capture: Option<Capture>,
    workers: Vec<JoinHandle<CaptureWorker>>,
    stop: Arc<AtomicBool>,
    panicked: Arc<Notify>,
    recorder: Option<recording::Recorder>,
    command: Option<Child>,
    /// Last: processes that are still in it are moved out after all else.
    cgroup: Option<CommandCgroup>,
}

impl<'a> Session<'a> {
    /// Opens the outputs, starts to capture, then starts COMMAND.
    pub(super) fn start(args: &'a RunArgs, config: &Config, show_summary: bool) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("telltale-export")
            .enable_all()
            .build()
            .context("cannot start the runtime of the exporters")?;
        let signals = {
            let _entered = runtime.enter();
            Signals::catch().context("cannot catch signals")?
        };
        let cgroup = if args.command.is_empty() { None } else { command_cgroup() };
        let mut outputs = Outputs::for_run(args, config, &runtime)?;
        let mut scope = scope(args, cgroup.as_ref());
        let own_cgroups = scope.cgroups.clone();
        scope.cgroups.extend(pod_cgroups(&outputs.plans.current().1));
        let settings = settings(args, scope)?;
        let readiness = Readiness::default();
        let lookup = |name: &str| config.variable(name, &|name| std::env::var(name).ok());
        let address = args.metrics_addr.clone().unwrap_or_else(|| default_address(&lookup));
        let server = runtime
            .block_on(Server::start(&address, outputs.exposition(), readiness.clone()))
            .map_err(anyhow::Error::from)?;
        let recorder = match &args.record {
            Some(path) => {
                tracing::warn!(
                    "{} will hold traffic as it was, credentials included; `telltale replay --scrub` overwrites them",
                    path.display()
                );
                Some(recording::Recorder::start(path).with_context(|| format!("cannot record to {}", path.display()))?)
            }
            None => None,
        };
        let mut capture = Capture::start(&settings).map_err(anyhow::Error::from)?;
        if args.debug_ebpf {
            let _entered = runtime.enter();
            capture.debug_log().context("cannot read the log of the kernel programs")?;
        }
        health::register(&outputs.health, &capture).map_err(anyhow::Error::from)?;
        let stop = Arc::new(AtomicBool::new(false));
        let panicked = Arc::new(Notify::new());
        let mut workers = Vec::new();
        for (index, ring) in capture.rings().map_err(anyhow::Error::from)?.into_iter().enumerate() {
            let settings = pipeline::Settings {
                plans: Arc::clone(&outputs.plans),
                source: Source::System,
                connections: MAX_CONNECTIONS,
            };
            let mut worker = CaptureWorker {
                pipeline: Pipeline::new(settings, outputs.recorder(), &outputs.health),
                recorder: recorder.as_ref().map(recording::Recorder::handle),
                malformed: outputs.health.counter(&crate::admin::table::KERNEL_DROPS, &["malformed"]),
                refused: outputs.health.counter(&crate::admin::table::SKIPS_REFUSED, &[]),
                #[cfg(debug_assertions)]
                panics: std::env::var_os(PANIC).is_some(),
            };
            let stop = Arc::clone(&stop);
            let alarm = Alarm(Arc::clone(&panicked));
            let thread = std::thread::Builder::new()
                .name(format!("telltale-{index}"))
                .spawn(move || {
                    let _alarm = alarm;
                    ring.run(&mut worker, &stop);
                    worker
                })
                .context("cannot start a worker")?;
            workers.push(thread);
        }
        if let Some(policies) = outputs.take_policies().filter(Policies::may_change) {
            let plans = Arc::clone(&outputs.plans);
            let scope = capture.scope_control().map_err(anyhow::Error::from)?;
            let series = outputs.series();
            let follower = Follower { policies, plans, series, scope, own_cgroups };
            follower.start(Arc::clone(&stop)).context("cannot start the thread that follows policies")?;
        }
        readiness.set(true);
        for refusal in capture.refusals() {
            tracing::debug!("backend {refusal}");
        }
        tracing::info!(
            "capturing with backend {}, metrics at http://{}/metrics",
            capture.backend().name(),
            server.address()
        );
        let mut session = Self {
            args,
            show_summary,
            runtime,
            signals,
            outputs,
            server,
            capture: Some(capture),
            workers,
            stop,
            panicked,
            recorder,
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
        let start = || launch::start(command, file.as_deref(), identity.as_ref());
        let child = match (&file, &mut self.capture) {
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
            self.runtime.block_on(async {
                tokio::select! {
                    () = self.signals.any(|| self.outputs.reopen_logs()) => {}
                    () = self.panicked.notified() => {}
                }
            });
            None
        };
        if command_exit.is_some() {
            std::thread::sleep(AFTERGLOW);
        }
        self.stop.store(true, Ordering::Release);
        // Else the workers of a busy machine would find more for as long as they look.
        if let Some(Err(error)) = self.capture.as_mut().map(Capture::close_scope) {
            tracing::debug!("{error}; capture goes on until it is detached");
        }
        let (mut summary, mut panicked) = (Summary::default(), false);
        for thread in self.workers {
            match thread.join() {
                Ok(mut worker) => summary.merge(&worker.pipeline.finish()),
                Err(_) => panicked = true,
            }
        }
        drop(self.capture);
        let recording_lost = self.recorder.is_some_and(|recorder| report::recording(&recorder.finish()));
        self.runtime.block_on(self.server.stop(SERVER_DEADLINE));
        let health = Arc::clone(&self.outputs.health);
        let exit = self.outputs.finish()?;
        if self.show_summary {
            let stderr = std::io::stderr();
            eprint!("{}", summary.render(stderr.is_terminal(), &report::losses(&health)));
        }
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
        let Self { runtime, signals, outputs, capture, panicked, .. } = self;
        let status = runtime.block_on(async {
            let ended = signals.while_command(process, ended, || outputs.reopen_logs());
            tokio::pin!(ended);
            tokio::select! {
                status = &mut ended => return status,
                () = panicked.notified() => {}
            }
            // COMMAND goes on, unobserved.
            drop(capture.take());
            ended.await
        });
        Ok(launch::code(status.context("cannot wait for COMMAND")?.context("cannot wait for COMMAND")?))
    }
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

fn settings(args: &RunArgs, scope: Scope) -> Result<Settings, Failure> {
    if scope.kinds() == 0 && !scope.descendants {
        return Err(Failure::Usage(format!(
            "nothing to capture: no Pod of --policy has a policy and the annotation {CGROUP_ANNOTATION}; give --pid, --cgroup, --port or --all, or a COMMAND after `--`"
        )));
    }
    let backend = match &args.backend {
        None => None,
        Some(name) => Some(Backend::from_name(name).ok_or_else(|| {
            let known: Vec<_> = Backend::ALL.iter().map(|backend| backend.name()).collect();
            Failure::Usage(format!("--backend {name}: there is no such backend; one of {}", known.join(", ")))
        })?),
    };
    Ok(Settings { backend, scope, workers: workers(), debug: args.debug_ebpf, ..Settings::default() })
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
    }
}

/// One worker for every four CPUs: one alone handles more than a small machine can send.
fn workers() -> u32 {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from) as u32;
    (cpus / 4).clamp(1, agent_common::limits::RINGS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_panics_is_told_of() {
        let told = Arc::new(Notify::new());
        let alarm = Alarm(Arc::clone(&told));
        let worker = std::thread::spawn(move || {
            let _alarm = alarm;
            panic!("as a worker would");
        });
        worker.join().unwrap_err();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let waiting = async { tokio::time::timeout(Duration::from_secs(5), told.notified()).await };
        runtime.block_on(waiting).expect("the alarm");
    }
}
