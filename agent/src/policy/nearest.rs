//! "Did you mean": the known name that is nearest to one that is not known.

/// The name with the fewest edits (insertions, deletions, replacements; upper and lower case are the same), if they are at most a third of the
/// longer name. Of several the first.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = folded(name);
    let length = wanted.chars().count();
    known
        .into_iter()
        .map(|candidate| (strsim::levenshtein(&wanted, &folded(candidate)), candidate))
        .filter(|(distance, candidate)| distance * 3 <= candidate.len().max(length))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// A longer name is not misspelled: it is something else. Bounds the work.
const MAX_LENGTH: usize = 64;

fn folded(name: &str) -> String {
    name.chars().flat_map(char::to_lowercase).take(MAX_LENGTH).collect()
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
        assert_eq!(nearest(&"x".repeat(100_000), known), None);
    }
}
