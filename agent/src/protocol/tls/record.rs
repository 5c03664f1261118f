//! Records: what the bytes of TLS are in (RFC 8446 section 5.1).

/// Content type of handshakes.
pub(super) const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
/// Bytes of a record before its fragment.
pub(super) const HEADER: usize = 5;
/// Longest fragment that is not encrypted.
pub(super) const MAX_FRAGMENT: u16 = 1 << 14;
/// What encryption may add to one (RFC 5246 section 6.2.3).
const MAX_EXPANSION: u16 = 2048;
/// Types of the first message of a handshake: `ClientHello` and `ServerHello`.
const HELLOS: [u8; 2] = [1, 2];

/// Whether bytes begin a record of TLS: of a handshake, with a hello as its first message, or of application data, as a late join sees it. `None`: more
/// of them will tell.
pub fn begins(bytes: &[u8]) -> Option<bool> {
    let (kind, rest) = match *bytes {
        [] => return None,
        [kind @ (HANDSHAKE | APPLICATION_DATA), ref rest @ ..] => (kind, rest),
        _ => return Some(false),
    };
    match *rest {
        [] | [3] | [3, 0..=4] | [3, 0..=4, _] => None,
        [3, 0..=4, high, low, ref fragment @ ..] => {
            let length = u16::from_be_bytes([high, low]);
            match fragment {
                _ if length == 0 || length > MAX_FRAGMENT + MAX_EXPANSION => Some(false),
                _ if kind == APPLICATION_DATA => Some(true),
                [] => None,
                [message, ..] => Some(HELLOS.contains(message)),
            }
        }
        _ => Some(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell() {
        let hello: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00";
        for length in 0..6 {
            assert_eq!(begins(&hello[..length]), None, "{length}");
        }
        for bytes in [&hello[..6], hello, b"\x16\x03\x03\x00\x20\x02", b"\x17\x03\x03\x00\x20"] {
            assert_eq!(begins(bytes), Some(true), "{}", bytes.escape_ascii());
        }
        let others: [&[u8]; 7] = [
            b"GET ",
            b"\x15\x03\x03\x00\x02",
            b"\x16\x02",
            b"\x16\x03\x05",
            b"\x16\x03\x01\x00\x00",
            b"\x16\x03\x01\x02\x00\x05",
            b"\x17\x03\x03\xff\xff",
        ];
        for bytes in others {
            assert_eq!(begins(bytes), Some(false), "{}", bytes.escape_ascii());
        }
    }
}
