//! Files that hold a key and nothing else, named by a flag; and the admin token, which may be such a file.

use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use custody::{Contents, Terms};
use reqwest::header::HeaderValue;
use zeroize::Zeroizing;

const ADMIN_TOKEN: &str = "ADMIN_TOKEN";

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

/// What brings the admin token: from `--token-file`, else from the environment; none where neither has one, for the
/// endpoints may be open.
pub(crate) fn admin_authorization(file: Option<&Path>) -> Result<Option<HeaderValue>> {
    let token = match file {
        Some(path) => Some(read("--token-file", path)?),
        None => std::env::var(ADMIN_TOKEN).ok().map(Zeroizing::new),
    };
    let Some(token) = token
        .as_deref()
        .map(|token| token.trim())
        .filter(|token| !token.is_empty())
    else {
        return Ok(None);
    };
    let value = HeaderValue::from_str(&format!("Bearer {token}"));
    let mut value = value.ok().context("the admin token holds what no header can")?;
    value.set_sensitive(true);
    Ok(Some(value))
}
