//! Ingest as one of the aggregator's tasks: its threads live and end with it.

use std::sync::Arc;
use std::time::Duration;

use super::{Ingest, IngestConfig, IngestMetrics};
use crate::store::Store;
use crate::tasks::{Stop, Tasks};

/// How often is looked whether a thread has ended by itself.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Follows the journals into the store until the service stops. None where no thread could be started: then the service
/// ends, and says so.
pub(crate) fn spawn(tasks: &mut Tasks, config: &IngestConfig, store: Store) -> Option<IngestMetrics> {
    let started = Ingest::start(config, &Arc::new(store));
    let metrics = started.as_ref().ok().map(Ingest::metrics);
    let stop = tasks.stop_signal();
    tasks.spawn("ingest", async move {
        match started {
            Ok(ingest) => run(ingest, stop).await,
            Err(error) => tracing::error!(%error, "the journals cannot be followed: no thread can be started"),
        }
    });
    metrics
}

async fn run(ingest: Ingest, mut stop: Stop) {
    tokio::select! {
        () = stop.requested() => {}
        () = ended(&ingest) => tracing::error!("a thread that follows a journal has ended by itself"),
    }
    // It waits for the commit that is under way.
    if tokio::task::spawn_blocking(move || ingest.stop()).await.is_err() {
        tracing::error!("ingest could not be joined");
    }
}

async fn ended(ingest: &Ingest) {
    while !ingest.has_ended() {
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}
