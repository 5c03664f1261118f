//! What a capture saw, kept whole.

use std::collections::BTreeMap;

use agent_common::counter::Counter;
use telltale::capture::{CloseHow, Direction, Event, EventKind, GapReason, Open};

/// Bytes or a gap.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    /// Stream position of the first byte.
    pub(crate) position: u64,
    /// Bytes of the stream.
    pub(crate) length: u64,
    /// When, nanoseconds since the epoch.
    pub(crate) time: u64,
    /// The bytes, or why there are none.
    pub(crate) content: Result<Vec<u8>, GapReason>,
}

impl Piece {
    /// Position after the last byte.
    pub(crate) fn end(&self) -> u64 {
        self.position + self.length
    }
}

/// One end of a connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Connection {
    /// Who, as often as it was said.
    pub(crate) opens: Vec<Open>,
    /// By direction, in the order of the ring.
    pub(crate) pieces: [Vec<Piece>; 2],
    /// How it ended, as often as it was said.
    pub(crate) closes: Vec<Option<CloseHow>>,
    /// Pieces that came before an open or after a close.
    pub(crate) misplaced: usize,
    /// Which rings it came through, as bits.
    pub(crate) rings: u32,
}

/// Everything that a capture saw.
#[derive(Debug, Default)]
pub(crate) struct Captured {
    /// By socket cookie.
    pub(crate) connections: BTreeMap<u64, Connection>,
    /// Events of all kinds.
    pub(crate) events: u64,
    /// Runs of the programs that the kernel left out, as it does where one program preempts itself.
    pub(crate) missed: u64,
    /// Records that could not be decoded.
    pub(crate) malformed: u64,
    /// Skip positions that did not fit into the kernel's table.
    pub(crate) refused_skips: u64,
    /// The kernel side's own counts, by the number of the counter.
    pub(crate) counters: BTreeMap<u32, u64>,
    /// Gaps by reason, as the kernel side counted them.
    pub(crate) gaps: BTreeMap<GapReason, u64>,
}

impl Captured {
    /// Keeps an event.
    pub(crate) fn keep(&mut self, event: Event<'_>, ring: u32) {
        self.events += 1;
        let connection = self.connections.entry(event.connection.0).or_default();
        connection.rings |= 1 << ring;
        let (direction, piece) = match event.kind {
            EventKind::Open(open) => return connection.opens.push(*open),
            EventKind::Close { how } => return connection.closes.push(how),
            EventKind::Data { direction, position, length, bytes } => {
                assert_eq!(length as usize, bytes.len(), "what the kernel does not copy is a gap");
                let content = Ok(bytes.to_vec());
                (direction, Piece { position, length: length.into(), time: event.time.0, content })
            }
            EventKind::Gap { direction, position, length, reason } => {
                (direction, Piece { position, length, time: event.time.0, content: Err(reason) })
            }
        };
        connection.misplaced += usize::from(connection.opens.is_empty() || !connection.closes.is_empty());
        connection.pieces[direction.index()].push(piece);
    }

    /// Adds what another ring gave.
    pub(crate) fn merge(&mut self, other: Self) {
        self.events += other.events;
        self.malformed += other.malformed;
        self.refused_skips += other.refused_skips;
        for (cookie, connection) in other.connections {
            let own = self.connections.entry(cookie).or_default();
            assert!(own.rings == 0, "connection {cookie} came through two rings");
            *own = connection;
        }
    }

    /// One of the kernel side's counts.
    pub(crate) fn counter(&self, kind: Counter) -> u64 {
        self.counters[&(kind as u32)]
    }

    /// Payload bytes.
    pub(crate) fn data_bytes(&self) -> u64 {
        self.connections.values().map(Connection::data_bytes).sum()
    }
}

impl Connection {
    /// The pieces of a direction.
    pub(crate) fn pieces(&self, direction: Direction) -> &[Piece] {
        &self.pieces[direction.index()]
    }

    /// Who, said once.
    pub(crate) fn open(&self) -> &Open {
        assert_eq!(self.opens.len(), 1, "one open: {:?}", self.opens);
        &self.opens[0]
    }

    /// Payload bytes of both directions.
    pub(crate) fn data_bytes(&self) -> u64 {
        self.pieces.iter().flatten().filter(|piece| piece.content.is_ok()).map(|piece| piece.length).sum()
    }

    /// Missing bytes of a direction by reason.
    pub(crate) fn gaps(&self, direction: Direction) -> BTreeMap<GapReason, u64> {
        let mut gaps = BTreeMap::new();
        for piece in self.pieces(direction) {
            if let Err(reason) = piece.content {
                *gaps.entry(reason).or_default() += piece.length;
            }
        }
        gaps
    }

    /// Where the stream starts and ends, after checking that every byte between is told of exactly once and in order.
    #[track_caller]
    pub(crate) fn whole(&self, direction: Direction) -> (u64, u64) {
        let pieces = self.pieces(direction);
        let Some(first) = pieces.first() else { return (0, 0) };
        let mut reached = first.position;
        for piece in pieces {
            assert_eq!(
                piece.position,
                reached,
                "{direction:?} at {reached}: pieces follow each other; {}",
                self.tell()
            );
            reached = piece.end();
        }
        (first.position, reached)
    }

    /// The pieces without their bytes, for messages.
    pub(crate) fn tell(&self) -> String {
        let mut text = format!("{:?}", self.opens);
        for (direction, pieces) in ["out", "in"].iter().zip(&self.pieces) {
            for piece in pieces {
                let what = piece.content.as_ref().map_or_else(|reason| reason.name(), |_| "data");
                text.extend([format!("\n  {direction} {}+{} {what}", piece.position, piece.length)]);
            }
        }
        text + &format!("\n  {:?}", self.closes)
    }
}
