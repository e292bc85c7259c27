//! The aggregator's settings.

use std::path::Path;

use aggregator::ingest::IngestConfig;
use aggregator::{
    AggregatorConfig, AllowedHosts, BackendConfig, BackendKeys, CaptureConfig, ConfigSource, ServerSection,
    SkipPatterns, StatsConfig, StatsFilter,
};
use anyhow::{Result, bail};
use keymap::{ApiKey, Problem, Severity};

use super::ConfigKind;
use super::journal::Keeping;
use crate::cli::ServiceArgs;

/// The key for backends, where a file is more than one wants.
const BACKEND_KEY: &str = "CONCLAVE_BACKEND_KEY";

/// `keeping`: what `--journal` and its kin say; `response_storage.enabled: false` wins over it. Without it, what is stored
/// comes through a journal beside the database.
pub(crate) fn compose(args: &ServiceArgs, keeping: Option<&Keeping>) -> Result<AggregatorConfig> {
    let backends = BackendConfig {
        mapping_timeout: aggregator::seconds("--mapping-timeout", args.mapping_timeout)?,
        keys: backend_keys(args.backend_key_file.as_deref())?,
        ..BackendConfig::default()
    };
    let filter = args.stats_config_file.as_deref().map(stats_filter).transpose()?;
    let file = args.config.as_deref().map(config_file).transpose()?;
    let stores = file.as_ref().is_none_or(|file| file.config().response_storage.enabled);
    let server = file
        .as_ref()
        .map(|file| file.config().server.clone())
        .unwrap_or_default();
    let (host, port) = address(args, server);
    let store = super::store::compose(args, file.as_ref().map(|file| &file.config().response_storage))?;
    let beside = store.as_ref().map(|store| Keeping::beside(&store.path));
    let keeping = match keeping {
        Some(_) if store.is_none() => {
            tracing::warn!("--journal keeps what passes, and nothing stores it: give --db-path, or a response_storage");
            keeping
        }
        Some(_) => keeping,
        None => beside.as_ref(),
    };
    Ok(AggregatorConfig {
        host,
        port,
        allowed_hosts: AllowedHosts::new(&args.allowed_host)?,
        file,
        store,
        capture: keeping.filter(|_| stores).and_then(capture),
        ingest: keeping.map(|keeping| ingest(keeping, args.keep_journal)),
        skip: SkipPatterns::new(&args.skip_mapping)?,
        backends,
        stats: StatsConfig {
            filter: filter.flatten(),
            ..StatsConfig::default()
        },
        ..AggregatorConfig::default()
    })
}

fn capture(keeping: &Keeping) -> Option<CaptureConfig> {
    Some(CaptureConfig {
        journal: keeping.journal.clone(),
        options: keeping.options,
        terms: keeping.terms?,
    })
}

/// No body is cut a second time: the bound of what is ingested is at least that of what is kept.
fn ingest(keeping: &Keeping, keep_journal: bool) -> IngestConfig {
    let mut config = IngestConfig::of(&keeping.journal);
    config.keep_journal = keep_journal;
    let kept_max = usize::try_from(keeping.body_bytes_max).unwrap_or(usize::MAX);
    config.holding.body_bytes_max = config.holding.body_bytes_max.max(kept_max);
    config
}

/// Flags win over the file, that over the defaults.
fn address(args: &ServiceArgs, server: ServerSection) -> (String, u16) {
    let default = AggregatorConfig::default();
    let host = args.host.clone().or(server.host).unwrap_or(default.host);
    (host, args.port.or(server.port).unwrap_or(default.port))
}

fn config_file(path: &Path) -> Result<ConfigSource> {
    if super::config_kind(path) == ConfigKind::Edges {
        bail!(
            "--config {}: this is Traefik's static file, and the aggregator reads council-router's config.yaml; give it to \
             `conclave edge`",
            path.display()
        );
    }
    match ConfigSource::load(path) {
        Ok((source, warnings)) => {
            for warning in warnings {
                tracing::warn!("{warning}");
            }
            Ok(source)
        }
        Err(problems) => bail!("{}", lines(&problems)),
    }
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
        let text = super::secret::read("--backend-key-file", path)?;
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    #[test]
    fn flags_win_over_the_file_and_the_file_over_the_defaults() {
        let file = || ServerSection {
            host: Some("0.0.0.0".to_owned()),
            port: Some(11430),
            ..ServerSection::default()
        };
        for (flags, server, expected) in [
            (&[][..], ServerSection::default(), ("127.0.0.1", 9080)),
            (&[], file(), ("0.0.0.0", 11430)),
            (&["--host", "::1", "--port", "1"], file(), ("::1", 1)),
        ] {
            let typed = ["conclave", "aggregator"].iter().chain(flags);
            let Command::Aggregator(args) = Cli::parse_from(typed).command else {
                panic!("the aggregator was asked for")
            };
            let (host, port) = address(&args.service, server);
            assert_eq!((&*host, port), expected, "{flags:?}");
        }
    }

    #[test]
    fn a_comma_in_a_pattern_is_the_pattern_s() {
        let typed = [
            "conclave",
            "aggregator",
            "--skip-mapping",
            "^old.{1,3}yml$",
            "--skip-mapping=b",
        ];
        let Command::Aggregator(args) = Cli::parse_from(typed).command else {
            panic!("the aggregator was asked for")
        };
        assert_eq!(args.service.skip_mapping, ["^old.{1,3}yml$", "b"]);
    }

    #[test]
    fn what_is_stored_comes_through_a_journal_and_one_is_there_where_none_was_named() {
        let journals = |flags: &[&str]| {
            let typed = ["conclave", "aggregator"].iter().chain(flags);
            let Command::Aggregator(args) = Cli::parse_from(typed).command else {
                panic!("the aggregator was asked for")
            };
            let keeping = super::super::journal::compose(&args.journal).expect("it can be read");
            let config = compose(&args.service, keeping.as_ref()).expect("it can be read");
            let capture = config.capture.map(|capture| capture.journal.display().to_string());
            (capture, config.ingest.is_some())
        };
        for (flags, journal) in [
            (&[][..], None),
            (&["--db-path", "data/x.db"], Some("data/journal")),
            (&["--db-path", "data/x.db", "--journal", "j"], Some("j")),
            (&["--journal", "j"], Some("j")),
        ] {
            let expected = (journal.map(str::to_owned), journal.is_some());
            assert_eq!(journals(flags), expected, "{flags:?}");
        }
    }
}
