//! `accessLogs.matches`

use super::Compiler;
use crate::policy::{
    Capture, Finding,
    attribute::{Program, Subject},
    model::{Match, MatchKind},
};

/// A condition of access logs.
#[derive(Debug)]
pub enum Filter {
    /// The path begins so.
    Path(PathPrefix),
    /// The expression is true.
    Cel(Program),
}

impl Filter {
    pub(super) fn compile(condition: &Match, compiler: &mut Compiler<'_>) -> Option<Self> {
        match &condition.kind {
            MatchKind::Path(path) => match PathPrefix::new(path) {
                Ok(prefix) => Some(Self::Path(prefix)),
                Err((problem, remedy)) => {
                    compiler.push(Finding::invalid(&condition.at, problem).instead(remedy));
                    None
                }
            },
            MatchKind::Cel(expression) => {
                Program::filter(expression, &condition.at, compiler.trust, compiler.findings).map(Self::Cel)
            }
        }
    }

    /// Whether an exchange with this path (without query) is logged. A fault of an expression is counted, and says no.
    pub fn holds(&self, path: Option<&str>, subject: &dyn Subject) -> bool {
        match self {
            Self::Path(prefix) => path.is_some_and(|path| prefix.matches(path)),
            Self::Cel(program) => program.holds(subject),
        }
    }

    pub(super) fn needs(&self) -> Capture {
        match self {
            Self::Path(_) => Capture::Heads,
            Self::Cel(program) => program.needs(),
        }
    }
}

/// The first segments of a path, compared byte by byte: `/a/b` matches `/a/b`, `/a/b/` and `/a/b/c`, not `/a/bc`. A slash at its end changes nothing (Gateway API,
/// `PathPrefix`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPrefix(Box<str>);

impl PathPrefix {
    /// A prefix of absolute paths.
    ///
    /// # Errors
    /// What is wrong with it, and what would be right.
    pub fn new(path: &str) -> Result<Self, (String, String)> {
        if !path.starts_with('/') {
            return Err((format!("the path {path:?} does not begin with a slash"), format!("write /{path}")));
        }
        if let Some((before, _)) = path.split_once(['?', '#']) {
            return Err((
                "paths are compared without their query".to_owned(),
                format!("write {before}, or a CEL expression on request.path"),
            ));
        }
        Ok(Self(path.trim_end_matches('/').into()))
    }

    /// Whether a path without query begins with these segments.
    pub fn matches(&self, path: &str) -> bool {
        path.strip_prefix(&*self.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_segments() {
        for (prefix, path, expected) in [
            ("/a/b", "/a/b", true),
            ("/a/b", "/a/b/", true),
            ("/a/b", "/a/b/c", true),
            ("/a/b", "/a/bc", false),
            ("/a/b", "/a", false),
            ("/a/b", "/A/b", false),
            ("/a/b/", "/a/b", true),
            ("/a/b/", "/a/bc", false),
            ("/", "/", true),
            ("/", "/x", true),
            ("/", "*", false),
        ] {
            assert_eq!(PathPrefix::new(prefix).unwrap().matches(path), expected, "{prefix} {path}");
        }
        for wrong in ["", "a", "/a?b", "/a#b", "*"] {
            assert!(PathPrefix::new(wrong).is_err(), "{wrong}");
        }
    }
}
