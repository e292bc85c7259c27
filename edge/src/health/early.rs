//! Health checks begin when a mapping that asks for them is loaded, not with the first request: whoever comes first finds
//! out no more than anybody else.
//!
//! A service's checks hang on its balancer, and that on the service: making the balancer begins them, and a service that
//! leaves the table takes them with it.

use std::sync::Arc;
use std::time::Duration;

use keymap::Service;

use super::Registry;
use crate::balance::Balancer;
use crate::plane::Plane;

/// Between two looks at whether there is a new table: one atomic load each.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Services whose checks begin early. A folder with more is one with a service for each key; those begin when they are
/// first used, as there may be a million of them.
const EARLY_MAX: usize = 4096;

/// For as long as the edge runs.
pub(crate) async fn follow(plane: Arc<Plane>) {
    let mut seen = None;
    loop {
        // Held for no longer than it takes: an old table is to go with its last request.
        let mappings = plane.mappings.load_full();
        if seen.replace(mappings.generation) != Some(mappings.generation) {
            let services = mappings.table.watched().iter().take(EARLY_MAX);
            services.for_each(|service| begin(service, &plane.servers));
        }
        drop(mappings);
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Those of all services below it too.
fn begin(service: &Service, servers: &Arc<Registry>) {
    Balancer::of(service, servers);
    for child in service.children().filter_map(|child| child.service()) {
        begin(child, servers);
    }
}
