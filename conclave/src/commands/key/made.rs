//! A key that was made, shown the one time it is shown.

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use keymap::ApiKey;
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct Made<'a> {
    pub(super) name: &'a str,
    pub(super) key: &'a str,
    pub(super) file: &'a Path,
    /// Where it leads, where that was just decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) service: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expires_at: Option<&'a str>,
    /// Of a rotation: until when the key before it works.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) old_key_until: Option<&'a str>,
}

impl Made<'_> {
    pub(super) fn show(&self, json: bool) -> Result<()> {
        let mut out = std::io::stdout().lock();
        let shown = if json {
            serde_json::to_writer(&mut out, self)
                .map_err(std::io::Error::from)
                .and_then(|()| writeln!(out))
        } else {
            writeln!(out, "{}", self.key)
        };
        shown.and_then(|()| out.flush()).with_context(|| {
            let name = self.name;
            format!("the key works, but it could not be shown; make another with `conclave key rotate {name}`")
        })
    }
}

/// 256 bits of the system's randomness.
pub(super) fn mint() -> Result<ApiKey> {
    keymap::edit::mint().context("the system gives no randomness")
}
