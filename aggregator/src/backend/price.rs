//! What a backend's tokens cost, as the operator says: for all its models, or for each.

use std::sync::Arc;

use dialect::chat::{Cost, Usage};

/// For a million tokens each, in billionths of what is paid in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Price {
    pub(crate) input: Cost,
    pub(crate) output: Cost,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Prices {
    /// Of models without a price of their own.
    pub(crate) any: Option<Price>,
    pub(crate) models: Box<[(Arc<str>, Price)]>,
}

impl Prices {
    /// What so many tokens of a model cost. `None` where nobody said a price, or how many tokens those were.
    pub(crate) fn cost(&self, model: &str, usage: &Usage) -> Option<Cost> {
        let own = self.models.iter().find(|(name, _)| **name == *model);
        own.map(|(_, price)| *price).or(self.any)?.cost(usage)
    }
}

impl Price {
    fn cost(self, usage: &Usage) -> Option<Cost> {
        let of = |tokens: u64, price: Cost| u128::from(tokens) * u128::from(price.billionths);
        let sum = of(usage.input?, self.input) + of(usage.output?, self.output);
        Some(Cost {
            billionths: u64::try_from(sum / 1_000_000).unwrap_or(u64::MAX),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_s_own_price_stands_before_its_backend_s() {
        let price = |input, output| Price {
            input: Cost::of(input).expect("money"),
            output: Cost::of(output).expect("money"),
        };
        let usage = Usage {
            input: Some(1_000),
            output: Some(500),
            ..Usage::default()
        };
        let prices = Prices {
            any: Some(price(1.0, 2.0)),
            models: Box::new([("large".into(), price(2.5, 10.0))]),
        };
        for (model, expected) in [("large", 0.0075), ("small", 0.002)] {
            assert_eq!(prices.cost(model, &usage), Cost::of(expected), "{model}");
        }
        assert_eq!(Prices::default().cost("large", &usage), None);
        let untold = Usage { output: None, ..usage };
        assert_eq!(prices.cost("large", &untold), None, "half a bill is none");
    }
}
