//! TLS, as families.

use std::sync::atomic::Ordering;

use prometheus::core::Collector as _;
use prometheus::proto::MetricFamily;
use prometheus::{IntGaugeVec, Opts};

use super::{Metrics, counter_value};
use crate::tls::Front;

pub(super) fn families(front: &Front) -> Result<Vec<MetricFamily>, prometheus::Error> {
    let handshakes = (
        "conclave_edge_tls_handshakes_total",
        "Clients' TLS handshakes by how they ended.",
        "result",
    );
    let counts = front.tally.handshakes().map(|(result, count)| (result.into(), count));
    let mut families = Metrics::family(handshakes, counts)?;
    families.extend(counter_value(
        "conclave_edge_tls_reloads_total",
        "Changed certificate files that were taken in.",
        front.tally.reloads.load(Ordering::Relaxed),
    )?);
    families.extend(counter_value(
        "conclave_edge_tls_reload_failures_total",
        "Changed certificate files that could not be used; what was there stays in use.",
        front.tally.reload_failures.load(Ordering::Relaxed),
    )?);
    let name = "conclave_edge_tls_certificate_not_after_seconds";
    let ends = IntGaugeVec::new(
        Opts::new(name, "When a certificate ends, in seconds since 1970."),
        &["file"],
    )?;
    for (file, end) in front.ends() {
        ends.with_label_values(&[&*file]).set(end);
    }
    families.extend(ends.collect());
    Ok(families)
}
