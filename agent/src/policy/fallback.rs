//! What holds where policies say nothing: the default policy and the default sinks of the agent's configuration.

use std::sync::Arc;

use super::{
    Compiled, Finding, Plan, Setting, Trust,
    attachment::Candidate,
    compile,
    model::{AccessLogs, Policy, Sink},
    objects::Objects,
    plan::{AccessLogPlan, Defaults},
    trust::Environment,
};

/// The default policy, compiled. It holds where no policy is accepted, never beside one (POLICY.md section 6).
#[derive(Clone, Debug)]
pub struct DefaultPolicy {
    /// The policy, and what is to be said about it.
    pub candidate: Candidate,
    /// What it asks for.
    pub plan: Arc<Plan>,
}

/// What holds where policies say nothing.
#[derive(Clone, Debug, Default)]
pub struct Fallback {
    /// Where the access logs of a policy go that names no sink; empty is standard output.
    pub sinks: Vec<Sink>,
    /// What holds where no policy does.
    pub policy: Option<DefaultPolicy>,
}

impl Fallback {
    /// From the configuration of the agent: sinks, and the default policy, which may read every variable. With what is to be said about them; where a
    /// finding makes one of them invalid, none of this is to be used.
    pub fn new(sinks: Vec<Sink>, policy: Option<Policy>, setting: &Setting) -> (Self, Vec<Finding>) {
        let trust = Trust { environment: Environment::All, ..setting.trust.clone() };
        let mut findings = Vec::new();
        let logs = AccessLogs { sinks: sinks.clone(), ..AccessLogs::default() };
        AccessLogPlan::compile(&logs, Defaults { log_sink: true, ..setting.defaults }, &trust, &mut findings);
        let policy = policy.map(|policy| {
            let mut candidate = Candidate { policy, findings: Vec::new() };
            fill(&mut candidate, &sinks);
            let (plan, said) = compile(&candidate.policy, &Setting { defaults: setting.defaults, trust });
            candidate.findings.clone_from(&said);
            // The sinks that were filled in are spoken of already.
            findings.extend(said.into_iter().filter(|finding| !findings.contains(finding)).collect::<Vec<_>>());
            DefaultPolicy { candidate, plan: Arc::new(plan) }
        });
        (Self { sinks, policy }, findings)
    }

    /// Compiles and resolves policies that fall back on this.
    pub fn compile(
        &self,
        mut candidates: Vec<Candidate>,
        objects: impl Into<Arc<Objects>>,
        setting: &Setting,
        before: Option<&Compiled>,
    ) -> Compiled {
        for candidate in &mut candidates {
            fill(candidate, &self.sinks);
        }
        let mut compiled = Compiled::new(candidates, objects, setting, before);
        // What is to be said about these is the operator's to hear, not every author's.
        let is_filled_in = |finding: &Finding| self.sinks.iter().any(|sink| finding.field.is_in(&sink.at));
        for candidate in &mut compiled.candidates {
            candidate.findings.retain(|finding| !is_filled_in(finding));
        }
        compiled.default.clone_from(&self.policy);
        compiled
    }
}

/// Gives the default sinks to access logs that name none.
fn fill(candidate: &mut Candidate, sinks: &[Sink]) {
    if let Some(logs) = candidate.policy.spec.access_logs.as_mut().filter(|logs| logs.sinks.is_empty()) {
        logs.sinks = sinks.to_vec();
    }
}
