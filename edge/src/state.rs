//! What an edge remembers across restarts: what was used of rates and budgets, and when each router was last used.
//!
//! ```text
//!  DIR (0700)
//!  ├─ lock               held while an edge runs on the folder
//!  ├─ limits.log         what is remembered: a head, then records, the later ones count
//!  └─ limits.log.damaged-<unix time>   set aside, for whoever wants to look
//! ```
//!
//! Owns the folder: one thread appends what changed, more often than once a second, and writes the file anew where it
//! has grown. So a `kill -9` loses less than a second. Refuses a folder that another edge holds. Keys are not in it, only
//! the names of routers and middlewares.

mod file;
mod folder;
mod keeper;
mod record;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(crate) use folder::{Folder, StateError};
pub(crate) use keeper::Keeper;

use crate::limits::registry::Fact;

/// When each router was last used, of an edge that may be running on this folder. Nothing is locked or changed; of a
/// folder without a file, nobody was.
///
/// # Errors
/// Where the file is there and cannot be read.
pub fn last_uses(folder: &Path) -> io::Result<BTreeMap<String, SystemTime>> {
    let facts = match file::read(&folder.join(file::NAME)) {
        Ok(read) => read.facts,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    let uses = facts.into_iter().filter_map(|fact| match fact {
        Fact::Used { router, at_unix_s } => Some((router.to_string(), UNIX_EPOCH + Duration::from_secs(at_unix_s))),
        Fact::Limit { .. } => None,
    });
    Ok(uses.collect())
}
