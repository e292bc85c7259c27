//! `conclave key revoke`.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Result;

use crate::cli::RevokeArgs;

pub(super) fn run(args: &RevokeArgs) -> Result<ExitCode> {
    let folder = super::locked(&args.folder)?;
    let revocation = folder.revoke(&args.names)?;
    for router in &revocation.patterns {
        eprintln!("Note: {router} takes keys by a pattern, which a revoked key may match as well.");
    }
    if args.dry_run {
        std::io::stdout().lock().write_all(revocation.plan.diff().as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    folder.apply(&revocation.plan)?;
    eprintln!("Revoked: {}.", revocation.routers.join(", "));
    Ok(ExitCode::SUCCESS)
}
