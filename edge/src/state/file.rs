//! `limits.log`: read whole, appended to, written anew.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::record::{self, Next};
use crate::limits::registry::{Fact, Name};

pub(super) const NAME: &str = "limits.log";

/// The last byte is the format's version.
const HEAD: &[u8; 16] = b"conclave-limits\x01";

/// Ten million facts; what is longer is not a file of ours, and not worth the memory.
const BYTES_MAX: u64 = 1 << 30;

/// A smaller file is not worth writing anew.
const ANEW_FROM_BYTES: u64 = 256 * 1024;

pub(super) struct ReadFile {
    /// Of each name, the last.
    pub(super) facts: Vec<Fact>,
    /// What is wrong with it, where something is. The facts before are good.
    pub(super) damage: Option<&'static str>,
}

pub(super) fn read(path: &Path) -> io::Result<ReadFile> {
    let mut bytes = Vec::new();
    File::open(path)?.take(BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(parse(&bytes))
}

fn parse(bytes: &[u8]) -> ReadFile {
    let (mut limits, mut uses): (HashMap<Name, Fact>, HashMap<Arc<str>, Fact>) = Default::default();
    let mut damage = None;
    match bytes.strip_prefix(HEAD) {
        Some(mut rest) => loop {
            match record::read(rest) {
                Next::Fact(fact, further) => {
                    rest = further;
                    match &fact {
                        Fact::Limit { name, .. } => drop(limits.insert(name.clone(), fact)),
                        Fact::Used { router, .. } => drop(uses.insert(router.clone(), fact)),
                    }
                }
                Next::End => break,
                Next::Damaged => {
                    damage = Some("a record does not agree with its checksum");
                    break;
                }
            }
        },
        // A process that was killed while it began the file.
        None if HEAD.starts_with(bytes) => {}
        None => damage = Some("it does not begin as version 1 of this file does"),
    }
    ReadFile {
        facts: limits.into_values().chain(uses.into_values()).collect(),
        damage,
    }
}

/// The file, open at its end.
pub(super) struct Log {
    path: PathBuf,
    file: File,
    bytes: u64,
    /// When it was last written anew.
    bytes_anew: u64,
}

impl Log {
    /// Writes the file anew with these facts: to a file beside it, which takes its place.
    pub(super) fn anew(path: &Path, facts: &[Fact]) -> io::Result<Self> {
        let mut bytes = HEAD.to_vec();
        facts.iter().for_each(|fact| record::write(fact, &mut bytes));
        let beside = path.with_extension("log.new");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&beside)?;
        file.write_all(&bytes)?;
        file.sync_data()?;
        std::fs::rename(&beside, path)?;
        Ok(Self {
            path: path.to_owned(),
            file,
            bytes: bytes.len() as u64,
            bytes_anew: bytes.len() as u64,
        })
    }

    /// Appends facts. After an error the file's end is not known: write it anew.
    pub(super) fn append(&mut self, facts: &[Fact]) -> io::Result<()> {
        let mut bytes = Vec::new();
        facts.iter().for_each(|fact| record::write(fact, &mut bytes));
        self.file.write_all(&bytes)?;
        self.bytes += bytes.len() as u64;
        self.file.sync_data()
    }

    pub(super) fn is_worth_writing_anew(&self) -> bool {
        self.bytes > ANEW_FROM_BYTES.max(4 * self.bytes_anew)
    }

    pub(super) fn write_anew(&mut self, facts: &[Fact]) -> io::Result<()> {
        *self = Self::anew(&self.path, facts)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(router: &str, at_unix_s: u64) -> Fact {
        Fact::Used {
            router: router.into(),
            at_unix_s,
        }
    }

    #[test]
    fn the_last_of_each_counts_and_a_torn_end_is_no_damage() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(NAME);
        let mut log = Log::anew(&path, &[used("a", 1), used("b", 1)]).expect("written");
        log.append(&[used("a", 2)]).expect("written");
        log.append(&[used("a", 3)]).expect("written");
        let whole = std::fs::read(&path).expect("read");
        let sorted = |bytes: &[u8]| {
            let ReadFile { mut facts, damage } = parse(bytes);
            assert_eq!(damage, None);
            facts.sort_by_key(|fact| format!("{fact:?}"));
            facts
        };
        assert_eq!(sorted(&whole), [used("a", 3), used("b", 1)]);
        assert_eq!(sorted(&whole[..whole.len() - 1]), [used("a", 2), used("b", 1)]);
        assert_eq!(sorted(b"conclave"), []);
    }

    #[test]
    fn damage_is_named_and_what_stood_before_it_is_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(NAME);
        Log::anew(&path, &[used("a", 1), used("b", 1)]).expect("written");
        let mut bytes = std::fs::read(&path).expect("read");
        *bytes.last_mut().expect("bytes") ^= 1;
        let read = parse(&bytes);
        assert!(
            read.damage.is_some() && read.facts == [used("a", 1)],
            "{:?}",
            read.facts
        );
        assert!(parse(b"conclave-limits\x02").damage.is_some(), "a later version");
    }
}
