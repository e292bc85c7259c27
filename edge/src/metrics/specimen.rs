//! A page on which every family has a sample: what docs/METRICS.md is made of. It counts nothing that happened.

use std::sync::Arc;
use std::time::Duration;

use capture::Statistics;
use keymap::{Snapshot, Table};
use prometheus::TextEncoder;

use super::{
    Metrics, Pace, UpstreamFailure, budgets, capture as captured, mapping_families, plain, servers, spans, tls,
};
use crate::error::Refusal;
use crate::health;
use crate::limits::registry::UsedBudget;
use crate::limits::set::Tokens;

/// In Prometheus' text format, as `/metrics` gives it.
///
/// # Errors
/// Where the library does not take a family, which a test would have shown.
pub fn metrics_specimen() -> Result<String, prometheus::Error> {
    let metrics = Metrics::new();
    metrics.answered(Some(200));
    metrics.refused(Refusal::NoKey);
    metrics.upstream_failed(UpstreamFailure::Connect);
    metrics.prefix_looked_up(true);
    pass_one(&metrics);
    let nothing = Snapshot {
        table: Arc::new(Table::default()),
        files: Vec::new(),
        problems: Vec::new(),
        generation: 0,
        files_read: 0,
    };
    let budget = UsedBudget {
        router: "".into(),
        used: 0,
        amount: 0,
    };
    let server = health::Shown {
        name: Some(("".into(), "".into())),
        picks: 0,
        in_flight: 0,
        standing: Some(health::Standing::Up),
    };
    let mut families = metrics.counted()?;
    families.extend(servers::families(&[server])?);
    families.extend(metrics.traffic.families()?);
    families.extend(plain(&metrics, 0)?);
    families.extend(mapping_families(&nothing)?);
    families.extend(budgets::families(&[budget])?);
    families.extend(captured::families(&Statistics::default())?);
    families.extend(tls::families(
        [("complete", 1)].into_iter(),
        (0, 0),
        (1, 1),
        vec![(String::new(), 0)],
    )?);
    families.extend(spans::families(traces::Counts::default())?);
    TextEncoder::new().encode_to_string(&families)
}

fn pass_one(metrics: &Metrics) {
    let passing = metrics.traffic.of(&"".into()).enter();
    passing.tokens(Tokens { input: 1, output: 2 });
    passing.waited(Duration::ZERO);
    passing.ended(&Pace {
        first_byte: Some(Duration::ZERO),
        first_token: Some(Duration::ZERO),
        end: Duration::from_secs(1),
        tokens: 2,
    });
    metrics.traffic.added(Duration::ZERO);
}
