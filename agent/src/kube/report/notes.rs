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

/// What a policy's author should know of so many pods that are left out as proxies, or a container of them is: from ten on in steps of ten, for the
/// same reasons. `None` for none.
pub fn proxies_note(pods: usize) -> Option<String> {
    let power = pods.checked_ilog10()?;
    let pods = match power {
        0 if pods == 1 => "1 pod is".to_owned(),
        0 => format!("{pods} pods are"),
        _ => format!("at least {} pods are", 10_usize.pow(power)),
    };
    Some(format!("{pods} left out as proxies of a mesh, whole or with a container"))
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

    #[test]
    fn pods_are_counted_up_to_ten() {
        assert_eq!(proxies_note(0), None);
        assert!(proxies_note(1).unwrap().starts_with("1 pod is left out"));
        assert!(proxies_note(9).unwrap().starts_with("9 pods are left out"));
        assert_eq!(proxies_note(10), proxies_note(99));
        assert!(proxies_note(100).unwrap().starts_with("at least 100 pods"));
    }
}
