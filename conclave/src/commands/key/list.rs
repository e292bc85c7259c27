//! `conclave key list`.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use keymap::edit::{KeyFacts, KeyLimit, KeyRow, KeyState};
use keymap::{Severity, Snapshot, WatchOptions};
use serde::Serialize;

use crate::cli::ListArgs;

#[derive(Serialize)]
struct Listing {
    keys: Vec<KeyRow>,
    /// Files that do not check: an edge serves what they held before, or refuses their keys.
    bad_files: Vec<BadFile>,
}

#[derive(Serialize)]
struct BadFile {
    file: String,
    line: u32,
    problem: String,
}

pub(super) fn run(args: &ListArgs) -> Result<ExitCode> {
    let folder = super::folder(&args.folder);
    let options = WatchOptions {
        poll_interval: Duration::from_secs(3),
        entry_points: None,
    };
    let snapshot = keymap::load_once(&folder, &options).with_context(|| {
        format!(
            "the folder {} cannot be read; name another with --mappings",
            folder.display()
        )
    })?;
    let last_uses = last_uses(args.state.as_deref())?;
    let listing = Listing {
        keys: keymap::edit::keys(&KeyFacts {
            folder: &folder,
            snapshot: &snapshot,
            last_uses: &last_uses,
            now: SystemTime::now(),
        }),
        bad_files: bad_files(&snapshot),
    };
    let mut out = std::io::stdout().lock();
    if args.json {
        serde_json::to_writer(&mut out, &listing)?;
        writeln!(out)?;
    } else {
        out.write_all(table(&listing.keys).as_bytes())?;
        for bad in &listing.bad_files {
            eprintln!(
                "Note: {}:{} does not check, so its keys are not listed: {}",
                bad.file, bad.line, bad.problem
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Nothing is known without the edge's state folder, and nothing is made up: a folder that was asked for must be readable.
fn last_uses(typed: Option<&Path>) -> Result<BTreeMap<String, SystemTime>> {
    let Some(folder) = crate::settings::state::folder(typed) else {
        return Ok(BTreeMap::new());
    };
    match edge::state::last_uses(&folder.path) {
        Err(error) if folder.required => Err(error).with_context(|| {
            let folder = folder.path.display();
            format!("the edge's state in {folder} cannot be read; name its folder with --state, or `--state none`")
        }),
        read => Ok(read.unwrap_or_default()),
    }
}

fn bad_files(snapshot: &Snapshot) -> Vec<BadFile> {
    let bad = snapshot.bad_files().filter_map(|file| {
        let first = file
            .problems
            .iter()
            .find(|problem| problem.severity == Severity::Error)?;
        Some(BadFile {
            file: file.name.to_string(),
            line: first.position.line,
            problem: first.rule.clone(),
        })
    });
    bad.collect()
}

const HEAD: [&str; 9] = [
    "NAME",
    "KEY",
    "TO",
    "STATE",
    "EXPIRES",
    "LIMITS",
    "MODELS",
    "LAST USED",
    "WHERE",
];

fn table(rows: &[KeyRow]) -> String {
    let mut lines = vec![HEAD.map(str::to_owned)];
    lines.extend(rows.iter().map(cells));
    let widths: Vec<usize> = (0..HEAD.len())
        .map(|column| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0))
        .collect();
    let mut out = String::new();
    for line in &lines {
        let padded: Vec<_> = line
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        out.push_str(padded.join("  ").trim_end());
        out.push('\n');
    }
    out
}

fn cells(row: &KeyRow) -> [String; 9] {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let joined = |parts: Vec<String>| or_dash(Some(parts.join(", ")).filter(|text| !text.is_empty()));
    [
        row.name.to_string(),
        match (row.keys, row.fingerprints.as_slice()) {
            (None, _) => "pattern".to_owned(),
            (Some(1), [only]) => only.clone(),
            (Some(count), _) => format!("{count} keys"),
        },
        row.service.to_string(),
        state(row),
        or_dash(row.expires_at.clone()),
        joined(row.limits.iter().map(limit).collect()),
        or_dash(row.models.as_ref().map(|models| models.join(", "))),
        or_dash(row.last_used_at.clone()),
        format!("{}:{}", row.file, row.line),
    ]
}

fn state(row: &KeyRow) -> String {
    let word = match row.state {
        KeyState::Ok => "ok",
        KeyState::Expired => "expired",
        KeyState::NotYetValid => "not yet valid",
        KeyState::Broken => "broken",
        KeyState::Shadowed => "shadowed",
    };
    let until = row.rotation.as_ref().filter(|old| old.old_key_state == KeyState::Ok);
    match until.and_then(|old| old.old_key_until.as_ref()) {
        Some(until) => format!("{word}, old key until {until}"),
        None => word.to_owned(),
    }
}

fn limit(limit: &KeyLimit) -> String {
    match limit {
        KeyLimit::Requests {
            average,
            period_ms,
            burst,
        } => format!("{average}/{} (burst {burst})", period(*period_ms)),
        KeyLimit::Concurrent { amount } => format!("{amount} at once"),
        KeyLimit::Tokens {
            amount,
            period_ms,
            count,
        } => format!("{amount} {count} tokens/{}", period(*period_ms)),
    }
}

fn period(milliseconds: u64) -> String {
    humantime::format_duration(Duration::from_millis(milliseconds)).to_string()
}
