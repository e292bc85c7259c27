//! What the aggregator keeps of its own exchanges. The edge's page has the same of its own.

use capture::Statistics;

use super::{Exposition, Kind};

/// A family, and its value.
type Family = (&'static str, Kind, &'static str, fn(&Statistics) -> u64);

const FAMILIES: [Family; 6] = [
    (
        "records_total",
        Kind::Counter,
        "Records of exchanges in the journal.",
        |kept| kept.records,
    ),
    ("bytes_total", Kind::Counter, "Bytes appended to the journal.", |kept| {
        kept.bytes
    }),
    ("appends_total", Kind::Counter, "Appends to the journal.", |kept| {
        kept.appends
    }),
    (
        "dropped_total",
        Kind::Counter,
        "Records that should have been kept and were not.",
        |kept| kept.dropped,
    ),
    (
        "errors_total",
        Kind::Counter,
        "Appends that the journal did not take, or did not confirm.",
        |kept| kept.errors,
    ),
    (
        "journal_bytes",
        Kind::Gauge,
        "Bytes in the aggregator's journal that nobody has taken yet.",
        |kept| kept.folder_bytes,
    ),
];

pub(super) fn expose(kept: &Statistics, page: &mut Exposition) {
    for (name, kind, help, value) in FAMILIES {
        page.family(&format!("conclave_aggregator_capture_{name}"), kind, help);
        page.sample(&[], value(kept));
    }
}
