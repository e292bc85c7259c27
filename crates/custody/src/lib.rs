//! Files that decide who may do what, and files that hold keys: how they are opened, and when they are not believed.
//!
//! ```text
//!  path ──stat──▶ a plain file? ──open, without waiting──▶ the same, still? ──▶ where it really is ──▶ who may write it
//!                      │                                        │                      │                     │
//!                      └────────── Refusal: the rule, and what to do about it ◀────────┴─────────────────────┘
//! ```
//!
//! Refused are what is no plain file (to open a FIFO is to wait, to open a device may be to act), what is over its
//! bound, what everybody on the machine may write (unless it is mounted read-only), and, where a folder is the place
//! for it, a link that leads out of there. What is read is wiped when it is dropped.
//!
//! A group that may write is an administrator's word and taken as that; where it is neither this process's own nor root's
//! nor its owner's private one, there is a [`Remark`]. So is there for a secret that everybody may read: container
//! platforms mount secrets so, and inside a container that is nobody.

mod access;
mod open;

use std::fmt;
use std::fs::Metadata;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use zeroize::{Zeroize as _, Zeroizing};

/// What is asked of a file.
#[derive(Debug, Clone)]
pub struct Terms {
    /// A larger one is refused unread.
    pub bytes_max: u64,
    /// Whether others should not even read it.
    pub is_secret: bool,
    /// The folder, without links in its path, that a link must not lead out of.
    pub home: Option<PathBuf>,
}

impl Terms {
    /// A file of configuration: others may read it.
    pub fn configuration(bytes_max: u64) -> Self {
        Self {
            bytes_max,
            is_secret: false,
            home: None,
        }
    }

    /// A file with a key in it.
    pub fn secret(bytes_max: u64) -> Self {
        Self {
            is_secret: true,
            ..Self::configuration(bytes_max)
        }
    }

    /// A file of this folder. Links within it are followed: `..data` of a mounted ConfigMap is one.
    pub fn of_folder(home: PathBuf, bytes_max: u64) -> Self {
        Self {
            home: Some(home),
            ..Self::configuration(bytes_max)
        }
    }
}

/// A file's bytes, and what was seen of it while it was open. No formatting shows them.
pub struct Contents {
    pub bytes: Zeroizing<Vec<u8>>,
    pub metadata: Metadata,
    /// It was read all the same.
    pub remark: Option<Remark>,
}

impl fmt::Debug for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Contents({} bytes, {:?})", self.bytes.len(), self.remark)
    }
}

impl Contents {
    /// # Errors
    /// Where it is not UTF-8; nothing of it is told.
    pub fn text(mut self) -> io::Result<Zeroizing<String>> {
        String::from_utf8(std::mem::take(&mut *self.bytes))
            .map(Zeroizing::new)
            .map_err(|error| {
                error.into_bytes().zeroize();
                io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8")
            })
    }
}

/// Something an operator should change, which is not worth locking anybody out for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remark {
    /// A group that this process does not belong to may write it.
    ForeignGroup { group: u32 },
    /// Everybody on the machine may read a secret.
    Readable,
}

impl Remark {
    pub fn fix(&self) -> &'static str {
        match self {
            Self::ForeignGroup { .. } => "`chmod g-w` it, unless that group is meant to change it.",
            Self::Readable => "`chmod o-r` it, unless nobody else is on this machine.",
        }
    }
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ForeignGroup { group } => {
                write!(
                    f,
                    "Members of the group {group}, which this process is not in, may write it."
                )
            }
            Self::Readable => f.write_str("Everybody on this machine may read the key in it."),
        }
    }
}

/// Why a file was not believed. It travels inside an [`io::Error`]; [`fix`] finds it there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    rule: String,
    fix: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rule)
    }
}

impl std::error::Error for Refusal {}

impl Refusal {
    pub(crate) fn error(rule: impl Into<String>, fix: impl Into<String>) -> io::Error {
        io::Error::other(Self {
            rule: rule.into(),
            fix: fix.into(),
        })
    }
}

/// What to do about a file that was refused; `None` where the system's own words are all there is.
pub fn fix(error: &io::Error) -> Option<&str> {
    let refusal = error.get_ref()?.downcast_ref::<Refusal>()?;
    Some(&refusal.fix)
}

/// The reason and, where there is one, the fix: for errors that have one line.
pub fn told(error: &io::Error) -> String {
    match fix(error) {
        Some(fix) => format!("{error} (fix: {fix})"),
        None => error.to_string(),
    }
}

/// Reads a whole file.
///
/// # Errors
/// Where the system refuses, and where these terms do ([`fix`]).
pub fn read(path: &Path, terms: &Terms) -> io::Result<Contents> {
    let (file, metadata) = open::plain(path, terms.home.as_deref())?;
    let remark = access::judged(path, &metadata, terms)?;
    if terms.home.is_none() {
        access::place(path)?;
    }
    if metadata.len() > terms.bytes_max {
        return Err(too_large(terms.bytes_max));
    }
    // One more than it holds, so that the buffer does not grow, which would leave a copy that is not wiped.
    let capacity = usize::try_from(metadata.len() + 1).map_err(io::Error::other)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
    file.take(terms.bytes_max + 1).read_to_end(&mut bytes)?;
    // It may have grown since.
    if bytes.len() as u64 > terms.bytes_max {
        return Err(too_large(terms.bytes_max));
    }
    Ok(Contents {
        bytes,
        metadata,
        remark,
    })
}

/// Whether files may be taken from this folder at all.
///
/// # Errors
/// Where everybody may put files there.
pub fn folder(path: &Path) -> io::Result<()> {
    access::folder(path)
}

/// Believes files that everybody may write, and follows links anywhere, from now on and for this whole process: there
/// are file systems on which every file looks so. For `main` alone.
pub fn trust_everybody() {
    TRUSTING.store(true, Ordering::Relaxed);
}

static TRUSTING: AtomicBool = AtomicBool::new(false);

pub(crate) fn is_trusting() -> bool {
    TRUSTING.load(Ordering::Relaxed)
}

fn too_large(bytes_max: u64) -> io::Error {
    let bound = match bytes_max >> 20 {
        0 => format!("{} KiB", bytes_max >> 10),
        mib => format!("{mib} MiB"),
    };
    Refusal::error(
        format!("it is larger than {bound}"),
        "Is it the right file? If so, split it.",
    )
}
