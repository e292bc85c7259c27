//! Where responses are kept: flags win over `config.yaml`, that over nothing being kept.
//!
//! Without a configuration nothing is stored unless a flag asks for it: routheon-server's users never had a database.

use std::path::Path;

use aggregator::ResponseStorage;
use aggregator::store::StoreConfig;
use anyhow::Result;

use crate::cli::ServiceArgs;

/// As a path: nothing is to be kept.
const NONE: &str = "none";

pub(crate) fn compose(args: &ServiceArgs, section: Option<&ResponseStorage>) -> Result<Option<StoreConfig>> {
    let mut storage = match section {
        Some(section) => section.clone(),
        None => ResponseStorage {
            enabled: false,
            ..ResponseStorage::default()
        },
    };
    if let Some(path) = &args.db_path {
        storage.enabled = path != Path::new(NONE);
        storage.db_path.clone_from(path);
    }
    if args.db_key_file.is_some() {
        storage.encryption_key_file.clone_from(&args.db_key_file);
    }
    Ok(StoreConfig::of_section(&storage)?)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn path(flags: &[&str], section: Option<ResponseStorage>) -> Option<PathBuf> {
        let typed = ["conclave", "aggregator"].iter().chain(flags);
        let Command::Aggregator(args) = Cli::parse_from(typed).command else {
            panic!("the aggregator was asked for")
        };
        let config = compose(&args.service, section.as_ref()).expect("it can be read");
        config.map(|config| config.path)
    }

    #[test]
    fn flags_win_over_the_file_and_nothing_is_kept_unasked() {
        let on = ResponseStorage::default;
        let off = || ResponseStorage {
            enabled: false,
            ..ResponseStorage::default()
        };
        for (flags, section, expected) in [
            (&[][..], None, None),
            (&[], Some(on()), Some("./data/responses.db")),
            (&[], Some(off()), None),
            (&["--db-path", "x.db"], None, Some("x.db")),
            (&["--db-path", "x.db"], Some(off()), Some("x.db")),
            (&["--db-path", "none"], Some(on()), None),
        ] {
            assert_eq!(path(flags, section), expected.map(PathBuf::from), "{flags:?}");
        }
    }
}
