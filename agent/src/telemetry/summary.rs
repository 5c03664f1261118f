//! What a run saw, as a table for people: one row a peer.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    hash::{Hash, Hasher},
};

use comfy_table::{CellAlignment, Table, presets};
use foldhash::fast::RandomState;
use hashbrown::{Equivalent, HashMap};
use hdrhistogram::Histogram;

use super::Facts;
use crate::{capture::Role, protocol::Incomplete};

/// The most peers that have a row of their own; the others share one.
pub const MAX_PEERS: usize = 256;

/// Significant digits of durations; with two, a row's histogram takes at most about 60 KB.
const DIGITS: u8 = 2;

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
    /// Microseconds; only of exchanges of which both ends were seen.
    durations: Histogram<u64>,
    request_bytes: Bytes,
    response_bytes: Bytes,
}

/// A sum of sizes of which some may not be known.
#[derive(Clone, Copy, Debug, Default)]
struct Bytes {
    known: u64,
    any: bool,
    unknown: bool,
}

impl Bytes {
    fn add(&mut self, size: Option<u64>) {
        match size {
            Some(size) => {
                self.known = self.known.saturating_add(size);
                self.any = true;
            }
            None => self.unknown = true,
        }
    }

    fn merge(&mut self, other: Self) {
        self.known = self.known.saturating_add(other.known);
        self.any |= other.any;
        self.unknown |= other.unknown;
    }

    /// `-` if nothing is known, `>=` before what is a part.
    fn text(self) -> String {
        match self {
            Self { any: false, .. } => "-".to_owned(),
            Self { unknown: true, known, .. } => format!(">={}", bytes_text(known)),
            Self { known, .. } => bytes_text(known),
        }
    }
}

impl Row {
    fn new() -> Option<Self> {
        // The digits are a constant that the library accepts.
        let durations = Histogram::new(DIGITS).ok()?;
        let (request_bytes, response_bytes) = (Bytes::default(), Bytes::default());
        Some(Self { requests: 0, errors: 0, durations, request_bytes, response_bytes })
    }

    fn merge(&mut self, other: &Self) {
        self.requests += other.requests;
        self.errors += other.errors;
        // Both resize themselves, so adding does not fail.
        let _ = self.durations.add(&other.durations);
        self.request_bytes.merge(other.request_bytes);
        self.response_bytes.merge(other.response_bytes);
    }

    fn quantile(&self, quantile: f64) -> String {
        if self.durations.is_empty() { "-".to_owned() } else { micros_text(self.durations.value_at_quantile(quantile)) }
    }
}

/// Collects one worker's share; the shares are merged at the end.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    rows: HashMap<Peer, Row, RandomState>,
    incomplete: BTreeMap<&'static str, u64>,
}

impl Summary {
    /// Adds an exchange that [`super::Recorder::record`] recorded.
    pub fn record(&mut self, facts: &Facts<'_>) {
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
            // It resizes itself, so that recording does not fail.
            let _ = row.durations.record((nanos / 1000).max(1));
        }
        row.request_bytes.add(exchange.request.body_size);
        row.response_bytes.add(exchange.response.as_ref().and_then(|response| response.body_size));
        if let Some(reason) = exchange.incomplete.map(Incomplete::name) {
            *self.incomplete.entry(reason).or_default() += 1;
        }
    }

    /// Adds another worker's share.
    pub fn merge(&mut self, other: &Self) {
        for (peer, row) in &other.rows {
            if let Some(own) = self.row(peer.as_ref()) {
                own.merge(row);
            }
        }
        for (reason, count) in &other.incomplete {
            *self.incomplete.entry(reason).or_default() += count;
        }
    }

    /// How many exchanges it holds.
    pub fn exchanges(&self) -> u64 {
        self.rows.values().map(|row| row.requests).sum()
    }

    fn row(&mut self, mut peer: PeerRef<'_>) -> Option<&mut Row> {
        if !self.rows.contains_key(&peer) {
            if self.rows.len() >= MAX_PEERS {
                peer = PeerRef::Others;
            }
            if !self.rows.contains_key(&peer) {
                self.rows.insert(peer.to_peer(), Row::new()?);
            }
        }
        self.rows.get_mut(&peer)
    }

    /// The table, and below it what was not seen whole. `losses` are more lines of that kind. With `pretty` it has lines drawn
    /// around it, for a terminal.
    pub fn render(&self, pretty: bool, losses: &[String]) -> String {
        let mut text = String::new();
        if self.rows.is_empty() {
            text.push_str("no HTTP exchanges\n");
        } else {
            let _ = writeln!(text, "{}", self.table(pretty));
        }
        let incomplete: u64 = self.incomplete.values().sum();
        if incomplete > 0 {
            let reasons: Vec<String> =
                self.incomplete.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
            let _ = writeln!(text, "not seen whole: {incomplete} ({})", reasons.join(", "));
        }
        for loss in losses {
            let _ = writeln!(text, "{loss}");
        }
        text
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

    fn table(&self, pretty: bool) -> String {
        let mut table = Table::new();
        table.load_preset(if pretty { presets::UTF8_FULL_CONDENSED } else { presets::NOTHING });
        table.set_header(["side", "peer", "requests", "errors", "p50", "p99", "request bytes", "response bytes"]);
        for (_, (side, name), row) in self.sorted() {
            table.add_row([
                side.to_owned(),
                name,
                row.requests.to_string(),
                row.errors.to_string(),
                row.quantile(0.5),
                row.quantile(0.99),
                row.request_bytes.text(),
                row.response_bytes.text(),
            ]);
        }
        for column in table.column_iter_mut().skip(2) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
    }
}

/// A duration with about three digits.
fn micros_text(micros: u64) -> String {
    match micros {
        0..1_000 => format!("{micros} us"),
        1_000..1_000_000 => format!("{:.1} ms", micros as f64 / 1e3),
        _ => format!("{:.2} s", micros as f64 / 1e6),
    }
}

/// A size with decimal prefixes.
fn bytes_text(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::test_support::Sample;

    fn record(summary: &mut Summary, sample: &Sample) {
        let exchange = sample.exchange();
        summary.record(&Facts::of(&exchange).expect("a sample has a request"));
    }

    #[test]
    fn what_is_not_known_is_a_dash_and_a_part_is_a_lower_bound() {
        let mut bytes = Bytes::default();
        bytes.add(None);
        assert_eq!(bytes.text(), "-");
        bytes.add(Some(1500));
        assert_eq!(bytes.text(), ">=1.5 kB");
        let mut summary = Summary::default();
        record(&mut summary, &Sample::new(Role::Client).unanswered(Incomplete::Reset));
        let text = summary.render(false, &["gaps: 5 B".to_owned()]);
        assert!(text.contains(" - "), "{text}");
        assert!(text.ends_with("not seen whole: 1 (1 reset)\ngaps: 5 B\n"), "{text}");
    }

    #[test]
    fn workers_add_up() {
        let mut shares = [Summary::default(), Summary::default()];
        for share in &mut shares {
            record(share, &Sample::new(Role::Client));
            record(share, &Sample::new(Role::Server));
        }
        let mut sum = Summary::default();
        for share in &shares {
            sum.merge(share);
        }
        assert_eq!(sum.exchanges(), 4);
        assert_eq!(sum.rows.len(), 2);
        assert!(sum.rows.values().all(|row| row.requests == 2 && row.durations.len() == 2));
        assert!(sum.render(false, &[]).contains("12.4 ms"));
    }

    #[test]
    fn peers_beyond_the_bound_share_a_row() {
        let mut summary = Summary::default();
        for number in 0..MAX_PEERS + 3 {
            record(&mut summary, &Sample::new(Role::Client).header("host", &format!("h{number}")));
        }
        assert_eq!(summary.rows.len(), MAX_PEERS + 1);
        assert_eq!(summary.rows[&Peer::Others].requests, 3);
    }

    #[test]
    fn rows_are_sorted_clients_first() {
        let mut summary = Summary::default();
        record(&mut summary, &Sample::new(Role::Server));
        for host in ["b:80", "[::1]:81", "a.example:9", "a:81", "a:80"] {
            record(&mut summary, &Sample::new(Role::Client).header("host", host));
        }
        let names: Vec<_> = summary.sorted().into_iter().map(|(_, (_, name), _)| name).collect();
        assert_eq!(names, ["[::1]:81", "a.example:9", "a:80", "a:81", "b:80", "shop"]);
        assert!(summary.sorted().iter().all(|(.., row)| row.requests == 1));
    }

    #[test]
    fn nothing_seen_is_said() {
        assert_eq!(Summary::default().render(true, &[]), "no HTTP exchanges\n");
    }
}
