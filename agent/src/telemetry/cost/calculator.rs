//! What one worker's calls cost.

use std::{collections::HashMap, sync::Arc};

use foldhash::fast::RandomState;

use super::{Cost, Place, Prices};
use crate::exchange::{Call, Exchange, genai::GenAi};

/// Models whose place in the file is remembered; when there are more, all are forgotten.
const MAX_MODELS: usize = 1024;

/// Computes costs, and remembers where the prices of models are: finding one in a file with a thousand can take as many comparisons.
#[derive(Debug)]
pub struct Calculator {
    prices: Arc<Prices>,
    /// By what [`key`] makes of a call; `None` where there is no price.
    places: HashMap<Box<str>, Option<Place>, RandomState>,
    key: String,
}

impl Calculator {
    /// One that computes by these prices.
    pub fn new(prices: Arc<Prices>) -> Self {
        Self { prices, places: HashMap::default(), key: String::new() }
    }

    /// What an exchange costs: what the provider says, else what the prices do.
    pub fn cost(&mut self, exchange: &Exchange) -> Cost {
        let said = Cost::of(exchange);
        let Some(call) = exchange.call.as_ref().and_then(Call::genai) else { return said };
        if said != Cost::Unknown || (call.usage.input.is_none() && call.usage.output.is_none()) {
            return said;
        }
        let price = self.place(call).map(|place| self.prices.price(place, call, exchange.request.head.first_byte));
        price.and_then(|price| price.cost(&call.usage)).map_or(Cost::NoPrice, Cost::Dollars)
    }

    fn place(&mut self, call: &GenAi) -> Option<Place> {
        key(&mut self.key, call);
        if let Some(place) = self.places.get(self.key.as_str()) {
            return *place;
        }
        let place = self.prices.find(call);
        if self.places.len() >= MAX_MODELS {
            self.places.clear();
        }
        self.places.insert(self.key.as_str().into(), place);
        place
    }
}

/// What the place of a call's prices depends on.
fn key(key: &mut String, call: &GenAi) {
    key.clear();
    for part in [Some(&*call.provider), call.response.model.as_deref(), call.request.model.as_deref()] {
        key.push_str(part.unwrap_or_default());
        key.push('\0');
    }
}
