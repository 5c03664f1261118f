//! How the process ends.

use std::process::ExitCode;

/// A regular end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Everything was done.
    Done,
    /// Something failed, and the message was already given: what was left out, lost, or could not be written.
    Failed,
    /// `run -- COMMAND`: its own code, or 128 and the number of the signal that ended it.
    Command(u8),
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Done => Self::SUCCESS,
            Exit::Failed => Self::FAILURE,
            Exit::Command(code) => Self::from(code),
        }
    }
}

/// Why a verb could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Flags that do not go together, or too few of them: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// It failed: exit code 1.
    #[error("{}", in_full(.0))]
    Failed(#[from] anyhow::Error),
    /// `run -- COMMAND`, where 1 could be COMMAND's own code: 125 Telltale failed, 126 COMMAND cannot be executed, 127 not found.
    #[error("{}", in_full(error))]
    Command {
        /// The exit code.
        code: u8,
        /// What happened.
        error: anyhow::Error,
    },
}

/// An error with its causes, but for those that the words before them have already: many a message quotes its cause, with what to do after it.
pub(super) fn in_full(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |said, cause| match said.as_str() {
        "" => cause,
        words if words.contains(&cause) => said,
        words => format!("{words}: {cause}"),
    })
}

impl Failure {
    /// Says it on stderr, in one line, and gives the exit code.
    pub fn report(&self) -> ExitCode {
        eprintln!("telltale: {}", self.to_string().replace('\n', " "));
        match self {
            Self::Usage(_) => ExitCode::from(2),
            Self::Failed(_) => ExitCode::FAILURE,
            Self::Command { code, .. } => ExitCode::from(*code),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::in_full;
    use crate::admin::ServeError;

    #[test]
    fn a_cause_is_said_once() {
        let source = io::Error::other("not here");
        let error = ServeError::Bind { what: "metrics", address: ([127, 0, 0, 1], 1).into(), source };
        let error = anyhow::Error::from(error).context("the start");
        assert_eq!(in_full(&error), "the start: cannot serve metrics on 127.0.0.1:1: not here");
        let error = anyhow::Error::from(io::Error::other("inner")).context("outer");
        assert_eq!(in_full(&error), "outer: inner");
    }
}
