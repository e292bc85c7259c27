//! Budgets of tokens, as families: what was used of each in its current period.

use std::collections::HashSet;

use prometheus::core::Collector as _;
use prometheus::proto::MetricFamily;
use prometheus::{IntGaugeVec, Opts};

use super::traffic::ROUTERS_MAX;
use crate::limits::registry::UsedBudget;

/// Of several budgets of one router the one with the least left is shown; of routers, as many as have other figures.
pub(super) fn families(budgets: &[UsedBudget]) -> Result<Vec<MetricFamily>, prometheus::Error> {
    let used = gauges(
        "conclave_edge_budget_used_tokens",
        "Tokens that a router's key has used in the current period of its tokenLimit.",
    )?;
    let amount = gauges(
        "conclave_edge_budget_limit_tokens",
        "Tokens that it may use in a period.",
    )?;
    let mut sorted: Vec<&UsedBudget> = budgets.iter().collect();
    sorted.sort_by(|a, b| (&a.router, a.left()).cmp(&(&b.router, b.left())));
    let mut shown = HashSet::new();
    for budget in sorted {
        if shown.len() < ROUTERS_MAX && shown.insert(budget.router.clone()) {
            let gauge = |of: &IntGaugeVec, tokens: u64| {
                let tokens = i64::try_from(tokens).unwrap_or(i64::MAX);
                of.with_label_values(&[&*budget.router]).set(tokens);
            };
            gauge(&used, budget.used);
            gauge(&amount, budget.amount);
        }
    }
    let mut families = used.collect();
    families.extend(amount.collect());
    Ok(families)
}

fn gauges(name: &str, help: &str) -> Result<IntGaugeVec, prometheus::Error> {
    IntGaugeVec::new(Opts::new(name, help), &["router"])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(router: &str, used: u64, amount: u64) -> UsedBudget {
        UsedBudget {
            router: router.into(),
            used,
            amount,
        }
    }

    #[test]
    fn of_two_budgets_the_tighter_is_shown() {
        let all = [budget("a", 10, 1000), budget("b", 5, 7), budget("a", 10, 50)];
        let text = prometheus::TextEncoder::new()
            .encode_to_string(&families(&all).expect("families"))
            .expect("text");
        for line in [
            "conclave_edge_budget_used_tokens{router=\"a\"} 10",
            "conclave_edge_budget_limit_tokens{router=\"a\"} 50",
            "conclave_edge_budget_limit_tokens{router=\"b\"} 7",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}
