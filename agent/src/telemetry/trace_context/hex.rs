//! Hexadecimal numbers of header fields.

/// The number that these digits are. `None` for none at all, more than 32, or anything but lower-case digits, which W3C Trace Context and B3 demand.
pub(super) fn lower(digits: &[u8]) -> Option<u128> {
    if digits.iter().any(u8::is_ascii_uppercase) { None } else { any(digits) }
}

/// As [`lower`], in either case.
pub(super) fn any(digits: &[u8]) -> Option<u128> {
    if digits.is_empty() || digits.len() > 32 {
        return None;
    }
    digits.iter().try_fold(0_u128, |value, &digit| Some(value << 4 | u128::from((digit as char).to_digit(16)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits() {
        assert_eq!(lower(b"00af"), Some(0xaf));
        assert_eq!((lower(b"AF"), any(b"AF")), (None, Some(0xaf)));
        assert_eq!(any(&[b'f'; 32]), Some(u128::MAX));
        for bad in [b"".as_slice(), b"+1", b"g", &[b'0'; 33], b"0x1", "é".as_bytes()] {
            assert_eq!(any(bad), None, "{bad:?}");
        }
    }
}
