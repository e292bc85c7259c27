//! `load`: what the benchmarks put before and behind the proxy under test. Owns the load generator and the origin;
//! starts no proxy and judges nothing: it prints what it saw as JSON lines, and `bench/run` does the rest.
//!
//! ```text
//!  load requests|streams|idle|probe ──▶ proxy under test ──▶ load origin
//!        ▲ JSON lines: open, window, end, summary               answers fixed bytes, stamps each token
//! ```
//!
//! One thread and one epoll loop each, so that both fit on one core beside the proxy's.

mod answer;
mod cancel;
mod clock;
mod events;
mod http;
mod idle;
mod keys;
mod latencies;
mod link;
mod origin;
mod probe;
mod request;
mod requests;
mod streams;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(version, about = "Load generator and origin of Conclave's benchmarks")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The backend: fixed answers, streams with the time of sending in each token
    Origin(origin::OriginArgs),
    /// Requests over kept-alive connections: as many as go, or at a fixed rate
    Requests(requests::RequestsArgs),
    /// Streams: how long each token was on its way, and whether all came in order
    Streams(streams::StreamsArgs),
    /// A client that goes in each phase: how long until the origin's connection closes
    Cancel(cancel::CancelArgs),
    /// Kept-alive clients that do nothing
    Idle(idle::IdleArgs),
    /// One key over and over until it is accepted
    Probe(probe::ProbeArgs),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Origin(args) => origin::run(&args),
        Command::Requests(args) => requests::run(&args),
        Command::Streams(args) => streams::run(&args),
        Command::Cancel(args) => cancel::run(&args),
        Command::Idle(args) => idle::run(&args),
        Command::Probe(args) => probe::run(&args),
    }
}
