//! `data.json` of genai-prices, version 2: an array of providers, prices in US dollars for a million tokens.

use jiff::{Timestamp as Moment, civil, tz::TimeZone};
use serde_json::{Map, Value};

use super::{
    Place,
    clause::Clause,
    price::{Price, Rate},
    provider,
};
use crate::capture::Timestamp;

/// The providers.
#[derive(Debug, Default)]
pub(super) struct Table {
    providers: Vec<Provider>,
}

#[derive(Debug)]
struct Provider {
    id: Box<str>,
    /// Names that it goes by besides.
    names: Option<Clause>,
    /// Whose models it offers too.
    others: Vec<Box<str>>,
    models: Vec<Model>,
}

/// A model.
#[derive(Debug)]
struct Model {
    names: Clause,
    /// At least one; of those that hold the last counts, else the first.
    prices: Vec<(Constraint, Price)>,
}

/// When a price holds, in UTC.
#[derive(Debug)]
enum Constraint {
    Always,
    From(civil::Date),
    Daily(civil::Time, civil::Time),
    /// Not understood.
    Never,
}

impl Constraint {
    fn read(value: &Value) -> Self {
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        // A time may name the zone that it is in, which is UTC.
        let time = |name: &str| text(name)?.trim_end_matches(['Z', 'z']).trim_end_matches("+00:00").parse().ok();
        let date = text("start_date").and_then(|text| text.parse().ok());
        match (date, time("start_time"), time("end_time")) {
            (Some(date), ..) => Self::From(date),
            (None, Some(start), Some(end)) => Self::Daily(start, end),
            _ => Self::Never,
        }
    }

    fn holds(&self, then: civil::DateTime) -> bool {
        match self {
            Self::Always => true,
            Self::From(date) => then.date() >= *date,
            Self::Daily(start, end) if start <= end => (*start..*end).contains(&then.time()),
            // Over midnight.
            Self::Daily(start, end) => then.time() >= *start || then.time() < *end,
            Self::Never => false,
        }
    }
}

impl Model {
    fn read(value: &Value) -> Option<Self> {
        let prices = match value.get("prices")? {
            Value::Object(fields) => vec![(Constraint::Always, price(fields))],
            Value::Array(list) => list.iter().filter_map(conditional).collect(),
            _ => return None,
        };
        let names = Clause::read(value.get("match")?)?;
        prices.iter().any(|(_, price)| price.is_any()).then_some(Self { names, prices })
    }

    fn price(&self, begin: Timestamp) -> &Price {
        let then = Moment::from_nanosecond(i128::from(begin.0)).unwrap_or_default();
        let then = TimeZone::UTC.to_datetime(then);
        let held = self.prices.iter().rev().find(|(constraint, _)| constraint.holds(then));
        &held.unwrap_or(&self.prices[0]).1
    }
}

fn conditional(value: &Value) -> Option<(Constraint, Price)> {
    let constraint = value.get("constraint").filter(|constraint| !constraint.is_null());
    let price = price(value.get("prices")?.as_object()?);
    Some((constraint.map_or(Constraint::Always, Constraint::read), price))
}

fn price(fields: &Map<String, Value>) -> Price {
    let rate = |names: [&str; 2]| names.iter().find_map(|name| rate(fields.get(*name)?));
    Price {
        input: rate(["input_mtok", "input_text_mtok"]),
        output: rate(["output_mtok", "output_text_mtok"]),
        cache_read: rate(["cache_read_mtok", "cache_text_read_mtok"]),
        cache_write: rate(["cache_write_mtok", "cache_write_5m_mtok"]),
        reasoning: rate(["output_reasoning_mtok", "output_text_reasoning_mtok"]),
        input_audio: rate(["input_audio_mtok", ""]),
        output_audio: rate(["output_audio_mtok", ""]),
        cache_read_audio: rate(["cache_audio_read_mtok", ""]),
        cache_write_hour: rate(["cache_write_1h_mtok", ""]),
        output_image: rate(["output_image_mtok", ""]),
        call: fields.get("requests_kcount").and_then(number).unwrap_or_default() / 1e3,
    }
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64().filter(|number| number.is_finite() && *number >= 0.0)
}

/// A number, or `{base, tiers: [{start, price}]}`.
fn rate(value: &Value) -> Option<Rate> {
    if let Some(base) = number(value) {
        return Some(Rate { base: base / 1e6, tiers: Vec::new() });
    }
    let tier = |tier: &Value| Some((tier.get("start")?.as_u64()?, number(tier.get("price")?)? / 1e6));
    let mut tiers: Vec<_> = value.get("tiers")?.as_array()?.iter().map(tier).collect::<Option<_>>()?;
    tiers.sort_unstable_by_key(|(above, _)| *above);
    Some(Rate { base: number(value.get("base")?)? / 1e6, tiers })
}

impl Table {
    pub(super) fn read(providers: &[Value]) -> Self {
        let provider = |value: &Value| {
            let texts = |name: &str| value.get(name).and_then(Value::as_array).into_iter().flatten();
            Some(Provider {
                id: value.get("id")?.as_str()?.into(),
                names: value.get("provider_match").and_then(Clause::read),
                others: texts("fallback_model_providers").filter_map(Value::as_str).map(Into::into).collect(),
                models: value.get("models")?.as_array()?.iter().filter_map(Model::read).collect(),
            })
        };
        Self { providers: providers.iter().filter_map(provider).collect() }
    }

    pub(super) fn models(&self) -> usize {
        self.providers.iter().map(|provider| provider.models.len()).sum()
    }

    /// The model among those of a provider, then of those whose models it offers.
    pub(super) fn find(&self, provider: &str, model: &str) -> Option<Place> {
        let model = model.to_lowercase();
        let first = self.provider(provider)?;
        let others = self.providers[first].others.iter().filter_map(|id| self.with_id(id));
        let of = |place: usize| self.providers[place].models.iter().position(|found| found.names.matches(&model));
        [first].into_iter().chain(others).find_map(|place| Some((place, of(place)?)))
    }

    pub(super) fn price(&self, (provider, model): Place, begin: Timestamp) -> &Price {
        self.providers[provider].models[model].price(begin)
    }

    fn provider(&self, name: &str) -> Option<usize> {
        let known = provider::find(name).into_iter().flat_map(|provider| provider.genai_prices);
        let mut ids = known.copied().chain([name]);
        ids.find_map(|id| self.with_id(id)).or_else(|| {
            let name = name.to_lowercase();
            self.providers.iter().position(|provider| provider.names.as_ref().is_some_and(|names| names.matches(&name)))
        })
    }

    fn with_id(&self, id: &str) -> Option<usize> {
        self.providers.iter().position(|provider| *provider.id == *id)
    }
}
