//! What can be typed: every flag, its environment variable and its help. What it means is `settings`' to say.

mod acme;
mod journal;
mod key;
pub(crate) mod responses;
mod top;
mod traces;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::logging::Level;
pub(crate) use acme::{AcmeArgs, ChallengeName};
pub(crate) use journal::{CaptureName, JournalArgs, LossName, SyncName};
pub(crate) use key::{FolderArgs, KeyAction, KeyArgs, ListArgs, NewArgs, RevokeArgs, RotateArgs};
use responses::ResponsesArgs;
pub(crate) use top::TopArgs;
pub(crate) use traces::TraceArgs;

/// The front door of a self-hosted LLM fleet: one address, a key for each user, a server behind each key.
#[derive(Debug, Parser)]
#[command(name = "conclave", version, propagate_version = true, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) safety: SafetyArgs,
}

/// What every command holds to unless it is told otherwise.
#[derive(Debug, Args)]
#[command(next_help_heading = "Safety")]
pub(crate) struct SafetyArgs {
    /// Let the system write this process's memory to a core file when it crashes, and let debuggers in: keys and
    /// prompts are in there
    #[arg(long, global = true, env = "CONCLAVE_CORE_DUMPS")]
    pub(crate) core_dumps: bool,
    /// Believe mapping and configuration files that everybody on this machine may write, and links that lead out of the
    /// mapping folder: for file systems on which every file looks so
    #[arg(long, global = true, env = "CONCLAVE_TRUST_WRITABLE_FILES")]
    pub(crate) trust_writable_files: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Try it: two simulated llama-servers, aggregator, edge and two keys, in this one process
    Demo(DemoArgs),
    /// Run edge and aggregator in one process
    Up(UpArgs),
    /// Run the edge alone: forwards each keyed request to the server its key names
    Edge(EdgeArgs),
    /// Run the aggregator alone: /v1/models, /stats and one API over every backend (routheon-server's flags)
    Aggregator(AggregatorArgs),
    /// Make, list, rotate and revoke keys: writes and edits mapping files, which a running edge follows at once
    Key(KeyArgs),
    /// Read mappings and configuration, report every problem, exit 1 if there is one
    Check(CheckArgs),
    /// List, show, count, export and delete what the aggregator has stored
    Responses(ResponsesArgs),
    /// Watch it: servers, keys, requests and tokens of a running edge and aggregator, live in the terminal
    Top(TopArgs),
    /// Print what makes a shell complete these commands: `source <(conclave completions bash)`
    Completions(CompletionsArgs),
    /// Print conclave(1), or write the manual pages of all commands into a folder
    Man(ManArgs),
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Where the demo listens
    #[arg(long, value_name = "ADDR", value_parser = address, default_value = "127.0.0.1:8080", env = "CONCLAVE_LISTEN")]
    pub(crate) listen: SocketAddr,
    #[command(flatten)]
    pub(crate) logging: LoggingArgs,
}

#[derive(Debug, Args)]
pub(crate) struct MappingArgs {
    /// Folder of mapping files [default: /etc/conclave/mappings, else /etc/traefik/mappings if only that
    /// exists, else ./mappings]
    #[arg(long, value_name = "DIR", env = "CONCLAVE_MAPPINGS")]
    pub(crate) mappings: Option<PathBuf>,
    /// Seconds between two looks at the whole folder; file events only make it faster
    #[arg(long, value_name = "SECONDS", default_value_t = 3.0, env = "CONCLAVE_MAPPINGS_POLL")]
    pub(crate) mappings_poll: f64,
}

#[derive(Debug, Args)]
pub(crate) struct EdgeArgs {
    #[command(flatten)]
    pub(crate) mapping: MappingArgs,
    /// Where the aggregator is, for /v1/models and /stats without a key; `none` to do without
    /// [default: http://127.0.0.1:9080]
    #[arg(long, value_name = "URL", env = "CONCLAVE_AGGREGATOR")]
    pub(crate) aggregator: Option<String>,
    /// Traefik's static file: entryPoints, providers.file, accessLog and certificatesResolvers are read from it; flags win
    /// over it
    #[arg(long, value_name = "FILE", env = "CONCLAVE_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Take over from the edge that runs on the same --state: it finishes what it has, and nobody is refused in between
    #[arg(long, env = "CONCLAVE_UPGRADE")]
    pub(crate) upgrade: bool,
    #[command(flatten)]
    pub(crate) door: DoorArgs,
    #[command(flatten)]
    pub(crate) journal: JournalArgs,
    #[command(flatten)]
    pub(crate) traces: TraceArgs,
    #[command(flatten)]
    pub(crate) logging: LoggingArgs,
}

/// What concerns the edge's own sockets and bounds.
#[derive(Debug, Args)]
pub(crate) struct DoorArgs {
    /// Where clients connect [default: 0.0.0.0:8080]
    #[arg(long, value_name = "ADDR", value_parser = address, env = "CONCLAVE_LISTEN")]
    pub(crate) listen: Option<SocketAddr>,
    /// Where /metrics, /health and /ready are; `none` to do without
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9081", env = "CONCLAVE_ADMIN")]
    pub(crate) admin: String,
    /// Worker threads [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024), env = "CONCLAVE_THREADS")]
    pub(crate) threads: Option<u16>,
    /// Largest request body in MiB
    #[arg(long, value_name = "MIB", default_value_t = 256, env = "CONCLAVE_BODY_MAX_MIB")]
    pub(crate) body_max_mib: u64,
    /// Seconds a client may take over a request's headers, from their first byte on
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0, env = "CONCLAVE_HEAD_TIMEOUT")]
    pub(crate) head_timeout: f64,
    /// Seconds a client in the middle of a request may take nothing of its answer, or bring less than 500 bytes a second
    /// of its body
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 30.0,
        env = "CONCLAVE_CLIENT_TIMEOUT"
    )]
    pub(crate) client_timeout: f64,
    /// Largest head of a request (line and headers) in KiB
    #[arg(long, value_name = "KIB", default_value_t = 64, env = "CONCLAVE_HEAD_MAX_KIB")]
    pub(crate) head_max_kib: usize,
    /// Longest line of a request's head in KiB
    #[arg(long, value_name = "KIB", default_value_t = 8, env = "CONCLAVE_HEAD_LINE_MAX_KIB")]
    pub(crate) head_line_max_kib: usize,
    /// Most headers of a request, up to 256
    #[arg(
        long,
        value_name = "N",
        default_value_t = 100,
        value_parser = clap::value_parser!(u16).range(1..=256),
        env = "CONCLAVE_HEAD_FIELDS_MAX"
    )]
    pub(crate) head_fields_max: u16,
    /// Most connections of clients; more are answered 503 [default: what the limit of open files allows, at two each]
    #[arg(long, value_name = "N", env = "CONCLAVE_CONNECTIONS_MAX")]
    pub(crate) connections_max: Option<usize>,
    /// Most connections of one client address (of an IPv6 /64), loopback apart
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1024,
        env = "CONCLAVE_CONNECTIONS_PER_ADDRESS"
    )]
    pub(crate) connections_per_address: u32,
    /// Most requests that one key may have in flight; more are answered 429 [default: only what its router's inFlightReq
    /// allows]
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..),
        env = "CONCLAVE_STREAMS_PER_KEY"
    )]
    pub(crate) streams_per_key: Option<u32>,
    /// Resident memory in MiB beyond which new requests are answered 503 [default: not looked at]
    #[arg(long, value_name = "MIB", env = "CONCLAVE_MEMORY_MAX_MIB")]
    pub(crate) memory_max_mib: Option<u64>,
    /// Proxies in front of the edge, addresses or networks, whose X-Forwarded-For and X-Forwarded-Proto are believed
    #[arg(long, value_name = "CIDR", value_delimiter = ',', env = "CONCLAVE_TRUSTED_PROXIES")]
    pub(crate) trusted_proxies: Vec<String>,
    /// Seconds to reach a server, TLS included
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 5.0,
        env = "CONCLAVE_CONNECT_TIMEOUT"
    )]
    pub(crate) connect_timeout: f64,
    /// Seconds a server may be silent [default: none, a slow prefill is never cut]
    #[arg(long, value_name = "SECONDS", env = "CONCLAVE_READ_TIMEOUT")]
    pub(crate) read_timeout: Option<f64>,
    /// Seconds that stopping waits for streams in flight [default: none, as long as they take]
    #[arg(long, value_name = "SECONDS", env = "CONCLAVE_DRAIN_TIMEOUT")]
    pub(crate) drain_timeout: Option<f64>,
    /// Tell clients which server answered, and after how many attempts, in x-conclave-server
    #[arg(long, env = "CONCLAVE_SERVER_HEADER")]
    pub(crate) server_header: bool,
    /// For `strategy: prefix`: a first line of a system prompt that fits this regular expression changes from call to
    /// call and is not compared; repeatable
    #[arg(long, value_name = "REGEX", env = "CONCLAVE_VOLATILE_LINE")]
    pub(crate) volatile_line: Vec<String>,
    /// Send an event stream that is silent before its first token a comment every so many seconds, so that nothing between
    /// here and the client cuts it [default: never]
    #[arg(long, value_name = "SECONDS", env = "CONCLAVE_SSE_KEEPALIVE")]
    pub(crate) sse_keepalive: Option<f64>,
    /// Count every router's tokens for the metrics, not only those of routers with a tokenLimit
    #[arg(long, env = "CONCLAVE_COUNT_TOKENS")]
    pub(crate) count_tokens: bool,
    /// One JSON line a request to this file; `-` for standard output, `none` (or `off`) for no log, also where --config
    /// names one [default: none]
    #[arg(long, value_name = "FILE", env = "CONCLAVE_ACCESS_LOG")]
    pub(crate) access_log: Option<PathBuf>,
    /// Folder in which it remembers what was used of limits, across restarts; `none` to forget [default:
    /// $STATE_DIRECTORY, else $XDG_STATE_HOME/conclave, else ~/.local/state/conclave]
    #[arg(long, value_name = "DIR", env = "CONCLAVE_STATE")]
    pub(crate) state: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) tls: TlsArgs,
    /// What carries HTTP/1.1: for measuring one against the other
    #[arg(long, value_enum, default_value_t, hide = true, env = "CONCLAVE_CARRIER")]
    pub(crate) carrier: CarrierName,
}

/// TLS to clients and to servers.
#[derive(Debug, Args)]
#[command(next_help_heading = "TLS")]
pub(crate) struct TlsArgs {
    /// Where clients connect with TLS, beside --listen; may be given several times
    #[arg(long, value_name = "ADDR", value_parser = address, value_delimiter = ',', env = "CONCLAVE_TLS_LISTEN")]
    pub(crate) tls_listen: Vec<SocketAddr>,
    /// Certificate chain in PEM, with its --tls-key; may be given several times: the name a client asks for picks one,
    /// the first is for all others
    #[arg(long, value_name = "FILE", value_delimiter = ',', env = "CONCLAVE_TLS_CERT")]
    pub(crate) tls_cert: Vec<PathBuf>,
    /// Key of the certificate at the same place, in PEM
    #[arg(long, value_name = "FILE", value_delimiter = ',', env = "CONCLAVE_TLS_KEY")]
    pub(crate) tls_key: Vec<PathBuf>,
    /// Clients must show a certificate that an authority of this PEM file signed
    #[arg(long, value_name = "FILE", env = "CONCLAVE_TLS_CLIENT_CA")]
    pub(crate) tls_client_ca: Option<PathBuf>,
    /// Address without TLS that sends clients to TLS, by 301 or 308; may be given several times
    #[arg(long, value_name = "ADDR", value_parser = address, value_delimiter = ',', env = "CONCLAVE_REDIRECT_LISTEN")]
    pub(crate) redirect_listen: Vec<SocketAddr>,
    /// Port that clients are sent to [default: that of the first address with TLS]
    #[arg(long, value_name = "PORT", env = "CONCLAVE_REDIRECT_PORT")]
    pub(crate) redirect_port: Option<u16>,
    /// Tell browsers to come with TLS only for so many seconds (Strict-Transport-Security)
    #[arg(long, value_name = "SECONDS", env = "CONCLAVE_HSTS")]
    pub(crate) hsts: Option<u64>,
    /// Authorities, in PEM, that sign servers' certificates, in place of the system's
    #[arg(long, value_name = "FILE", env = "CONCLAVE_UPSTREAM_CA")]
    pub(crate) upstream_ca: Option<PathBuf>,
    /// Certificate that servers are shown, in PEM, with --upstream-key
    #[arg(long, value_name = "FILE", requires = "upstream_key", env = "CONCLAVE_UPSTREAM_CERT")]
    pub(crate) upstream_cert: Option<PathBuf>,
    /// Its key, in PEM
    #[arg(long, value_name = "FILE", requires = "upstream_cert", env = "CONCLAVE_UPSTREAM_KEY")]
    pub(crate) upstream_key: Option<PathBuf>,
    // Last, for what follows a heading stands below it.
    #[command(flatten)]
    pub(crate) acme: AcmeArgs,
}

#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
pub(crate) enum CarrierName {
    #[default]
    Forwarder,
    PingoraProxy,
}

#[derive(Debug, Args)]
pub(crate) struct AggregatorArgs {
    #[command(flatten)]
    pub(crate) mapping: MappingArgs,
    #[command(flatten)]
    pub(crate) service: ServiceArgs,
    #[command(flatten)]
    pub(crate) journal: JournalArgs,
    #[command(flatten)]
    pub(crate) traces: TraceArgs,
    /// DEBUG, INFO, WARNING, ERROR or CRITICAL
    #[arg(
        long,
        value_name = "LEVEL",
        default_value = "WARNING",
        env = "CONCLAVE_LOG_LEVEL",
        help_heading = "Logging"
    )]
    pub(crate) log_level: Level,
    /// Log lines as JSON
    #[arg(long, env = "CONCLAVE_LOG_JSON", help_heading = "Logging")]
    pub(crate) log_json: bool,
}

/// What the aggregator does, whether alone or beside an edge. Names and defaults are routheon-server's.
#[derive(Debug, Args)]
#[command(next_help_heading = "Aggregator")]
pub(crate) struct ServiceArgs {
    /// Host to bind [default: the configuration's, else 127.0.0.1]
    #[arg(long, env = "CONCLAVE_HOST")]
    pub(crate) host: Option<String>,
    /// Port to listen on [default: the configuration's, else 9080]
    #[arg(long, env = "CONCLAVE_PORT")]
    pub(crate) port: Option<u16>,
    /// Name under which /admin and /ui answer, beside addresses and localhost; for a proxy in front; repeatable
    #[arg(long, value_name = "NAME", value_delimiter = ',', env = "CONCLAVE_ALLOWED_HOST")]
    pub(crate) allowed_host: Vec<String>,
    /// council-router's config.yaml: backends, routing, admin and more; followed as it changes; flags win over it
    #[arg(long, value_name = "FILE", env = "CONCLAVE_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Mapping files to leave out, besides routheon-server.yml: regular expression searched for in the file name;
    /// repeatable
    #[arg(long, value_name = "REGEX", env = "CONCLAVE_SKIP_MAPPING")]
    pub(crate) skip_mapping: Vec<String>,
    /// Seconds a backend has to answer
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 2.0,
        env = "CONCLAVE_MAPPING_TIMEOUT"
    )]
    pub(crate) mapping_timeout: f64,
    /// YAML file that says which sections and fields of /stats are shown [default: all]
    #[arg(long, value_name = "FILE", env = "CONCLAVE_STATS_CONFIG_FILE")]
    pub(crate) stats_config_file: Option<PathBuf>,
    /// File with the key that backends ask for: one line `KEY` for all, or lines `URL KEY`
    #[arg(long, value_name = "FILE", env = "CONCLAVE_BACKEND_KEY_FILE")]
    pub(crate) backend_key_file: Option<PathBuf>,
    /// SQLite file for every exchange, `none` to keep none [default: the configuration's, else none]
    #[arg(long, value_name = "FILE", env = "CONCLAVE_DB_PATH")]
    pub(crate) db_path: Option<PathBuf>,
    /// File with the key that stored bodies are encrypted with: 32 bytes, as they are, in hexadecimal or Base64
    #[arg(long, value_name = "FILE", env = "CONCLAVE_DB_KEY_FILE")]
    pub(crate) db_key_file: Option<PathBuf>,
    /// Leave a journal's segments where they are once all of them is in the store; without it they are removed
    #[arg(long, env = "CONCLAVE_KEEP_JOURNAL")]
    pub(crate) keep_journal: bool,
}

#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    #[command(flatten)]
    pub(crate) mapping: MappingArgs,
    #[command(flatten)]
    pub(crate) door: DoorArgs,
    #[command(flatten)]
    pub(crate) service: ServiceArgs,
    #[command(flatten)]
    pub(crate) journal: JournalArgs,
    #[command(flatten)]
    pub(crate) traces: TraceArgs,
    #[command(flatten)]
    pub(crate) logging: LoggingArgs,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Folder of mapping files [default as for the edge]
    #[arg(long, value_name = "DIR", env = "CONCLAVE_MAPPINGS")]
    pub(crate) mappings: Option<PathBuf>,
    /// A config.yaml, or a Traefik static file, to check too; may be given for each
    #[arg(long, value_name = "FILE", env = "CONCLAVE_CONFIG")]
    pub(crate) config: Vec<PathBuf>,
    /// Folder of council templates [default: config.yaml's `council.templates_dir`, else ./council_templates]
    #[arg(long, value_name = "DIR", env = "CONCLAVE_COUNCIL_TEMPLATES")]
    pub(crate) council_templates: Option<PathBuf>,
    /// A /stats configuration to check too
    #[arg(long, value_name = "FILE", env = "CONCLAVE_STATS_CONFIG_FILE")]
    pub(crate) stats_config_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// Whose completions
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Folder for conclave.1, conclave-edge.1 and so on; made if it is not there
    #[arg(value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Logging")]
pub(crate) struct LoggingArgs {
    /// DEBUG, INFO, WARNING, ERROR or CRITICAL
    #[arg(long, value_name = "LEVEL", default_value = "INFO", env = "CONCLAVE_LOG_LEVEL")]
    pub(crate) log_level: Level,
    /// Log lines as JSON
    #[arg(long, env = "CONCLAVE_LOG_JSON")]
    pub(crate) log_json: bool,
}

fn address(typed: &str) -> Result<SocketAddr, &'static str> {
    let told = "write an IP address and a port, such as 127.0.0.1:8080, 0.0.0.0:8080 or [::]:8080";
    typed.parse().map_err(|_| told)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_stand_below_their_own_heading() {
        let command = Cli::command();
        for (name, flag, heading) in [
            ("edge", "upgrade", None),
            ("edge", "listen", None),
            ("edge", "hsts", Some("TLS")),
            ("edge", "acme_domain", Some("ACME")),
            ("edge", "journal", Some("Keeping what passes")),
            ("edge", "otlp_endpoint", Some("Traces")),
            ("edge", "log_level", Some("Logging")),
            ("up", "port", Some("Aggregator")),
            ("up", "log_json", Some("Logging")),
            ("aggregator", "mappings", None),
            ("aggregator", "log_level", Some("Logging")),
        ] {
            let command = command.find_subcommand(name).expect("a command");
            let found = command.get_arguments().find(|known| known.get_id() == flag);
            let found = found.unwrap_or_else(|| panic!("{name} has no {flag}"));
            assert_eq!(found.get_help_heading(), heading, "{name} {flag}");
        }
    }

    #[test]
    fn every_flag_has_an_environment_variable() {
        let command = Cli::command();
        // But for what selects responses: a filter that is left set would one day decide what is deleted.
        let (nested, plain): (Vec<_>, Vec<_>) =
            command.get_subcommands().partition(|command| command.has_subcommands());
        for command in plain.into_iter().chain(
            nested
                .into_iter()
                .filter(|command| command.get_name() != "responses")
                .flat_map(clap::Command::get_subcommands),
        ) {
            for flag in command
                .get_arguments()
                .filter(|flag| !flag.is_positional() && !matches!(flag.get_id().as_str(), "help" | "version"))
            {
                let variable = flag.get_env().and_then(|name| name.to_str()).unwrap_or_default();
                assert!(
                    variable.starts_with("CONCLAVE_"),
                    "{} --{}",
                    command.get_name(),
                    flag.get_id()
                );
            }
        }
    }
}
