//! Requests: one row a peer.

use std::hash::{Hash, Hasher};

use foldhash::fast::RandomState;
use hashbrown::{Equivalent, HashMap};

use super::text::{Durations, Sum, bytes, table};
use crate::{capture::Role, telemetry::Facts};

/// The most peers that have a row of their own; the others share one.
pub const MAX_PEERS: usize = 256;

/// Who was called, or who answered.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Peer {
    /// Requests that a process sent, by the host and port that it called.
    Called(Box<str>, u16),
    /// Requests that a process answered, by its service.
    Own(Box<str>),
    /// Beyond [`MAX_PEERS`].
    Others,
}

/// A [`Peer`], borrowed from the exchange for the look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum PeerRef<'a> {
    Called(&'a str, u16),
    Own(&'a str),
    Others,
}

impl Peer {
    fn as_ref(&self) -> PeerRef<'_> {
        match self {
            Self::Called(host, port) => PeerRef::Called(host, *port),
            Self::Own(service) => PeerRef::Own(service),
            Self::Others => PeerRef::Others,
        }
    }
}

impl Hash for Peer {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_ref().hash(state);
    }
}

impl Equivalent<Peer> for PeerRef<'_> {
    fn equivalent(&self, key: &Peer) -> bool {
        *self == key.as_ref()
    }
}

impl PeerRef<'_> {
    fn to_peer(self) -> Peer {
        match self {
            Self::Called(host, port) => Peer::Called(host.into(), port),
            Self::Own(service) => Peer::Own(service.into()),
            Self::Others => Peer::Others,
        }
    }

    /// What its row begins with: whose side it is, and its name.
    fn text(self) -> (&'static str, String) {
        match self {
            Self::Called(host, port) if host.contains(':') => ("client", format!("[{host}]:{port}")),
            Self::Called(host, port) => ("client", format!("{host}:{port}")),
            Self::Own(service) => ("server", service.to_owned()),
            Self::Others => ("-", "(other peers)".to_owned()),
        }
    }
}

#[derive(Clone, Debug)]
struct Row {
    requests: u64,
    errors: u64,
    /// Only of exchanges of which both ends were seen.
    durations: Durations,
    request_bytes: Sum,
    response_bytes: Sum,
}

impl Row {
    fn new() -> Self {
        let (request_bytes, response_bytes) = (Sum::default(), Sum::default());
        Self { requests: 0, errors: 0, durations: Durations::default(), request_bytes, response_bytes }
    }

    fn merge(&mut self, other: &Self) {
        self.requests += other.requests;
        self.errors += other.errors;
        self.durations.merge(&other.durations);
        self.request_bytes.merge(other.request_bytes);
        self.response_bytes.merge(other.response_bytes);
    }
}

/// The peers of one worker.
#[derive(Clone, Debug, Default)]
pub(super) struct Peers {
    rows: HashMap<Peer, Row, RandomState>,
}

impl Peers {
    pub(super) fn record(&mut self, facts: &Facts<'_>) {
        let exchange = facts.exchange;
        let server = if facts.role == Role::Client { facts.server() } else { None };
        let peer = match (facts.role, &server) {
            (Role::Client, Some((host, port))) => PeerRef::Called(host, *port),
            (Role::Client, None) => PeerRef::Others,
            (Role::Server, _) => PeerRef::Own(&exchange.connection.workload.service_name),
        };
        let Some(row) = self.row(peer) else { return };
        row.requests += 1;
        row.errors += u64::from(facts.error.is_some());
        if let Some(nanos) = facts.duration() {
            row.durations.record(nanos / 1000);
        }
        row.request_bytes.add(exchange.request.body_size);
        row.response_bytes.add(exchange.response.as_ref().and_then(|response| response.body_size));
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (peer, row) in &other.rows {
            if let Some(own) = self.row(peer.as_ref()) {
                own.merge(row);
            }
        }
    }

    pub(super) fn requests(&self) -> u64 {
        self.rows.values().map(|row| row.requests).sum()
    }

    fn row(&mut self, mut peer: PeerRef<'_>) -> Option<&mut Row> {
        if !self.rows.contains_key(&peer) {
            if self.rows.len() >= MAX_PEERS {
                peer = PeerRef::Others;
            }
            if !self.rows.contains_key(&peer) {
                self.rows.insert(peer.to_peer(), Row::new());
            }
        }
        self.rows.get_mut(&peer)
    }

    /// Clients before servers, each by name, the others last.
    fn sorted(&self) -> Vec<(u8, (&'static str, String), &Row)> {
        let row = |(peer, row): (&Peer, _)| {
            let rank = match peer {
                Peer::Called(..) => 0,
                Peer::Own(_) => 1,
                Peer::Others => 2,
            };
            (rank, peer.as_ref().text(), row)
        };
        let mut rows: Vec<_> = self.rows.iter().map(row).collect();
        rows.sort_unstable_by(|(rank, text, _), (other_rank, other, _)| (rank, text).cmp(&(other_rank, other)));
        rows
    }

    pub(super) fn table(&self, pretty: bool) -> String {
        let header = ["side", "peer", "requests", "errors", "p50", "p99", "request bytes", "response bytes"];
        let rows = self.sorted().into_iter().map(|(_, (side, name), row)| {
            vec![
                side.to_owned(),
                name,
                row.requests.to_string(),
                row.errors.to_string(),
                row.durations.quantile(0.5),
                row.durations.quantile(0.99),
                row.request_bytes.text(bytes),
                row.response_bytes.text(bytes),
            ]
        });
        table(pretty, &header, rows)
    }
}
