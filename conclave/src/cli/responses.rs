//! `conclave responses …`: what can be typed.
//!
//! Filters have no environment variables: one that is left set would one day decide what is deleted.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Args)]
#[command(
    next_help_heading = "Where to ask",
    after_help = "The admin token is read from the environment variable ADMIN_TOKEN, or from --token-file."
)]
pub(crate) struct ResponsesArgs {
    /// Where the aggregator is
    #[arg(
        long,
        global = true,
        value_name = "URL",
        default_value = "http://127.0.0.1:9080",
        env = "CONCLAVE_URL"
    )]
    pub(crate) url: String,
    /// File with the admin token, in one line [default: the variable ADMIN_TOKEN]
    #[arg(long, global = true, value_name = "FILE", env = "CONCLAVE_ADMIN_TOKEN_FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Answer with JSON, as the admin API gives it
    #[arg(long, global = true, env = "CONCLAVE_JSON")]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) action: ResponsesAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ResponsesAction {
    /// List exchanges, the newest first
    List {
        #[command(flatten)]
        filter: FilterArgs,
        /// How many at most
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
    },
    /// Show one exchange with what was asked and answered
    Show {
        /// The exchange's id, as `list` shows it
        id: String,
    },
    /// What the store holds
    Stats,
    /// What was used; it outlives the exchanges
    Usage {
        /// What makes a line
        #[arg(long, value_enum, default_value_t)]
        by: UsageGroup,
        /// From this UTC day on: 2026-11-22
        #[arg(long, value_name = "DAY")]
        from: Option<String>,
        /// To this UTC day, which is included
        #[arg(long, value_name = "DAY")]
        to: Option<String>,
        /// With --by day: of this key alone, by its router's name
        #[arg(long, value_name = "NAME")]
        key: Option<String>,
        #[arg(long, value_name = "NAME", help = "With --by day: of this model alone")]
        model: Option<String>,
        #[arg(long, value_name = "NAME", help = "With --by day: of this backend alone")]
        backend: Option<String>,
    },
    /// Write exchanges as JSON Lines
    Export {
        #[command(flatten)]
        filter: FilterArgs,
        /// jsonl: an exchange a line, whole. chat: {"messages":[…]} a line, for fine-tuning
        #[arg(long, value_enum, default_value_t)]
        format: ExportFormat,
        /// File to write, readable by you alone; it appears once it is complete [default: standard output]
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Delete exchanges, by id or by filter; what was used stays counted
    Delete {
        /// Ids, as `list` shows them
        #[arg(value_name = "ID", conflicts_with = "FilterArgs")]
        ids: Vec<String>,
        #[command(flatten)]
        filter: FilterArgs,
        /// Do not ask: all that the filters let through goes
        #[arg(long)]
        yes: bool,
    },
}

/// What is left out is not filtered by.
#[derive(Debug, Args, Default)]
pub(crate) struct FilterArgs {
    /// Router's name of the key
    #[arg(long, value_name = "NAME")]
    pub(crate) key: Option<String>,
    /// Model that answered
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Option<String>,
    /// Server or backend that answered
    #[arg(long, value_name = "NAME")]
    pub(crate) backend: Option<String>,
    /// complete, client_gone, upstream_failed or interrupted
    #[arg(long, value_name = "STATUS")]
    pub(crate) status: Option<String>,
    /// Begun at this time or later: 2026-11-22T10:00:00Z, or a day
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<String>,
    /// Begun before this time; of a day, all of it
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Option<String>,
    /// Words of prompt, text or thinking; a "phrase" in quotes
    #[arg(long, value_name = "WORDS")]
    pub(crate) text: Option<String>,
    /// Tokens of input and output together
    #[arg(long, value_name = "N")]
    pub(crate) min_tokens: Option<u64>,
    /// Tokens of input and output together
    #[arg(long, value_name = "N")]
    pub(crate) max_tokens: Option<u64>,
    /// Milliseconds it took
    #[arg(long, value_name = "MS")]
    pub(crate) min_duration_ms: Option<f64>,
    /// Milliseconds it took
    #[arg(long, value_name = "MS")]
    pub(crate) max_duration_ms: Option<f64>,
    /// Exchange that these were made for: a council's
    #[arg(long, value_name = "ID")]
    pub(crate) parent: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum UsageGroup {
    #[default]
    Key,
    Model,
    Backend,
    Day,
}

impl UsageGroup {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Model => "model",
            Self::Backend => "backend",
            Self::Day => "day",
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    #[default]
    Jsonl,
    Chat,
}

impl ExportFormat {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Chat => "chat",
        }
    }
}

impl FilterArgs {
    /// As the admin API's parameters.
    pub(crate) fn parameters(&self) -> Vec<(&'static str, String)> {
        let number = |number: Option<u64>| number.map(|number| number.to_string());
        let time = |time: Option<f64>| time.map(|time| time.to_string());
        let all = [
            ("key", self.key.clone()),
            ("model", self.model.clone()),
            ("backend", self.backend.clone()),
            ("status", self.status.clone()),
            ("from", self.from.clone()),
            ("to", self.to.clone()),
            ("text", self.text.clone()),
            ("min_tokens", number(self.min_tokens)),
            ("max_tokens", number(self.max_tokens)),
            ("min_duration_ms", time(self.min_duration_ms)),
            ("max_duration_ms", time(self.max_duration_ms)),
            ("parent", self.parent.clone()),
        ];
        all.into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .collect()
    }
}
