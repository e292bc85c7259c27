//! `conclave key`: what was typed → `keymap::edit`, and what is said of it.
//!
//! A key is printed once, on standard output, after it works; everything else that is said goes to standard error, so
//! that `KEY=$(conclave key new alice)` holds the key alone. No other output ever holds one.

mod list;
mod made;
mod new;
mod revoke;
mod rotate;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use keymap::edit::LockedFolder;

use crate::cli::{FolderArgs, KeyAction};

/// How long a run waits for another one, create-mapping.sh's included.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn run(action: &KeyAction) -> Result<ExitCode> {
    match action {
        KeyAction::New(args) => new::run(args),
        KeyAction::List(args) => list::run(args),
        KeyAction::Rotate(args) => rotate::run(args),
        KeyAction::Revoke(args) => revoke::run(args),
    }
}

fn folder(args: &FolderArgs) -> PathBuf {
    crate::folder::chosen(args.mappings.clone())
}

fn locked(args: &FolderArgs) -> Result<LockedFolder> {
    Ok(LockedFolder::lock(&folder(args), PATIENCE)?)
}
