//! `conclave top`: what can be typed.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
#[command(
    after_help = "Keys: q, Esc or Ctrl-C quit; s sorts keys by the next column, r the other way round; arrows and PgUp, \
                  PgDn scroll.\nThe admin token, which models and causes need, is read from the environment variable \
                  ADMIN_TOKEN, or from --token-file."
)]
pub(crate) struct TopArgs {
    /// Where the edge's /metrics is; `none` to do without
    #[arg(
        long,
        value_name = "URL",
        default_value = "http://127.0.0.1:9081",
        env = "CONCLAVE_EDGE_ADMIN"
    )]
    pub(crate) edge_admin: String,
    /// Where the aggregator is; `none` to do without
    #[arg(
        long,
        value_name = "URL",
        default_value = "http://127.0.0.1:9080",
        env = "CONCLAVE_AGGREGATOR"
    )]
    pub(crate) aggregator: String,
    /// File with the admin token, in one line [default: the variable ADMIN_TOKEN]
    #[arg(long, value_name = "FILE", env = "CONCLAVE_ADMIN_TOKEN_FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Seconds between two looks
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0, env = "CONCLAVE_TOP_INTERVAL")]
    pub(crate) interval: f64,
    /// Look twice, print what was seen as plain text, and end; so it does where standard output is no terminal
    #[arg(long, env = "CONCLAVE_TOP_ONCE")]
    pub(crate) once: bool,
}
