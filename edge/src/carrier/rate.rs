//! How slowly a client may bring its body, in both carriers.

use std::time::Duration;

/// What a window must bring: 500 bytes a second in the default one. A telephone in a tunnel stays above.
const BYTES_A_SECOND_MIN: u64 = 500;

pub(super) fn bytes_min(window: Duration) -> u64 {
    (window.as_secs_f64() * BYTES_A_SECOND_MIN as f64).max(1.0) as u64
}
