//! Kept-alive clients that do nothing: each makes one request, then all are silent for a while, and each makes another
//! to see whether its connection has lived.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use serde_json::json;

use crate::clock::now_ns;
use crate::events::{END, OPEN, SUMMARY, WINDOW, tell};
use crate::http::{Progress, Responses};
use crate::keys::Dice;
use crate::link::SCRATCH_BYTES;
use crate::request::{TargetArgs, chat_body};

/// A proxy that does not answer in this time is not idle but broken.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Args)]
pub(crate) struct IdleArgs {
    #[command(flatten)]
    target: TargetArgs,
    #[arg(long, default_value_t = 10_000)]
    connections: usize,
    /// Seconds between the last request and the window
    #[arg(long, default_value_t = 1.0)]
    settle: f64,
    /// Seconds of silence that count
    #[arg(long, default_value_t = 5.0)]
    duration: f64,
    #[arg(long, default_value_t = 1)]
    keys: u64,
}

pub(crate) fn run(args: &IdleArgs) -> anyhow::Result<()> {
    let template = args.target.template(&chat_body(200))?;
    let mut dice = Dice::new(0x5eed);
    let mut wire = Vec::new();
    let mut scratch = vec![0; SCRATCH_BYTES];
    let mut clients = Vec::with_capacity(args.connections);
    let started_ns = now_ns();
    for number in 0..args.connections {
        template.write(&mut wire, dice.below(args.keys));
        let mut client = TcpStream::connect(args.target.target)?;
        client.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        exchange(&mut client, &wire, &mut scratch).with_context(|| format!("client {number}"))?;
        clients.push(client);
    }
    let opened_ns = now_ns() - started_ns;
    thread::sleep(Duration::from_secs_f64(args.settle));
    tell(OPEN, json!({ "connections": clients.len() }));
    // Time for the orchestrator to read memory, which is not to be seen in the window.
    thread::sleep(Duration::from_millis(500));
    tell(WINDOW, json!({}));
    thread::sleep(Duration::from_secs_f64(args.duration));
    tell(END, json!({}));
    let alive = clients
        .iter_mut()
        .filter_map(|client| {
            template.write(&mut wire, dice.below(args.keys));
            exchange(client, &wire, &mut scratch).ok()
        })
        .count();
    tell(
        SUMMARY,
        json!({ "connections": args.connections, "alive": alive, "opening_s": opened_ns as f64 / 1e9 }),
    );
    Ok(())
}

fn exchange(client: &mut TcpStream, wire: &[u8], scratch: &mut [u8]) -> anyhow::Result<()> {
    client.write_all(wire)?;
    let mut responses = Responses::default();
    loop {
        let len = client.read(scratch)?;
        ensure!(len > 0, "closed before the answer was whole");
        if let Progress::Whole(head) = responses.take(&scratch[..len], |_| {})? {
            ensure!(head.status == 200, "status {}", head.status);
            return Ok(());
        }
    }
}
