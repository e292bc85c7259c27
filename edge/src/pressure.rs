//! Whether the process is at its bound of memory, so that new requests are refused before the kernel ends all of them.
//!
//! Looked at by a task of its own five times a second; a request asks with one atomic read. What is in flight goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Below this part of the bound requests are taken again: at the bound itself the door would flutter.
const RELIEF: f64 = 0.95;

#[derive(Debug, Default)]
pub(crate) struct Pressure(AtomicBool);

impl Pressure {
    pub(crate) fn is_high(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Looks for as long as the edge runs.
    pub(crate) async fn watch(self: Arc<Self>, bytes_max: u64) {
        loop {
            if let Some(bytes) = resident_bytes() {
                self.note(bytes, bytes_max);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn note(&self, bytes: u64, bytes_max: u64) {
        let was_high = self.is_high();
        let bound = if was_high {
            bytes_max as f64 * RELIEF
        } else {
            bytes_max as f64
        };
        let is_high = bytes as f64 > bound;
        if is_high == was_high {
            return;
        }
        self.0.store(is_high, Ordering::Relaxed);
        if is_high {
            tracing::warn!(bytes, bytes_max, "at the bound of memory: new requests are refused");
        } else {
            tracing::info!(bytes, "below the bound of memory again");
        }
    }
}

/// `None` where the system does not tell.
fn resident_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_door_does_not_flutter_at_the_bound() {
        let pressure = Pressure::default();
        let seen: Vec<bool> = [90, 101, 99, 96, 94, 99, 101]
            .into_iter()
            .map(|bytes| {
                pressure.note(bytes, 100);
                pressure.is_high()
            })
            .collect();
        assert_eq!(seen, [false, true, true, true, false, false, true]);
    }

    #[test]
    fn a_process_has_a_size() {
        assert!(resident_bytes().is_some_and(|bytes| bytes > 1 << 20));
    }
}
