//! One worker's way from exchanges to the three plan.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use super::{
    ExchangeSubject, Facts, Sampler, access_log,
    cost::{Calculator, Cost, Prices},
    metrics::Shard,
    span::{self, SpanRecord},
    trace_context::{Context, Identity},
};
use crate::{
    admin::Health,
    exchange::{Exchange, Report},
    export::{LineSink, is_telltale_user_agent},
    policy::{
        Plan,
        plan::{ContextFormat, TracingPlan},
    },
    telemetry::KnownMethods,
};

/// Takes spans. Never blocks on a network; what it cannot take it counts.
pub trait SpanSink: Send {
    /// Takes one span.
    fn span(&mut self, record: SpanRecord);
    /// Writes out what is buffered (end of a replay).
    fn flush(&mut self) {}
}

/// Takes access-log lines. Never blocks on a network or a slow reader; what it cannot take it counts.
pub trait LogSink: Send {
    /// Takes the line of an exchange, newline included.
    fn log(&mut self, line: &[u8], subject: &ExchangeSubject<'_>);
    /// Writes out what is buffered (end of a replay).
    fn flush(&mut self) {}
}

/// Whoever takes bytes needs no more than the line.
impl<S: LineSink> LogSink for S {
    fn log(&mut self, line: &[u8], _: &ExchangeSubject<'_>) {
        self.line(line);
    }

    fn flush(&mut self) {
        LineSink::flush(self);
    }
}

/// What all workers share.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The methods that keep their name.
    pub methods: Arc<KnownMethods>,
    /// Which exchanges become spans where a policy does not say (`OTEL_TRACES_SAMPLER`).
    pub sampler: Option<Sampler>,
    /// Formats in which contexts are looked for where a policy names none (`OTEL_PROPAGATORS`).
    pub contexts: Option<Vec<ContextFormat>>,
    /// What calls of language models cost, where the configuration names prices.
    pub prices: Option<Arc<Prices>>,
}

impl Settings {
    fn contexts<'a>(&'a self, tracing: Option<&'a TracingPlan>) -> &'a [ContextFormat] {
        let of_plan = tracing.and_then(|tracing| tracing.contexts.as_deref());
        of_plan.or(self.contexts.as_deref()).unwrap_or(ContextFormat::DEFAULT)
    }

    fn sampler(&self, tracing: &TracingPlan) -> Sampler {
        self.sampler.filter(|_| !tracing.sampling_given).unwrap_or_else(|| tracing.sampling.into())
    }
}

/// Where one worker's telemetry under one plan goes.
#[derive(Default)]
pub struct Outlets {
    /// Series; `None` where the plan has no metrics.
    pub metrics: Option<Shard>,
    /// Every one takes every span.
    pub spans: Vec<Box<dyn SpanSink>>,
    /// Every one takes every line.
    pub logs: Vec<Box<dyn LogSink>>,
}

/// Opens the outlets of a plan, the first time that a worker meets an exchange of it.
pub trait OpenOutlets: Send {
    /// The outlets of this plan.
    fn open(&mut self, plan: &Arc<Plan>) -> Outlets;
}

impl<F: FnMut(&Arc<Plan>) -> Outlets + Send> OpenOutlets for F {
    fn open(&mut self, plan: &Arc<Plan>) -> Outlets {
        self(plan)
    }
}

/// For the first plan that is met.
impl OpenOutlets for Outlets {
    fn open(&mut self, _: &Arc<Plan>) -> Outlets {
        std::mem::take(self)
    }
}

impl Outlets {
    /// Only metrics.
    pub fn of_metrics(shard: Shard) -> Self {
        Self { metrics: Some(shard), ..Self::default() }
    }
}

/// Where the exchanges of a plan go, for as long as anybody holds it.
struct Route {
    /// Keeps the plan's address from coming to mean another one.
    plan: Weak<Plan>,
    outlets: Outlets,
}

/// Bytes of the buffer for lines that stay with a recorder.
const LINE_SIZE: usize = 64 * 1024;

/// Turns exchanges into telemetry, for one worker.
pub struct Recorder {
    settings: Settings,
    outlets: Box<dyn OpenOutlets>,
    /// In the order in which their plans were met, so that a replay writes in the same order every time.
    routes: Vec<Route>,
    /// The place of each in `routes` by the address of its plan: many plans cost no more than one.
    places: HashMap<usize, usize, foldhash::fast::RandomState>,
    health: RecorderHealth,
    line: Vec<u8>,
    calculator: Option<Calculator>,
}

/// The recorder's own counters.
struct RecorderHealth {
    recorded: crate::admin::Counter,
    own: crate::admin::Counter,
    without_price: crate::admin::Counter,
    health: Arc<Health>,
    incomplete: Vec<(&'static str, crate::admin::Counter)>,
}

impl RecorderHealth {
    fn new(health: &Arc<Health>) -> Self {
        Self {
            recorded: health.counter(&crate::admin::table::EXCHANGES, &[]),
            own: health.counter(&crate::admin::table::EXCHANGES_OWN, &[]),
            without_price: health.counter(&crate::admin::table::CALLS_WITHOUT_PRICE, &[]),
            health: Arc::clone(health),
            incomplete: Vec::new(),
        }
    }

    /// Counts by reason; the reasons are few and fixed.
    fn incomplete(&mut self, reason: &'static str) {
        let found = self.incomplete.iter().position(|(known, _)| *known == reason);
        let index = found.unwrap_or_else(|| {
            let counter = self.health.counter(&crate::admin::table::EXCHANGES_INCOMPLETE, &[reason]);
            self.incomplete.push((reason, counter));
            self.incomplete.len() - 1
        });
        self.incomplete[index].1.add(1);
    }
}

impl Recorder {
    /// A recorder that writes to what `outlets` opens.
    pub fn new(settings: Settings, outlets: Box<dyn OpenOutlets>, health: &Arc<Health>) -> Self {
        Self {
            calculator: settings.prices.clone().map(Calculator::new),
            settings,
            outlets,
            routes: Vec::new(),
            places: HashMap::default(),
            health: RecorderHealth::new(health),
            line: Vec::with_capacity(1024),
        }
    }

    /// Records an exchange in every signal that its plan has. An exchange of a Telltale exporter is only counted: telemetry about telemetry
    /// would feed itself. Returns what it read of an exchange that it recorded.
    pub fn record<'a>(&mut self, exchange: &'a Exchange, plan: &Arc<Plan>) -> Option<Facts<'a>> {
        let connection = &exchange.connection;
        if !plan.reports(connection.role, connection.open.tls) {
            return None;
        }
        let mut facts = Facts::of(exchange)?;
        if facts.user_agent().is_some_and(is_telltale_user_agent) {
            self.health.own.add(1);
            return None;
        }
        self.health.recorded.add(1);
        if let Some(incomplete) = exchange.incomplete {
            self.health.incomplete(incomplete.name());
        }
        if let Some(calculator) = &mut self.calculator {
            facts.cost = calculator.cost(exchange);
            self.health.without_price.add(u64::from(facts.cost == Cost::NoPrice));
        }
        let place = self.place(plan);
        let outlets = &mut self.routes[place].outlets;
        let tracing = plan.tracing.as_deref();
        let traced = tracing.filter(|_| !outlets.spans.is_empty());
        let logged = plan.access_logs.is_some() && !outlets.logs.is_empty();
        let formats = self.settings.contexts(tracing);
        let identity = (traced.is_some() || logged).then(|| facts.identify(formats));
        let sampled = traced.zip(identity.as_ref()).is_some_and(|(tracing, identity)| {
            self.settings.sampler(tracing).keeps(identity.trace_id, identity.context.as_ref())
        });
        if let Some(shard) = &mut outlets.metrics {
            // The span that the measurement belongs to: ours if there will be one, else the sender's, also where no line and no span needs ours.
            let context = match &identity {
                Some(identity) if sampled => Some((identity.trace_id.0, identity.span_id.0)),
                Some(identity) => sender(identity.context.as_ref()),
                None => sender(facts.sender(formats).as_ref()),
            };
            shard.record(&facts, context);
        }
        if let Some(identity) = &identity {
            let settings = &self.settings;
            let mut signals = Signals { plan, traced, logged, settings, outlets, line: &mut self.line };
            signals.show(&facts, identity, sampled);
            // Nearly every exchange is one part.
            let others = facts.messages().map(|_| facts.parts().skip(1));
            for part in others.into_iter().flatten() {
                let identity = part.identify(formats);
                let sampled = traced.is_some_and(|tracing| {
                    settings.sampler(tracing).keeps(identity.trace_id, identity.context.as_ref())
                });
                signals.show(&part, &identity, sampled);
            }
        }
        Some(facts)
    }

    /// Records what is told of a connection.
    pub fn connection(&mut self, report: &Report, plan: &Arc<Plan>) {
        if !plan.wants(false) || report.role.is_some_and(|role| !plan.reports(role, false)) {
            return;
        }
        let place = self.place(plan);
        if let Some(shard) = &mut self.routes[place].outlets.metrics {
            shard.connection(report);
        }
    }

    /// The place of the route of a plan, which is opened the first time.
    fn place(&mut self, plan: &Arc<Plan>) -> usize {
        *self.places.entry(Arc::as_ptr(plan) as usize).or_insert_with(|| {
            self.routes.push(Route { plan: Arc::downgrade(plan), outlets: self.outlets.open(plan) });
            self.routes.len() - 1
        })
    }

    /// Writes out what the sinks hold, and closes those of plans that nobody holds any more. Called a few times a second.
    pub fn flush(&mut self) {
        // A line with much content may have made it large.
        self.line.clear();
        self.line.shrink_to(LINE_SIZE);
        let before = self.routes.len();
        self.routes.retain_mut(|route| {
            flush(&mut route.outlets);
            route.plan.strong_count() > 0
        });
        if self.routes.len() < before {
            let plans = self.routes.iter().map(|route| route.plan.as_ptr() as usize);
            self.places = plans.enumerate().map(|(place, plan)| (plan, place)).collect();
        }
    }
}

fn flush(outlets: &mut Outlets) {
    for sink in &mut outlets.spans {
        sink.flush();
    }
    for sink in &mut outlets.logs {
        sink.flush();
    }
}

/// Where the lines and spans of one exchange go.
struct Signals<'r> {
    plan: &'r Plan,
    traced: Option<&'r TracingPlan>,
    logged: bool,
    settings: &'r Settings,
    outlets: &'r mut Outlets,
    line: &'r mut Vec<u8>,
}

impl Signals<'_> {
    /// Writes the line and the span of a part of the exchange. What a server sends on its own has no line: that of the request whose answer it came with is one.
    fn show(&mut self, facts: &Facts<'_>, identity: &Identity, sampled: bool) {
        let methods = &*self.settings.methods;
        if let Some(logs) = &self.plan.access_logs
            && self.logged
            && !facts.is_from_server()
            && let entry = (ExchangeSubject { facts, identity: Some(identity), methods })
            && logs.wants(facts.parsed_target().path, &entry)
        {
            self.line.clear();
            access_log::write_line(self.line, &logs.line, &entry);
            for sink in &mut self.outlets.logs {
                sink.log(self.line, &entry);
            }
        }
        if let Some(tracing) = self.traced
            && sampled
            && let Some((last, others)) = self.outlets.spans.split_last_mut()
        {
            let record = span::build(facts, identity, methods, tracing);
            for sink in others {
                sink.span(record.clone());
            }
            last.span(record);
        }
    }
}

/// The span of the sender, if it keeps its trace.
fn sender(context: Option<&Context>) -> Option<(u128, u64)> {
    let parent = context.filter(|context| context.sampled == Some(true))?.parent?;
    Some((parent.trace_id.0, parent.span_id.0))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::{
        capture::Role,
        exchange::mcp::{Message, Messages},
        policy::plan::{Sampling, Share},
        protocol::Incomplete,
        telemetry::{
            metrics::{Data, Metrics},
            test_support::{
                Sample,
                calls::{chat, session, tool_call},
            },
        },
    };

    fn all() -> Arc<Plan> {
        Arc::new(Plan::of_signals(true, true, true))
    }

    fn metrics() -> Arc<Plan> {
        Arc::new(Plan::of_signals(true, false, false))
    }

    fn nothing() -> Sampler {
        Sampling { own: Share::NONE, governor: None }.into()
    }

    #[derive(Clone, Default)]
    struct Kept {
        spans: Arc<Mutex<Vec<SpanRecord>>>,
        lines: Arc<Mutex<Vec<u8>>>,
    }

    impl SpanSink for Kept {
        fn span(&mut self, record: SpanRecord) {
            self.spans.lock().unwrap().push(record);
        }
    }

    impl LineSink for Kept {
        fn line(&mut self, line: &[u8]) {
            self.lines.lock().unwrap().extend_from_slice(line);
        }
    }

    struct Setup {
        metrics: Arc<Metrics>,
        kept: Kept,
        health: Arc<Health>,
        recorder: Recorder,
    }

    fn setup() -> Setup {
        sampled(None)
    }

    fn sampled(sampler: Option<Sampler>) -> Setup {
        let settings = Settings { sampler, ..Settings::default() };
        let metrics = Metrics::new(Arc::clone(&settings.methods));
        let (kept, health) = (Kept::default(), Health::new());
        let (shards, sink) = (Arc::clone(&metrics), kept.clone());
        let open = move |plan: &Arc<Plan>| Outlets {
            metrics: shards.shard(plan),
            spans: vec![Box::new(sink.clone())],
            logs: vec![Box::new(sink.clone())],
        };
        let recorder = Recorder::new(settings, Box::new(open), &health);
        Setup { metrics, kept, health, recorder }
    }

    fn durations(metrics: &Metrics) -> u64 {
        let snapshot = metrics.snapshot();
        let durations = snapshot.families.iter().filter(|family| family.name.ends_with(".request.duration"));
        durations.flat_map(|family| &family.series).map(|series| series.data.count()).sum()
    }

    #[test]
    fn each_signal_is_switched_by_itself() {
        let mut setup = setup();
        let exchange = Sample::new(Role::Client).exchange();
        setup.recorder.record(&exchange, &metrics());
        assert_eq!((durations(&setup.metrics), setup.kept.spans.lock().unwrap().len()), (1, 0));
        assert!(setup.kept.lines.lock().unwrap().is_empty());
        setup.recorder.record(&exchange, &all());
        assert_eq!((durations(&setup.metrics), setup.kept.spans.lock().unwrap().len()), (2, 1));
        assert_eq!(setup.kept.lines.lock().unwrap().split_inclusive(|&byte| byte == b'\n').count(), 1);
    }

    /// Tells when it is flushed.
    struct Told(usize, Arc<Mutex<Vec<usize>>>);

    impl LineSink for Told {
        fn line(&mut self, _: &[u8]) {}

        fn flush(&mut self) {
            self.1.lock().unwrap().push(self.0);
        }
    }

    #[test]
    fn plans_are_flushed_in_the_order_in_which_they_were_met() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let (sink, mut opened) = (Arc::clone(&told), 0);
        let open = move |_: &Arc<Plan>| {
            opened += 1;
            Outlets { logs: vec![Box::new(Told(opened, Arc::clone(&sink)))], ..Outlets::default() }
        };
        let mut recorder = Recorder::new(Settings::default(), Box::new(open), &Health::new());
        let flushed = |recorder: &mut Recorder| {
            recorder.flush();
            std::mem::take(&mut *told.lock().unwrap())
        };
        let exchange = Sample::new(Role::Client).exchange();
        let mut plans: Vec<_> = (0..20).map(|_| all()).collect();
        for plan in plans.iter().chain(&plans) {
            recorder.record(&exchange, plan);
        }
        assert_eq!(flushed(&mut recorder), (1..=20).collect::<Vec<_>>());
        // One in the middle goes: it is flushed a last time, and the others keep their places.
        plans.remove(4);
        assert_eq!(flushed(&mut recorder).len(), 20);
        plans.push(all());
        for plan in &plans {
            recorder.record(&exchange, plan);
        }
        assert_eq!(flushed(&mut recorder), (1..=21).filter(|&number| number != 5).collect::<Vec<_>>());
    }

    #[test]
    fn the_sampler_drops_spans_and_keeps_lines() {
        let mut setup = sampled(Some(nothing()));
        setup.recorder.record(&Sample::new(Role::Server).exchange(), &all());
        assert!(setup.kept.spans.lock().unwrap().is_empty());
        assert!(!setup.kept.lines.lock().unwrap().is_empty());
    }

    #[test]
    fn an_exporter_is_only_counted() {
        let mut setup = setup();
        let agent = crate::export::user_agent();
        setup.recorder.record(&Sample::new(Role::Client).header("user-agent", &agent).exchange(), &all());
        assert_eq!(durations(&setup.metrics), 0);
        assert!(setup.kept.spans.lock().unwrap().is_empty());
        assert_eq!(setup.health.value(&crate::admin::table::EXCHANGES_OWN, &[]), 1);
        assert_eq!(setup.health.value(&crate::admin::table::EXCHANGES, &[]), 0);
    }

    #[test]
    fn incomplete_exchanges_are_counted_and_not_measured() {
        let mut setup = setup();
        let exchange = Sample::new(Role::Client).unanswered(Incomplete::Reset).exchange();
        setup.recorder.record(&exchange, &all());
        assert_eq!(durations(&setup.metrics), 0);
        assert_eq!(setup.kept.spans.lock().unwrap().len(), 1);
        assert_eq!(setup.health.value(&crate::admin::table::EXCHANGES_INCOMPLETE, &["reset"]), 1);
    }

    #[test]
    fn exemplars_name_our_span_or_the_senders() {
        let exemplar = |setup: &Setup| {
            let snapshot = setup.metrics.snapshot();
            let Data::Histogram(histogram) = &snapshot.families[0].series[0].data else { panic!("no histogram") };
            histogram.buckets().find_map(|(.., exemplar)| exemplar.map(|exemplar| exemplar.span_id))
        };
        let exchange = Sample::new(Role::Server)
            .header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
            .exchange();
        let mut metrics_only = setup();
        metrics_only.recorder.record(&exchange, &metrics());
        assert_eq!(exemplar(&metrics_only), Some(0x00f0_67aa_0ba9_02b7));
        let mut traced = setup();
        traced.recorder.record(&exchange, &all());
        let span = traced.kept.spans.lock().unwrap()[0].span.span_id.clone();
        assert_eq!(exemplar(&traced).map(|id| id.to_be_bytes().to_vec()), Some(span));
        let mut none = setup();
        none.recorder.record(&Sample::new(Role::Server).exchange(), &metrics());
        assert_eq!(exemplar(&none), None);
    }

    /// A plan with all signals, of which tracing is this.
    fn tracing(tracing: TracingPlan) -> Arc<Plan> {
        Arc::new(Plan { tracing: Some(Arc::new(tracing)), ..Plan::of_signals(true, true, true) })
    }

    #[test]
    fn what_a_policy_says_of_sampling_comes_before_the_environment() {
        let kept = |sampling_given, sampling: Sampling, sampler: Option<Sampler>| {
            let mut setup = sampled(sampler);
            let plan = tracing(TracingPlan { sampling, sampling_given, ..TracingPlan::default() });
            setup.recorder.record(&Sample::new(Role::Server).exchange(), &plan);
            setup.kept.spans.lock().unwrap().len()
        };
        let none = Sampling { own: Share::NONE, governor: None };
        assert_eq!(kept(true, Sampling::ALL, Some(nothing())), 1);
        assert_eq!(kept(true, none, Some(Sampling::ALL.into())), 0);
        assert_eq!(kept(false, Sampling::ALL, Some(nothing())), 0);
        assert_eq!((kept(false, Sampling::ALL, None), kept(false, none, None)), (1, 0));
    }

    #[test]
    fn spans_and_lines_continue_the_trace_that_the_policy_reads() {
        let exchange = Sample::new(Role::Server)
            .header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
            .header("b3", "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-0")
            .exchange();
        let trace = |contexts: Option<&[ContextFormat]>, environment: Option<Vec<ContextFormat>>| {
            let mut setup = setup();
            setup.recorder.settings.contexts = environment;
            let plan = TracingPlan {
                contexts: contexts.map(Into::into),
                sampling: Sampling::ALL,
                sampling_given: true,
                ..TracingPlan::default()
            };
            setup.recorder.record(&exchange, &tracing(plan));
            let span = setup.kept.spans.lock().unwrap()[0].span.clone();
            let line: serde_json::Value = serde_json::from_slice(&setup.kept.lines.lock().unwrap()).unwrap();
            let id = u128::from_be_bytes(span.trace_id.try_into().unwrap());
            assert_eq!(line["trace_id"], format!("{id:032x}"));
            format!("{id:032x}")[..4].to_owned()
        };
        assert_eq!(trace(None, None), "4bf9");
        assert_eq!(trace(Some(&[ContextFormat::B3, ContextFormat::W3c]), None), "80f1");
        assert_eq!(trace(Some(&[ContextFormat::Jaeger, ContextFormat::W3c]), Some(vec![ContextFormat::B3])), "4bf9");
        assert_eq!(trace(None, Some(vec![ContextFormat::B3])), "80f1");
        assert_eq!(trace(None, Some(Vec::new())), "8ba9", "hashed: no context is read");
    }

    #[test]
    fn a_denial_without_ids_is_obeyed_where_the_parent_decides() {
        let exchange = Sample::new(Role::Server).header("b3", "0").exchange();
        let spans = |governor| {
            let mut setup = setup();
            let plan = TracingPlan {
                contexts: Some([ContextFormat::B3].into()),
                sampling: Sampling { own: Share::ALL, governor },
                sampling_given: true,
                ..TracingPlan::default()
            };
            setup.recorder.record(&exchange, &tracing(plan));
            setup.kept.spans.lock().unwrap().len()
        };
        assert_eq!((spans(Some(Share::ALL)), spans(None)), (0, 1));
    }

    /// A batch has a span and a line for each of its messages; what the server asks on the way has a span.
    #[test]
    fn each_message_of_a_batch_is_shown() {
        let calling = |tool: &str, from_server| {
            let tool = Some(tool.into());
            Message { from_server, tool, ..tool_call() }
        };
        let messages = session(vec![calling("a", false), calling("b", false), calling("c", true)]);
        let mut setup = setup();
        setup.recorder.record(&Sample::mcp(Role::Client, Messages { batch: true, ..messages }).exchange(), &all());
        let names: Vec<_> = setup.kept.spans.lock().unwrap().iter().map(|record| record.span.name.clone()).collect();
        assert_eq!(names, ["tools/call a", "tools/call b", "tools/call c"]);
        let lines = setup.kept.lines.lock().unwrap();
        let lines: Vec<serde_json::Value> =
            lines.split_inclusive(|&byte| byte == b'\n').map(|line| serde_json::from_slice(line).unwrap()).collect();
        assert_eq!(lines.iter().map(|line| line["gen_ai.tool.name"].as_str().unwrap()).collect::<Vec<_>>(), ["a", "b"]);
        assert_ne!(lines[0]["span_id"], lines[1]["span_id"]);
        assert_eq!(lines[0]["trace_id"], lines[1]["trace_id"]);
        // Of HTTP it is one exchange.
        assert_eq!(durations(&setup.metrics), 1);
        assert_eq!(setup.health.value(&crate::admin::table::EXCHANGES, &[]), 1);
    }

    #[test]
    fn a_model_without_a_price_is_counted() {
        let prices = Prices::parse(br#"{"gpt-4o": {"litellm_provider": "openai", "input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}}"#);
        let mut setup = setup();
        setup.recorder.calculator = Some(Calculator::new(Arc::new(prices.unwrap())));
        let mut cost = |model: &str| {
            let mut call = chat();
            call.request.model = Some(model.into());
            let exchange = Sample::genai(Role::Client, call).exchange();
            setup.recorder.record(&exchange, &all()).unwrap().cost
        };
        assert_eq!(cost("gpt-4o"), Cost::Dollars(140e-6));
        assert_eq!(cost("gpt-9"), Cost::NoPrice);
        assert_eq!(setup.health.value(&crate::admin::table::CALLS_WITHOUT_PRICE, &[]), 1);
        let line = String::from_utf8(setup.kept.lines.lock().unwrap().clone()).unwrap();
        assert_eq!(line.matches(r#""telltale.gen_ai.cost":0.00014"#).count(), 1, "{line}");
    }
}
