//! Where exchanges are kept, and what of them.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use capture::{LossPolicy, Mode, Options, SyncPolicy, Terms};

use crate::cli::{CaptureName, JournalArgs, LossName, SyncName};

/// Of each body, unless a flag or a router's middleware says otherwise.
pub(crate) const BODY_MIB_MAX: u64 = 32;

/// Anything smaller would be full before a reader came round to it.
const MIB_MIN: u64 = 128;

/// What both planes are told. `None`: nothing is kept.
#[derive(Debug, Clone)]
pub(crate) struct Keeping {
    pub(crate) journal: PathBuf,
    pub(crate) options: Options,
    /// Unless a router's middleware says otherwise. `None`: not at all.
    pub(crate) terms: Option<Terms>,
    pub(crate) body_bytes_max: u64,
}

impl Keeping {
    /// For a store that was asked for without a journal: what it stores has to come through one.
    pub(crate) fn beside(db_path: &Path) -> Self {
        let options = Options::default();
        let body_bytes_max = BODY_MIB_MAX << 20;
        Self {
            journal: db_path.with_file_name("journal"),
            terms: Some(Terms {
                mode: Mode::Full,
                loss: options.loss,
                body_bytes_max,
            }),
            options,
            body_bytes_max,
        }
    }
}

pub(crate) fn compose(args: &JournalArgs) -> Result<Option<Keeping>> {
    let Some(journal) = args.journal.clone() else {
        return Ok(None);
    };
    if args.journal_max_mib < MIB_MIN {
        bail!(
            "--journal-max-mib: a journal has two segments of 64 MiB at least, and {} MiB hold none; give {MIB_MIN} or more",
            args.journal_max_mib
        );
    }
    let loss = match args.capture_loss {
        LossName::Drop => LossPolicy::Drop,
        LossName::Refuse => LossPolicy::Refuse,
    };
    let defaults = Options::default();
    let options = Options {
        sync: match args.journal_sync {
            SyncName::Interval => defaults.sync,
            SyncName::Always => SyncPolicy::Always,
            SyncName::Never => SyncPolicy::Never,
        },
        loss,
        folder_bytes_max: args.journal_max_mib.saturating_mul(1 << 20),
        tray: args.journal_tray,
        ..defaults
    };
    let body_bytes_max = args.capture_body_max_mib.saturating_mul(1 << 20);
    let terms = |mode| Terms {
        mode,
        loss,
        body_bytes_max,
    };
    Ok(Some(Keeping {
        journal,
        options,
        terms: match args.capture {
            CaptureName::Full => Some(terms(Mode::Full)),
            CaptureName::Metadata => Some(terms(Mode::Metadata)),
            CaptureName::Off => None,
        },
        body_bytes_max,
    }))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn composed(flags: &[&str]) -> Result<Option<Keeping>> {
        let typed = ["conclave", "up"].iter().chain(flags);
        let Command::Up(args) = Cli::parse_from(typed).command else {
            panic!("`up` was asked for")
        };
        compose(&args.journal)
    }

    #[test]
    fn a_journal_means_full_and_none_means_nothing() {
        assert!(composed(&["--capture", "full"]).expect("valid").is_none());
        let keeping = composed(&["--journal", "j"]).expect("valid").expect("kept");
        assert_eq!(keeping.terms, Some(Terms::default()));
        assert_eq!(keeping.options, Options::default());
        let written = composed(&["--journal", "j", "--journal-tray", "false"]).expect("valid");
        assert!(!written.expect("kept").options.tray);
        let off = composed(&["--journal", "j", "--capture", "off"]).expect("valid");
        assert_eq!(off.expect("routers may still ask").terms, None);
        let error = composed(&["--journal", "j", "--journal-max-mib", "1"]).expect_err("too small");
        assert!(error.to_string().contains("128"), "{error}");
    }
}
