//! What `conclave key` writes: keys made, exchanged and withdrawn in a folder of mapping files.
//!
//! ```text
//!  lock ──▶ sheets (every file, read and checked) ──create, rotate, revoke──▶ Plan ──verify──▶ apply: temporary, fsync, rename
//! ```
//!
//! Texts are edited as texts: an edit cuts or splices the bytes of one router, and every other byte of a person's file
//! stays. What an edited text means is compared with what was meant before anything is written, so a spelling that
//! this module does not understand ends in a refusal. Files appear whole under their name, in an order in which no key
//! that is to work is ever without a router. Runs exclude each other by a lock on the folder, the one that
//! `create-mapping.sh` takes.

mod compose;
mod create;
mod diff;
mod error;
mod list;
mod mint;
mod page;
mod plan;
mod rekey;
mod removal;
mod revoke;
mod rotate;
mod sheet;
mod spelled;
pub mod time;
mod verify;
mod write;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::key::ApiKey;
pub use error::EditError;
pub use list::{KeyFacts, KeyLimit, KeyRow, KeyState, OldKey, keys};
pub use mint::mint;
pub use plan::Plan;
pub use revoke::Revocation;
pub use rotate::Rotation;

/// What the router of a key that is being replaced is called, after the key's name.
pub const OLD_SUFFIX: &str = ".old";

/// A folder of mapping files that nobody else edits meanwhile, as far as they ask for the lock.
#[derive(Debug)]
pub struct LockedFolder {
    path: PathBuf,
    /// Held as long as this is open.
    _lock: std::fs::File,
}

/// A key to be made.
pub struct NewKey<'a> {
    pub name: &'a str,
    pub key: &'a ApiKey,
    /// Whether the file holds the key itself, not its hash.
    pub plain: bool,
    pub service: NewService<'a>,
    /// Empty: every model.
    pub models: &'a [String],
    pub requests_per_minute: Option<u64>,
    pub tokens_per_day: Option<u64>,
    pub concurrent: Option<u64>,
    /// As `validity.notAfter` takes it.
    pub not_after: Option<&'a str>,
    /// Becomes a comment.
    pub note: Option<&'a str>,
}

/// Where a new key leads.
#[derive(Debug, Clone, Copy)]
pub enum NewService<'a> {
    /// One that is there, or `aggregator@internal`.
    Named(&'a str),
    /// A server of its own.
    At(&'a str),
}

impl LockedFolder {
    /// Waits for the lock as long as `patience`.
    ///
    /// # Errors
    /// Where the folder is not there, or another run holds it.
    pub fn lock(folder: &Path, patience: Duration) -> Result<Self, EditError> {
        let lock = write::lock(folder, patience)?;
        let path = folder
            .canonicalize()
            .map_err(|error| EditError::io("The folder cannot be opened", folder, error))?;
        Ok(Self { path, _lock: lock })
    }

    /// The service a new key leads to where none is named: the only one there is.
    ///
    /// # Errors
    /// Where there are none, or several, which are listed.
    pub fn only_service(&self) -> Result<String, EditError> {
        create::only_service(&sheet::Sheets::read(&self.path)?)
    }

    /// A file of its own for a new key.
    ///
    /// # Errors
    /// Where the name is taken or unfit, or the service unknown.
    pub fn create(&self, new: &NewKey<'_>) -> Result<Plan, EditError> {
        create::plan(&sheet::Sheets::read(&self.path)?, new)
    }

    /// A new key in a router's rule, and the old one in a router beside it, for a while.
    ///
    /// # Errors
    /// Where the router does not pin one key that is its own alone, or cannot be edited safely.
    pub fn rotate(&self, rotation: &Rotation<'_>) -> Result<Plan, EditError> {
        rotate::plan(&sheet::Sheets::read(&self.path)?, rotation)
    }

    /// These routers taken out.
    ///
    /// # Errors
    /// Where one is not there, its key would still work by another router, or it cannot be taken out safely.
    pub fn revoke(&self, names: &[String]) -> Result<Revocation, EditError> {
        revoke::plan(&sheet::Sheets::read(&self.path)?, names)
    }

    /// Writes it, step by step.
    ///
    /// # Errors
    /// What could not be written; the steps before it stand, and leave the folder valid.
    pub fn apply(&self, plan: &Plan) -> Result<(), EditError> {
        plan.steps.iter().try_for_each(|step| write::step(&self.path, step))
    }
}

#[cfg(test)]
mod tests;
