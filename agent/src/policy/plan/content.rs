//! `content`, compiled.

use super::{
    super::{
        Effect, Finding, Trust,
        model::{Content, ContentCapture, Redaction},
        pattern::Pattern,
    },
    json_path::JsonPath,
};

/// Bytes of each message that are kept where a policy does not say (POLICY.md section 1).
const DEFAULT_BYTES: u32 = 65_536;

/// Whose content is kept, how much, and what is overwritten in it.
#[derive(Clone, Debug)]
pub struct ContentPlan {
    /// Whose; never [`ContentCapture::None`].
    pub capture: ContentCapture,
    /// Bytes of each message.
    pub max_bytes: u32,
    /// Values that these paths select are overwritten.
    pub paths: Vec<JsonPath>,
    /// What these find is overwritten. The engine is linear in the length of the content.
    pub patterns: Vec<Pattern>,
}

impl ContentPlan {
    /// Compiles the stanza. `None` if no content is kept, or something is wrong with it.
    pub fn compile(content: &Content, trust: &Trust, findings: &mut Vec<Finding>) -> Option<Self> {
        let most = trust.limits.content;
        let asked = content.max_bytes.unwrap_or(DEFAULT_BYTES);
        if asked > most {
            let problem = format!("{asked} is more than this agent keeps; {most} bytes of each message are kept");
            findings.push(Finding::new(&content.at.field("maxBytes"), Effect::Message, problem));
        }
        let (mut paths, mut patterns, mut valid) = (Vec::new(), Vec::new(), true);
        for redaction in &content.redact {
            let problem = match redaction {
                Redaction::JsonPath(at, path) => match JsonPath::parse(path) {
                    Ok(path) => {
                        paths.push(path);
                        continue;
                    }
                    Err(error) => Finding::invalid(at, error.to_string())
                        .instead("write it with names, indices, `*` and `..`, such as $.messages[*].content"),
                },
                Redaction::Pattern(at, pattern) => match Pattern::new(pattern, trust.limits.pattern) {
                    Ok(pattern) => {
                        if pattern.longest.is_none() {
                            let problem = "has no longest match: content that is longer than maxBytes is withheld, since the end of \
                                               a match could be missing";
                            let finding = Finding::new(at, Effect::Warning, problem);
                            findings.push(finding.instead("bound its repetitions, such as {1,100} for +"));
                        }
                        patterns.push(pattern);
                        continue;
                    }
                    Err(regex::Error::CompiledTooBig(_)) => {
                        Finding::invalid(at, "is too large when compiled").instead("repeat less in it")
                    }
                    Err(error) => {
                        let text = error.to_string();
                        let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
                        Finding::invalid(at, format!("is no regular expression: {reason}"))
                            .instead("RE2 syntax is understood, without look-around and back-references")
                    }
                },
            };
            valid = false;
            findings.push(problem);
        }
        let kept = valid && content.capture != ContentCapture::None;
        kept.then(|| Self { capture: content.capture, max_bytes: asked.min(most), paths, patterns })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::model::FieldPath;

    fn compiled(content: &Content) -> (Option<ContentPlan>, Vec<String>) {
        let mut findings = Vec::new();
        let plan = ContentPlan::compile(content, &Trust::tenant(), &mut findings);
        (plan, findings.iter().map(|finding| format!("{:?} {finding}", finding.effect)).collect())
    }

    fn at(field: &str) -> FieldPath {
        FieldPath::new("content").field(field)
    }

    #[test]
    fn nothing_is_kept_unless_a_policy_says_so() {
        let (plan, said) = compiled(&Content::default());
        assert!(plan.is_none() && said.is_empty());
        let (plan, said) = compiled(&Content { capture: ContentCapture::Request, ..Content::default() });
        assert_eq!(plan.unwrap().max_bytes, 65_536);
        assert!(said.is_empty(), "{said:?}");
    }

    #[test]
    fn the_agents_maximum_holds_and_is_named() {
        let (plan, said) = compiled(&Content {
            at: FieldPath::new("content"),
            capture: ContentCapture::All,
            max_bytes: Some(u32::MAX),
            redact: Vec::new(),
        });
        assert_eq!(plan.unwrap().max_bytes, 1 << 20);
        let expected = "Message content.maxBytes: 4294967295 is more than this agent keeps; 1048576 bytes of each message are kept";
        assert_eq!(said[0], expected);
    }

    #[test]
    fn a_redaction_that_is_wrong_keeps_nothing() {
        let all = |redact: Vec<Redaction>| Content { capture: ContentCapture::All, redact, ..Content::default() };
        let good = vec![
            Redaction::JsonPath(at("a"), "$..password".to_owned()),
            Redaction::Pattern(at("b"), "[0-9]{16}".to_owned()),
        ];
        let (plan, said) = compiled(&all(good));
        let plan = plan.unwrap();
        assert_eq!((plan.paths.len(), plan.patterns.len()), (1, 1));
        assert!(said.is_empty(), "{said:?}");
        for (redaction, problem) in [
            (Redaction::JsonPath(at("a"), "password".to_owned()), "is no JSON path"),
            (Redaction::Pattern(at("a"), "(".to_owned()), "is no regular expression: unclosed group"),
            (Redaction::Pattern(at("a"), r"(?=x)".to_owned()), "is no regular expression"),
            (Redaction::Pattern(at("a"), r"(x{900}){900}".to_owned()), "is too large"),
        ] {
            let (plan, said) = compiled(&all(vec![redaction]));
            assert!(plan.is_none() && said[0].starts_with(&format!("Invalid content.a: {problem}")), "{said:?}");
        }
    }

    #[test]
    fn a_pattern_without_a_longest_match_is_told() {
        let unbounded = vec![Redaction::Pattern(at("a"), "sk-[a-z]+".to_owned())];
        let (_, said) = compiled(&Content { capture: ContentCapture::All, redact: unbounded, ..Content::default() });
        assert!(said.len() == 1 && said[0].starts_with("Warning content.a: has no longest match"), "{said:?}");
    }
}
