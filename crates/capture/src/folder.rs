//! Where each writer's journal is.

use std::path::{Path, PathBuf};

use crate::entry::Plane;

/// A journal has one writer, so each plane has a folder of its own below the one that is configured.
///
/// The council writes with the aggregator.
pub fn folder_of(journal: &Path, plane: Plane) -> PathBuf {
    journal.join(match plane {
        Plane::Edge => "edge",
        Plane::Aggregator | Plane::Council => "aggregator",
    })
}
