//! litellm's `model_prices_and_context_window.json`: an object of models, prices in US dollars for one token.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use serde_json::{Map, Value};

use super::{
    Place,
    price::{Price, Rate},
    provider,
};

/// The models that have prices.
#[derive(Debug)]
pub(super) struct Table {
    models: Vec<Model>,
    /// Their places by name.
    names: HashMap<Box<str>, usize, RandomState>,
}

/// A model.
#[derive(Debug)]
struct Model {
    /// `litellm_provider`.
    provider: Box<str>,
    price: Price,
    /// What holds in a service tier instead.
    tiers: Vec<(&'static str, Price)>,
}

/// An entry that explains the others.
const SPECIFICATION: &str = "sample_spec";

/// Service tiers that have prices of their own, as the response says them and as keys end.
const SERVICE_TIERS: &[(&str, &str)] = &[("flex", "_flex"), ("priority", "_priority")];

impl Table {
    pub(super) fn read(fields: &Map<String, Value>) -> Self {
        let mut table = Self { models: Vec::new(), names: HashMap::default() };
        for (name, fields) in fields.iter().filter(|(name, _)| *name != SPECIFICATION) {
            if let Some(model) = model(fields) {
                table.names.insert(name.as_str().into(), table.models.len());
                table.models.push(model);
            }
        }
        table
    }

    pub(super) fn models(&self) -> usize {
        self.models.len()
    }

    /// The model among those of a provider: by the provider's word and a slash, else by its name alone.
    pub(super) fn find(&self, provider: &str, model: &str) -> Option<Place> {
        let known = provider::find(provider);
        let words = known.map_or(std::slice::from_ref(&provider), |provider| provider.litellm);
        let prefixed = words.iter().find_map(|word| self.names.get(format!("{word}/{model}").as_str()));
        let is_its = |place: &&usize| words.iter().any(|word| self.models[**place].provider.starts_with(word));
        let place = prefixed.or_else(|| self.names.get(model).filter(is_its))?;
        Some((0, *place))
    }

    pub(super) fn price(&self, (_, place): Place, service_tier: Option<&str>) -> &Price {
        let model = &self.models[place];
        let tier = service_tier.and_then(|wanted| model.tiers.iter().find(|(tier, _)| *tier == wanted));
        tier.map_or(&model.price, |(_, price)| price)
    }
}

fn model(fields: &Value) -> Option<Model> {
    let fields = fields.as_object()?;
    let price = price(fields, "", None);
    let tiers = SERVICE_TIERS.iter().filter(|(_, end)| fields.keys().any(|key| key.ends_with(end)));
    let tiers = tiers.map(|(tier, end)| (*tier, self::price(fields, end, Some(&price)))).collect();
    let provider = fields.get("litellm_provider").and_then(Value::as_str).unwrap_or_default().into();
    price.is_any().then_some(Model { provider, price, tiers })
}

/// Reads the prices whose keys end so; what has none costs what it does `otherwise`.
fn price(fields: &Map<String, Value>, end: &str, otherwise: Option<&Price>) -> Price {
    let rate = |key: &str, of: fn(&Price) -> &Option<Rate>| {
        rate(fields, key, end).or_else(|| otherwise.and_then(|otherwise| of(otherwise).clone()))
    };
    Price {
        input: rate("input_cost_per_token", |price| &price.input),
        output: rate("output_cost_per_token", |price| &price.output),
        cache_read: rate("cache_read_input_token_cost", |price| &price.cache_read),
        cache_write: rate("cache_creation_input_token_cost", |price| &price.cache_write),
        reasoning: rate("output_cost_per_reasoning_token", |price| &price.reasoning),
        input_audio: rate("input_cost_per_audio_token", |price| &price.input_audio),
        output_audio: rate("output_cost_per_audio_token", |price| &price.output_audio),
        cache_read_audio: rate("cache_read_input_audio_token_cost", |price| &price.cache_read_audio),
        cache_write_hour: rate("cache_creation_input_token_cost_above_1hr", |price| &price.cache_write_hour),
        output_image: rate("output_cost_per_image_token", |price| &price.output_image),
        call: 0.0,
    }
}

/// `KEY`, and `KEY_above_200k_tokens` for more than 200000 input tokens.
fn rate(fields: &Map<String, Value>, key: &str, end: &str) -> Option<Rate> {
    let number = |value: &Value| value.as_f64().filter(|number| number.is_finite() && *number >= 0.0);
    let base = number(fields.get(&format!("{key}{end}"))?)?;
    let tier = |(name, value): (&String, &Value)| {
        let thousands = name.strip_prefix(key)?.strip_prefix("_above_")?.strip_suffix(end)?.strip_suffix("k_tokens")?;
        Some((thousands.parse::<u64>().ok()?.checked_mul(1000)?, number(value)?))
    };
    let mut tiers: Vec<_> = fields.iter().filter_map(tier).collect();
    tiers.sort_unstable_by_key(|(above, _)| *above);
    Some(Rate { base, tiers })
}
