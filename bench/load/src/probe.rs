//! One key, asked again and again over fresh connections, until it is accepted (or until it no longer is): how long a
//! change of the mappings takes to work. The time of the change itself is the orchestrator's, on the same clock.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use crate::clock::{now_ns, seconds_to_ns};
use crate::events::{OPEN, SUMMARY, tell};
use crate::http::{Progress, Responses};
use crate::request::{TargetArgs, chat_body};

/// Between two tries: short against what is measured, long enough not to be load.
const INTERVAL: Duration = Duration::from_millis(2);

#[derive(Args)]
pub(crate) struct ProbeArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// The number of the key
    #[arg(long)]
    key: u64,
    /// The status that ends it
    #[arg(long, default_value_t = 200)]
    until: u16,
    /// Seconds after which it gives up
    #[arg(long, default_value_t = 30.0)]
    limit: f64,
}

pub(crate) fn run(args: &ProbeArgs) -> anyhow::Result<()> {
    let template = args.target.template(&chat_body(200))?;
    let mut wire = Vec::new();
    template.write(&mut wire, args.key);
    let started_ns = now_ns();
    let mut tries = 0_u64;
    let mut refused = 0_u64;
    loop {
        // A proxy that is being restarted refuses connections; that is an answer, too.
        let status = ask(args, &wire).unwrap_or(0);
        tries += 1;
        refused += u64::from(status == 0);
        if tries == 1 {
            tell(OPEN, json!({ "status": status }));
        }
        let now = now_ns();
        // The first is from before the change.
        let reached = tries > 1 && status == args.until;
        if reached || now - started_ns > seconds_to_ns(args.limit) {
            tell(
                SUMMARY,
                json!({ "reached": reached, "reached_ns": now, "tries": tries, "refused": refused }),
            );
            return Ok(());
        }
        thread::sleep(INTERVAL);
    }
}

fn ask(args: &ProbeArgs, wire: &[u8]) -> anyhow::Result<u16> {
    let mut client = TcpStream::connect(args.target.target)?;
    client.set_read_timeout(Some(Duration::from_secs(10)))?;
    client.write_all(wire)?;
    let mut responses = Responses::default();
    let mut buffer = [0; 4096];
    loop {
        let len = client.read(&mut buffer)?;
        if len == 0 {
            return Ok(responses.closed().map_or(0, |head| head.status));
        }
        if let Progress::Whole(head) = responses.take(&buffer[..len], |_| {})? {
            return Ok(head.status);
        }
    }
}
