//! Conditions of access logs as one CEL expression.

use crate::policy::api::proposal::MatchCondition;

/// Characters that an expression may have (POLICY.md section 3).
pub(super) const MAX_LENGTH: usize = 2048;

/// An expression that is true where any condition holds; none for no condition.
pub(super) fn expression(conditions: &[MatchCondition]) -> Option<String> {
    let mut parts: Vec<String> = conditions
        .iter()
        .filter_map(|condition| match (&condition.path, &condition.cel) {
            (Some(path), _) => Some(prefix(path)),
            // One condition stays as its author wrote it.
            (None, Some(expression)) if conditions.len() == 1 => Some(expression.clone()),
            (None, Some(expression)) => Some(format!("({expression})")),
            (None, None) => None,
        })
        .collect();
    if parts.len() > 1 { Some(parts.join(" || ")) } else { parts.pop() }
}

/// Whole segments at the beginning of the path without query.
fn prefix(path: &str) -> String {
    let path = path.trim_end_matches('/');
    let below = format!("request.url_path.startsWith({})", quoted(&format!("{path}/")));
    if path.is_empty() { below } else { format!("request.url_path == {} || {below}", quoted(path)) }
}

/// A CEL string literal.
fn quoted(text: &str) -> String {
    // JSON's escapes are among CEL's.
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_become_one_expression() {
        let path = |path: &str| MatchCondition { path: Some(path.to_owned()), cel: None };
        let cel = |cel: &str| MatchCondition { path: None, cel: Some(cel.to_owned()) };
        let said = |conditions: &[MatchCondition]| expression(conditions).unwrap_or_default();
        assert_eq!(said(&[]), "");
        assert_eq!(said(&[path("/a/b/")]), r#"request.url_path == "/a/b" || request.url_path.startsWith("/a/b/")"#);
        assert_eq!(said(&[path("/")]), r#"request.url_path.startsWith("/")"#);
        assert_eq!(said(&[cel("a ? b : c")]), "a ? b : c");
        assert_eq!(
            said(&[cel("a ? b : c"), path("/\"")]),
            r#"(a ? b : c) || request.url_path == "/\"" || request.url_path.startsWith("/\"/")"#
        );
    }
}
