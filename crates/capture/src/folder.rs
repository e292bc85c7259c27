//! Where each writer's journal is.

use std::path::{Path, PathBuf};

use crate::entry::Plane;

/// Edges that may write at once: the one that serves, and those that finish what they had before it took over.
const EDGES: [&str; 16] = [
    "edge", "edge-2", "edge-3", "edge-4", "edge-5", "edge-6", "edge-7", "edge-8", "edge-9", "edge-10", "edge-11",
    "edge-12", "edge-13", "edge-14", "edge-15", "edge-16",
];

const AGGREGATORS: [&str; 1] = ["aggregator"];

/// The names of the folders in which a plane's writers write, the usual one first.
///
/// A journal has one writer, so each has a folder of its own below the one that is configured. The council writes with the
/// aggregator.
pub fn folder_names(plane: Plane) -> &'static [&'static str] {
    match plane {
        Plane::Edge => &EDGES,
        Plane::Aggregator | Plane::Council => &AGGREGATORS,
    }
}

/// The usual one of [`folder_names`].
pub fn folder_of(journal: &Path, plane: Plane) -> PathBuf {
    journal.join(folder_names(plane)[0])
}
