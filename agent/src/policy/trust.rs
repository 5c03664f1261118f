//! What the agent lets a policy's author do: the author is a tenant, the agent is root (POLICY.md section 6).

use std::collections::BTreeSet;

use super::{Reach, attribute::Faults, model::ContentCapture};

/// Maxima of the agent. A number above one of them is clamped to it, and a message says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Attributes that one list of a policy may add.
    pub attributes: usize,
    /// Characters of a CEL expression (POLICY.md section 3).
    pub expression: usize,
    /// Steps that a CEL expression may take at worst. One step is about the work of comparing two short texts, or each byte of such a text with one position of a pattern.
    pub expression_cost: u64,
    /// Bytes of memory that a compiled regular expression may take.
    pub pattern: usize,
    /// Bytes of a literal, default or environment value.
    pub text: usize,
    /// Bytes of the text, or of the texts of the list, that a CEL expression gives. One that may give content gives as much as [`Self::content`].
    pub result: usize,
    /// Series of an instrument and policy.
    pub series: u32,
    /// Bytes of content that are kept of a message.
    pub content: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            attributes: 64,
            expression: 2048,
            expression_cost: 100_000,
            pattern: 256 << 10,
            text: 1024,
            result: 16 << 10,
            series: 20_000,
            content: 1 << 20,
        }
    }
}

/// Which environment variables of the agent policies may read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Environment {
    /// All: who runs the agent wrote the policy (`run`, `replay`).
    All,
    /// Those that `--config` names (`agent`).
    Named(BTreeSet<String>),
}

/// Where policies may have log files written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFiles {
    /// Everywhere: who runs the agent wrote the policy (`run`, `replay`).
    Anywhere,
    /// Below `--log-dir` (`agent` with the flag).
    Below,
    /// Nowhere (`agent` without it).
    Nowhere,
}

/// What policies may do, given to everything that compiles a part of one.
#[derive(Clone, Debug)]
pub struct Trust {
    /// Maxima.
    pub limits: Limits,
    /// Which environment variables may be read.
    pub environment: Environment,
    /// Where their values come from.
    pub variable: fn(&str) -> Option<String>,
    /// Counts what fails when it is evaluated.
    pub faults: Faults,
    /// Where log files may be.
    pub log_files: LogFiles,
    /// Which addresses may be sent to.
    pub reach: Reach,
    /// Whose content the policy that is compiled keeps: nothing else of content has a value.
    pub content: ContentCapture,
}

impl Trust {
    /// Of `run` and `replay`: not restricted.
    pub fn own() -> Self {
        Self {
            limits: Limits::default(),
            environment: Environment::All,
            variable,
            faults: Faults::default(),
            log_files: LogFiles::Anywhere,
            reach: Reach::ANYWHERE,
            content: ContentCapture::None,
        }
    }

    /// Of `agent`: policies are written by tenants. No variable may be read until `--config` names one.
    pub fn tenant() -> Self {
        Self {
            environment: Environment::Named(BTreeSet::new()),
            log_files: LogFiles::Nowhere,
            reach: Reach::restricted(Vec::new()),
            ..Self::own()
        }
    }

    /// Whether policies may read this environment variable.
    pub fn may_read(&self, name: &str) -> bool {
        match &self.environment {
            Environment::All => true,
            Environment::Named(names) => names.contains(name),
        }
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
