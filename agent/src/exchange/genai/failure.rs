//! The provider's code of an error, out of the forms in which providers tell one.

use crate::protocol::body::json::Value;

/// What `error.type` is where an answer that is no error response tells of an error without a code, as the conventions have it.
const OTHER: &str = "_OTHER";

/// What is told of an error.
#[derive(Debug, Default)]
pub(super) struct Failure {
    any: bool,
    code: Option<Box<str>>,
    number: Option<Box<str>>,
    kind: Option<Box<str>>,
    status: Option<Box<str>>,
    /// A code that says something only if there is an error.
    bare: Option<Box<str>>,
}

/// Which member told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Member {
    Code,
    Type,
    Status,
    Bare,
}

impl Failure {
    /// There is an error.
    pub(super) fn there(&mut self) {
        self.any = true;
    }

    /// Whether there is one.
    pub(super) fn is_there(&self) -> bool {
        self.any
    }

    /// An error of this name.
    pub(super) fn named(&mut self, name: &str) {
        self.member(Member::Type, Value::Text { text: name, cut: false });
    }

    /// A member of an error. `null` and empty text say nothing.
    pub(super) fn member(&mut self, member: Member, value: Value<'_>) {
        let (text, is_number) = match value {
            Value::Text { text, .. } => (text, text.bytes().all(|byte| byte.is_ascii_digit())),
            Value::Number(number) => (number, true),
            _ => return,
        };
        if text.is_empty() {
            return;
        }
        self.any |= member != Member::Bare;
        let place = match member {
            Member::Code if is_number => &mut self.number,
            Member::Code => &mut self.code,
            Member::Type => &mut self.kind,
            Member::Status if is_number => return,
            Member::Status => &mut self.status,
            Member::Bare => &mut self.bare,
        };
        *place = Some(super::cut(text).into());
    }

    /// The code: in words before numbers, which are mostly the status of HTTP again. `failed`: the status is that of an error; without a code it says
    /// enough by itself.
    pub(super) fn code(self, failed: bool) -> Option<Box<str>> {
        if !self.any && !failed {
            return None;
        }
        let code = self.code.or(self.kind).or(self.status).or(self.bare).or(self.number);
        code.or_else(|| (!failed).then(|| OTHER.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_before_numbers() {
        let text = |text| Value::Text { text, cut: false };
        let code = |members: &[(Member, Value<'_>)], failed| {
            let mut failure = Failure::default();
            for &(member, value) in members {
                failure.member(member, value);
            }
            failure.code(failed).map(String::from)
        };
        let is = |code: Option<String>, expected: &str| assert_eq!(code.as_deref(), Some(expected));
        is(
            code(&[(Member::Code, text("rate_limit_exceeded")), (Member::Type, text("tokens"))], true),
            "rate_limit_exceeded",
        );
        is(
            code(&[(Member::Code, Value::Null), (Member::Type, text("invalid_request_error"))], true),
            "invalid_request_error",
        );
        is(
            code(&[(Member::Code, Value::Number("429")), (Member::Status, text("RESOURCE_EXHAUSTED"))], true),
            "RESOURCE_EXHAUSTED",
        );
        is(code(&[(Member::Code, Value::Number("502"))], false), "502");
        is(code(&[(Member::Bare, text("model_busy"))], true), "model_busy");
        assert_eq!(code(&[(Member::Bare, text("ok"))], false), None);
        assert_eq!(code(&[], true), None);
        let mut failure = Failure::default();
        failure.there();
        is(failure.code(false).map(String::from), "_OTHER");
    }
}
