//! The chunked transfer coding (RFC 9112 section 7.1), byte by byte where it is framing, in runs where it is data.

/// Longest line of chunk size and extensions.
const MAX_LINE: u16 = 16 * 1024;

/// Where in the coding the next byte is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunked {
    /// In the hexadecimal size.
    Size { size: u64, digits: u8 },
    /// Behind the size: spaces, extensions, CR.
    Extension { size: u64, length: u16 },
    /// In the data: so many bytes are left.
    Data(u64),
    /// Behind the data; whether CR was there.
    DataEnd { cr: bool },
}

/// What comes of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// So many bytes were framing.
    Framing(usize),
    /// The next so many bytes are data.
    Data(usize),
    /// So many bytes were framing, and the last chunk is behind them: trailers follow.
    Last(usize),
    /// It is not the coding.
    Bad,
}

impl Chunked {
    pub(super) const START: Self = Self::Size { size: 0, digits: 0 };

    /// Reads as far as one kind of thing goes. `bytes` is not empty, and neither is what it takes.
    pub(super) fn step(&mut self, bytes: &[u8]) -> Step {
        if let Self::Data(left) = self {
            let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
            *left -= taken as u64;
            if *left == 0 {
                *self = Self::DataEnd { cr: false };
            }
            return Step::Data(taken);
        }
        for (index, &byte) in bytes.iter().enumerate() {
            match (*self, byte) {
                (Self::Size { size, digits }, _) if byte.is_ascii_hexdigit() => {
                    if digits == 16 {
                        return Step::Bad;
                    }
                    let digit = char::from(byte).to_digit(16).unwrap_or_default();
                    *self = Self::Size { size: size << 4 | u64::from(digit), digits: digits + 1 };
                }
                (Self::Size { digits: 0, .. }, _) => return Step::Bad,
                (Self::Size { size, .. } | Self::Extension { size, .. }, b'\n') => {
                    if size == 0 {
                        return Step::Last(index + 1);
                    }
                    *self = Self::Data(size);
                    return Step::Framing(index + 1);
                }
                (Self::Size { size, .. }, b';' | b' ' | b'\t' | b'\r') => *self = Self::Extension { size, length: 0 },
                (Self::Extension { size, length }, _) if length < MAX_LINE => {
                    *self = Self::Extension { size, length: length + 1 };
                }
                (Self::DataEnd { cr: false }, b'\r') => *self = Self::DataEnd { cr: true },
                (Self::DataEnd { .. }, b'\n') => *self = Self::START,
                _ => return Step::Bad,
            }
        }
        Step::Framing(bytes.len())
    }
}
