//! `conclave edge`: the edge alone.

use std::process::ExitCode;

use anyhow::Result;
use edge::{BoundEdge, RunningEdge};
use keymap::Watch;

use crate::cli::EdgeArgs;
use crate::{folder, logging, settings, signals};

pub(crate) fn run(args: EdgeArgs) -> Result<ExitCode> {
    logging::init(args.logging.log_level, args.logging.log_json);
    let signals = signals::listen()?;
    let file = settings::edge::static_file(args.config.as_deref())?;
    let aggregator = settings::edge::aggregator(args.aggregator.as_deref())?;
    let keeping = settings::journal::compose(&args.journal)?;
    let config = settings::edge::compose(&args.door, aggregator, &file, keeping)?;
    let poll = folder::poll_interval(&args.mapping)?;
    let mappings = settings::edge::mappings(args.mapping.mappings, &file);
    let watch = folder::watch(&mappings, poll, settings::edge::entry_point_names(&config))?;

    let bound = BoundEdge::bind(config, watch.snapshot())?;
    announce(&bound);
    let running = bound.start();
    signals::until_stop(&signals, || reload(&watch, &running));
    signals::end_at_once_on_stop(signals)?;
    Ok(stop(running))
}

/// Where it listens, on standard error whatever the log level: with port 0 there is no other way to know.
pub(crate) fn announce(bound: &BoundEdge) {
    for address in bound.addresses() {
        eprintln!("conclave: edge listening on http://{address}");
    }
    for address in bound.tls_addresses() {
        eprintln!("conclave: edge listening on https://{address}");
    }
    if let Some(address) = bound.admin_address() {
        eprintln!("conclave: edge admin on http://{address}");
    }
}

pub(crate) fn reload(watch: &Watch, running: &RunningEdge) {
    watch.rescan();
    running.reload_tls();
    running.reopen_logs();
}

/// Drains. A cut stream is a failure worth an exit code: the operator set the limit and it was too short.
pub(crate) fn stop(running: RunningEdge) -> ExitCode {
    match running.stop() {
        0 => ExitCode::SUCCESS,
        cut => {
            tracing::warn!(
                connections = cut,
                "the drain time-out passed; what was in flight has been cut"
            );
            ExitCode::FAILURE
        }
    }
}
