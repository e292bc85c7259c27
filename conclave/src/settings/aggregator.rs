//! The aggregator's settings.

use std::path::Path;

use aggregator::{AggregatorConfig, BackendConfig, BackendKeys, SkipPatterns, StatsConfig, StatsFilter};
use anyhow::{Context, Result, bail};
use keymap::{ApiKey, Problem, Severity};

use crate::cli::ServiceArgs;

/// The key for backends, where a file is more than one wants.
const BACKEND_KEY: &str = "CONCLAVE_BACKEND_KEY";

pub(crate) fn compose(args: &ServiceArgs) -> Result<AggregatorConfig> {
    let backends = BackendConfig {
        mapping_timeout: aggregator::seconds("--mapping-timeout", args.mapping_timeout)?,
        keys: backend_keys(args.backend_key_file.as_deref())?,
        ..BackendConfig::default()
    };
    let filter = args.stats_config_file.as_deref().map(stats_filter).transpose()?;
    Ok(AggregatorConfig {
        host: args.host.clone(),
        port: args.port,
        skip: SkipPatterns::new(&args.skip_mapping)?,
        backends,
        stats: StatsConfig {
            filter: filter.flatten(),
            ..StatsConfig::default()
        },
        ..AggregatorConfig::default()
    })
}

/// What `conclave check` says of a `/stats` configuration.
pub(crate) fn stats_problems(path: &Path) -> Vec<Problem> {
    match StatsFilter::load(path) {
        Ok(loaded) => loaded.warnings,
        Err(problems) => problems,
    }
}

fn stats_filter(path: &Path) -> Result<Option<StatsFilter>> {
    match StatsFilter::load(path) {
        Ok(loaded) => {
            for warning in loaded.warnings {
                tracing::warn!("{warning}");
            }
            Ok(loaded.filter)
        }
        Err(problems) => bail!("{}", lines(&problems)),
    }
}

fn backend_keys(file: Option<&Path>) -> Result<BackendKeys> {
    if let Some(path) = file {
        let text = std::fs::read_to_string(path).with_context(|| format!("--backend-key-file {}", path.display()))?;
        return BackendKeys::parse(path, &text).map_err(|problems| anyhow::anyhow!("{}", lines(&problems)));
    }
    match std::env::var(BACKEND_KEY) {
        Ok(key) if !key.is_empty() => Ok(BackendKeys::common(BACKEND_KEY, &ApiKey::new(key))?),
        _ => Ok(BackendKeys::default()),
    }
}

fn lines(problems: &[Problem]) -> String {
    let errors = problems.iter().filter(|problem| problem.severity == Severity::Error);
    errors.map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
