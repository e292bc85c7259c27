//! Accepting connections.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use super::{Forwarder, session};

/// Out of descriptors, most likely: accepting at once again would spin, and what ends meanwhile gives some back.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(50);

/// Accepts until the edge stops. What was accepted goes on by itself.
pub(crate) async fn serve(forwarder: Arc<Forwarder>, listener: TcpListener) {
    let plane = forwarder.plane.clone();
    let mut failing = false;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = plane.stop.wait() => return,
        };
        match accepted {
            Ok((stream, address)) => {
                failing = false;
                tokio::spawn(session::run(forwarder.clone(), stream, address));
            }
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(%error, "a connection cannot be accepted");
                }
                tokio::time::sleep(PAUSE_AFTER_ERROR).await;
            }
        }
    }
}
