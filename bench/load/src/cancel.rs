//! A client that goes, in each phase of an exchange, one at a time: how long until the origin's side of it is closed.
//! Blocking sockets and a thread for each origin connection: nothing here is under load.
//!
//! ```text
//!  client ── request ──▶ proxy ──▶ origin          "reached": the phase is there
//!  client ── close                                  t0
//!                        proxy ── close ──▶ origin  t1: what is measured is t1 − t0
//! ```

mod origin;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use serde_json::json;

use crate::clock::now_ns;
use crate::events::{END, SUMMARY, WINDOW, tell};
use crate::latencies::Latencies;
use crate::request::{TargetArgs, chat_body, stream_body};
use origin::Seen;

/// A phase that is not reached by then is one that this proxy does not have: it keeps the upload, or the head.
const REACH_TIMEOUT: Duration = Duration::from_millis(1_000);
/// A connection that lives this long is counted as not closed.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(2_000);
/// Enough to say that this proxy does not do it.
const MISSES_MAX: u64 = 3;
/// Between two exchanges, so that the end of one is not in the next.
const PAUSE: Duration = Duration::from_millis(2);

#[derive(Args)]
pub(crate) struct CancelArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// Where the proxy expects its backend
    #[arg(long)]
    origin: SocketAddr,
    #[arg(long, value_enum)]
    phase: Phase,
    #[arg(long, default_value_t = 200)]
    count: u64,
    /// Exchanges that do not count
    #[arg(long, default_value_t = 5)]
    warmup: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Phase {
    /// Half of the body has been sent
    Upload,
    /// The whole request is with the origin, which has not answered
    Prefill,
    /// The same for an answer in one piece
    Unstreamed,
    /// The response head has come, and no token
    Head,
    /// Between two tokens
    Stream,
}

pub(crate) fn run(args: &CancelArgs) -> anyhow::Result<()> {
    let seen = origin::start(args.origin, args.phase)?;
    tell(WINDOW, json!({}));
    let body = match args.phase {
        Phase::Upload => chat_body(256 << 10),
        Phase::Unstreamed => chat_body(200),
        Phase::Prefill | Phase::Head | Phase::Stream => stream_body(1_000, 10),
    };
    let mut wire = Vec::new();
    args.target.template(&body)?.write(&mut wire, 0);
    if args.phase == Phase::Upload {
        wire.truncate(wire.len() - body.len() / 2);
    }
    let mut latencies = Latencies::new()?;
    let (mut unreached, mut unclosed) = (0, 0);
    for number in 0..args.warmup + args.count {
        match once(args, &wire, &seen)? {
            Outcome::Closed(nanos) if number >= args.warmup => latencies.record(nanos),
            Outcome::Closed(_) => {}
            Outcome::Unreached => unreached += 1,
            Outcome::Unclosed => unclosed += 1,
        }
        if unreached >= MISSES_MAX || unclosed >= MISSES_MAX {
            break;
        }
        thread::sleep(PAUSE);
    }
    tell(END, json!({}));
    tell(
        SUMMARY,
        json!({ "latency": latencies.summary(), "unreached": unreached, "unclosed": unclosed }),
    );
    Ok(())
}

enum Outcome {
    Closed(u64),
    Unreached,
    Unclosed,
}

fn once(args: &CancelArgs, wire: &[u8], seen: &Receiver<Seen>) -> anyhow::Result<Outcome> {
    while seen.try_recv().is_ok() {}
    let mut client = TcpStream::connect(args.target.target)?;
    client.set_nodelay(true)?;
    client.set_write_timeout(Some(REACH_TIMEOUT))?;
    client.write_all(wire)?;
    let upstream = match reached(seen) {
        Some(upstream) => upstream,
        None => return Ok(Outcome::Unreached),
    };
    if args.phase == Phase::Stream || args.phase == Phase::Head {
        // Without this the client might go before what the origin sent has reached it.
        client.set_read_timeout(Some(REACH_TIMEOUT))?;
        if !matches!(client.read(&mut [0; 4096]), Ok(1..)) {
            let _ = upstream.shutdown(Shutdown::Both);
            return Ok(Outcome::Unreached);
        }
    }
    let went_ns = now_ns();
    drop(client);
    let deadline = Instant::now() + CLOSE_TIMEOUT;
    loop {
        match seen.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(Seen::Closed(at_ns)) => return Ok(Outcome::Closed(at_ns.saturating_sub(went_ns))),
            Ok(Seen::Reached(_)) => {}
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                let _ = upstream.shutdown(Shutdown::Both);
                return Ok(Outcome::Unclosed);
            }
        }
    }
}

fn reached(seen: &Receiver<Seen>) -> Option<TcpStream> {
    let deadline = Instant::now() + REACH_TIMEOUT;
    loop {
        match seen.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(Seen::Reached(upstream)) => return Some(upstream),
            Ok(Seen::Closed(_)) => {}
            Err(_) => return None,
        }
    }
}
