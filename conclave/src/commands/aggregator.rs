//! `conclave aggregator`: the aggregator alone, and the thread it lives on wherever it runs.

use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use std::time::Duration;

use aggregator::{Aggregator, AggregatorConfig, MappingFeed};
use anyhow::{Context, Result, bail};
use keymap::Watch;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::cli::AggregatorArgs;
use crate::otlp::Traces;
use crate::{folder, logging, service_manager, settings, signals};

pub(crate) fn run(args: AggregatorArgs) -> Result<ExitCode> {
    logging::init(args.log_level, args.log_json);
    let given = given()?;
    let signals = signals::listen()?;
    let keeping = settings::journal::compose(&args.journal)?;
    let mut config = settings::aggregator::compose(&args.service, keeping.as_ref())?;
    let traces = Traces::start(settings::traces::compose(&args.traces)?)?;
    config.tracer = traces.tracer();
    let poll = folder::poll_interval(&args.mapping)?;
    let watch = folder::watch(&folder::chosen(args.mapping.mappings), poll, None)?;

    let service = AggregatorThread::start(config, &watch, given)?;
    service.announce();
    let pulse = service.pulse();
    service_manager::start_watchdog(pulse);
    service_manager::ready("Serving");
    signals.until_end(&mut || {
        service_manager::reloading();
        watch.rescan();
        service_manager::ready("Serving");
    });
    service_manager::stopping("Stopping");
    tracing::info!("stopping: what models are saying is finished");
    signals.end_at_once_on_stop()?;
    service.stop()?;
    traces.stop();
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// It has one address, whatever the service manager calls its socket.
fn given() -> Result<Option<TcpListener>> {
    let mut given = service_manager::listeners()?;
    if given.len() > 1 {
        bail!(
            "LISTEN_FDS: the aggregator listens on one socket and was given {}; keep one ListenStream=",
            given.len()
        );
    }
    Ok(given.pop().map(|(_, listener)| listener))
}

/// The aggregator on a thread and a runtime of its own, so that nothing it does can delay the edge.
pub(crate) struct AggregatorThread {
    pub(crate) address: SocketAddr,
    handle: Handle,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<Result<()>>,
}

impl AggregatorThread {
    /// Returns once it has its address. `given`: a socket that is open already.
    pub(crate) fn start(config: AggregatorConfig, watch: &Watch, given: Option<TcpListener>) -> Result<Self> {
        // At least two: conversions of long prompts must not keep answers from memory waiting.
        let workers = std::thread::available_parallelism().map_or(2, |cores| cores.get().max(2));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(workers)
            .thread_name("aggregator")
            .enable_all()
            .build()
            .context("the aggregator's threads cannot be started")?;
        let bound = runtime.block_on(Aggregator::bind_on(config, MappingFeed::follow(watch), given))?;
        let address = bound.addr();
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let serve = move || -> Result<()> {
            runtime.block_on(bound.serve(async {
                let _ = stopped.await;
            }))?;
            Ok(())
        };
        let thread = std::thread::Builder::new().name("aggregator".to_owned()).spawn(serve)?;
        Ok(Self {
            address,
            handle,
            stop,
            thread,
        })
    }

    /// Whether its threads still do what they are given.
    pub(crate) fn pulse(&self) -> impl Fn(Duration) -> bool + use<> {
        let handle = self.handle.clone();
        move |within| {
            let (beat, heard) = channel();
            handle.spawn(async move { beat.send(()) });
            heard.recv_timeout(within).is_ok()
        }
    }

    pub(crate) fn announce(&self) {
        eprintln!("conclave: aggregator listening on http://{}", self.address);
    }

    pub(crate) fn stop(self) -> Result<()> {
        let _ = self.stop.send(());
        self.thread
            .join()
            .map_err(|_| anyhow::anyhow!("the aggregator's thread panicked"))?
    }
}
