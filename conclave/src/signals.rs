//! SIGTERM and SIGINT stop, SIGHUP reloads, SIGUSR2 starts the binary anew as a successor. Signals are taken by a thread
//! that does nothing else, so that a second one is heard while a drain waits.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};

use tokio::signal::unix::{SignalKind, signal};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    Stop,
    Reload,
    /// Start the binary that is on the disk now, with the same arguments, and let it take over.
    Upgrade,
    /// It did; this is its process id.
    Succeeded(u32),
}

/// What has come, and a way for the process itself to add to it.
pub(crate) struct Signals {
    sender: Sender<Signal>,
    received: Receiver<Signal>,
}

/// Starts listening. From here on none of them ends the process by itself.
pub(crate) fn listen() -> io::Result<Signals> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut terminate, mut interrupt, mut hang_up, mut upgrade) = {
        let _inside = runtime.enter();
        (
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
            signal(SignalKind::hangup())?,
            signal(SignalKind::user_defined2())?,
        )
    };
    let (sender, received) = channel();
    let from_within = sender.clone();
    let wait = async move {
        loop {
            let next = tokio::select! {
                _ = terminate.recv() => Signal::Stop,
                _ = interrupt.recv() => Signal::Stop,
                _ = hang_up.recv() => Signal::Reload,
                _ = upgrade.recv() => Signal::Upgrade,
            };
            if sender.send(next).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || runtime.block_on(wait))?;
    Ok(Signals {
        sender: from_within,
        received,
    })
}

/// Why a process stops serving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Asked,
    /// This process serves from here on.
    Succeeded(u32),
}

/// What a running process does with signals.
pub(crate) trait Running {
    fn reload(&mut self);

    /// What cannot be upgraded says so.
    fn upgrade(&mut self) {
        tracing::warn!("SIGUSR2: this command cannot be upgraded while it runs; stop and start it");
    }
}

/// What does nothing but reload.
impl<F: FnMut()> Running for F {
    fn reload(&mut self) {
        self();
    }
}

impl Signals {
    pub(crate) fn sender(&self) -> Sender<Signal> {
        self.sender.clone()
    }

    /// Waits until the process should stop.
    pub(crate) fn until_end(&self, running: &mut impl Running) -> End {
        loop {
            match self.received.recv() {
                Ok(Signal::Reload) => {
                    tracing::info!("SIGHUP: reading mappings and certificates again");
                    running.reload();
                }
                Ok(Signal::Upgrade) => running.upgrade(),
                Ok(Signal::Succeeded(pid)) => return End::Succeeded(pid),
                Ok(Signal::Stop) | Err(_) => return End::Asked,
            }
        }
    }

    /// Whether it should stop by now.
    pub(crate) fn has_stop(&self) -> bool {
        self.received.try_recv() == Ok(Signal::Stop)
    }

    /// While a drain waits, a further stop ends the process at once: an operator at the keyboard means it.
    pub(crate) fn end_at_once_on_stop(self) -> io::Result<()> {
        std::thread::Builder::new()
            .name("second-signal".to_owned())
            .spawn(move || {
                while let Ok(next) = self.received.recv() {
                    if next == Signal::Stop {
                        eprintln!("conclave: stopped a second time, cutting what is in flight");
                        std::process::exit(1);
                    }
                }
            })?;
        Ok(())
    }
}
