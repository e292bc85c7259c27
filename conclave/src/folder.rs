//! Which mapping folder is meant, and following it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use keymap::{Watch, WatchOptions};

use crate::cli::MappingArgs;
use crate::settings::seconds;

const OURS: &str = "/etc/conclave/mappings";
const TRAEFIKS: &str = "/etc/traefik/mappings";
const HERE: &str = "mappings";

/// What was typed, else the first of the usual places that exists, else `./mappings`.
pub(crate) fn chosen(typed: Option<PathBuf>) -> PathBuf {
    typed.unwrap_or_else(|| usual(&[OURS, TRAEFIKS], |path| path.is_dir()))
}

fn usual(places: &[&str], exists: impl Fn(&Path) -> bool) -> PathBuf {
    places
        .iter()
        .map(PathBuf::from)
        .find(|path| exists(path))
        .unwrap_or_else(|| PathBuf::from(HERE))
}

pub(crate) fn watch(folder: &Path, poll: Duration, entry_points: Option<Vec<String>>) -> Result<Watch> {
    let options = WatchOptions {
        poll_interval: poll,
        entry_points,
    };
    Watch::start(folder, options).with_context(|| format!("the folder {} cannot be watched", folder.display()))
}

pub(crate) fn poll_interval(args: &MappingArgs) -> Result<Duration> {
    seconds("--mappings-poll", args.mappings_poll)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_folder_comes_before_traefiks_and_both_before_the_local_one() {
        let with = |existing: &[&str]| usual(&[OURS, TRAEFIKS], |path| existing.iter().any(|e| Path::new(e) == path));
        assert_eq!(with(&[OURS, TRAEFIKS]), Path::new(OURS));
        assert_eq!(with(&[TRAEFIKS]), Path::new(TRAEFIKS));
        assert_eq!(with(&[]), Path::new(HERE));
        assert_eq!(chosen(Some("typed".into())), Path::new("typed"));
    }
}
