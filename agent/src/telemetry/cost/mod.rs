//! What calls of language models cost: what a provider says, else tokens times the prices of a file that the operator names (`prices.file` of `--config`).
//!
//! Nothing is fetched, and nothing is guessed: a model without a price is counted, and has no cost. Prices are in US dollars, as those of
//! both formats that are read are.

mod calculator;
mod clause;
mod genai_prices;
mod litellm;
mod price;
mod provider;
#[cfg(test)]
mod tests;

use std::{fs::File, io::Read as _, path::Path};

pub use calculator::Calculator;
use price::Price;

use crate::{
    capture::Timestamp,
    exchange::{Exchange, genai::GenAi},
};

/// What an exchange costs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Cost {
    /// It is no call of a language model, no prices are known, or it does not say its tokens.
    #[default]
    Unknown,
    /// So many US dollars.
    Dollars(f64),
    /// It says its tokens, and prices are known, but none for its model.
    NoPrice,
}

impl Cost {
    /// What the provider says, if it does.
    pub fn of(exchange: &Exchange) -> Self {
        let said = exchange.call.as_ref().and_then(|call| call.genai()?.usage.cost);
        said.map_or(Self::Unknown, Self::Dollars)
    }

    /// In US dollars.
    pub const fn dollars(self) -> Option<f64> {
        match self {
            Self::Dollars(dollars) => Some(dollars),
            Self::Unknown | Self::NoPrice => None,
        }
    }
}

/// The largest file of prices that is read.
pub const MAX_FILE: u64 = 64 * 1024 * 1024;

/// Why a file of prices cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PricesError {
    /// It cannot be read.
    #[error("cannot read it: {0}")]
    Io(#[from] std::io::Error),
    /// It is larger than [`MAX_FILE`].
    #[error("it is larger than {} MiB", MAX_FILE / 1024 / 1024)]
    TooLarge,
    /// It is not JSON.
    #[error("it is not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// It is neither format.
    #[error(
        "it has no prices; give litellm's model_prices_and_context_window.json, or data.json of genai-prices (version 2)"
    )]
    Format,
}

/// The prices of a file.
#[derive(Debug)]
pub struct Prices(Table);

#[derive(Debug)]
enum Table {
    Litellm(litellm::Table),
    GenaiPrices(genai_prices::Table),
}

impl Prices {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, or is in neither format.
    pub fn read(path: &Path) -> Result<Self, PricesError> {
        let mut bytes = Vec::new();
        File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_FILE { Err(PricesError::TooLarge) } else { Self::parse(&bytes) }
    }

    /// Reads the content of a file: an object of models is litellm's, an array of providers that of genai-prices.
    ///
    /// # Errors
    /// It is in neither format. Single models and prices that cannot be understood are left out: they are as good as absent.
    pub fn parse(json: &[u8]) -> Result<Self, PricesError> {
        let table = match serde_json::from_slice(json)? {
            serde_json::Value::Object(models) => Table::Litellm(litellm::Table::read(&models)),
            serde_json::Value::Array(providers) => Table::GenaiPrices(genai_prices::Table::read(&providers)),
            _ => return Err(PricesError::Format),
        };
        let prices = Self(table);
        if prices.models() == 0 { Err(PricesError::Format) } else { Ok(prices) }
    }

    /// How many models have prices.
    pub fn models(&self) -> usize {
        match &self.0 {
            Table::Litellm(table) => table.models(),
            Table::GenaiPrices(table) => table.models(),
        }
    }

    /// The model that answered, else the one that was asked for, among those of the provider.
    fn find(&self, call: &GenAi) -> Option<Place> {
        let models = [&call.response.model, &call.request.model];
        models.into_iter().flatten().find_map(|model| match &self.0 {
            Table::Litellm(table) => table.find(&call.provider, model),
            Table::GenaiPrices(table) => table.find(&call.provider, model),
        })
    }

    /// What holds for a call that began then.
    fn price(&self, place: Place, call: &GenAi, begin: Timestamp) -> &Price {
        match &self.0 {
            Table::Litellm(table) => table.price(place, call.response.service_tier.as_deref()),
            Table::GenaiPrices(table) => table.price(place, begin),
        }
    }
}

/// Where a model is in a file: which provider, where the file has them, and which of its models.
type Place = (usize, usize);
