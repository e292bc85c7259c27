//! `conclave top`: servers, keys, requests and tokens of running planes, live in a terminal, or once as plain text.
//!
//! ```text
//!  looker (a thread) ── Look, every second ──▶ scene (pure) ──▶ draw (ratatui) | plain (text)
//! ```
//!
//! It only reads: `/metrics` of both planes, and the aggregator's list of backends where there is a token for it.

mod draw;
mod exposition;
mod look;
mod plain;
mod scene;
mod screen;
mod table;
#[cfg(test)]
mod tests;

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::cli::TopArgs;
use crate::logging::{self, Level};
use crate::{settings, signals};
use look::Looker;
use scene::{Look, scene};

pub(crate) fn run(args: &TopArgs) -> Result<ExitCode> {
    logging::init(Level::Warning, false);
    let interval = settings::seconds("--interval", args.interval)?;
    let looker = Looker::new(args)?;
    if args.once || !io::stdout().is_terminal() {
        return print_once(looker, interval);
    }
    let signals = signals::listen()?;
    let looks = follow(looker, interval)?;
    screen::run(&looks, &signals).context("the terminal cannot be drawn to; --once prints plain text")?;
    Ok(ExitCode::SUCCESS)
}

/// Fails where neither plane is there.
fn print_once(mut looker: Looker, interval: Duration) -> Result<ExitCode> {
    let (before, now) = runtime()?.block_on(async {
        let before = looker.look().await;
        tokio::time::sleep(interval).await;
        (before, looker.look().await)
    });
    let scene = scene(&before, &now);
    // Whoever reads a pipe may have read enough.
    let _ = io::stdout().write_all(plain::text(&scene).as_bytes());
    let is_there = scene.edge.is_none() || scene.aggregator.is_none();
    if !is_there {
        eprintln!("conclave: neither plane is there; --edge-admin and --aggregator say where they are");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// Looks, one an interval, until nobody wants them. None is made while the one before is not taken.
fn follow(mut looker: Looker, interval: Duration) -> Result<Receiver<Look>> {
    let (sender, looks) = sync_channel(1);
    let runtime = runtime()?;
    let work = move || {
        runtime.block_on(async {
            loop {
                if sender.send(looker.look().await).is_err() {
                    return;
                }
                tokio::time::sleep(interval).await;
            }
        });
    };
    std::thread::Builder::new().name("looker".to_owned()).spawn(work)?;
    Ok(looks)
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}
