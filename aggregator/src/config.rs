//! What the aggregator is told, checked: the binary composes an [`AggregatorConfig`] from flags, environment and files.
//!
//! Each group belongs to the room that uses it; a value that is here has been checked where it was made.

use std::fmt;
use std::time::Duration;

use crate::backend::{BackendKeys, SkipPatterns};
use crate::config_file::ConfigSource;
use crate::door::AllowedHosts;
use crate::gateway::CaptureConfig;
use crate::ingest::IngestConfig;
use crate::stats::StatsConfig;
use crate::store::StoreConfig;

#[derive(Debug, Clone)]
pub struct AggregatorConfig {
    /// A name or an address; `127.0.0.1` unless told otherwise, as `routheon-server`.
    pub host: String,
    /// 0 lets the system choose.
    pub port: u16,
    /// Names of this host under which administration answers, beside addresses, `localhost` and `host`.
    pub allowed_hosts: AllowedHosts,
    /// Mapping files that are not asked for models.
    pub skip: SkipPatterns,
    pub backends: BackendConfig,
    pub stats: StatsConfig,
    pub server: ServerBounds,
    /// `config.yaml`, followed while the service runs.
    pub file: Option<ConfigSource>,
    /// Where the gateway's exchanges are kept. `None`: they are not.
    pub capture: Option<CaptureConfig>,
    /// Where responses are kept; `None` keeps none.
    pub store: Option<StoreConfig>,
    /// Which journals are read into the store.
    pub ingest: Option<IngestConfig>,
    /// Who takes the gateway's spans. `None`: traces are off.
    pub tracer: Option<traces::Tracer>,
}

impl Default for AggregatorConfig {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: 9080,
            allowed_hosts: AllowedHosts::default(),
            skip: SkipPatterns::default(),
            backends: BackendConfig::default(),
            stats: StatsConfig::default(),
            server: ServerBounds::default(),
            file: None,
            capture: None,
            store: None,
            ingest: None,
            tracer: None,
        }
    }
}

/// How backends are asked.
#[derive(Debug, Clone)]
pub struct BackendConfig {
    /// From connecting to the last byte of the list: `--mapping-timeout`.
    pub mapping_timeout: Duration,
    /// The same for a backend of `config.yaml`: it may be on the other side of the world.
    pub configured_timeout: Duration,
    /// A healthy backend of a mapping file is asked this often when nobody looks, so this bounds how long a dead one stays listed
    /// unnoticed. While `/v1/models` is being read, backends are asked up to once a second, so that a reader's next
    /// look is right. Thousands of backends are asked more rarely, at most 500 a second.
    pub heartbeat_interval: Duration,
    /// A backend that is down is asked ever more rarely, down to this.
    pub down_interval_max: Duration,
    pub keys: BackendKeys,
}

impl Default for BackendConfig {
    fn default() -> Self {
        Self {
            mapping_timeout: Duration::from_secs(2),
            configured_timeout: Duration::from_secs(5),
            heartbeat_interval: Duration::from_secs(2),
            down_interval_max: Duration::from_secs(10),
            keys: BackendKeys::default(),
        }
    }
}

/// What one listener may cost.
#[derive(Debug, Clone, Copy)]
pub struct ServerBounds {
    pub connections_max: usize,
    /// A request's head must be complete this long after its connection is ready for it; so this also ends a
    /// kept-alive connection that stays idle. Keep a pool in front of the aggregator below it.
    pub head_timeout: Duration,
    /// How long an answer may wait for a client that has stopped reading it.
    pub stall_timeout: Duration,
    /// How long answers in flight may take once shutdown was asked for.
    pub drain_timeout: Duration,
    /// The same while a model is answering: nobody can give a client back what it has waited for.
    pub answer_drain_timeout: Duration,
}

impl Default for ServerBounds {
    fn default() -> Self {
        Self {
            // A request for a model holds two descriptors, its client's and its backend's. The binary raises its own limit;
            // where it may not, accepting waits.
            connections_max: 4096,
            head_timeout: Duration::from_secs(30),
            stall_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_millis(800),
            // Within what systemd waits for.
            answer_drain_timeout: Duration::from_secs(25),
        }
    }
}

/// An option whose value cannot be taken: the rule, the value, the fix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    pub option: &'static str,
    /// Never a key.
    pub value: String,
    pub rule: String,
    pub fix: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.option, self.rule)?;
        if !self.value.is_empty() {
            write!(f, "\n    value: {}", self.value)?;
        }
        write!(f, "\n    fix:   {}", self.fix)
    }
}

impl std::error::Error for ConfigError {}

/// A time-out or interval given in seconds, with or without a fraction.
///
/// # Errors
/// Where it is not between a millisecond and an hour.
pub fn seconds(option: &'static str, value: f64) -> Result<Duration, ConfigError> {
    if (0.001..=3600.0).contains(&value) {
        return Ok(Duration::from_secs_f64(value));
    }
    Err(ConfigError {
        option,
        value: value.to_string(),
        rule: "a time in seconds lies between 0.001 and 3600".to_owned(),
        fix: "give a number such as 2 or 0.5".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_take_fractions_and_refuse_what_would_never_or_always_time_out() {
        assert_eq!(seconds("--mapping-timeout", 0.5), Ok(Duration::from_millis(500)));
        assert_eq!(seconds("--mapping-timeout", 2.0), Ok(Duration::from_secs(2)));
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e9] {
            let error = seconds("--mapping-timeout", bad).unwrap_err();
            assert_eq!(error.option, "--mapping-timeout");
            assert!(error.to_string().contains("fix:"), "{error}");
        }
    }
}
