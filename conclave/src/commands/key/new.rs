//! `conclave key new`.

use std::num::NonZeroU64;
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::Result;
use keymap::edit::{LockedFolder, NewKey, NewService};

use super::made::{self, Made};
use crate::cli::NewArgs;

pub(super) fn run(args: &NewArgs) -> Result<ExitCode> {
    let expires_at = args
        .expires
        .as_deref()
        .map(|typed| keymap::edit::time::expiry(typed, SystemTime::now()))
        .transpose()?;
    let models: Vec<String> = args.models.iter().map(|model| model.trim().to_owned()).collect();
    let folder = super::locked(&args.folder)?;
    let service = service(args, &folder)?;
    let key = made::mint()?;
    let plan = folder.create(&NewKey {
        name: &args.name,
        key: &key,
        plain: args.form.plain,
        service: if is_url(&service) {
            NewService::At(&service)
        } else {
            NewService::Named(&service)
        },
        models: &models,
        requests_per_minute: args.rpm.map(NonZeroU64::get),
        tokens_per_day: args.tokens_per_day.map(NonZeroU64::get),
        concurrent: args.concurrent.map(NonZeroU64::get),
        not_after: expires_at.as_deref(),
        note: args.note.as_deref(),
    })?;
    folder.apply(&plan)?;
    let file = plan.paths().next().unwrap_or(std::path::Path::new(""));
    Made {
        name: &args.name,
        key: key.expose(),
        file,
        service: Some(&service),
        expires_at: expires_at.as_deref(),
        old_key_until: None,
    }
    .show(args.form.json)?;
    eprintln!(
        "Written to {}, for {service}. The key is shown this once.",
        file.display()
    );
    Ok(ExitCode::SUCCESS)
}

fn service(args: &NewArgs, folder: &LockedFolder) -> Result<String> {
    match &args.service {
        Some(typed) => Ok(typed.clone()),
        None => Ok(folder.only_service()?),
    }
}

fn is_url(service: &str) -> bool {
    service.contains("://")
}
