//! SIGTERM and SIGINT stop, SIGHUP reloads. Signals are taken by a thread that does nothing else, so that a second one
//! is heard while a drain waits.

use std::io;
use std::sync::mpsc::{Receiver, channel};

use tokio::signal::unix::{SignalKind, signal};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    Stop,
    Reload,
}

/// Starts listening. From here on none of the three ends the process by itself.
pub(crate) fn listen() -> io::Result<Receiver<Signal>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut terminate, mut interrupt, mut hang_up) = {
        let _inside = runtime.enter();
        (
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
            signal(SignalKind::hangup())?,
        )
    };
    let (sender, signals) = channel();
    let wait = async move {
        loop {
            let next = tokio::select! {
                _ = terminate.recv() => Signal::Stop,
                _ = interrupt.recv() => Signal::Stop,
                _ = hang_up.recv() => Signal::Reload,
            };
            if sender.send(next).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || runtime.block_on(wait))?;
    Ok(signals)
}

/// Waits until the process should stop; calls `reload` at every SIGHUP.
pub(crate) fn until_stop(signals: &Receiver<Signal>, mut reload: impl FnMut()) {
    while let Ok(Signal::Reload) = signals.recv() {
        tracing::info!("SIGHUP: reading mappings and certificates again");
        reload();
    }
}

/// While a drain waits, a second stop ends the process at once: an operator at the keyboard means it.
pub(crate) fn end_at_once_on_stop(signals: Receiver<Signal>) -> io::Result<()> {
    std::thread::Builder::new()
        .name("second-signal".to_owned())
        .spawn(move || {
            while let Ok(next) = signals.recv() {
                if next == Signal::Stop {
                    eprintln!("conclave: stopped a second time, cutting what is in flight");
                    std::process::exit(1);
                }
            }
        })?;
    Ok(())
}
