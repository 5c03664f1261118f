//! Policies and cluster objects -> the plans of everybody.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{
    attachment::{Candidate, PolicyIndex, Resolution},
    fallback::DefaultPolicy,
    model::{ContentCapture, FieldPath, Policy},
    objects::Objects,
    plan::{AccessLogPlan, Capture, ContentPlan, Defaults, MetricsPlan, Plan, SpanProvider, TracingPlan, is_on},
    plans::Plans,
    status::backend_fault,
    trust::Trust,
};
use crate::policy::{Effect, Finding};

/// What a policy is compiled with, besides itself.
#[derive(Clone, Debug)]
pub struct Setting {
    /// What `ImplementationDefault` means.
    pub defaults: Defaults,
    /// What its author may do.
    pub trust: Trust,
}

/// Compiles one policy. All that is wrong with it is among the findings; where one makes it invalid the plan is of no use.
pub fn compile(policy: &Policy, setting: &Setting) -> (Plan, Vec<Finding>) {
    let mut findings = Vec::new();
    let spec = &policy.spec;
    let defaults = setting.defaults;
    let trust = &Trust { content: spec.content.capture, ..setting.trust.clone() };
    // A stanza that is off is checked too: it can be switched on.
    let metrics = spec.metrics.as_ref().and_then(|stanza| {
        let plan = MetricsPlan::compile(stanza, defaults, trust, &mut findings);
        is_on(Some(stanza.mode), true).then_some(plan)
    });
    let tracing = spec
        .tracing
        .as_ref()
        .and_then(|tracing| TracingPlan::compile(tracing, &policy.key.namespace, defaults, trust, &mut findings));
    let access_logs =
        (spec.access_logs.as_ref()).and_then(|stanza| AccessLogPlan::compile(stanza, defaults, trust, &mut findings));
    let content = ContentPlan::compile(&spec.content, trust, &mut findings);
    if content.is_some() && tracing.is_none() && access_logs.is_none() {
        let problem = "spans and fields of access logs give content out, and neither signal is on";
        let finding = Finding::new(&spec.content.at.field("capture"), Effect::Message, problem);
        findings.push(finding.instead("switch one on, or leave out content"));
    }
    let on = metrics.is_some() || tracing.is_some() || access_logs.is_some();
    let capture = match (on, spec.content.capture) {
        (false, _) => Capture::Nothing,
        (true, ContentCapture::None) => {
            let logs = access_logs.as_ref().map(AccessLogPlan::needs).unwrap_or_default();
            let metrics = metrics.as_ref().map(MetricsPlan::needs).unwrap_or_default();
            let tracing = tracing.as_ref().map(TracingPlan::needs).unwrap_or_default();
            Capture::Heads.max(logs).max(metrics).max(tracing)
        }
        (true, _) => Capture::Bodies,
    };
    let calls = tracing.is_some()
        || metrics.as_ref().is_some_and(|plan| plan.calls() || plan.needs() == Capture::Bodies)
        || access_logs.as_ref().is_some_and(AccessLogPlan::needs_calls);
    let plan = Plan {
        policy: Some(policy.key.clone()),
        direction: spec.direction,
        tls: spec.tls,
        capture,
        calls,
        metrics: metrics.map(Arc::new),
        tracing: tracing.map(Arc::new),
        access_logs: access_logs.map(Arc::new),
        content: content.map(Arc::new),
    };
    (plan, findings)
}

/// Whether the receiver that a policy refers to is there and may be referred to: `ResolvedRefs` (POLICY.md section 2).
fn refs_resolve(policy: &Policy, objects: &Objects) -> bool {
    let provider = policy.spec.tracing.as_ref().and_then(|tracing| tracing.provider.as_ref());
    let backend = provider.and_then(|provider| provider.backend_ref.as_ref());
    backend.is_none_or(|backend| backend_fault(objects, &policy.key, backend).is_none())
}

/// Policies compiled and resolved.
#[derive(Clone, Debug, Default)]
pub struct Compiled {
    /// The policies with all their findings, in the order in which they were given.
    pub candidates: Vec<Candidate>,
    /// Where they hold.
    pub resolution: Resolution,
    /// What they were resolved against.
    pub objects: Arc<Objects>,
    /// What holds where no policy does, if the agent's configuration says so.
    pub default: Option<DefaultPolicy>,
    parts: Vec<Part>,
}

/// What became of one policy, kept for as long as it stays the same.
#[derive(Clone, Debug)]
struct Part {
    plan: Arc<Plan>,
    /// What the compiler said.
    said: Vec<Finding>,
    /// Whether there was nothing that its schema refused.
    was_valid: bool,
    /// [`refs_resolve`]
    refs_resolve: bool,
}

impl Part {
    fn new(candidate: &Candidate, objects: &Objects, setting: &Setting) -> Self {
        let (mut plan, said) = compile(&candidate.policy, setting);
        let refs_resolve = refs_resolve(&candidate.policy, objects);
        if let Some(tracing) = plan.tracing.as_mut().and_then(Arc::get_mut)
            && !refs_resolve
        {
            tracing.provider = SpanProvider::Nobody;
        }
        Self { plan: Arc::new(plan), said, was_valid: candidate.is_valid(), refs_resolve }
    }
}

impl Compiled {
    /// Compiles and resolves. A policy that is the same in `before` is not compiled again: it keeps its plan, and so its series and sinks.
    pub fn new(
        candidates: Vec<Candidate>,
        objects: impl Into<Arc<Objects>>,
        setting: &Setting,
        before: Option<&Self>,
    ) -> Self {
        let objects = objects.into();
        // Where policies may not send depends on the nodes.
        let before = before.filter(|before| before.objects.nodes == objects.nodes);
        let kept: HashMap<_, _> = before
            .iter()
            .flat_map(|before| before.candidates.iter().zip(&before.parts))
            .map(|(candidate, part)| (&candidate.policy.key, (candidate, part)))
            .collect();
        let (candidates, parts): (Vec<_>, Vec<_>) = candidates
            .into_iter()
            .map(|mut candidate| {
                // The plan of one that its schema refused lacks what was wrong with it. What a reference leads to may change although the policy does not.
                let is_same = |(before, part): &&(&Candidate, &Part)| {
                    part.was_valid == candidate.is_valid()
                        && before.policy.spec == candidate.policy.spec
                        && part.refs_resolve == refs_resolve(&candidate.policy, &objects)
                };
                let same = kept.get(&candidate.policy.key).filter(is_same);
                let part = match same {
                    Some((_, part)) => (*part).clone(),
                    None => Part::new(&candidate, &objects, setting),
                };
                // What the schema refuses need not be refused twice.
                let refused: HashSet<FieldPath> =
                    candidate.findings_with(Effect::Invalid).map(|finding| finding.field.clone()).collect();
                let said = part.said.iter().filter(|finding| !refused.contains(&finding.field));
                candidate.findings.extend(said.cloned());
                (candidate, part)
            })
            .unzip();
        let resolution = Resolution::new(&candidates, &objects);
        Self { candidates, resolution, objects, default: None, parts }
    }

    /// The plan of a policy.
    pub fn plan(&self, policy: PolicyIndex) -> Option<&Arc<Plan>> {
        self.parts.get(policy.0).map(|part| &part.plan)
    }

    /// The plans of everybody. `none` holds where no policy does, not even the default one.
    pub fn plans(&self, none: Arc<Plan>) -> Plans {
        let none = self.default.as_ref().map_or(none, |default| Arc::clone(&default.plan));
        let plan = |policy: Option<PolicyIndex>| policy.and_then(|policy| self.plan(policy)).map(Arc::clone);
        let namespaces =
            self.resolution.namespaces().filter_map(|(name, policy)| Some((name.to_owned(), plan(Some(policy))?)));
        let gateways = self.objects.pods.iter().filter_map(|(name, pod)| {
            pod.gateway()?;
            Some((name.clone(), plan(self.resolution.policy_of_pod(&self.objects, name))?))
        });
        Plans {
            namespaces: namespaces.collect(),
            pods: gateways.collect(),
            local: plan(self.resolution.first_valid()).unwrap_or_else(|| Arc::clone(&none)),
            none,
            objects: Arc::clone(&self.objects),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{
        model::{Dialect, Direction, FieldPath, Metrics, Mode, PolicyKey, Spec, TargetRef},
        objects::{Namespace, ObjectName, Pod},
    };

    fn setting() -> Setting {
        Setting { defaults: Defaults::default(), trust: Trust::own() }
    }

    fn candidate(name: &str, kind: (&str, &str, &str), direction: Direction) -> Candidate {
        let (group, kind, target) = kind;
        let reference = TargetRef {
            at: FieldPath::new("spec.targetRefs[0]"),
            group: group.to_owned(),
            kind: kind.to_owned(),
            name: target.to_owned(),
            namespace: None,
            section_name: None,
        };
        let metrics = Metrics { mode: Mode::Enabled, ..Metrics::default() };
        let policy = Policy {
            key: PolicyKey { namespace: "shop".to_owned(), name: name.to_owned(), dialect: Dialect::Gep },
            created: None,
            generation: 1,
            targets: vec![reference],
            spec: Spec { metrics: Some(metrics), direction, ..Spec::default() },
        };
        Candidate { policy, findings: Vec::new() }
    }

    fn objects() -> Objects {
        let mut objects = Objects::default();
        objects.namespaces.insert("shop".to_owned(), Namespace::default());
        objects.gateways.insert(ObjectName::new("shop", "edge"), std::collections::BTreeMap::new());
        let labels = Arc::new([(Pod::GATEWAY_NAME.to_owned(), "edge".to_owned())].into());
        objects.pods.insert(ObjectName::new("shop", "edge-1"), Arc::new(Pod { labels, ..Pod::default() }));
        objects.pods.insert(ObjectName::new("shop", "cart-1"), Arc::default());
        objects
    }

    #[test]
    fn everybody_has_the_plan_of_the_policy_that_holds_there() {
        let gateway = ("gateway.networking.k8s.io", "Gateway", "edge");
        let candidates = vec![
            candidate("a-namespace", ("", "Namespace", "shop"), Direction::Client),
            candidate("b-gateway", gateway, Direction::Server),
        ];
        let compiled = Compiled::new(candidates, objects(), &setting(), None);
        let plans = compiled.plans(Arc::default());
        let direction = |pod: Option<(&str, &str)>| {
            plans.of(pod.map(|(namespace, name)| ObjectName::new(namespace, name)).as_ref()).direction
        };
        assert_eq!(direction(Some(("shop", "edge-1"))), Direction::Server);
        assert_eq!(direction(Some(("shop", "cart-1"))), Direction::Client);
        assert_eq!(direction(Some(("shop", "not known"))), Direction::Client);
        assert_eq!(direction(None), Direction::Client);
        assert!(plans.of(Some(&ObjectName::new("other", "x"))).metrics.is_none());
    }

    #[test]
    fn a_policy_that_is_the_same_keeps_its_plan() {
        let one = |direction| vec![candidate("a", ("", "Namespace", "shop"), direction)];
        let first = Compiled::new(one(Direction::Both), objects(), &setting(), None);
        let again = Compiled::new(one(Direction::Both), objects(), &setting(), Some(&first));
        assert!(Arc::ptr_eq(&first.parts[0].plan, &again.parts[0].plan));
        let other = Compiled::new(one(Direction::Client), objects(), &setting(), Some(&first));
        assert!(!Arc::ptr_eq(&first.parts[0].plan, &other.parts[0].plan));
        // Whatever else there is in the cluster.
        let mut more = objects();
        more.services.insert(ObjectName::new("shop", "queue"), crate::policy::objects::Service::default());
        let again = Compiled::new(one(Direction::Both), more, &setting(), Some(&first));
        assert!(Arc::ptr_eq(&first.parts[0].plan, &again.parts[0].plan));
        // What was invalid lacks a part: as soon as it is valid it has a plan of its own.
        let mut invalid = one(Direction::Both);
        invalid[0].findings.push(Finding::invalid(&FieldPath::new("spec"), "is wrong".to_owned()));
        let invalid = Compiled::new(invalid, objects(), &setting(), None);
        let mended = Compiled::new(one(Direction::Both), objects(), &setting(), Some(&invalid));
        assert!(!Arc::ptr_eq(&invalid.parts[0].plan, &mended.parts[0].plan));
    }
}
