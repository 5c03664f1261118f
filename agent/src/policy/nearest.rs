//! "Did you mean": the known name that is nearest to one that is not known.

/// The name with the fewest edits (insertions, deletions, replacements; upper and lower case are the same), if they are at most a third of the
/// longer name. Of several the first.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted: Vec<char> = name.chars().flat_map(char::to_lowercase).take(MAX_LENGTH).collect();
    known
        .into_iter()
        .map(|candidate| (distance(&wanted, candidate), candidate))
        .filter(|(distance, candidate)| distance * 3 <= candidate.len().max(wanted.len()))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// A longer name is not misspelled: it is something else. Bounds the work.
const MAX_LENGTH: usize = 64;

/// Levenshtein's distance, row by row.
fn distance(wanted: &[char], candidate: &str) -> usize {
    let mut row: Vec<usize> = (0..=wanted.len()).collect();
    for (index, letter) in candidate.chars().flat_map(char::to_lowercase).take(MAX_LENGTH).enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], index + 1);
        for (column, &other) in wanted.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[wanted.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_is_found_and_what_is_far_is_not() {
        let known = ["START_TIME", "RESPONSE_CODE", "DURATION"];
        assert_eq!(nearest("START_TIM", known), Some("START_TIME"));
        assert_eq!(nearest("RESPONCE_CODE", known), Some("RESPONSE_CODE"));
        assert_eq!(nearest("duration", known), Some("DURATION"));
        assert_eq!(nearest("FOO", known), None);
        assert_eq!(nearest("", known), None);
        let distance = |from: &str, to| distance(&from.chars().collect::<Vec<_>>(), to);
        assert_eq!((distance("kitten", "sitting"), distance("", "ab")), (3, 2));
        assert_eq!(nearest(&"x".repeat(100_000), known), None);
    }
}
