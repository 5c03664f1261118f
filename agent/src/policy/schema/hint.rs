//! What somebody who wrote a wrong word may have meant.

use crate::policy::model::Dialect;

/// Words of the other dialect, and of drafts: what says it here.
const ELSEWHERE: &[(Dialect, &str, &str)] = &[
    (Dialect::Gep, "enable", "`mode: Enabled` in this dialect"),
    (Dialect::Gep, "enabled", "`mode: Enabled` in this dialect"),
    (Dialect::Gep, "targetRef", "`targetRefs`, a list, in this dialect"),
    (Dialect::Gep, "percent", "`numerator` in this dialect, of a `denominator` that is 100"),
    (Dialect::Gep, "customAttributes", "`attributes` in this dialect"),
    (Dialect::Gep, "attributeName", "`name` in this dialect"),
    (Dialect::Gep, "attributeRef", "`attributeKey` since GEP-4768 was merged"),
    (Dialect::Gep, "dimensions", "`attributes` in this dialect"),
    (Dialect::Gep, "fromHeader", "`headerName` in this dialect"),
    (Dialect::Proposal, "mode", "`enabled: true` in this dialect"),
    (Dialect::Proposal, "targetRefs", "`targetRef`, one object, in this dialect"),
    (Dialect::Proposal, "numerator", "`percent` in this dialect"),
    (Dialect::Proposal, "denominator", "`percent` in this dialect"),
    (Dialect::Proposal, "backendRef", "`endpoint` in this dialect"),
    (Dialect::Proposal, "customSpanAttributes", "`customAttributes` since the first draft"),
];

/// What may be meant by a field that is not known.
pub(super) fn for_field<'a>(
    dialect: Option<Dialect>,
    name: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) -> Option<String> {
    let elsewhere = ELSEWHERE.iter().find(|(of, word, _)| (Some(*of), *word) == (dialect, name));
    if let Some((.., meaning)) = elsewhere {
        return Some(format!("it is {meaning}"));
    }
    if let Some(nearest) = nearest(name, known.clone()) {
        return Some(format!("did you mean `{nearest}`?"));
    }
    let known: Vec<_> = known.map(|name| format!("`{name}`")).collect();
    (!known.is_empty() && known.len() <= 12).then(|| format!("the fields here are {}", known.join(", ")))
}

/// The known word that a word is most likely to be: the same but for case, or at most two slips away, or one in three letters.
pub(super) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > 64 {
        return None;
    }
    let lower = word.to_lowercase();
    let slips = known.map(|name| (strsim::osa_distance(&lower, &name.to_lowercase()), name));
    slips.filter(|(slips, name)| *slips <= 2 && slips * 3 <= name.chars().count().max(3)).min().map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised() {
        let known = ["metrics", "tracing", "accessLogs", "tls"];
        for (word, meant) in [
            ("metric", Some("metrics")),
            ("Metrics", Some("metrics")),
            ("tracnig", Some("tracing")),
            ("accesslog", Some("accessLogs")),
            ("access_logs", Some("accessLogs")),
            ("tsl", Some("tls")),
            ("xyz", None),
            ("spans", None),
        ] {
            assert_eq!(nearest(word, known.into_iter()), meant, "{word}");
        }
    }
}
