//! Content codings (RFC 9110 section 8.4.1): gzip, deflate, br and zstd, on top of each other too.

mod brotli;
mod deflate;
mod gzip;
mod zstd;

use self::{brotli::Brotli, deflate::Deflate, gzip::Gzip, zstd::Zstd};
use super::{Counters, FREE_DECODED, MAX_CODINGS, MAX_DECODED, MAX_RATIO};
use crate::protocol::Headers;

/// Bytes that are decoded at once.
const PIECE: usize = 8 * 1024;

/// Why no more is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// The bytes are not of this coding.
    Bad,
    /// Its window is too large.
    Window,
    /// Too many bytes come of too few.
    Ratio,
    /// Too many bytes come of it.
    Size,
}

/// Takes decoded bytes.
type Sink<'a> = &'a mut dyn FnMut(&[u8]) -> Result<(), Stop>;

/// One coding that is taken off.
#[derive(Debug)]
enum Layer {
    Gzip(Box<Gzip>),
    Deflate(Box<Deflate>),
    Brotli(Box<Brotli>),
    Zstd(Box<Zstd>),
}

impl Layer {
    /// By its name in `Content-Encoding`.
    fn of(name: &str) -> Option<Self> {
        let is = |names: &[&str]| names.iter().any(|known| name.eq_ignore_ascii_case(known));
        Some(if is(&["gzip", "x-gzip"]) {
            Self::Gzip(Box::default())
        } else if is(&["deflate"]) {
            Self::Deflate(Box::default())
        } else if is(&["br"]) {
            Self::Brotli(Box::default())
        } else if is(&["zstd"]) {
            Self::Zstd(Box::default())
        } else {
            return None;
        })
    }

    fn push(&mut self, bytes: &[u8], sink: Sink<'_>) -> Result<(), Stop> {
        match self {
            Self::Gzip(gzip) => gzip.push(bytes, sink),
            Self::Deflate(deflate) => deflate.push(bytes, sink),
            Self::Brotli(brotli) => brotli.push(bytes, sink),
            Self::Zstd(zstd) => zstd.push(bytes, sink),
        }
    }

    fn is_finished(&self) -> bool {
        match self {
            Self::Gzip(gzip) => gzip.is_finished(),
            Self::Deflate(deflate) => deflate.is_finished(),
            Self::Brotli(brotli) => brotli.is_finished(),
            Self::Zstd(zstd) => zstd.is_finished(),
        }
    }

    fn held(&self) -> usize {
        match self {
            Self::Gzip(_) => Gzip::held(),
            Self::Deflate(deflate) => deflate.held(),
            Self::Brotli(brotli) => brotli.held(),
            Self::Zstd(zstd) => zstd.held(),
        }
    }
}

/// How much went in, and how much came out of the layer that gave most.
#[derive(Clone, Copy, Debug, Default)]
struct Meter {
    received: u64,
    decoded: [u64; MAX_CODINGS],
}

impl Meter {
    fn decoded(&mut self, layer: usize, length: usize) -> Result<(), Stop> {
        let decoded = &mut self.decoded[layer];
        *decoded += length as u64;
        if *decoded > MAX_DECODED {
            return Err(Stop::Size);
        }
        if *decoded > FREE_DECODED && *decoded / MAX_RATIO > self.received {
            return Err(Stop::Ratio);
        }
        Ok(())
    }
}

/// The content codings of one message.
#[derive(Debug)]
pub(super) struct Codings {
    /// What was put on last comes first.
    layers: Vec<Layer>,
    meter: Meter,
}

impl Codings {
    /// By the fields `Content-Encoding`, which list codings in the order in which they were put on. `Ok(None)` if there are none; `Err` if one is not
    /// known, or there are too many.
    pub(super) fn of(headers: &Headers) -> Result<Option<Self>, UnknownCoding> {
        let mut layers = Vec::new();
        for (name, value) in headers.iter() {
            if !name.eq_ignore_ascii_case(b"content-encoding") {
                continue;
            }
            let value = value.and_then(|value| std::str::from_utf8(value).ok()).ok_or(UnknownCoding)?;
            let names = value.split(',').map(str::trim);
            for name in names.filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case("identity")) {
                if layers.len() == MAX_CODINGS {
                    return Err(UnknownCoding);
                }
                layers.push(Layer::of(name).ok_or(UnknownCoding)?);
            }
        }
        layers.reverse();
        Ok((!layers.is_empty()).then(|| Self { layers, meter: Meter::default() }))
    }

    /// Decodes more. What comes of it goes to `sink` piece by piece; false if nothing more will, which is counted.
    pub(super) fn push(
        &mut self,
        bytes: &[u8],
        counters: &mut Counters,
        sink: &mut dyn FnMut(&[u8], &mut Counters),
    ) -> bool {
        self.meter.received += bytes.len() as u64;
        let result = feed(&mut self.layers, 0, bytes, &mut self.meter, &mut |bytes| sink(bytes, counters));
        let Err(stop) = result else { return true };
        *match stop {
            Stop::Bad => &mut counters.bad_codings,
            Stop::Window => &mut counters.over_window,
            Stop::Ratio => &mut counters.over_ratio,
            Stop::Size => &mut counters.over_size,
        } += 1;
        false
    }

    /// Whether all of them ended, or nothing came.
    pub(super) fn is_finished(&self) -> bool {
        self.meter.received == 0 || self.layers.iter().all(Layer::is_finished)
    }

    /// Bytes that they keep.
    pub(super) fn held(&self) -> usize {
        self.layers.iter().map(Layer::held).sum()
    }

    /// Whether decoded bytes come long after those that they were decoded from.
    pub(super) fn is_late(&self) -> bool {
        self.layers.iter().any(|layer| matches!(layer, Layer::Zstd(_)))
    }
}

/// A content coding that is not taken off.
#[derive(Debug)]
pub(super) struct UnknownCoding;

fn feed(
    layers: &mut [Layer],
    index: usize,
    bytes: &[u8],
    meter: &mut Meter,
    sink: &mut dyn FnMut(&[u8]),
) -> Result<(), Stop> {
    let Some((layer, inner)) = layers.split_first_mut() else {
        sink(bytes);
        return Ok(());
    };
    layer.push(bytes, &mut |decoded| {
        meter.decoded(index, decoded.len())?;
        feed(inner, index + 1, decoded, meter, sink)
    })
}

#[cfg(test)]
mod tests {
    use super::{FREE_DECODED, MAX_DECODED, MAX_RATIO, Meter, Stop};

    #[test]
    fn content_may_be_long_or_dense_within_bounds() {
        let mut meter = Meter { received: 10, ..Meter::default() };
        assert_eq!(meter.decoded(0, FREE_DECODED as usize), Ok(()));
        assert_eq!(meter.decoded(0, 1), Err(Stop::Ratio));
        let mut meter = Meter { received: MAX_DECODED / MAX_RATIO, ..Meter::default() };
        assert_eq!(meter.decoded(1, MAX_DECODED as usize), Ok(()), "each layer by itself");
        assert_eq!(meter.decoded(0, MAX_DECODED as usize), Ok(()));
        assert_eq!(meter.decoded(0, 1), Err(Stop::Size));
    }
}
