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
    #[error("{0:#}")]
    Failed(#[from] anyhow::Error),
    /// `run -- COMMAND`, where 1 could be COMMAND's own code: 125 Telltale failed, 126 COMMAND cannot be executed, 127 not found.
    #[error("{error:#}")]
    Command {
        /// The exit code.
        code: u8,
        /// What happened.
        error: anyhow::Error,
    },
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
