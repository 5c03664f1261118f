//! The coding `br` (RFC 7932).

use std::fmt;

use brotli_decompressor::{
    Allocator, BrotliDecoderErrorCode, BrotliDecompressStream, BrotliResult, BrotliState, SliceWrapper, SliceWrapperMut,
};

use super::{super::MAX_WINDOW, PIECE, Sink, Stop};

/// What the decoder asks for besides the window.
const SLACK: usize = 1024;

/// Memory of the decoder.
#[derive(Debug)]
pub(super) struct Memory<T>(Vec<T>);

impl<T> Default for Memory<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> SliceWrapper<T> for Memory<T> {
    fn slice(&self) -> &[T] {
        &self.0
    }
}

impl<T> SliceWrapperMut<T> for Memory<T> {
    fn slice_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

/// Gives memory up to a bound, and knows how much is out.
#[derive(Debug)]
pub(super) struct Bounded {
    held: usize,
    /// Most elements at once.
    most: usize,
}

impl<T: Clone + Default> Allocator<T> for Bounded {
    type AllocatedMemory = Memory<T>;

    /// None is what the decoder takes for a failure; only the window can be beyond the bound.
    fn alloc_cell(&mut self, length: usize) -> Memory<T> {
        if length > self.most {
            return Memory::default();
        }
        self.held += length * size_of::<T>();
        Memory(vec![T::default(); length])
    }

    fn free_cell(&mut self, memory: Memory<T>) {
        self.held = self.held.saturating_sub(memory.0.len() * size_of::<T>());
    }
}

pub(super) struct Brotli {
    state: BrotliState<Bounded, Bounded, Bounded>,
    finished: bool,
}

impl fmt::Debug for Brotli {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Brotli").field("finished", &self.finished).finish_non_exhaustive()
    }
}

impl Default for Brotli {
    fn default() -> Self {
        Self::with_window(MAX_WINDOW)
    }
}

impl Brotli {
    /// Whose window may have so many bytes.
    fn with_window(most: usize) -> Self {
        let bounded = |most| Bounded { held: 0, most };
        let state = BrotliState::new_strict(bounded(most + SLACK), bounded(usize::MAX), bounded(usize::MAX));
        Self { state, finished: false }
    }

    pub(super) fn push(&mut self, bytes: &[u8], sink: Sink<'_>) -> Result<(), Stop> {
        let mut piece = [0; PIECE];
        let (mut left, mut at) = (bytes.len(), 0);
        while !self.finished {
            let (mut room, mut written, mut total) = (PIECE, 0, 0);
            let result = BrotliDecompressStream(
                &mut left,
                &mut at,
                bytes,
                &mut room,
                &mut written,
                &mut piece,
                &mut total,
                &mut self.state,
            );
            if written > 0 {
                sink(&piece[..written])?;
            }
            match result {
                BrotliResult::ResultSuccess => self.finished = true,
                BrotliResult::NeedsMoreInput => break,
                BrotliResult::NeedsMoreOutput => {}
                BrotliResult::ResultFailure => {
                    return Err(match self.state.error_code {
                        BrotliDecoderErrorCode::BROTLI_DECODER_ERROR_ALLOC_RING_BUFFER_1
                        | BrotliDecoderErrorCode::BROTLI_DECODER_ERROR_ALLOC_RING_BUFFER_2 => Stop::Window,
                        _ => Stop::Bad,
                    });
                }
            }
        }
        Ok(())
    }

    pub(super) fn is_finished(&self) -> bool {
        self.finished
    }

    pub(super) fn held(&self) -> usize {
        let state = &self.state;
        size_of::<Self>() + state.alloc_u8.held + state.alloc_u32.held + state.alloc_hc.held
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::tests::codings, Brotli, Stop};

    #[test]
    fn a_window_beyond_the_bound_is_refused() {
        let content = codings::bytes(codings::BROTLI_BOMB);
        let mut decoded = 0;
        let mut count = |bytes: &[u8]| {
            decoded += bytes.len();
            Ok(())
        };
        assert_eq!(Brotli::with_window(1 << 16).push(&content, &mut count), Err(Stop::Window));
        assert_eq!(Brotli::with_window(1 << 22).push(&content, &mut count), Ok(()));
        assert_eq!(decoded, 64 << 20);
    }
}
