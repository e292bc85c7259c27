//! What is known of each backend: whether it is up, what it works on, what became of the requests sent to it.

use super::{Exposition, Kind};
use crate::fleet::{Backend, FleetView, Status};

/// A family, and its value of one backend.
type Family = (&'static str, Kind, &'static str, fn(&Backend) -> u64);

const FAMILIES: [Family; 6] = [
    (
        "conclave_backend_up",
        Kind::Gauge,
        "Whether the backend answers its heartbeat.",
        |backend| (backend.status == Status::Up).into(),
    ),
    (
        "conclave_backend_suspended",
        Kind::Gauge,
        "Whether the backend is passed over because a request to it failed.",
        |backend| backend.traffic.is_suspended().into(),
    ),
    (
        "conclave_backend_models",
        Kind::Gauge,
        "Models that it serves.",
        |backend| backend.models.len() as u64,
    ),
    (
        "conclave_backend_active_requests",
        Kind::Gauge,
        "Requests of the aggregator's in flight.",
        |backend| backend.traffic.in_flight().into(),
    ),
    (
        "conclave_backend_answered_total",
        Kind::Counter,
        "Requests that it answered.",
        |backend| backend.traffic.answered_total(),
    ),
    (
        "conclave_backend_failures_total",
        Kind::Counter,
        "Failures for which it was suspended.",
        |backend| backend.traffic.failed_total(),
    ),
];

/// The label is the backend's name in the configuration: as many as are configured, at most 1,000.
pub(super) fn expose(view: &FleetView, page: &mut Exposition) {
    for (name, kind, help, value) in FAMILIES {
        page.family(name, kind, help);
        for backend in &view.backends {
            page.sample(&[("backend", &backend.spec.name)], value(backend));
        }
    }
}

/// Each family with one sample, to be read for its name and labels.
pub(super) fn expose_specimen(page: &mut Exposition) {
    for (name, kind, help, _) in FAMILIES {
        page.family(name, kind, help);
        page.sample(&[("backend", "")], 0);
    }
}
