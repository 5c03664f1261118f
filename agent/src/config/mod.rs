//! `--config FILE` -> [`Config`]: what the operator of the agent says, once, for all policies.
//!
//! Of what is said in several places the first holds: the policy, the flag, the `OTEL_*` variable, the configuration, the default (DESIGN section 8).
//! `docs/config.md` explains every key; `docs/config.schema.json` is the schema, made from the types in [`mod@file`].

mod environment;
pub mod file;
pub mod inside_tls;
mod read;
mod schema;
#[cfg(test)]
mod tests;

use std::{num::NonZeroU32, path::Path};

pub use read::ReadError;
pub use schema::published as json_schema;

use crate::{
    exchange::genai::Providers,
    export::DEFAULT_LINES_PER_SECOND,
    policy::{
        Allowed, Effect, Environment, Fallback, Limits, LogFiles, Reach, Setting, Trust,
        document::{Plain, Problem},
        model::{Policy, Sink},
    },
    protocol::secret::Additions,
};

/// A configuration that was read, and is right by itself. The default says nothing.
#[derive(Clone, Debug, Default)]
pub struct Config {
    file: file::File,
    /// Where each key stands; `None` where there is no file.
    document: Option<Plain>,
    /// `policies.endpoints`, read.
    endpoints: Vec<Allowed>,
    /// `accessLogs.defaultSinks`, as policies say them.
    sinks: Vec<Sink>,
    /// `defaultPolicy`, read.
    policy: Option<Policy>,
}

/// Who wrote the policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Author {
    /// Who runs the agent: `run`, `replay`. Not restricted.
    Operator,
    /// A tenant of the cluster: `agent`, and whoever asks what the agent would say (POLICY.md section 6).
    Tenant,
}

impl Config {
    /// Without `accessLogs.defaultSinks`: a flag says where the lines go of policies that name no sink.
    #[must_use]
    pub fn without_default_sinks(&self) -> Self {
        Self { sinks: Vec::new(), ..self.clone() }
    }

    /// Whether it names `accessLogs.defaultSinks`.
    pub fn has_default_sinks(&self) -> bool {
        !self.sinks.is_empty()
    }

    /// What it adds to the lists of secrets.
    pub fn secrets(&self) -> Additions {
        let secrets = self.file.secrets.clone().unwrap_or_default();
        Additions { headers: secrets.headers, query_keys: secrets.query_keys }
    }

    /// What policies may do. `log_directory`: whether a flag names a directory for log files, which this may do too.
    pub fn trust(&self, author: Author, log_directory: bool) -> Trust {
        let policies = self.file.policies.as_ref();
        let has_directory = log_directory || self.log_directory().is_some();
        let (trust, without_directory) = match author {
            Author::Operator => (Trust::own(), LogFiles::Anywhere),
            Author::Tenant => {
                let environment = policies.iter().flat_map(|policies| &policies.environment).cloned().collect();
                let trust = Trust {
                    environment: Environment::Named(environment),
                    reach: Reach::restricted(self.endpoints.clone()),
                    ..Trust::tenant()
                };
                (trust, LogFiles::Nowhere)
            }
        };
        let limits = policies.and_then(|policies| policies.limits.as_ref());
        Trust {
            limits: limits.map_or_else(Limits::default, file::Limits::over_the_default),
            log_files: if has_directory { LogFiles::Below } else { without_directory },
            ..trust
        }
    }

    /// What holds where policies say nothing, and warnings about it.
    ///
    /// # Errors
    /// What the setting does not allow.
    pub fn fallback(&self, setting: &Setting) -> Result<(Fallback, Vec<Problem>), Vec<Problem>> {
        let (fallback, findings) = Fallback::new(self.sinks.clone(), self.policy.clone(), setting);
        let Some(document) = &self.document else { return Ok((fallback, Vec::new())) };
        let (errors, warnings): (Vec<_>, Vec<_>) =
            findings.into_iter().partition(|finding| finding.effect == Effect::Invalid);
        let problems = |findings: Vec<crate::policy::Finding>| {
            findings.into_iter().map(|finding| document.problem(finding)).collect::<Vec<_>>()
        };
        if errors.is_empty() { Ok((fallback, problems(warnings))) } else { Err(problems(errors)) }
    }

    /// `admin.allowRemote`
    pub fn admin_allows_remote(&self) -> bool {
        self.file.admin.as_ref().is_some_and(|admin| admin.allow_remote)
    }

    /// `cluster.peers`: whether pods of other nodes are followed.
    pub fn follows_peers(&self) -> bool {
        self.file.cluster.as_ref().and_then(|cluster| cluster.peers).unwrap_or(true)
    }

    /// `cluster.serviceLabels`: how services are named after pods.
    pub fn naming(&self) -> crate::workload::Naming {
        let labels = self.file.cluster.as_ref().and_then(|cluster| cluster.service_labels);
        crate::workload::Naming { well_known_labels: labels.unwrap_or(false) }
    }

    /// `providers`, and those that are known.
    pub fn providers(&self) -> Providers {
        let rows = self
            .file
            .providers
            .iter()
            .flat_map(|provider| provider.hosts.iter().map(|host| (provider.name.as_str(), host.as_str())));
        Providers::with(rows)
    }

    /// `tls.targets`, and the libraries that are known.
    #[cfg(target_os = "linux")]
    pub fn tls_targets(&self) -> crate::capture::tls::targets::Targets {
        self.file.tls.as_ref().map(inside_tls::InsideTls::targets).unwrap_or_default()
    }

    /// `prices.file`
    pub fn price_file(&self) -> Option<&Path> {
        self.file.prices.as_ref().map(|prices| Path::new(&prices.file))
    }

    /// `accessLogs.directory`
    pub fn log_directory(&self) -> Option<&Path> {
        self.file.access_logs.as_ref()?.directory.as_deref().map(Path::new)
    }

    /// Lines per second that each policy may write to standard output: `accessLogs.stdoutLinesPerSecond`. Without it only tenants have a limit.
    pub fn stdout_limit(&self, author: Author) -> Option<NonZeroU32> {
        let own = self.file.access_logs.as_ref().and_then(|logs| logs.stdout_lines_per_second);
        own.and_then(NonZeroU32::new).or((author == Author::Tenant).then_some(DEFAULT_LINES_PER_SECOND))
    }
}
