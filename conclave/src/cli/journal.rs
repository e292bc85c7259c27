//! What is kept of the exchanges that pass, and where.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
#[command(next_help_heading = "Keeping what passes")]
pub(crate) struct JournalArgs {
    /// Folder of the journals in which exchanges are kept; each plane writes its own below it [default: none, nothing is
    /// kept]
    #[arg(long, value_name = "DIR", env = "CONCLAVE_JOURNAL")]
    pub(crate) journal: Option<PathBuf>,
    /// What is kept of an exchange, where its router's `capture` middleware does not say
    #[arg(long, value_enum, default_value_t, value_name = "MODE", env = "CONCLAVE_CAPTURE")]
    pub(crate) capture: CaptureName,
    /// What happens to a request while the journal takes nothing (disk full, say), where its router's `capture` middleware
    /// does not say
    #[arg(
        long,
        value_enum,
        default_value_t,
        value_name = "POLICY",
        env = "CONCLAVE_CAPTURE_LOSS"
    )]
    pub(crate) capture_loss: LossName,
    /// Of each body, in MiB; what is longer is cut, and marked
    #[arg(
        long,
        value_name = "MIB",
        default_value_t = crate::settings::journal::BODY_MIB_MAX,
        env = "CONCLAVE_CAPTURE_BODY_MAX_MIB"
    )]
    pub(crate) capture_body_max_mib: u64,
    /// When what was kept is made to survive the machine; it survives the process in any case
    #[arg(
        long,
        value_enum,
        default_value_t,
        value_name = "WHEN",
        env = "CONCLAVE_JOURNAL_SYNC"
    )]
    pub(crate) journal_sync: SyncName,
    /// Appends go to a file that is mapped into memory and from there to the journal, where the file system is apt (ext4,
    /// tmpfs); `false`: each is a system call
    #[arg(
        long,
        value_name = "BOOL",
        default_value_t = true,
        action = clap::ArgAction::Set,
        env = "CONCLAVE_JOURNAL_TRAY"
    )]
    pub(crate) journal_tray: bool,
    /// The most that one plane's journal may hold, in MiB; the aggregator makes room as it reads
    #[arg(long, value_name = "MIB", default_value_t = 8192, env = "CONCLAVE_JOURNAL_MAX_MIB")]
    pub(crate) journal_max_mib: u64,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum CaptureName {
    /// Bodies and all
    #[default]
    Full,
    /// Who, when, where to, how it ended: no bodies
    Metadata,
    /// Nothing
    Off,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum LossName {
    /// It goes on and is not kept, which is counted
    #[default]
    Drop,
    /// It is answered with 503
    Refuse,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum SyncName {
    /// Ten times a second
    #[default]
    Interval,
    /// Before each piece is passed on: each waits for the disk
    Always,
    /// When the kernel sees fit
    Never,
}
