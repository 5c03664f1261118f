//! Notes of nodes that do not change all the time.

/// What a policy's author should know of so many lines that a rate limit refused: in steps of ten, so that the note changes a few times in the life
/// of a policy and nodes that refuse much say the same. `None` for fewer than ten.
pub fn refused_note(lines: u64) -> Option<String> {
    let power = lines.checked_ilog10().filter(|power| *power > 0)?;
    Some(format!(
        "at least {} lines of the access log were dropped by the rate limit of standard output",
        10_u64.pow(power)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_changes_with_the_order_of_magnitude() {
        assert_eq!(refused_note(0), None);
        assert_eq!(refused_note(9), None);
        assert_eq!(refused_note(10), refused_note(99));
        assert!(refused_note(123_456).unwrap().starts_with("at least 100000 lines"));
        assert!(refused_note(u64::MAX).is_some());
    }
}
