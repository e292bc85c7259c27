//! `input_price_per_million` and `output_price_per_million`: of a backend, and under `prices` of one of its models.

use document::{Field, Fields, Named, Report, Schema, Support, named};

use super::number;
use crate::backend::{Price, Prices};

pub(super) const INPUT: &str = "input_price_per_million";
pub(super) const OUTPUT: &str = "output_price_per_million";

const PRICE: Schema = &[(INPUT, Support::Read), (OUTPUT, Support::Read)];

/// Takes a backend's three fields.
pub(super) fn take(fields: &mut Fields<'_>, report: &mut Report<'_>) -> Prices {
    Prices {
        any: one(fields, report),
        models: fields
            .take("prices")
            .map(|field| models(field, report))
            .unwrap_or_default(),
    }
}

/// `None` where neither is given; one that is missing is nothing.
fn one(fields: &mut Fields<'_>, report: &mut Report<'_>) -> Option<Price> {
    let mut price = |name| {
        fields
            .take(name)
            .map(|field| number::price(field, report).unwrap_or_default())
    };
    match (price(INPUT), price(OUTPUT)) {
        (None, None) => None,
        (input, output) => Some(Price {
            input: input.unwrap_or_default(),
            output: output.unwrap_or_default(),
        }),
    }
}

fn models(field: Field<'_>, report: &mut Report<'_>) -> Box<[(std::sync::Arc<str>, Price)]> {
    let mut models = Vec::new();
    for Named { name, position, node } in named(field.node, "model", report) {
        let Some(mut fields) = Fields::of(node, PRICE, "a price", report) else {
            continue;
        };
        match one(&mut fields, report) {
            Some(price) => models.push((name, price)),
            None => {
                let rule = format!("A price needs `{INPUT}` or `{OUTPUT}`.");
                report.error(position, "", rule, "Write one of them, or take the model out.");
            }
        }
    }
    models.into()
}
