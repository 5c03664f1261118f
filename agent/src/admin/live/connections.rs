//! `/v1/connections`: what the workers follow now.

use serde::Serialize;

use super::{
    LiveState,
    view::{EndView, PolicyView},
};
use crate::{
    capture::{Direction, Role},
    pipeline::ConnectionView,
    policy::{Compiled, objects::ObjectName},
};

#[derive(Debug, Serialize)]
pub(super) struct ConnectionsView {
    /// How many there are, of this pod where one is asked for.
    total: usize,
    /// Workers that did not answer: theirs are missing.
    unanswered: Vec<String>,
    connections: Vec<OneView>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct OneView {
    worker: String,
    id: u64,
    role: &'static str,
    /// Both are `null` where it is not known which connection what is inside TLS went over.
    local: Option<String>,
    peer: Option<String>,
    pid: u32,
    command: String,
    protocol: &'static str,
    tls: bool,
    workload: EndView,
    /// `null` where nobody known has the other end's address.
    peer_workload: Option<EndView>,
    policy: Option<PolicyView>,
    capture: &'static str,
    /// Bytes that were sent and received, seen or not.
    sent: u64,
    received: u64,
    /// Requests without response.
    pending: usize,
    last_event: String,
}

impl ConnectionsView {
    /// Of this pod, or of all; at most `limit`.
    pub(super) async fn of(live: &LiveState, pod: Option<ObjectName>, limit: usize) -> Self {
        let answers = live
            .ask(move |pipeline| {
                let (mut total, mut views) = (0, Vec::new());
                for (connection, view) in pipeline.views() {
                    let is_of =
                        |wanted: &ObjectName| connection.workload.pod.as_ref().is_some_and(|of| of.name == *wanted);
                    if pod.as_ref().is_none_or(is_of) {
                        total += 1;
                        if views.len() < limit {
                            views.push(view());
                        }
                    }
                }
                (total, views)
            })
            .await;
        let compiled = live.compiled();
        let mut all = Self { total: 0, unanswered: answers.missing, connections: Vec::new() };
        for (worker, (total, views)) in answers.given {
            all.total += total;
            let views = views.into_iter().map(|view| OneView::of(&worker, &view, compiled.as_deref()));
            all.connections.extend(views);
        }
        all.connections.sort_by(|left, right| (&left.worker, left.id).cmp(&(&right.worker, right.id)));
        all.connections.truncate(limit);
        all
    }
}

impl OneView {
    fn of(worker: &str, view: &ConnectionView, compiled: Option<&Compiled>) -> Self {
        let open = &view.connection.open;
        let position = |direction: Direction| view.positions[direction.index()].unwrap_or(0);
        let time = jiff::Timestamp::from_nanosecond(i128::from(view.latest.0));
        Self {
            worker: worker.to_owned(),
            id: view.id.0,
            role: match view.connection.role {
                Role::Client => "client",
                Role::Server => "server",
            },
            local: open.addresses_known().then(|| open.local.to_string()),
            peer: open.addresses_known().then(|| open.peer.to_string()),
            pid: open.pid,
            command: open.comm.clone(),
            protocol: view.connection.protocol.name(),
            tls: open.tls,
            workload: EndView::from(&*view.connection.workload),
            peer_workload: view.connection.peer.as_deref().map(EndView::from),
            policy: PolicyView::of(&view.plan, compiled),
            capture: view.plan.capture.name(),
            sent: position(Direction::Out),
            received: position(Direction::In),
            pending: view.pending,
            last_event: time.map_or_else(|_| String::new(), |time| time.to_string()),
        }
    }
}
