//! Files that hold a key and nothing else, named by a flag.

use std::path::Path;

use anyhow::{Result, anyhow};
use custody::{Contents, Terms};
use zeroize::Zeroizing;

/// Some thousand lines of `URL KEY`.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The file's text, wiped when it is dropped. That others may read it is remarked on.
pub(crate) fn read(flag: &str, path: &Path) -> Result<Zeroizing<String>> {
    let told = |error: std::io::Error| anyhow!("{flag} {}: {}", path.display(), custody::told(&error));
    let contents = custody::read(path, &Terms::secret(FILE_BYTES_MAX)).map_err(told)?;
    if let Some(remark) = contents.remark {
        tracing::warn!(file = %path.display(), fix = remark.fix(), "{flag}: {remark}");
    }
    Contents::text(contents).map_err(told)
}
