//! The coding `zstd` (RFC 8878): frames behind each other, some of which may be skipped.
//!
//! The decoder gives bytes away only once they are out of its window, or their frame is over: what comes of a stream comes late.

use std::{fmt, io::Read as _};

use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder, errors::FrameDecoderError};

use super::{super::MAX_WINDOW, PIECE, Sink, Stop};

const MAGIC: u32 = 0xfd2f_b528;
const BLOCK_HEADER: usize = 3;
const CHECKSUM: usize = 4;
const MAX_BLOCK: usize = 128 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Header,
    /// So many bytes of a frame that is skipped are to come.
    Skip(u64),
    Block,
}

pub(super) struct Zstd {
    state: State,
    /// The header or block that is not complete.
    held: Vec<u8>,
    decoder: FrameDecoder,
    has_checksum: bool,
    /// Bytes of the frame that the decoder may hold: it takes room for its window, and gives away what is beyond.
    window: usize,
    /// A frame has ended.
    finished: bool,
}

impl fmt::Debug for Zstd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { state, finished, .. } = self;
        f.debug_struct("Zstd").field("state", state).field("finished", finished).finish_non_exhaustive()
    }
}

impl Default for Zstd {
    fn default() -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(MAX_WINDOW as u64);
        Self { state: State::Header, held: Vec::new(), decoder, has_checksum: false, window: 0, finished: false }
    }
}

/// `Frame_Content_Size` of a header (RFC 8878 section 3.1.1.1.4), which are its last bytes.
fn content_size(header: &[u8]) -> Option<usize> {
    let descriptor = header.get(4)?;
    let is_single = descriptor >> 5 & 1 == 1;
    let length = [usize::from(is_single), 2, 4, 8][usize::from(descriptor >> 6)];
    let field = header.get(header.len().checked_sub(length)?..).filter(|field| !field.is_empty())?;
    let mut bytes = [0; 8];
    bytes[..length].copy_from_slice(field);
    let size = u64::from_le_bytes(bytes).saturating_add(if length == 2 { 256 } else { 0 });
    usize::try_from(size).ok()
}

impl Zstd {
    pub(super) fn push(&mut self, bytes: &[u8], sink: Sink<'_>) -> Result<(), Stop> {
        let mut rest = bytes;
        while !rest.is_empty() {
            if let State::Skip(left) = self.state {
                let length = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                rest = &rest[length..];
                self.skip(left - length as u64);
                continue;
            }
            // As much as is known to be wanted, which may turn out to be more.
            let wanted = self.wanted()?;
            let length = (wanted - self.held.len()).min(rest.len());
            self.held.extend_from_slice(&rest[..length]);
            rest = &rest[length..];
            while self.state != State::Header || !self.held.is_empty() {
                if matches!(self.state, State::Skip(_)) || self.wanted()? > self.held.len() {
                    break;
                }
                match self.state {
                    State::Header => self.header()?,
                    State::Block => self.block(sink)?,
                    State::Skip(_) => {}
                }
            }
        }
        Ok(())
    }

    pub(super) fn is_finished(&self) -> bool {
        self.finished && self.state == State::Header && self.held.is_empty()
    }

    pub(super) fn held(&self) -> usize {
        size_of::<Self>() + self.held.capacity() + self.window + 2 * MAX_BLOCK
    }

    /// How many bytes the header or block has, as far as those that have come tell.
    fn wanted(&self) -> Result<usize, Stop> {
        let held = &self.held;
        match self.state {
            State::Skip(_) => Ok(0),
            State::Header => {
                let Some(magic) = held.first_chunk().map(|bytes| u32::from_le_bytes(*bytes)) else { return Ok(4) };
                match magic {
                    MAGIC => {}
                    0x184d_2a50..=0x184d_2a5f => return Ok(8),
                    _ => return Err(Stop::Bad),
                }
                let Some(descriptor) = held.get(4) else { return Ok(5) };
                let is_single = descriptor >> 5 & 1 == 1;
                let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
                let size = [usize::from(is_single), 2, 4, 8][usize::from(descriptor >> 6)];
                Ok(5 + usize::from(!is_single) + dictionary + size)
            }
            State::Block => {
                let [a, b, c, ..] = held[..] else { return Ok(BLOCK_HEADER) };
                let header = u32::from_le_bytes([a, b, c, 0]);
                let is_last = header & 1 == 1;
                let size = match header >> 1 & 3 {
                    1 => 1,
                    3 => return Err(Stop::Bad),
                    _ => (header >> 3) as usize,
                };
                if size > MAX_BLOCK {
                    return Err(Stop::Bad);
                }
                Ok(BLOCK_HEADER + size + if is_last && self.has_checksum { CHECKSUM } else { 0 })
            }
        }
    }

    fn skip(&mut self, left: u64) {
        self.state = if left == 0 { State::Header } else { State::Skip(left) };
        self.finished |= left == 0;
    }

    fn header(&mut self) -> Result<(), Stop> {
        if let [.., a, b, c, d] = self.held[..]
            && self.held.len() == 8
            && self.held[1..4] == [0x2a, 0x4d, 0x18]
        {
            self.held.clear();
            self.skip(u64::from(u32::from_le_bytes([a, b, c, d])));
            return Ok(());
        }
        self.decoder.reset(&self.held[..]).map_err(|error| match error {
            FrameDecoderError::WindowSizeTooBig { .. } => Stop::Window,
            _ => Stop::Bad,
        })?;
        let descriptor = self.held[4];
        self.has_checksum = descriptor >> 2 & 1 == 1;
        self.window = match (descriptor >> 5 & 1, self.held.get(5)) {
            (0, Some(window)) => {
                let base = 1_u64 << (10 + (window >> 3));
                (base + base / 8 * u64::from(window & 7)).min(MAX_WINDOW as u64) as usize
            }
            // A frame that is a single segment is its own window.
            _ => content_size(&self.held).unwrap_or(MAX_WINDOW).min(MAX_WINDOW),
        };
        self.held.clear();
        self.state = State::Block;
        Ok(())
    }

    fn block(&mut self, sink: Sink<'_>) -> Result<(), Stop> {
        let one = BlockDecodingStrategy::UptoBlocks(1);
        let is_last = self.decoder.decode_blocks(&self.held[..], one).map_err(|_| Stop::Bad)?;
        self.held.clear();
        let mut piece = [0; PIECE];
        loop {
            let length = self.decoder.read(&mut piece).map_err(|_| Stop::Bad)?;
            if length == 0 {
                break;
            }
            sink(&piece[..length])?;
        }
        if is_last {
            self.state = State::Header;
            self.finished = true;
        }
        Ok(())
    }
}
