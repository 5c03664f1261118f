//! What of an agent is about its node: cgroups and capture, or why there are none.

use std::sync::Arc;

use anyhow::anyhow;
use tokio::runtime::Runtime;

use crate::{
    admin::live::LiveState,
    capture::{
        kernel::{CaptureError, Scope, ScopeControl, Settings, capability},
        tls::{
            follower::{FollowerHandle, Scope as TlsScope},
            processes::Members,
        },
    },
    cli::{
        args::AgentArgs,
        capturing::{self, Capturing, InsideTls},
        exit::{Failure, in_full},
        outputs::Outputs,
    },
    config::Config,
    workload::cgroup::CgroupWatcher,
};

/// Cgroups and capture. Where there is no capture the agent goes on all the same: the cluster has to know which node it is that does not do what is
/// asked.
pub(super) struct NodeSide {
    pub(super) capturing: Option<Capturing>,
    /// Watches while it lives.
    pub(super) cgroups: Option<CgroupWatcher>,
    pub(super) scope: Option<ScopeControl>,
    /// What is told of whose TLS is read.
    pub(super) tls: Option<FollowerHandle>,
    /// Why no policy can have what is inside TLS here, although it is to be read; it is among [`Self::cannot`].
    pub(super) tls_refused: Option<String>,
    /// What no policy can have here, each in a few words.
    pub(super) cannot: Vec<String>,
    /// What is told less exactly here, likewise.
    pub(super) notes: Vec<String>,
}

impl NodeSide {
    /// Starts to watch cgroups, and to capture nothing yet.
    ///
    /// # Errors
    /// A flag is wrong.
    pub(super) fn start(
        args: &AgentArgs,
        config: &Config,
        outputs: &mut Outputs,
        live: &LiveState,
        runtime: &Runtime,
    ) -> Result<Self, Failure> {
        let backend = capturing::backend(args.live.backend.as_deref())?;
        let effective = capability::effective();
        let notes = capability::notes(effective);
        let mut side = Self {
            capturing: None,
            cgroups: None,
            scope: None,
            tls: None,
            tls_refused: None,
            cannot: Vec::new(),
            notes,
        };
        let mut start = || -> anyhow::Result<()> {
            let cgroups = CgroupWatcher::start(&args.cgroup_root, &outputs.health)?;
            outputs.attribution.cgroups = Some(Arc::clone(cgroups.index()));
            let scope = Scope { hierarchy: Some(cgroups.tree().hierarchy.clone()), ..Scope::default() };
            let tls = !args.live.no_tls;
            // A policy may leave out what is inside TLS, so that who has a connection in scope may still not be looked into.
            let inside_tls = tls.then(|| InsideTls {
                targets: config.tls_targets(),
                scope: TlsScope {
                    members: Members::Cgroups { included: Vec::new(), excluded: Vec::new() },
                    ..TlsScope::default()
                },
                by_connections: false,
            });
            let settings = Settings { backend, scope, workers: capturing::workers(), tls, ..Settings::default() };
            let mut capturing = match Capturing::start(&settings, inside_tls, outputs, None, live, runtime) {
                Ok(capturing) => capturing,
                Err(Failure::Failed(error)) => return Err(error),
                Err(_) => return Err(anyhow!("capture cannot start")),
            };
            if let Some(capture) = capturing.capture() {
                tracing::info!("capturing with backend {}", capture.backend().name());
                side.scope = Some(capture.scope_control()?);
            }
            side.tls = capturing.tls();
            side.tls_refused = capturing.tls_refused().map(|error| capability::tls_refusal(error));
            (side.capturing, side.cgroups) = (Some(capturing), Some(cgroups));
            Ok(())
        };
        if let Err(error) = start() {
            tracing::error!("nothing is captured on this node: {}", in_full(&error));
            side.cannot.push(match error.downcast_ref::<CaptureError>() {
                Some(error) => capability::refusal(error, effective),
                // A message of a status has one line.
                None => format!("nothing is captured: {}", in_full(&error).lines().next().unwrap_or_default()),
            });
        }
        side.cannot.extend(side.tls_refused.clone());
        live.set_cannot(side.cannot.clone());
        Ok(side)
    }
}
