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

use ::aggregator::ConfigFile;
use anyhow::{Result, anyhow, bail};
use custody::{Contents, Terms};
use keymap::Problem;
use keymap::static_file::StaticFile;

/// Traefik's static file, and what is wrong with it.
pub(crate) fn static_file(path: &Path) -> Result<(Option<StaticFile>, Vec<Problem>)> {
    let told = |error| anyhow!("{}: {}", path.display(), custody::told(&error));
    keymap::static_file::read(path).map_err(told)
}

/// Of either configuration file.
const CONFIG_BYTES_MAX: u64 = 4 << 20;

/// The two files that `--config` may mean, each to another command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConfigKind {
    /// council-router's `config.yaml`.
    Aggregators,
    /// Traefik's static file.
    Edges,
    /// It has no field of either, or cannot be read: whoever reads it next says what is wrong with it.
    Unknown,
}

pub(crate) fn config_kind(path: &Path) -> ConfigKind {
    const TRAEFIKS: [&str; 2] = ["entrypoints", "providers"];
    let read = custody::read(path, &Terms::configuration(CONFIG_BYTES_MAX)).and_then(Contents::text);
    let Ok(text) = read else { return ConfigKind::Unknown };
    let is_traefiks = |line: &str| {
        let name = line.split_once(':').map(|(name, _)| name.to_ascii_lowercase());
        name.is_some_and(|name| TRAEFIKS.contains(&&*name))
    };
    match ConfigFile::recognises(&text) {
        true => ConfigKind::Aggregators,
        false if text.lines().any(is_traefiks) => ConfigKind::Edges,
        false => ConfigKind::Unknown,
    }
}

/// A time in seconds, with or without a fraction.
pub(crate) fn seconds(flag: &str, value: f64) -> Result<Duration> {
    const HOURS_24: f64 = 86_400.0;
    if !(0.001..=HOURS_24).contains(&value) {
        bail!("{flag}: {value} is not a time; give seconds between 0.001 and {HOURS_24}");
    }
    Ok(Duration::from_secs_f64(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_is_known_by_its_own_fields() {
        let folder = tempfile::tempdir().expect("a folder");
        for (text, expected) in [
            ("backends: []\n", ConfigKind::Aggregators),
            ("metrics: {}\nserver: { port: 1 }\n", ConfigKind::Aggregators),
            ("entryPoints:\n  a:\n    address: \":1\"\n", ConfigKind::Edges),
            ("# Traefik\nmetrics: {}\nproviders: {}\n", ConfigKind::Edges),
            ("metrics: {}\n", ConfigKind::Unknown),
            ("", ConfigKind::Unknown),
        ] {
            let path = folder.path().join("file");
            std::fs::write(&path, text).expect("written");
            assert_eq!(config_kind(&path), expected, "{text}");
        }
        assert_eq!(config_kind(&folder.path().join("none")), ConfigKind::Unknown);
    }
}
