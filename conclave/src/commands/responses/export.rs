//! An export to a file or to standard output, with a progress bar where somebody watches.
//!
//! A file appears under its name once it is complete, and is its owner's alone: prompts are in it.

use std::fs::Permissions;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::{Method, Response};
use serde_json::Value;

use super::client::AdminClient;

const BROKEN_OFF: &str = "the export broke off; what has come so far is not all";

pub(super) async fn run(
    client: &AdminClient,
    parameters: &[(&'static str, String)],
    output: Option<&Path>,
) -> Result<()> {
    let bar = bar(expected(client, parameters).await);
    let response = client
        .send(Method::GET, &["admin", "responses", "export"], parameters)
        .await?;
    let lines = match output {
        Some(path) => to_file(response, path, &bar).await?,
        None => copy(response, &mut io::stdout().lock(), &bar).await?,
    };
    bar.finish_and_clear();
    if let Some(path) = output {
        eprintln!("{lines} lines in {}", path.display());
    }
    Ok(())
}

async fn to_file(response: Response, path: &Path, bar: &ProgressBar) -> Result<u64> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| Path::new("."));
    let cannot = || format!("{} cannot be written", path.display());
    let mut file = tempfile::Builder::new()
        .prefix(".conclave-export-")
        .tempfile_in(folder)
        .with_context(cannot)?;
    file.as_file()
        .set_permissions(Permissions::from_mode(0o600))
        .with_context(cannot)?;
    let lines = copy(response, &mut io::BufWriter::new(file.as_file_mut()), bar).await?;
    file.as_file().sync_all().with_context(cannot)?;
    file.persist(path).map_err(|failed| failed.error).with_context(cannot)?;
    Ok(lines)
}

/// How many lines there were.
async fn copy(mut response: Response, into: &mut impl Write, bar: &ProgressBar) -> Result<u64> {
    let mut lines = 0;
    while let Some(piece) = response
        .chunk()
        .await
        .map_err(reqwest::Error::without_url)
        .context(BROKEN_OFF)?
    {
        into.write_all(&piece)?;
        let ended = piece.iter().filter(|byte| **byte == b'\n').count() as u64;
        lines += ended;
        bar.inc(ended);
    }
    into.flush()?;
    Ok(lines)
}

/// How many exchanges there are, where all are exported; nobody knows how many a filter lets through.
async fn expected(client: &AdminClient, parameters: &[(&'static str, String)]) -> Option<u64> {
    if parameters.iter().any(|(name, _)| *name != "format") {
        return None;
    }
    let stats = client
        .json(Method::GET, &["admin", "responses", "stats"], &[])
        .await
        .ok()?;
    stats.get("responses").and_then(Value::as_u64)
}

/// On standard error, and hidden where that is no terminal.
fn bar(expected: Option<u64>) -> ProgressBar {
    let (bar, style) = match expected {
        Some(expected) => (
            ProgressBar::new(expected),
            "{wide_bar} {human_pos}/{human_len} {per_sec} {eta}",
        ),
        None => (ProgressBar::new_spinner(), "{spinner} {human_pos} exchanges {per_sec}"),
    };
    match ProgressStyle::with_template(style) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
