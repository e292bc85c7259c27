//! What was typed → what it means: flags, environment and files become each plane's configuration.

pub(crate) mod aggregator;
pub(crate) mod edge;
pub(crate) mod journal;
pub(crate) mod state;
pub(crate) mod store;
pub(crate) mod tls;

use std::time::Duration;

use anyhow::{Result, bail};

/// A time in seconds, with or without a fraction.
pub(crate) fn seconds(flag: &str, value: f64) -> Result<Duration> {
    const HOURS_24: f64 = 86_400.0;
    if !(0.001..=HOURS_24).contains(&value) {
        bail!("{flag}: {value} is not a time; give seconds between 0.001 and {HOURS_24}");
    }
    Ok(Duration::from_secs_f64(value))
}
