//! `conclave aggregator`: the aggregator alone, and the thread it lives on wherever it runs.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::thread::JoinHandle;

use aggregator::{Aggregator, AggregatorConfig, MappingFeed};
use anyhow::{Context, Result};
use keymap::Watch;
use tokio::sync::oneshot;

use crate::cli::AggregatorArgs;
use crate::{folder, logging, settings, signals};

pub(crate) fn run(args: AggregatorArgs) -> Result<ExitCode> {
    logging::init(args.log_level, args.log_json);
    let signals = signals::listen()?;
    let keeping = settings::journal::compose(&args.journal)?;
    let config = settings::aggregator::compose(&args.service, keeping.as_ref())?;
    let poll = folder::poll_interval(&args.mapping)?;
    let watch = folder::watch(&folder::chosen(args.mapping.mappings), poll, None)?;

    let service = AggregatorThread::start(config, &watch)?;
    service.announce();
    signals::until_stop(&signals, || watch.rescan());
    signals::end_at_once_on_stop(signals)?;
    service.stop()?;
    Ok(ExitCode::SUCCESS)
}

/// The aggregator on a thread and a runtime of its own, so that nothing it does can delay the edge.
pub(crate) struct AggregatorThread {
    pub(crate) address: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<Result<()>>,
}

impl AggregatorThread {
    /// Returns once it has its address.
    pub(crate) fn start(config: AggregatorConfig, watch: &Watch) -> Result<Self> {
        // At least two: conversions of long prompts must not keep answers from memory waiting.
        let workers = std::thread::available_parallelism().map_or(2, |cores| cores.get().max(2));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(workers)
            .thread_name("aggregator")
            .enable_all()
            .build()
            .context("the aggregator's threads cannot be started")?;
        let bound = runtime.block_on(Aggregator::bind(config, MappingFeed::follow(watch)))?;
        let address = bound.addr();
        let (stop, stopped) = oneshot::channel::<()>();
        let serve = move || -> Result<()> {
            runtime.block_on(bound.serve(async {
                let _ = stopped.await;
            }))?;
            Ok(())
        };
        let thread = std::thread::Builder::new().name("aggregator".to_owned()).spawn(serve)?;
        Ok(Self { address, stop, thread })
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
