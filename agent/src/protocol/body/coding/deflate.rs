//! Deflate data (RFC 1951), and the coding `deflate`: with the frame of zlib (RFC 1950), as it should be, or without, as some senders have it.

use flate2::{Decompress, FlushDecompress, Status};

use super::{PIECE, Sink, Stop};

/// About what an inflater takes: a window of 32 KiB and its tables.
pub(super) const HELD: usize = 48 * 1024;

/// Inflates as much as there is. How many bytes were taken, and whether the data ended behind them.
pub(super) fn inflate(inflater: &mut Decompress, bytes: &[u8], sink: Sink<'_>) -> Result<(usize, bool), Stop> {
    let mut piece = [0; PIECE];
    let mut taken = 0;
    loop {
        let (before_in, before_out) = (inflater.total_in(), inflater.total_out());
        let status = inflater.decompress(&bytes[taken..], &mut piece, FlushDecompress::None);
        let read = (inflater.total_in() - before_in) as usize;
        let written = (inflater.total_out() - before_out) as usize;
        taken += read;
        if written > 0 {
            sink(&piece[..written])?;
        }
        // What came before a fault is told as it would be if the fault had come later.
        match status.map_err(|_| Stop::Bad)? {
            Status::StreamEnd => return Ok((taken, true)),
            // There may be more where the piece was full.
            _ if written == PIECE => {}
            _ if taken == bytes.len() => return Ok((taken, false)),
            _ if read == 0 && written == 0 => return Err(Stop::Bad),
            Status::Ok | Status::BufError => {}
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Deflate {
    /// The first byte, until the second tells whether there is a frame.
    first: Option<u8>,
    inflater: Option<Decompress>,
    finished: bool,
}

impl Deflate {
    pub(super) fn push(&mut self, bytes: &[u8], sink: Sink<'_>) -> Result<(), Stop> {
        let mut rest = bytes;
        if self.inflater.is_none() {
            let (first, second) = match (self.first, rest) {
                (_, []) => return Ok(()),
                (None, [first]) => {
                    self.first = Some(*first);
                    return Ok(());
                }
                (None, [first, second, ..]) => (*first, *second),
                (Some(first), [second, ..]) => (first, *second),
            };
            let is_zlib = first & 0x8f == 8 && u16::from_be_bytes([first, second]).is_multiple_of(31);
            let mut inflater = Decompress::new(is_zlib);
            if self.first.is_some() {
                self.finished = inflate(&mut inflater, &[first], sink)?.1;
            }
            self.inflater = Some(inflater);
        }
        if let Some(inflater) = &mut self.inflater
            && !self.finished
            && !rest.is_empty()
        {
            let (taken, finished) = inflate(inflater, rest, sink)?;
            self.finished = finished;
            rest = &rest[taken..];
        }
        // What comes behind the data is nobody's.
        let _ = rest;
        Ok(())
    }

    pub(super) fn is_finished(&self) -> bool {
        self.finished
    }

    pub(super) fn held(&self) -> usize {
        size_of::<Self>() + self.inflater.as_ref().map_or(0, |_| HELD)
    }
}
