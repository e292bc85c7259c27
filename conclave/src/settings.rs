//! What was typed → what it means: flags, environment and files become each plane's configuration.

pub(crate) mod acme;
pub(crate) mod aggregator;
pub(crate) mod edge;
pub(crate) mod journal;
pub(crate) mod secret;
pub(crate) mod state;
pub(crate) mod store;
pub(crate) mod tls;
pub(crate) mod traces;

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use keymap::Problem;
use keymap::static_file::StaticFile;

/// Traefik's static file, and what is wrong with it.
pub(crate) fn static_file(path: &Path) -> Result<(Option<StaticFile>, Vec<Problem>)> {
    let told = |error| anyhow!("{}: {}", path.display(), custody::told(&error));
    keymap::static_file::read(path).map_err(told)
}

/// A time in seconds, with or without a fraction.
pub(crate) fn seconds(flag: &str, value: f64) -> Result<Duration> {
    const HOURS_24: f64 = 86_400.0;
    if !(0.001..=HOURS_24).contains(&value) {
        bail!("{flag}: {value} is not a time; give seconds between 0.001 and {HOURS_24}");
    }
    Ok(Duration::from_secs_f64(value))
}
