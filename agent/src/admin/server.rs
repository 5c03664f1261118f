//! The agent's HTTP servers: one address for scrapers and probes, another for the live state.

use std::{
    io,
    net::{SocketAddr, ToSocketAddrs as _},
};

use axum::Router;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

use super::{
    Liveness, METRICS_ADDRESS, Readiness,
    live::{self, LiveState},
    observed,
};
use crate::export::prometheus::Exposition;

/// The server could not be started.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is not one.
    #[error("{address:?} is not an address to serve {what} on: {source}; give HOST:PORT, such as {METRICS_ADDRESS}")]
    Address {
        /// What was to be served.
        what: &'static str,
        /// What was given.
        address: String,
        /// Why not.
        source: io::Error,
    },
    /// Somebody else has it.
    #[error(
        "cannot serve {what} on {address}: the port is in use; choose another with {flag} (port 0 picks a free one)"
    )]
    InUse {
        /// What was to be served.
        what: &'static str,
        /// Which flag says where.
        flag: &'static str,
        /// What was tried.
        address: SocketAddr,
    },
    /// Others could reach it.
    #[error(
        "the live state is not served on {address}, which others can reach: it names every pod, process and address \
         that is observed; use 127.0.0.1 (in a cluster with `kubectl port-forward`), or say `admin: {{allowRemote: true}}` in --config"
    )]
    NotLoopback {
        /// What was given.
        address: SocketAddr,
    },
    /// The system refuses.
    #[error("cannot serve {what} on {address}: {source}")]
    Bind {
        /// What was to be served.
        what: &'static str,
        /// What was tried.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
}

/// What one address serves.
#[derive(Debug)]
pub struct Routes {
    router: Router,
    what: &'static str,
    flag: &'static str,
    only_loopback: bool,
}

impl Routes {
    /// `/metrics`, `/healthz` and `/readyz`, for scrapers and probes.
    pub fn observed(exposition: std::sync::Arc<Exposition>, liveness: Liveness, readiness: Readiness) -> Self {
        let router = observed::router(exposition, liveness, readiness);
        Self { router, what: "metrics", flag: "--metrics-addr", only_loopback: false }
    }

    /// The live state (`docs/admin.md`), for this machine only unless `remote`.
    pub fn live(live: LiveState, remote: bool) -> Self {
        Self { router: live::router(live), what: "the live state", flag: "--admin-addr", only_loopback: !remote }
    }
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<io::Result<()>>,
}

impl Server {
    /// Listens on `HOST:PORT` and serves on the current tokio runtime. Port 0 picks a free one: see [`Self::address`].
    pub async fn start(address: &str, routes: Routes) -> Result<Self, ServeError> {
        let Routes { router, what, flag, only_loopback } = routes;
        let resolved = address
            .to_socket_addrs()
            .and_then(|mut all| all.next().ok_or_else(|| io::Error::other("it has no address")))
            .map_err(|source| ServeError::Address { what, address: address.to_owned(), source })?;
        if only_loopback && !resolved.ip().to_canonical().is_loopback() {
            return Err(ServeError::NotLoopback { address: resolved });
        }
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => ServeError::InUse { what, flag, address: resolved },
            _ => ServeError::Bind { what, address: resolved, source },
        };
        let listener = TcpListener::bind(resolved).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (stop, stopped) = oneshot::channel::<()>();
        let serve = axum::serve(listener, router).with_graceful_shutdown(async {
            let _ = stopped.await;
        });
        let task = tokio::spawn(async move { serve.await });
        Ok(Self { address, stop: Some(stop), task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets running requests end, for at most this long, and stops.
    pub async fn stop(mut self, deadline: std::time::Duration) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if tokio::time::timeout(deadline, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}
