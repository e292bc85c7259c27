//! TLS, as families.

use std::sync::atomic::{AtomicU64, Ordering};

use prometheus::core::Collector as _;
use prometheus::proto::MetricFamily;
use prometheus::{IntGaugeVec, Opts};

use super::{Metrics, counter_value};
use crate::tls::Front;

pub(super) fn of(front: &Front) -> Result<Vec<MetricFamily>, prometheus::Error> {
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let reloads = (read(&front.tally.reloads), read(&front.tally.reload_failures));
    let orders = (read(&front.tally.orders_complete), read(&front.tally.orders_failed));
    families(front.tally.handshakes(), reloads, orders, front.ends())
}

/// `reloads`: those that were taken in, and those that failed; `orders`: the same of certificates ordered. `ends`: of each file's certificate.
pub(super) fn families(
    counts: impl Iterator<Item = (&'static str, u64)>,
    (reloads, failures): (u64, u64),
    (complete, failed): (u64, u64),
    ends_by_file: Vec<(String, i64)>,
) -> Result<Vec<MetricFamily>, prometheus::Error> {
    let handshakes = (
        "conclave_edge_tls_handshakes_total",
        "Clients' TLS handshakes by how they ended.",
        "result",
    );
    let counts = counts.map(|(result, count)| (result.into(), count));
    let mut families = Metrics::family(handshakes, counts)?;
    families.extend(counter_value(
        "conclave_edge_tls_reloads_total",
        "Changed certificate files that were taken in.",
        reloads,
    )?);
    families.extend(counter_value(
        "conclave_edge_tls_reload_failures_total",
        "Changed certificate files that could not be used; what was there stays in use.",
        failures,
    )?);
    let orders = (
        "conclave_edge_acme_orders_total",
        "Orders of certificates by how they ended.",
        "result",
    );
    let counts = [("complete".into(), complete), ("failed".into(), failed)];
    families.extend(Metrics::family(orders, counts.into_iter())?);
    let name = "conclave_edge_tls_certificate_not_after_seconds";
    let ends = IntGaugeVec::new(
        Opts::new(name, "When a certificate ends, in seconds since 1970."),
        &["file"],
    )?;
    for (file, end) in ends_by_file {
        ends.with_label_values(&[&*file]).set(end);
    }
    families.extend(ends.collect());
    Ok(families)
}
