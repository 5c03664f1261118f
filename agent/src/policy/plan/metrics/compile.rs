//! `model::Metrics` -> [`MetricsPlan`], with what is to be said about it.

use std::borrow::Cow;

use super::{
    DEFAULT_CARDINALITY_LIMIT, Label, MetricsPlan, Reader, View,
    istio::UNKNOWN,
    reserved::{not_a_label, not_a_name, reserved_label},
};
use crate::{
    policy::{
        Defaults, Effect, Finding, Trust,
        model::{FieldPath, MetricOverride, Metrics, MetricsProvider, Mode, Profile},
    },
    telemetry::names::{Conventions, Instrument, Kind, Occasion, Selection, followed, instruments, prometheus, select},
};

/// Bounds that one histogram may have.
pub(super) const MAX_BUCKETS: usize = 100;

impl MetricsPlan {
    /// Compiles the stanza. What is wrong with it is said in `findings`; the plan is of what is right.
    pub fn compile(metrics: &Metrics, defaults: Defaults, trust: &Trust, findings: &mut Vec<Finding>) -> Self {
        Self::compile_in(followed(), metrics, defaults, trust, findings)
    }

    /// By the names of these conventions.
    pub(crate) fn compile_in(
        conventions: Conventions,
        metrics: &Metrics,
        defaults: Defaults,
        trust: &Trust,
        findings: &mut Vec<Finding>,
    ) -> Self {
        let reader = match &metrics.provider {
            None | Some(MetricsProvider::Other(_)) => None,
            Some(MetricsProvider::Prometheus) => Some(Reader::Prometheus),
            Some(MetricsProvider::Otlp) => Some(Reader::Otlp),
        };
        if let Some(MetricsProvider::Other(provider)) = &metrics.provider {
            let field = metrics.at.field("provider").field("type");
            let problem = format!("`{provider}` is not known here, and the agent's own outputs are used");
            findings.push(Finding::new(&field, Effect::Message, problem).instead("use `Prometheus` or `OTLP`"));
        }
        if reader == Some(Reader::Otlp) && !defaults.exports.metrics {
            let problem = "the agent exports no metrics by OTLP, so they are shown to whoever scrapes";
            let finding = Finding::new(&metrics.at.field("provider").field("type"), Effect::Message, problem);
            findings.push(finding.instead("use `Prometheus`, or start the agent with OTEL_EXPORTER_OTLP_ENDPOINT"));
        }
        let limit = cardinality_limit(metrics, trust, findings);
        let mut compiler = Compiler {
            profile: metrics.profile,
            conventions,
            trust,
            findings,
            views: instruments(metrics.profile, conventions).map(View::of).collect(),
            said: Vec::new(),
        };
        for change in &metrics.overrides {
            compiler.apply(change);
        }
        compiler.check_names(metrics);
        Self { reader, ..Self::of_views(conventions, limit, compiler.views.into_iter()) }
    }
}

fn cardinality_limit(metrics: &Metrics, trust: &Trust, findings: &mut Vec<Finding>) -> usize {
    let Some(wanted) = metrics.cardinality_limit else {
        return DEFAULT_CARDINALITY_LIMIT.min(trust.limits.series as usize);
    };
    // One series and the overflow series.
    let limit = wanted.clamp(2, trust.limits.series.max(2));
    if limit != wanted {
        let field = metrics.at.field("cardinalityLimit");
        let bound = if limit < wanted { "the agent's maximum" } else { "the least, one of them for the overflow" };
        let problem = format!("{wanted} is {} {limit}, {bound}", if limit < wanted { "above" } else { "below" });
        findings.push(Finding::new(&field, Effect::Message, format!("{problem}, which is used")));
    }
    limit as usize
}

struct Compiler<'a> {
    profile: Profile,
    conventions: Conventions,
    trust: &'a Trust,
    findings: &'a mut Vec<Finding>,
    views: Vec<View>,
    /// Fields of which there can be one per instrument, and which override gave it: instrument, field.
    said: Vec<(&'static str, &'static str)>,
}

impl Compiler<'_> {
    fn apply(&mut self, change: &MetricOverride) {
        let Some(selection) = select(&change.name, self.profile, self.conventions) else {
            let problem = format!("`{}` is no metric that this agent has, and the override does nothing", change.name);
            self.message(&change.at.field("name"), Effect::Message, problem, Some(self.known_names()));
            return;
        };
        self.check_type(change, &selection);
        let labels = self.labels(change, &selection);
        let rename = self.rename(change, &selection);
        let buckets = self.buckets(change, &selection);
        self.check_repeated(change, &selection);
        self.check_removed(change, &selection);
        let mut beyond = false;
        for view in self.views.iter_mut().filter(|view| selection.instruments.contains(&view.instrument)) {
            match change.mode {
                Mode::Enabled => view.on = true,
                Mode::Disabled => view.on = false,
                Mode::ImplementationDefault => {}
            }
            if let Some(name) = &rename {
                view.name = Cow::Owned(name.clone());
            }
            if let Some(buckets) = buckets.as_ref().filter(|_| view.instrument.kind() == Kind::Histogram) {
                view.buckets = Cow::Owned(buckets.clone());
            }
            let removed = |name: &str| change.remove_attributes.iter().any(|wanted| same_label(wanted, name));
            view.kept.retain(|name| !removed(name));
            view.labels.retain(|label| !removed(&label.name));
            let most = View::of(view.instrument).labels.len() + self.trust.limits.attributes;
            for label in &labels {
                beyond |= !view.add(label.clone(), most);
            }
        }
        if beyond {
            let problem = format!(
                "only the first {} attributes of an instrument are added, the agent's maximum",
                self.trust.limits.attributes
            );
            self.message(&change.at.field("attributes"), Effect::Message, problem, None);
        }
    }

    fn message(&mut self, field: &FieldPath, effect: Effect, problem: String, remedy: Option<String>) {
        let finding = Finding::new(field, effect, problem);
        self.findings.push(match remedy {
            Some(remedy) => finding.instead(remedy),
            None => finding,
        });
    }

    fn known_names(&self) -> String {
        let rows = instruments(self.profile, self.conventions);
        // Calls have many: who means one of them finds them by the page of the policy.
        let rows = rows.filter(|row| row.measure.occasion() == Occasion::Exchange);
        let names: Vec<_> = rows.map(|row| format!("`{}`", row.name)).collect();
        format!("use one of {}, or one of `gen_ai.*`, `mcp.*` and `rpc.*`", names.join(", "))
    }

    fn check_type(&mut self, change: &MetricOverride, selection: &Selection) {
        let Some(word) = &change.instrument_type else { return };
        if !selection.fits(word) {
            let kind = selection.instruments[0].kind().name();
            let problem = format!("`{}` is a {kind}, not a {word}", change.name);
            self.message(
                &change.at.field("type"),
                Effect::Warning,
                problem,
                Some(format!("write `{kind}`, or leave it out")),
            );
        }
    }

    /// The attributes of an override that can be added.
    fn labels(&mut self, change: &MetricOverride, selection: &Selection) -> Vec<Label> {
        // Istio has a word for what is not known, and no label is ever left out.
        let absent = (self.profile == Profile::Istio).then_some(UNKNOWN);
        let mut labels: Vec<Label> = Vec::new();
        for attribute in &change.attributes {
            if let Some(label) = reserved_label(&attribute.name) {
                let problem =
                    format!("`{}` would be the label `{label}`, which is not a policy's to set", attribute.name);
                self.message(&attribute.at, Effect::Invalid, problem, Some("choose another name".to_owned()));
            } else if let Some(label) = selection.instruments.iter().find_map(|row| names_an_end(row, &attribute.name))
            {
                let problem = format!("the label `{label}` says who called whom, and is not a policy's to set");
                self.message(&attribute.at, Effect::Invalid, problem, Some("choose another name".to_owned()));
            } else if let Some(why) = not_a_label(&attribute.name) {
                let problem = format!("`{}` cannot be a label: {why}", attribute.name);
                self.message(&attribute.at, Effect::Invalid, problem, Some("choose another name".to_owned()));
            } else if let Some(other) = labels.iter().find(|label| same_label(&label.name, &attribute.name)) {
                let label = prometheus::label(&attribute.name);
                let problem = format!("`{}` and `{}` are one label, `{label}`", other.name, attribute.name);
                self.message(&attribute.at, Effect::Invalid, problem, Some("choose another name".to_owned()));
            } else if labels.len() == self.trust.limits.attributes {
                let problem = format!("only the first {} attributes are added, the agent's maximum", labels.len());
                self.message(&change.at.field("attributes"), Effect::Message, problem, None);
                break;
            } else if let Some(label) = Label::compile(attribute, absent, self.trust, self.findings) {
                if label.may_give_content() {
                    let problem = format!("`{}` would be content, which is no label, and is left out", attribute.name);
                    let remedy = "decide something about it in CEL, such as telltale.http.request.body.contains(\"x\")";
                    self.message(&attribute.at, Effect::Message, problem, Some(remedy.to_owned()));
                } else {
                    labels.push(label);
                }
            }
        }
        labels
    }

    fn rename(&mut self, change: &MetricOverride, selection: &Selection) -> Option<String> {
        let name = change.rename.as_ref()?;
        let field = change.at.field("rename");
        if let Some(why) = not_a_name(name, selection.instruments[0]) {
            let problem = format!("`{name}` cannot be the name: {why}");
            self.message(&field, Effect::Invalid, problem, Some("choose another name".to_owned()));
            return None;
        }
        Some(name.clone())
    }

    fn buckets(&mut self, change: &MetricOverride, selection: &Selection) -> Option<Vec<f64>> {
        let bounds = change.buckets.as_ref()?;
        let field = change.at.field("buckets");
        if selection.instruments.iter().all(|row| row.kind() == Kind::Counter) {
            let problem = format!("`{}` is a counter, which has no buckets", change.name);
            self.message(&field, Effect::Message, problem, None);
            return None;
        }
        if let Some(bad) = bounds.iter().position(|bound| !bound.is_finite()) {
            let problem = format!("{} is not a finite number", bounds[bad]);
            self.message(
                &field.index(bad),
                Effect::Invalid,
                problem,
                Some("the last bucket has no bound anyway".to_owned()),
            );
            return None;
        }
        if let Some(bad) = bounds.windows(2).position(|pair| pair[0] >= pair[1]) {
            let problem = format!("{} does not come after {}", bounds[bad + 1], bounds[bad]);
            self.message(
                &field.index(bad + 1),
                Effect::Invalid,
                problem,
                Some("list the bounds in ascending order, each once".to_owned()),
            );
            return None;
        }
        if bounds.len() > MAX_BUCKETS {
            let problem =
                format!("only the first {MAX_BUCKETS} of {} bounds are used, the agent's maximum", bounds.len());
            self.message(&field, Effect::Message, problem, None);
        }
        Some(bounds.iter().copied().take(MAX_BUCKETS).collect())
    }

    /// Overrides apply in order; where a later one replaces what an earlier one said of the same instrument, the author should know.
    fn check_repeated(&mut self, change: &MetricOverride, selection: &Selection) {
        let given = [
            ("mode", change.mode != Mode::ImplementationDefault),
            ("rename", change.rename.is_some()),
            ("buckets", change.buckets.is_some()),
        ];
        for (field, _) in given.into_iter().filter(|(_, given)| *given) {
            let mut again = None;
            for row in &selection.instruments {
                if self.said.contains(&(row.name, field)) {
                    again = Some(row.name);
                } else {
                    self.said.push((row.name, field));
                }
            }
            if let Some(name) = again {
                let problem = format!("an earlier override says `{field}` of `{name}` too, and this one replaces it");
                self.message(&change.at.field(field), Effect::Warning, problem, Some("say it once".to_owned()));
            }
        }
    }

    fn check_removed(&mut self, change: &MetricOverride, selection: &Selection) {
        for (index, name) in change.remove_attributes.iter().enumerate() {
            let field = change.at.field("removeAttributes").index(index);
            if let Some(label) = reserved_label(name) {
                let problem = format!("the label `{label}` says whose series it is, and stays");
                self.message(&field, Effect::Invalid, problem, Some("leave it out".to_owned()));
                continue;
            }
            let views = self.views.iter().filter(|view| selection.instruments.contains(&view.instrument));
            if !views.flat_map(View::names).any(|has| same_label(has, name)) {
                let problem = format!("`{}` has no attribute `{name}`", change.name);
                self.message(&field, Effect::Warning, problem, None);
            }
        }
    }

    /// Two instruments cannot come out under one name, unless they are the two ends of one measurement.
    fn check_names(&mut self, metrics: &Metrics) {
        let families: Vec<_> = self
            .views
            .iter()
            .map(|view| prometheus::family(&view.name, view.instrument.unit, view.instrument.kind()))
            .collect();
        for (index, family) in families.iter().enumerate() {
            let like = |other: usize| self.views[other].instrument.is_like(self.views[index].instrument);
            let mut earlier = (0..index).filter(|&other| families[other] == *family);
            if let Some(other) = earlier.find(|&other| !like(other)) {
                let [first, second] = [other, index].map(|index| self.views[index].instrument.name);
                let problem = format!("`{first}` and `{second}` would both be `{family}`");
                let field = metrics.at.field("overrides");
                self.message(&field, Effect::Invalid, problem, Some("give each its own name".to_owned()));
                self.views[index].name = Cow::Borrowed(second);
            }
        }
    }
}

impl View {
    fn names(&self) -> impl Iterator<Item = &str> {
        self.kept.iter().copied().chain(self.labels.iter().map(|label| &*label.name))
    }

    /// Adds an attribute, up to so many labels; one of the same name is replaced. False if there is no room.
    fn add(&mut self, label: Label, most: usize) -> bool {
        let is_full = self.labels.len() >= most;
        match self.labels.iter_mut().find(|other| same_label(&other.name, &label.name)) {
            Some(other) => *other = label,
            None if is_full => return false,
            None => {
                self.kept.retain(|name| !same_label(name, &label.name));
                self.labels.push(label);
            }
        }
        true
    }
}

/// The label that this key would be, if it is one by which an instrument of both ends tells who called whom.
fn names_an_end(instrument: &'static Instrument, key: &str) -> Option<String> {
    let label = prometheus::label(key);
    let end = label.ends_with("reporter") || label.starts_with("source_") || label.starts_with("destination_");
    let has = || View::of(instrument).labels.iter().any(|own| same_label(&own.name, key));
    (instrument.role.is_none() && end && has()).then_some(label)
}

/// Whether two keys are one in Prometheus, and so one here: `http.request.method` and `http_request_method`.
fn same_label(left: &str, right: &str) -> bool {
    left == right || prometheus::label(left) == prometheus::label(right)
}
