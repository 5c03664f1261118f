//! Percent-encoding (RFC 3986 section 2.1).

/// The bytes that this text stands for. A `%` without two hexadecimal digits stands for itself.
pub(crate) fn decode(text: &[u8]) -> impl Iterator<Item = u8> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (&byte, after) = rest.split_first()?;
        let digit = |index: usize| after.get(index).and_then(|&digit| char::from(digit).to_digit(16));
        if byte == b'%'
            && let (Some(high), Some(low)) = (digit(0), digit(1))
        {
            rest = &after[2..];
            return Some((high * 16 + low) as u8);
        }
        rest = after;
        Some(byte)
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn escapes_are_two_digits() {
        for (text, expected) in
            [("api%5Fkey", "api_key"), ("%41%62", "Ab"), ("100%", "100%"), ("%4", "%4"), ("%+1%zz", "%+1%zz"), ("", "")]
        {
            let decoded: Vec<u8> = super::decode(text.as_bytes()).collect();
            assert_eq!(decoded, expected.as_bytes(), "{text}");
        }
    }
}
