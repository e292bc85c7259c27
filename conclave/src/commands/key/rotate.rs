//! `conclave key rotate`.

use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::Result;
use keymap::edit::{Rotation, time};

use super::made::{self, Made};
use crate::cli::RotateArgs;

pub(super) fn run(args: &RotateArgs) -> Result<ExitCode> {
    let folder = super::locked(&args.folder)?;
    // Read after the lock, for which a run may have waited.
    let now = SystemTime::now();
    let until = time::end_of_grace(&args.grace, now)?;
    let key = made::mint()?;
    let plan = folder.rotate(&Rotation {
        name: &args.name,
        key: &key,
        plain: args.form.plain,
        until: &until,
        now: &time::rfc3339(now),
    })?;
    folder.apply(&plan)?;
    let file = plan.paths().last().unwrap_or(std::path::Path::new(""));
    Made {
        name: &args.name,
        key: key.expose(),
        file,
        service: None,
        expires_at: None,
        old_key_until: Some(&until),
    }
    .show(args.form.json)?;
    eprintln!(
        "Written to {}. The key is shown this once; the old one works until {until}.",
        file.display()
    );
    Ok(ExitCode::SUCCESS)
}
