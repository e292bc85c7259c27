//! `conclave edge`: the edge alone.

use std::process::ExitCode;

use anyhow::Result;
use edge::{BoundEdge, Predecessor, RunningEdge, Successor};
use keymap::Watch;

use crate::cli::EdgeArgs;
use crate::otlp::Traces;
use crate::signals::{End, Running, Signal};
use crate::{folder, logging, service_manager, settings, signals, upgrade};

/// As `systemctl status` shows it.
const SERVING: &str = "Serving";

pub(crate) fn run(args: EdgeArgs) -> Result<ExitCode> {
    logging::init(args.logging.log_level, args.logging.log_json);
    let sockets = service_manager::sockets()?;
    let signals = signals::listen()?;
    let file = settings::edge::static_file(args.config.as_deref())?;
    let aggregator = settings::edge::aggregator(args.aggregator.as_deref())?;
    let keeping = settings::journal::compose(&args.journal)?;
    let mut config = settings::edge::compose(&args.door, aggregator, &file, keeping)?;
    let traces = Traces::start(settings::traces::compose(&args.traces)?)?;
    config.tracer = traces.tracer();
    let poll = folder::poll_interval(&args.mapping)?;
    let mappings = settings::edge::mappings(args.mapping.mappings, &file);
    let watch = folder::watch(&mappings, poll, settings::edge::entry_point_names(&config))?;

    let running = if args.upgrade {
        let predecessor = Predecessor::meet(config.state.as_ref())?;
        let successor = Successor::bind(config, watch.snapshot(), predecessor)?;
        announce(successor.bound());
        successor.take_over()?
    } else {
        let bound = BoundEdge::bind_on(config, watch.snapshot(), sockets)?;
        announce(&bound);
        bound.start()
    };
    let sender = signals.sender();
    running.await_successor(move |pid| {
        let _ = sender.send(Signal::Succeeded(pid));
    });
    let pulse = running.pulse();
    service_manager::start_watchdog(move |within| pulse.beats_within(within));
    service_manager::ready(SERVING);
    let end = signals.until_end(&mut Serving {
        watch: &watch,
        running: &running,
    });
    if let End::Succeeded(pid) = end {
        service_manager::succeeded_by(pid);
        tracing::info!(
            successor = pid,
            "another process serves from here on; this one ends with its last stream"
        );
    }
    signals.end_at_once_on_stop()?;
    let code = stop(running);
    traces.stop();
    Ok(code)
}

struct Serving<'a> {
    watch: &'a Watch,
    running: &'a RunningEdge,
}

impl Running for Serving<'_> {
    fn reload(&mut self) {
        reload(self.watch, self.running);
    }

    fn upgrade(&mut self) {
        upgrade::start();
    }
}

/// Where it listens, on standard error whatever the log level: with port 0 there is no other way to know.
pub(crate) fn announce(bound: &BoundEdge) {
    for address in bound.addresses() {
        eprintln!("conclave: edge listening on http://{address}");
    }
    for address in bound.tls_addresses() {
        eprintln!("conclave: edge listening on https://{address}");
    }
    for address in bound.redirect_addresses() {
        eprintln!("conclave: edge sends clients to https from http://{address}");
    }
    if let Some(address) = bound.admin_address() {
        eprintln!("conclave: edge admin on http://{address}");
    }
}

pub(crate) fn reload(watch: &Watch, running: &RunningEdge) {
    service_manager::reloading();
    watch.rescan();
    running.reload_tls();
    running.reopen_logs();
    service_manager::ready(SERVING);
}

/// Drains. A cut stream is a failure worth an exit code: the operator set the limit and it was too short.
pub(crate) fn stop(running: RunningEdge) -> ExitCode {
    service_manager::stopping(&format!("Draining: {}", running.left()));
    tracing::info!("stopping: nothing new is accepted, what is in flight is finished");
    match running.stop_telling(&|left| service_manager::status(&format!("Draining: {left}"))) {
        0 => {
            tracing::info!("stopped: everything was finished");
            ExitCode::SUCCESS
        }
        cut => {
            tracing::warn!(
                connections = cut,
                "the drain time-out passed; what was in flight has been cut"
            );
            ExitCode::FAILURE
        }
    }
}
