//! Overwrites the secrets of a recording at equal length, so that it can be given away and still replays to the same telemetry.
//!
//! The recording is read twice: once to find the positions of all secrets (`scanner`), which may lie across several events,
//! and once to write it with those positions overwritten. docs/recording.md lists what counts as a secret.

mod keys;
mod scanner;

use std::{
    io::{self, BufRead, Write},
    path::Path,
};

use foldhash::HashMap;

use self::scanner::{Mask, Scanner};
use super::{ReadError, Reader, Writer};
use crate::capture::{ConnectionId, Direction, Event, EventKind};

/// The client's connection preface of HTTP/2 (RFC 9113 section 3.4).
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a scrub did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Lines written.
    pub lines: u64,
    /// Broken lines that were left out.
    pub skipped: u64,
    /// Bytes overwritten.
    pub bytes: u64,
    /// HTTP/2 connections: their header compression hides secrets, so all but the preface was overwritten.
    pub http2_connections: u64,
    /// Messages whose body has a content coding and so was not searched.
    pub coded_bodies: u64,
}

/// Why a recording could not be scrubbed.
#[derive(Debug, thiserror::Error)]
pub enum ScrubError {
    /// It could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The result could not be written.
    #[error("cannot write the scrubbed recording: {0}")]
    Write(#[source] io::Error),
    /// The second reading found other events than the first.
    #[error("{0}: it changed while it was read")]
    Changed(String),
}

/// Scrubs the recording at `path`. A broken line stops it, unless `keep_going`: then the line is left out and counted.
pub fn scrub(path: &Path, output: impl Write, keep_going: bool) -> Result<Report, ScrubError> {
    scrub_twice(|| Reader::open(path), &path.display().to_string(), output, keep_going)
}

/// As [`scrub`], of anything that can be opened twice; `name` stands for it in errors.
pub fn scrub_twice<R: BufRead>(
    mut open: impl FnMut() -> Result<Reader<R>, ReadError>,
    name: &str,
    output: impl Write,
    keep_going: bool,
) -> Result<Report, ScrubError> {
    let mut report = Report::default();
    let mut finder = Finder::default();
    let mut events = 0_u64;
    for_each(&mut open()?, keep_going, &mut 0, |event| {
        events += 1;
        finder.event(&event);
        Ok(())
    })?;
    let mut found = finder.finish(&mut report);

    let mut writer = Writer::new(output);
    let mut bytes = Vec::new();
    for_each(&mut open()?, keep_going, &mut report.skipped, |event| {
        report.lines += 1;
        let masks = found.masks(&event);
        let EventKind::Data { direction, position, length, bytes: original } = event.kind else {
            return writer.write(&event).map_err(ScrubError::Write);
        };
        bytes.clear();
        bytes.extend_from_slice(original);
        report.bytes += apply(masks, position, &mut bytes);
        let kind = EventKind::Data { direction, position, length, bytes: &bytes };
        writer.write(&Event { time: event.time, connection: event.connection, kind }).map_err(ScrubError::Write)
    })?;
    if report.lines != events {
        return Err(ScrubError::Changed(name.to_owned()));
    }
    writer.finish().map_err(ScrubError::Write)?;
    Ok(report)
}

fn for_each<R: BufRead>(
    reader: &mut Reader<R>,
    keep_going: bool,
    skipped: &mut u64,
    mut each: impl FnMut(Event<'_>) -> Result<(), ScrubError>,
) -> Result<(), ScrubError> {
    while let Some(event) = reader.next_event() {
        match event {
            Ok(event) => each(event)?,
            Err(ReadError::Line { .. }) if keep_going => *skipped += 1,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Overwrites what `masks` (sorted by start) cover of the bytes at `position`; returns how many.
fn apply(masks: &[Mask], position: u64, bytes: &mut [u8]) -> u64 {
    let end = position + bytes.len() as u64;
    let mut count = 0;
    for mask in masks.iter().take_while(|mask| mask.start < end) {
        let (from, to) = (mask.start.max(position), mask.end.min(end));
        if from < to {
            bytes[(from - position) as usize..(to - position) as usize].fill(mask.with);
            count += to - from;
        }
    }
    count
}

/// One connection while its secrets are searched.
#[derive(Debug, Default)]
struct Searched {
    /// How many connections had this id before.
    incarnation: u64,
    streams: [Stream; 2],
}

/// One direction of it.
#[derive(Debug, Default)]
struct Stream {
    scanner: Scanner,
    next: u64,
    preface: bool,
}

/// The first reading.
#[derive(Debug, Default)]
struct Finder {
    connections: HashMap<ConnectionId, Searched>,
    found: Found,
    http2: u64,
    coded_bodies: u64,
}

impl Finder {
    fn event(&mut self, event: &Event<'_>) {
        match &event.kind {
            EventKind::Open(_) | EventKind::Close { .. } => self.end(event.connection),
            EventKind::Gap { .. } => {}
            EventKind::Data { direction, position, bytes, .. } => {
                let incarnation = self.found.incarnations.get(&event.connection).copied().unwrap_or(0);
                let connection = self
                    .connections
                    .entry(event.connection)
                    .or_insert_with(|| Searched { incarnation, ..Searched::default() });
                let stream = &mut connection.streams[direction.index()];
                if *position != stream.next {
                    stream.scanner.discontinuity();
                }
                if *position < HTTP2_PREFACE.len() as u64 && bytes.starts_with(&HTTP2_PREFACE[..14]) {
                    stream.preface = true;
                }
                stream.scanner.feed(*position, bytes);
                stream.next = position + bytes.len() as u64;
            }
        }
    }

    fn end(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.remove(&id) {
            self.keep(id, connection);
            *self.found.incarnations.entry(id).or_default() += 1;
        }
    }

    fn keep(&mut self, id: ConnectionId, connection: Searched) {
        let http2 = connection.streams.iter().any(|stream| stream.preface);
        self.http2 += u64::from(http2);
        for (direction, stream) in [Direction::Out, Direction::In].into_iter().zip(connection.streams) {
            let start = if stream.preface { HTTP2_PREFACE.len() as u64 } else { 0 };
            let (masks, coded_bodies) = stream.scanner.finish();
            self.coded_bodies += coded_bodies;
            let masks = if http2 { vec![Mask { start, end: u64::MAX, with: 0 }] } else { masks.into_sorted() };
            if !masks.is_empty() {
                self.found.masks.insert((id, connection.incarnation, direction), masks);
            }
        }
    }

    fn finish(mut self, report: &mut Report) -> Found {
        for (id, connection) in std::mem::take(&mut self.connections) {
            self.keep(id, connection);
        }
        report.http2_connections = self.http2;
        report.coded_bodies = self.coded_bodies;
        self.found.incarnations.clear();
        self.found
    }
}

/// Masks by connection; in the second reading also which connection of an id is the present one.
#[derive(Debug, Default)]
struct Found {
    masks: HashMap<(ConnectionId, u64, Direction), Vec<Mask>>,
    incarnations: HashMap<ConnectionId, u64>,
    seen: foldhash::HashSet<ConnectionId>,
}

impl Found {
    /// The masks for the bytes of this event; follows the ends of connections as [`Finder::event`] does.
    fn masks(&mut self, event: &Event<'_>) -> &[Mask] {
        match &event.kind {
            EventKind::Open(_) | EventKind::Close { .. } => {
                if self.seen.remove(&event.connection) {
                    *self.incarnations.entry(event.connection).or_default() += 1;
                }
                &[]
            }
            EventKind::Gap { .. } => &[],
            EventKind::Data { direction, .. } => {
                self.seen.insert(event.connection);
                let incarnation = self.incarnations.get(&event.connection).copied().unwrap_or(0);
                self.masks.get(&(event.connection, incarnation, *direction)).map_or(&[], Vec::as_slice)
            }
        }
    }
}

#[cfg(test)]
mod tests;
