//! What is to be written, before it is: texts in, texts out, so that deciding needs no file system.

use std::path::PathBuf;

use zeroize::Zeroizing;

use super::diff;

/// Steps in the order in which they may be cut off anywhere. Texts hold keys: it has no `Debug`.
pub struct Plan {
    pub(super) steps: Vec<Step>,
}

/// A file's appearance, change or end. `before` is what the decision was made on: a file that holds something else by
/// now was edited by somebody else meanwhile.
pub(super) enum Step {
    Create {
        path: PathBuf,
        text: Zeroizing<String>,
    },
    Replace {
        path: PathBuf,
        before: Zeroizing<String>,
        after: Zeroizing<String>,
    },
    Remove {
        path: PathBuf,
        before: Zeroizing<String>,
    },
}

impl Plan {
    /// The files concerned, in order.
    pub fn paths(&self) -> impl Iterator<Item = &std::path::Path> {
        self.steps.iter().map(|step| match step {
            Step::Create { path, .. } | Step::Replace { path, .. } | Step::Remove { path, .. } => path.as_path(),
        })
    }

    /// What would change, line by line, with rules and comments masked: both may hold a key.
    pub fn diff(&self) -> String {
        self.steps.iter().map(diff::step).collect()
    }
}
