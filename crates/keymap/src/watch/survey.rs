//! What is in the folder, by listing and stat alone; in slices, so that a huge folder does not hold up an event.

use std::fs::{self, ReadDir};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::load::{Stamp, is_mapping};

/// A slice of a survey: long enough to be worth it, short against the 250 ms in which a change has to work.
const SLICE: Duration = Duration::from_millis(5);

/// A mapping file as listed. `None`: its stat failed, so only reading it can tell what it is.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) name: Arc<str>,
    pub(super) stamp: Option<Stamp>,
}

/// A listing under way.
#[derive(Debug)]
pub(super) struct Survey {
    folder: PathBuf,
    entries: ReadDir,
    pub(super) ended: bool,
    /// Spent on it, without what was done between its slices.
    pub(super) cost: Duration,
}

impl Survey {
    /// A folder in which everybody may put files is none that can be listed.
    pub(super) fn begin(folder: &Path) -> io::Result<Self> {
        custody::folder(folder)?;
        let entries = fs::read_dir(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
            entries,
            ended: false,
            cost: Duration::ZERO,
        })
    }

    /// Goes on for a slice: what it saw.
    pub(super) fn step(&mut self) -> io::Result<Vec<Seen>> {
        let began = Instant::now();
        let mut seen = Vec::new();
        while began.elapsed() < SLICE {
            let Some(entry) = self.entries.next() else {
                self.ended = true;
                break;
            };
            if let Some(name) = entry?.file_name().to_str().filter(|name| is_mapping(name)) {
                let stamp = Stamp::of(&self.folder.join(name)).ok();
                seen.push(Seen {
                    name: name.into(),
                    stamp,
                });
            }
        }
        self.cost += began.elapsed();
        Ok(seen)
    }
}

/// The whole list at once.
pub(super) fn list(folder: &Path) -> io::Result<Vec<Seen>> {
    let mut survey = Survey::begin(folder)?;
    let mut seen = Vec::new();
    while !survey.ended {
        seen.append(&mut survey.step()?);
    }
    Ok(seen)
}
