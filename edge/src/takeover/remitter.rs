//! A predecessor's last duty: its successor counts what the last streams use.
//!
//! It tells the edge that serves, whichever that is by now: where its successor was succeeded, the one after. Where none
//! serves at its end, it writes what it owes into the state folder itself.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::line::{Line, PATIENCE, unexpected};
use super::message::{Message, VERSION};
use super::socket_of;
use crate::drain::InFlight;
use crate::limits::clock::Clock;
use crate::limits::registry::Registry;
use crate::limits::remit::{Carried, Owed, Tab};
use crate::state::{Folder, StateError};

const EVERY: Duration = Duration::from_millis(500);

/// Between two looks for an edge, at the end.
const PAUSE: Duration = Duration::from_millis(100);

/// Reports until it is dropped, and once more then.
pub(crate) struct Remitter {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

pub(super) struct Owing {
    pub(super) state: PathBuf,
    pub(super) registry: Arc<Registry>,
    pub(super) clock: Clock,
    pub(super) in_flight: Arc<InFlight>,
    pub(super) tab: Tab,
    pub(super) line: Option<Line>,
}

impl Remitter {
    /// # Errors
    /// Where the thread cannot be started.
    pub(super) fn start(mut owing: Owing) -> io::Result<Self> {
        let (stop, stopped) = channel::<()>();
        let report = move || {
            while stopped.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                owing.report();
            }
            owing.settle();
        };
        let thread = std::thread::Builder::new().name("remitter".to_owned()).spawn(report)?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Remitter {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Owing {
    /// Tells what is owed, to whom it may; whether nothing is owed any more.
    fn report(&mut self) -> bool {
        if self.line.is_none() {
            self.line = self.find_heir().ok();
            self.tab.forget_slots();
        }
        let Some(line) = &mut self.line else {
            return self.tab.owed(&self.registry).0.is_nothing();
        };
        let (owed, next) = self.tab.owed(&self.registry);
        let connections = self.in_flight.count();
        match tell(line, owed, connections) {
            Ok(()) => {
                self.tab = next;
                true
            }
            Err(error) => {
                tracing::debug!(%error, "the successor is gone; another is looked for");
                self.line = None;
                false
            }
        }
    }

    fn find_heir(&self) -> io::Result<Line> {
        let mut line = Line::over(UnixStream::connect(socket_of(&self.state))?)?;
        if line.stranger()?.is_some() {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let (version, pid) = (VERSION, std::process::id());
        line.say(&Message::Heir { version, pid })?;
        match line.hear()? {
            Message::Noted => Ok(line),
            other => Err(unexpected(&other)),
        }
    }

    /// The last streams have ended.
    fn settle(&mut self) {
        let until = Instant::now() + PATIENCE;
        loop {
            if self.report() {
                return;
            }
            match self.write_down() {
                Ok(()) => return,
                // An edge is there, or about to be: it wants to be told.
                Err(StateError::Held(_)) if Instant::now() < until => std::thread::sleep(PAUSE),
                Err(error) => {
                    tracing::error!("what the last streams used of limits is forgotten: {error}");
                    return;
                }
            }
        }
    }

    fn write_down(&mut self) -> Result<(), StateError> {
        let (mut folder, facts) = Folder::open(&self.state)?;
        let registry = Arc::new(Registry::default());
        registry.restore(facts);
        let (owed, next) = self.tab.owed(&self.registry);
        let lasting = Owed { slots: None, ..owed };
        Carried::none(&registry).note(lasting, self.clock.now());
        let written = folder.write_anew(&registry.facts(true));
        written.map_err(|error| StateError::Unusable {
            path: self.state.clone(),
            error,
        })?;
        self.tab = next;
        Ok(())
    }
}

fn tell(line: &mut Line, owed: Owed, connections: usize) -> io::Result<()> {
    line.say(&Message::Owed { owed, connections })?;
    match line.hear()? {
        Message::Noted => Ok(()),
        other => Err(unexpected(&other)),
    }
}
