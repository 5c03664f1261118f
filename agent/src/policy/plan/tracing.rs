//! `tracing`, compiled.

use std::sync::Arc;

use super::{
    super::{
        Effect, Finding, Trust,
        attribute::Extractor,
        model::{Mode, ParentBased, Provider, Ratio, Tracing},
    },
    Capture, ContextFormat, Defaults, Receiver, Sampling, Share, is_on,
};

/// Which exchanges become spans, what they say, and who takes them.
#[derive(Debug, Default)]
pub struct TracingPlan {
    /// Which traces are kept.
    pub sampling: Sampling,
    /// Whether the policy says so. Where it does not, `OTEL_TRACES_SAMPLER` comes first.
    pub sampling_given: bool,
    /// Formats in which the context of a request is looked for, in this order. Where the policy names none, `OTEL_PROPAGATORS` says.
    pub contexts: Option<Box<[ContextFormat]>>,
    /// `service.name` instead of the workload's.
    pub service_name: Option<Arc<str>>,
    /// Name of every span instead of the convention's.
    pub span_name: Option<Box<str>>,
    /// Attributes that are added, or replace those of the same name.
    pub attributes: Box<[(Box<str>, Extractor)]>,
    /// Who takes the spans.
    pub provider: SpanProvider,
}

/// Who takes the spans of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SpanProvider {
    /// The agent's own exporter: `OTEL_*`, or `--spans`.
    #[default]
    Agent,
    /// A receiver that the policy names.
    Receiver(Arc<Receiver>),
    /// Nobody: the policy names an object that is not there or may not be referred to (`ResolvedRefs` is False).
    Nobody,
}

/// The path of OTLP/HTTP for spans.
const PATH: &str = "/v1/traces";

impl TracingPlan {
    /// Compiles the stanza of a policy in this namespace. `None` where tracing is off, or where a finding makes the policy `Invalid`.
    ///
    /// Whether a `backendRef` may be followed is for who has the cluster's objects: it replaces [`SpanProvider::Receiver`] by [`SpanProvider::Nobody`].
    pub fn compile(
        tracing: &Tracing,
        namespace: &str,
        defaults: Defaults,
        trust: &Trust,
        findings: &mut Vec<Finding>,
    ) -> Option<Self> {
        let before = findings.len();
        let provider = (tracing.provider.as_ref())
            .map_or(SpanProvider::Agent, |provider| compile_provider(provider, namespace, trust, findings));
        let attributes = Extractor::compile_all(&tracing.attributes, trust, findings);
        let plan = Self {
            sampling: sampling(tracing),
            sampling_given: sampling_given(tracing),
            contexts: contexts(tracing, findings),
            service_name: tracing.service_name.as_deref().map(Into::into),
            span_name: tracing.span_name.as_deref().map(Into::into),
            attributes: attributes.into_iter().map(|(name, extractor)| (name.into(), extractor)).collect(),
            provider,
        };
        let has_exporter = defaults.exports.spans || plan.provider != SpanProvider::Agent;
        let on = is_on(Some(tracing.mode), has_exporter);
        // Who only says `tracing: {}` leaves it to the agent; who names a receiver expects spans there.
        let expected = on || (tracing.mode != Mode::Disabled && tracing.provider.is_some());
        if expected && !has_exporter {
            let problem = if on {
                "spans are made, but there is nobody to take them: neither the policy nor the agent names an exporter"
            } else {
                "is off, since neither the policy nor the agent names an exporter"
            };
            findings.push(Finding::new(&tracing.at, Effect::Message, problem).instead("set provider"));
        }
        let valid = findings[before..].iter().all(|finding| finding.effect != Effect::Invalid);
        (on && valid).then_some(plan)
    }

    /// What must be captured for its spans.
    pub fn needs(&self) -> Capture {
        let of_attributes = self.attributes.iter().map(|(_, extractor)| extractor.needs()).max();
        of_attributes.unwrap_or_default().max(Capture::Heads)
    }
}

/// An `ImplementationDefault` says nothing: the environment may. So does its rate, if it is the one that an API server fills in.
fn sampling_given(tracing: &Tracing) -> bool {
    let is_all = |rate: Ratio| Share::from(rate) == Share::ALL;
    let says = |parent: &ParentBased| {
        parent.mode != Mode::ImplementationDefault || parent.sampling_rate.is_some_and(|rate| !is_all(rate))
    };
    tracing.sampling_rate.is_some() || tracing.parent_based.as_ref().is_some_and(says)
}

fn sampling(tracing: &Tracing) -> Sampling {
    let share = |ratio: Option<_>| ratio.map_or(Share::ALL, Share::from);
    // Its ImplementationDefault is Enabled (POLICY.md section 1); absent is Disabled.
    let parent = tracing.parent_based.filter(|parent| is_on(Some(parent.mode), true));
    Sampling { own: share(tracing.sampling_rate), governor: parent.map(|parent| share(parent.sampling_rate)) }
}

fn contexts(tracing: &Tracing, findings: &mut Vec<Finding>) -> Option<Box<[ContextFormat]>> {
    if tracing.context.is_empty() || tracing.mode == Mode::Disabled {
        return None;
    }
    let at = tracing.at.field("context");
    let mut formats = Vec::new();
    for (index, word) in tracing.context.iter().enumerate() {
        match ContextFormat::of(word) {
            Some(format) if formats.contains(&format) => {}
            Some(format) => formats.push(format),
            None => {
                let problem = format!("unknown format `{word}`, it is passed over");
                let finding = Finding::new(&at.index(index), Effect::Message, problem);
                findings.push(finding.instead("use W3C, B3, B3Multi or Jaeger"));
            }
        }
    }
    let problem = "contexts are read, never added";
    findings.push(Finding::new(&at, Effect::Partial, problem));
    (!formats.is_empty()).then(|| formats.into())
}

fn compile_provider(provider: &Provider, namespace: &str, trust: &Trust, findings: &mut Vec<Finding>) -> SpanProvider {
    if let Some(kind) = &provider.provider_type
        && !provider.is_otlp()
    {
        let problem = format!("`{kind}` is not known here, and the agent's own exporter is used");
        findings.push(Finding::new(&provider.at.field("type"), Effect::Message, problem).instead("use `OTLP`"));
        return SpanProvider::Agent;
    }
    let receiver = match (&provider.backend_ref, &provider.endpoint) {
        (Some(backend), _) => match Receiver::of_service(backend, namespace, PATH) {
            Some(receiver) => receiver,
            None => return SpanProvider::Nobody,
        },
        (None, Some(endpoint)) => match Receiver::of_endpoint(endpoint, PATH, trust, findings) {
            Some(receiver) => receiver,
            None => return SpanProvider::Nobody,
        },
        (None, None) => return SpanProvider::Agent,
    };
    let receiver = receiver.with_headers(&provider.headers, &provider.at.field("headers"), findings);
    SpanProvider::Receiver(Arc::new(receiver))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{
        model::{Endpoint, FieldPath},
        plan::Exports,
    };

    fn stanza() -> Tracing {
        Tracing { at: FieldPath::new("spec").field("tracing"), ..Tracing::default() }
    }

    fn compile(tracing: &Tracing) -> (Option<TracingPlan>, Vec<String>) {
        let defaults = Defaults::EVERYTHING;
        let mut findings = Vec::new();
        let plan = TracingPlan::compile(tracing, "shop", defaults, &Trust::own(), &mut findings);
        (plan, findings.iter().map(|finding| format!("{:?} {finding}", finding.effect)).collect())
    }

    fn plan(tracing: &Tracing) -> TracingPlan {
        compile(tracing).0.expect("it is on")
    }

    fn percent(numerator: u32) -> Ratio {
        Ratio { numerator, denominator: 100 }
    }

    #[test]
    fn sampling_as_the_policy_says() {
        let of = |rate, parent_based| {
            let plan = plan(&Tracing { sampling_rate: rate, parent_based, ..stanza() });
            (plan.sampling, plan.sampling_given)
        };
        let parent = |mode, rate| Some(ParentBased { mode, sampling_rate: rate });
        let half = Share::from(percent(50));
        assert_eq!(of(None, None), (Sampling::ALL, false));
        assert_eq!(of(Some(percent(50)), None), (Sampling { own: half, governor: None }, true));
        assert_eq!(
            of(Some(percent(50)), parent(Mode::Disabled, Some(percent(1)))).0,
            Sampling { own: half, governor: None }
        );
        for mode in [Mode::Enabled, Mode::ImplementationDefault] {
            let given = mode == Mode::Enabled;
            assert_eq!(of(None, parent(mode, None)), (Sampling::default(), given));
            let both = Sampling { own: Share::NONE, governor: Some(half) };
            assert_eq!(of(Some(percent(0)), parent(mode, Some(percent(50)))), (both, true));
        }
    }

    #[test]
    fn contexts_keep_their_order_and_the_limit_is_told_once() {
        let words =
            |words: &[&str]| Tracing { context: words.iter().map(|&word| word.to_owned()).collect(), ..stanza() };
        let (plan, said) = compile(&words(&["B3", "w3c", "Zipkin", "b3"]));
        assert_eq!(plan.unwrap().contexts.as_deref(), Some([ContextFormat::B3, ContextFormat::W3c].as_slice()));
        assert_eq!(
            said,
            [
                "Message spec.tracing.context[2]: unknown format `Zipkin`, it is passed over; use W3C, B3, B3Multi or Jaeger",
                "Partial spec.tracing.context: contexts are read, never added",
            ]
        );
        assert_eq!(compile(&words(&["nothing"])).0.unwrap().contexts, None);
        let (plan, said) = compile(&stanza());
        assert!(plan.unwrap().contexts.is_none() && said.is_empty());
        let off = Tracing { mode: Mode::Disabled, ..words(&["W3C"]) };
        assert_eq!(compile(&off).1, [""; 0], "nothing is asked for");
    }

    #[test]
    fn whether_it_is_on() {
        let on = |mode, provider: Option<&str>, spans| {
            let provider = provider.map(|address| Provider {
                endpoint: Some(Endpoint { address: address.to_owned(), ..Endpoint::default() }),
                ..Provider::default()
            });
            let tracing = Tracing { mode, provider, ..stanza() };
            let defaults = Defaults { exports: Exports { spans, ..Exports::default() }, log_sink: true };
            let mut findings = Vec::new();
            let plan = TracingPlan::compile(&tracing, "shop", defaults, &Trust::own(), &mut findings);
            (plan.is_some(), findings.len())
        };
        assert_eq!(on(Mode::ImplementationDefault, None, false), (false, 0));
        assert_eq!(on(Mode::ImplementationDefault, None, true), (true, 0));
        assert_eq!(on(Mode::ImplementationDefault, Some("c:4317"), false), (true, 0));
        assert_eq!(on(Mode::Disabled, None, true), (false, 0));
        assert_eq!(on(Mode::Enabled, None, false), (true, 1), "nobody takes them, and that is said");
        assert_eq!(on(Mode::Enabled, Some("c:0"), true), (false, 1), "invalid");
    }

    #[test]
    fn providers() {
        let of = |provider: Provider| {
            let (plan, said) = compile(&Tracing { provider: Some(provider), ..stanza() });
            (plan.map(|plan| plan.provider), said.len())
        };
        let endpoint = |address: &str| Some(Endpoint { address: address.to_owned(), ..Endpoint::default() });
        let kind = |kind: &str| Some(kind.to_owned());
        let (provider, said) =
            of(Provider { provider_type: kind("OTLP"), endpoint: endpoint("c:4317"), ..Provider::default() });
        let Some(SpanProvider::Receiver(receiver)) = provider else { panic!("{provider:?}") };
        assert_eq!((receiver.url.as_str(), said), ("http://c:4317", 0));
        assert_eq!(
            of(Provider { provider_type: kind("Zipkin"), endpoint: endpoint("c:9411"), ..Provider::default() }),
            (Some(SpanProvider::Agent), 1)
        );
        assert_eq!(of(Provider { provider_type: kind("otlp"), ..Provider::default() }), (Some(SpanProvider::Agent), 0));
    }
}
