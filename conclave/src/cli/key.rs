//! `conclave key`: its four actions and their flags.

use std::num::NonZeroU64;
use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct KeyArgs {
    #[command(subcommand)]
    pub(crate) action: KeyAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyAction {
    /// Make a key, print it once, and write NAME.yml with its SHA-256
    New(NewArgs),
    /// Show every key of the folder, those written by hand included; never the keys themselves
    List(ListArgs),
    /// Give NAME a new key, print it once, and let the old one work for a while
    Rotate(RotateArgs),
    /// Take keys out: they stop working at once
    Revoke(RevokeArgs),
}

/// Which folder is meant.
#[derive(Debug, Args)]
pub(crate) struct FolderArgs {
    /// Folder of mapping files [default as for the edge]
    #[arg(long, value_name = "DIR", env = "CONCLAVE_MAPPINGS")]
    pub(crate) mappings: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct NewArgs {
    /// Who gets the key: letters, digits, `-`, `_` and `.`; it names the router and the file
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) folder: FolderArgs,
    /// Where the key leads: a service of the folder, or a server's URL [default: the folder's only service]
    #[arg(long, value_name = "NAME|URL", env = "CONCLAVE_KEY_SERVICE")]
    pub(crate) service: Option<String>,
    /// Models the key may use, parted by commas [default: all]
    #[arg(long, value_name = "A,B", value_delimiter = ',', env = "CONCLAVE_KEY_MODELS")]
    pub(crate) models: Vec<String>,
    /// Requests per minute; a sixth of them may come at once [default: no limit]
    #[arg(long, value_name = "N", env = "CONCLAVE_KEY_RPM")]
    pub(crate) rpm: Option<NonZeroU64>,
    /// Tokens per day, input and output together [default: no limit]
    #[arg(long, value_name = "N", env = "CONCLAVE_KEY_TOKENS_PER_DAY")]
    pub(crate) tokens_per_day: Option<NonZeroU64>,
    /// Requests at one time [default: no limit]
    #[arg(long, value_name = "N", env = "CONCLAVE_KEY_CONCURRENT")]
    pub(crate) concurrent: Option<NonZeroU64>,
    /// When the key ends: after 30d, 12h, …; or with 2027-01-01 (as that day ends, UTC), or at a time
    /// such as 2027-01-01T12:00:00Z [default: never]
    #[arg(long, value_name = "TIME", env = "CONCLAVE_KEY_EXPIRES")]
    pub(crate) expires: Option<String>,
    /// Becomes a comment in the file
    #[arg(long, value_name = "TEXT", env = "CONCLAVE_KEY_NOTE")]
    pub(crate) note: Option<String>,
    #[command(flatten)]
    pub(crate) form: FormArgs,
}

/// How a new key is written and shown.
#[derive(Debug, Args)]
pub(crate) struct FormArgs {
    /// Write the key itself, not its SHA-256: whoever reads the file has the key
    #[arg(long, env = "CONCLAVE_KEY_PLAIN")]
    pub(crate) plain: bool,
    /// Print a JSON object instead of the key alone
    #[arg(long, env = "CONCLAVE_KEY_JSON")]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(crate) folder: FolderArgs,
    /// The edge's --state folder, for when a key was last used; `none` to do without [default: the edge's own]
    #[arg(long, value_name = "DIR", env = "CONCLAVE_STATE")]
    pub(crate) state: Option<PathBuf>,
    /// Print JSON
    #[arg(long, env = "CONCLAVE_KEY_JSON")]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RotateArgs {
    /// The key's router
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) folder: FolderArgs,
    /// How long the old key still works: 24h, 5s, 7d; the edge ends it by itself
    #[arg(long, value_name = "TIME", default_value = "24h", env = "CONCLAVE_KEY_GRACE")]
    pub(crate) grace: String,
    #[command(flatten)]
    pub(crate) form: FormArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RevokeArgs {
    /// The keys' routers
    #[arg(required = true, value_name = "NAME")]
    pub(crate) names: Vec<String>,
    #[command(flatten)]
    pub(crate) folder: FolderArgs,
    /// Show what would change, keys masked, and change nothing
    #[arg(long, env = "CONCLAVE_KEY_DRY_RUN")]
    pub(crate) dry_run: bool,
}
