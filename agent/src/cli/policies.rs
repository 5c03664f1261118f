//! `--policy`: the files that say what `run` and `replay` do, read at the start and again when they change.

use std::{path::PathBuf, sync::Arc, time::SystemTime};

use anyhow::{Context as _, anyhow};

use super::exit::Failure;
use crate::policy::{
    Compiled, DEFAULT_POLICY, Effect, Fallback, Finding, Plan, Plans, Setting,
    attribute::Faults,
    document::{Document, Documents, Source, SourceError, read_source, read_sources},
    validation,
};

/// The policies of a run or a replay.
pub(super) struct Policies {
    /// Empty: the embedded policy.
    paths: Vec<PathBuf>,
    /// What `-` held.
    stdin: Option<Source>,
    setting: Setting,
    fallback: Fallback,
    compiled: Arc<Compiled>,
    stamp: Stamp,
}

/// What tells that a file may have changed: names, sizes, times. Read when a check is due, which is much oftener than they change.
#[derive(Debug, Default, PartialEq, Eq)]
struct Stamp(Vec<(PathBuf, Option<SystemTime>, u64)>);

impl Stamp {
    fn of(paths: &[PathBuf]) -> Self {
        let mut stamps = Vec::new();
        let mut add = |path: PathBuf| {
            let metadata = std::fs::metadata(&path).ok();
            let modified = metadata.as_ref().and_then(|metadata| metadata.modified().ok());
            stamps.push((path, modified, metadata.map_or(0, |metadata| metadata.len())));
        };
        for path in paths {
            add(path.clone());
            if let Ok(entries) = std::fs::read_dir(path) {
                entries.flatten().for_each(|entry| add(entry.path()));
            }
        }
        stamps.sort();
        Self(stamps)
    }
}

impl Policies {
    /// Reads the files; none is the default policy of the configuration, and without that the embedded one. An invalid policy is told of and holds nowhere.
    ///
    /// # Errors
    /// A file that cannot be read or is not YAML; no policy that is valid, and none by default.
    pub(super) fn load(paths: &[PathBuf], setting: Setting, fallback: Fallback) -> Result<Self, Failure> {
        let stamp = Stamp::of(paths);
        let mut stdin = None;
        let sources = match paths {
            [] if fallback.policy.is_some() => Vec::new(),
            [] => vec![Source::new("the embedded policy", DEFAULT_POLICY)],
            paths => sources(paths, &mut stdin).context("--policy")?,
        };
        let documents = Documents::read(&sources);
        let candidates = validation::candidates(&documents);
        let compiled = fallback.compile(candidates, documents.objects.clone(), &setting, None);
        let mut broken = 0;
        for problem in &documents.problems {
            tracing::error!("{problem}");
            broken += 1;
        }
        broken += report(&documents, &compiled);
        if !documents.problems.is_empty() {
            return Err(anyhow!("--policy: {} cannot be read as policies", named(paths)).into());
        }
        if asks_for_nothing(&compiled) {
            let why = if broken == 0 { "has no TelemetryPolicy" } else { "has no TelemetryPolicy that is valid" };
            return Err(anyhow!("--policy: {} {why}, so nothing is asked for", named(paths)).into());
        }
        Ok(Self { paths: paths.to_vec(), stdin, setting, fallback, compiled: Arc::new(compiled), stamp })
    }

    /// What fails when it is evaluated, whatever plans hold.
    pub(super) const fn faults(&self) -> &Faults {
        &self.setting.trust.faults
    }

    /// The plans of everybody.
    pub(super) fn plans(&self) -> Plans {
        if self.paths.is_empty() {
            // It is for whatever was asked to be captured.
            let embedded = || self.compiled.resolution.first_valid().and_then(|policy| self.compiled.plan(policy));
            let default = self.compiled.default.as_ref().map(|default| &default.plan);
            return Plans::everywhere(default.or_else(embedded).map(Arc::clone).unwrap_or_default());
        }
        self.compiled.plans(Arc::new(Plan::default()))
    }
}

#[cfg_attr(
    not(all(feature = "ebpf", target_os = "linux")),
    expect(dead_code, reason = "a replay reads its policies once")
)]
impl Policies {
    /// Whether there are files that may change.
    pub(super) fn may_change(&self) -> bool {
        !self.paths.is_empty()
    }

    /// Reads the files again if they changed since the last call. A bad edit keeps what held before, and is told of.
    pub(super) fn changed(&mut self) -> Option<Plans> {
        let stamp = Stamp::of(&self.paths);
        if stamp == self.stamp {
            return None;
        }
        self.stamp = stamp;
        let sources = match sources(&self.paths, &mut self.stdin) {
            Ok(sources) => sources,
            Err(error) => {
                tracing::error!("{error}; the policies from before hold on");
                return None;
            }
        };
        let documents = Documents::read(&sources);
        let candidates = validation::candidates(&documents);
        let before = Some(&*self.compiled);
        let compiled = self.fallback.compile(candidates, documents.objects.clone(), &self.setting, before);
        for problem in &documents.problems {
            tracing::error!("{problem}");
        }
        let broken = report(&documents, &compiled) + documents.problems.len();
        if broken > 0 || asks_for_nothing(&compiled) {
            let why = if broken > 0 { "has errors" } else { "has no TelemetryPolicy" };
            tracing::error!("{} changed and {why}; the policies from before hold on", named(&self.paths));
            return None;
        }
        self.compiled = Arc::new(compiled);
        Some(self.plans())
    }

    /// The policies as they hold now.
    pub(super) fn compiled(&self) -> Arc<Compiled> {
        Arc::clone(&self.compiled)
    }

    /// Tells that the policies of the last change hold, for when they do.
    pub(super) fn tell_that_they_hold(&self) {
        tracing::info!("{} changed: {} policies hold now", named(&self.paths), self.compiled.candidates.len());
    }
}

/// Whether no policy could hold anywhere.
fn asks_for_nothing(compiled: &Compiled) -> bool {
    compiled.resolution.first_valid().is_none() && compiled.default.is_none()
}

/// Reads the files again. Standard input is read once: what it held stays.
fn sources(paths: &[PathBuf], stdin: &mut Option<Source>) -> Result<Vec<Source>, SourceError> {
    let mut sources = Vec::new();
    for path in paths {
        if path.as_os_str() == "-" {
            if stdin.is_none() {
                *stdin = Some(read_source(path)?);
            }
            sources.extend(stdin.clone());
        } else {
            sources.extend(read_sources(&[path])?);
        }
    }
    Ok(sources)
}

/// Logs what is to be said about the policies, and counts those that are invalid.
fn report(documents: &Documents, compiled: &Compiled) -> usize {
    let policies = documents.policies.iter().zip(&compiled.candidates);
    policies
        .clone()
        .for_each(|(document, candidate)| candidate.findings.iter().for_each(|finding| say(document, finding)));
    policies.filter(|(_, candidate)| !candidate.is_valid()).count()
}

fn say(document: &Document, finding: &Finding) {
    let (file, line) = (&document.file, document.line_of(&finding.field));
    if finding.effect == Effect::Invalid {
        tracing::error!("{file}:{line}: {finding}");
    } else {
        tracing::warn!("{file}:{line}: {finding}");
    }
}

fn named(paths: &[PathBuf]) -> String {
    let names: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
    names.join(", ")
}
