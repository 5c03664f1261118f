//! One agent: everything put together, and taken apart again in order.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, anyhow};
use tokio::{
    runtime::Runtime,
    sync::{Notify, watch},
    task::JoinHandle,
};

use super::{controller::Controller, node_side::NodeSide, policies::ClusterPolicies};
use crate::{
    admin::{
        Routes, Server, default_metrics_address,
        live::{About, LiveState},
        table,
    },
    cli::{
        args::AgentArgs,
        capturing::{Captured, Capturing},
        exit::{Exit, Failure},
        outputs::{Live, Outputs},
        signals::Signals,
    },
    config::{Author, Config},
    kube::{
        self, Election, NodeReporter, NodeReporterSettings, ReportsWatch, StatusWriter, Timing, WatchSettings, Watches,
    },
    workload::{Directory, cgroup::CgroupWatcher},
};

/// How long the end waits for a scrape that is under way.
const SERVER_DEADLINE: Duration = Duration::from_secs(1);
/// How long the end waits for what follows the cluster.
const CONTROLLER_DEADLINE: Duration = Duration::from_secs(2);
/// The namespace of the installation where nothing tells.
const NAMESPACE: &str = "telltale";
/// Where a pod finds the namespace of its service account.
const SERVICE_ACCOUNT_NAMESPACE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

/// An agent at work.
pub(super) struct Session {
    runtime: Runtime,
    signals: Signals,
    outputs: Outputs,
    servers: Vec<Server>,
    capturing: Option<Capturing>,
    election: Election,
    stop: watch::Sender<bool>,
    controller: JoinHandle<()>,
    /// Watches while it lives.
    _cgroups: Option<CgroupWatcher>,
}

impl Session {
    /// Opens the outputs, starts to capture nothing, and follows the cluster from then on.
    pub(super) fn start(args: &AgentArgs, config: &Config) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("telltale-async")
            .enable_all()
            .build()
            .context("cannot start the runtime")?;
        let entered = runtime.enter();
        let signals = Signals::catch().context("cannot catch signals")?;
        let live = Live {
            output: &args.live.output,
            log_dir: args.live.log_dir.as_deref(),
            config_file: args.live.config.as_deref(),
            config,
            author: Author::Tenant,
            stdout_taken: false,
        };
        let (mut outputs, setting, fallback) = Outputs::live(&live, &runtime)?;
        let node = node_name(args)?;
        let live = LiveState::new(
            About::of_this_process(Some(node.clone())),
            &outputs.health,
            &outputs.plans,
            &outputs.attribution.directory,
        );
        let synced = live.readiness().gate("cluster", "the objects of the cluster were not read yet");
        let lookup = |name: &str| config.variable(name, &|name| std::env::var(name).ok());
        let metrics_addr = args.live.metrics_addr.clone().unwrap_or_else(|| default_metrics_address(&lookup));
        let observed = Routes::observed(outputs.exposition(), live.liveness().clone(), live.readiness().clone());
        let start =
            |address: &str, routes| runtime.block_on(Server::start(address, routes)).map_err(anyhow::Error::from);
        let metrics = start(&metrics_addr, observed)?;
        let admin = start(&args.admin_addr, Routes::live(live.clone(), config.admin_allows_remote()))?;
        let connection = runtime
            .block_on(kube::connect(args.kubeconfig.as_deref(), &outputs.health))
            .map_err(anyhow::Error::from)?;
        let namespace = namespace(args);
        outputs.attribution.directory.replace(Directory::naming(config.naming()));
        // A container has a name of its own.
        outputs.attribution.host = Some(node.as_str().into());
        let node_side = NodeSide::start(args, config, &mut outputs, &live, &runtime)?;
        tracing::info!(
            "node {node} of {}, leases in namespace {namespace}, metrics at http://{}/metrics, live state at http://{}/",
            connection.server,
            metrics.address(),
            admin.address()
        );

        let client = connection.client;
        let pod = args.pod_name.clone();
        let identity = pod.clone().unwrap_or_else(|| node.clone());
        let election = Election::start(client.clone(), &identity, &namespace, Timing::default(), &outputs.health);
        let leadership = election.leadership();
        let (stop, stopped) = watch::channel(false);
        let controller = Controller {
            watches: Watches::start(
                &client,
                WatchSettings { node: node.clone(), peers: config.follows_peers() },
                &outputs.health,
            ),
            attribution: outputs.attribution.clone(),
            reach: setting.trust.reach.clone(),
            policies: ClusterPolicies::new(setting, fallback),
            plans: Arc::clone(&outputs.plans),
            scope: node_side.scope,
            tls: node_side.tls,
            tls_members: None,
            tls_refused: node_side.tls_refused,
            cannot_now: node_side.cannot.clone(),
            cannot: node_side.cannot,
            notes: node_side.notes,
            series: outputs.series(),
            sinks: outputs.log_sinks(),
            reporter: NodeReporter::start(
                client.clone(),
                NodeReporterSettings { namespace: namespace.clone(), node: node.clone(), pod },
                &outputs.health,
            ),
            reports: ReportsWatch::start(client.clone(), &namespace, leadership.clone(), &outputs.health),
            writer: StatusWriter::start(client, &identity, leadership.clone(), &outputs.health),
            told: None,
            leadership,
            synced,
            live,
            selected: outputs.health.gauge(&table::SELECTED_PODS, &[]),
            node,
        };
        let controller = runtime.spawn(controller.run(stopped));
        drop(entered);
        Ok(Self {
            runtime,
            signals,
            outputs,
            servers: vec![metrics, admin],
            capturing: node_side.capturing,
            election,
            stop,
            controller,
            _cgroups: node_side.cgroups,
        })
    }

    /// Waits for the end, then stops everything from the source to the sinks, so that what was captured comes out.
    pub(super) fn finish(mut self) -> Result<Exit, Failure> {
        let panicked = self.capturing.as_ref().map(Capturing::panicked);
        let Self { runtime, signals, outputs, controller, .. } = &mut self;
        let died = runtime.block_on(async {
            tokio::select! {
                () = signals.any(|| { outputs.reopen_logs(); true }) => false,
                () = told(panicked) => false,
                // It ends only by a panic.
                _ = controller => true,
            }
        });
        let _ = self.stop.send(true);
        if !died {
            // It must not write a scope after that was closed.
            let ended = async { tokio::time::timeout(CONTROLLER_DEADLINE, &mut self.controller).await };
            if self.runtime.block_on(ended).is_err() {
                tracing::debug!("what follows the cluster does not end; capture ends all the same");
            }
        }
        // Another agent leads from now on, whatever the rest of the end takes.
        self.runtime.block_on(self.election.stop());
        let captured = self.capturing.map(Capturing::stop);
        for server in self.servers {
            self.runtime.block_on(server.stop(SERVER_DEADLINE));
        }
        let exit = self.outputs.finish()?;
        if captured.is_some_and(|Captured { panicked, .. }| panicked) {
            return Err(anyhow!("a worker panicked; its last telemetry is lost").into());
        }
        if died {
            return Err(anyhow!("the thread that follows the cluster panicked").into());
        }
        Ok(exit)
    }
}

/// Waits until it is told of; for ever if there is nothing.
async fn told(notify: Option<Arc<Notify>>) {
    match notify {
        Some(notify) => notify.notified().await,
        None => std::future::pending().await,
    }
}

fn node_name(args: &AgentArgs) -> Result<String, Failure> {
    if let Some(name) = args.node_name.as_ref().filter(|name| !name.is_empty()) {
        return Ok(name.clone());
    }
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| Failure::Usage("the host has no name: give --node-name".to_owned()))?;
    // As kubelet does, unless it is told otherwise.
    Ok(name.to_lowercase())
}

fn namespace(args: &AgentArgs) -> String {
    let given = args.namespace.clone().filter(|name| !name.is_empty());
    let of_service_account = || {
        let text = std::fs::read_to_string(SERVICE_ACCOUNT_NAMESPACE).ok()?;
        Some(text.trim().to_owned()).filter(|name| !name.is_empty())
    };
    given.or_else(of_service_account).unwrap_or_else(|| NAMESPACE.to_owned())
}
