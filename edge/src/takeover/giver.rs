//! The predecessor's side: a socket where a successor knocks, and what it is given.
//!
//! Owns the decision whether this edge still serves. The state folder's lock is the judge where the two lose each other in
//! the middle: who holds it is the edge.

use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::net::UnixListener;

use super::doors::Doors;
use super::line::{Line, PATIENCE, unexpected};
use super::message::{Message, Offered, VERSION};
use super::remitter::{Owing, Remitter};
use super::socket_of;
use crate::limits::remit::Tab;
use crate::plane::Plane;
use crate::state::{Folder, StateError};

/// A successor reads its mappings and keys in this time; until then this edge serves.
const START_MAX: Duration = Duration::from_secs(120);

/// Beyond it somebody plays with the socket.
const VISITORS_MAX: usize = 64;

pub(crate) struct Giver {
    pub(crate) state: PathBuf,
    pub(crate) doors: Doors,
    pub(crate) plane: Arc<Plane>,
    /// Set once a successor serves.
    pub(crate) remitter: Arc<Mutex<Option<Remitter>>>,
    /// Told once a successor serves, with its process id.
    pub(crate) taken: Box<dyn Fn(u32) + Send + Sync>,
    pub(crate) busy: Mutex<()>,
}

/// Why a successor was not given everything.
enum Kept {
    /// It did not come to the point where anything was given.
    Whole(io::Error),
    /// It was given the state folder, and was not heard of again.
    Doubtful(io::Error, Box<Tab>),
}

impl Giver {
    /// Opens the socket, in the place of whatever was there, on the current runtime.
    ///
    /// # Errors
    /// Where the folder does not take one; a path beyond some hundred bytes, for example.
    pub(crate) fn open(state: &Path) -> io::Result<UnixListener> {
        let own = state.join(format!("takeover.{}", std::process::id()));
        match std::fs::remove_file(&own) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&own)?;
        std::fs::set_permissions(&own, std::fs::Permissions::from_mode(0o600))?;
        std::fs::rename(&own, socket_of(state))?;
        Ok(listener)
    }

    /// Answers whoever knocks, until the edge stops.
    pub(crate) async fn wait(self: Arc<Self>, listener: UnixListener) {
        let visitors = Arc::new(tokio::sync::Semaphore::new(VISITORS_MAX));
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.plane.stop.wait() => return,
            };
            let stream = match accepted.and_then(|(stream, _)| stream.into_std()) {
                Ok(stream) => stream,
                Err(error) => {
                    tracing::warn!(%error, "a successor cannot be let in");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    continue;
                }
            };
            let Ok(permit) = visitors.clone().try_acquire_owned() else {
                continue;
            };
            let giver = self.clone();
            let answer = move || {
                giver.answer(stream);
                drop(permit);
            };
            if let Err(error) = std::thread::Builder::new().name("takeover".to_owned()).spawn(answer) {
                tracing::warn!(%error, "a successor cannot be answered");
            }
        }
    }

    fn answer(self: Arc<Self>, stream: UnixStream) {
        match self.clone().receive(stream) {
            Ok(None) => {}
            Ok(Some((line, pid))) => {
                let estate = self.plane.limits.estate.clone();
                // A predecessor is heard for hours: it must not keep the plane.
                drop(self);
                estate.hear(line, pid, estate.carried());
            }
            Err(error) => tracing::warn!(%error, "a visitor at the takeover socket was not understood"),
        }
    }

    /// A predecessor that reports is given back.
    fn receive(self: Arc<Self>, stream: UnixStream) -> io::Result<Option<(Line, u32)>> {
        let mut line = Line::over(stream)?;
        if let Some(uid) = line.stranger()? {
            tracing::warn!(
                uid,
                "another user's process knocked at the takeover socket and was turned away"
            );
            return Ok(None);
        }
        match line.hear()? {
            Message::Hello { version, .. } | Message::Heir { version, .. } if version != VERSION => {
                refuse(&mut line, "it speaks another version of the hand-over")?;
            }
            Message::Hello { pid, release, .. } => self.give(line, pid, &release)?,
            Message::Heir { pid, .. } => {
                line.say(&Message::Noted)?;
                return Ok(Some((line, pid)));
            }
            other => return Err(unexpected(&other)),
        }
        Ok(None)
    }

    fn give(&self, mut line: Line, pid: u32, release: &str) -> io::Result<()> {
        let Some(_alone) = self.busy.try_lock() else {
            return refuse(&mut line, "another upgrade is under way");
        };
        if self.plane.stop.is_stopping() {
            return refuse(&mut line, "it is stopping already");
        }
        tracing::info!(pid, release, "a successor has come");
        match self.hand_over(&mut line) {
            Ok(tab) => self.retire(Some(line), pid, tab),
            Err(Kept::Whole(error)) => {
                tracing::warn!(pid, %error, "the successor did not come to serve; this edge goes on");
            }
            Err(Kept::Doubtful(error, tab)) => match self.resume() {
                Ok(()) => tracing::warn!(pid, %error, "the successor ended at the last step; this edge goes on"),
                Err(StateError::Held(_)) => self.retire(None, pid, *tab),
                Err(unusable) => tracing::error!(
                    pid,
                    "the successor ended at the last step; this edge goes on, and forgets its limits with its end: {unusable}"
                ),
            },
        }
        Ok(())
    }

    fn hand_over(&self, line: &mut Line) -> Result<Tab, Kept> {
        self.offer(line).map_err(Kept::Whole)?;
        line.be_patient(Some(START_MAX)).map_err(Kept::Whole)?;
        match line.hear().map_err(Kept::Whole)? {
            Message::Ready => {}
            other => return Err(Kept::Whole(unexpected(&other))),
        }
        line.be_patient(Some(PATIENCE)).map_err(Kept::Whole)?;
        self.plane.limits.estate.close();
        let tab = self.plane.limits.keeper.release().unwrap_or_default();
        let slots = tab.slots();
        let heard = line.say(&Message::Released { slots }).and_then(|()| line.hear());
        match heard {
            Ok(Message::Serving) => Ok(tab),
            Ok(other) => Err(Kept::Doubtful(unexpected(&other), Box::new(tab))),
            Err(error) => Err(Kept::Doubtful(error, Box::new(tab))),
        }
    }

    fn offer(&self, line: &mut Line) -> io::Result<()> {
        let (mut doors, mut sockets) = (Vec::new(), Vec::new());
        for door in self.doors.lock().iter() {
            doors.push(Offered {
                role: door.role,
                asked: door.asked,
            });
            sockets.push(door.listener.try_clone()?);
        }
        let sockets: Vec<_> = sockets.iter().map(|socket| socket.as_fd()).collect();
        let (version, pid) = (VERSION, std::process::id());
        line.say_with(&Message::Offer { version, pid, doors }, &sockets)
    }

    /// Takes the folder back.
    fn resume(&self) -> Result<(), StateError> {
        let until = Instant::now() + PATIENCE;
        loop {
            match Folder::open(&self.state) {
                Ok((folder, _)) => {
                    self.plane.limits.keeper.adopt(folder);
                    self.plane.limits.estate.reopen();
                    return Ok(());
                }
                // Its end may take a moment.
                Err(StateError::Held(_)) if Instant::now() < until => std::thread::sleep(Duration::from_millis(50)),
                Err(error) => return Err(error),
            }
        }
    }

    fn retire(&self, line: Option<Line>, pid: u32, tab: Tab) {
        let owing = Owing {
            state: self.state.clone(),
            registry: self.plane.limits.registry.clone(),
            clock: self.plane.limits.clock,
            in_flight: self.plane.in_flight.clone(),
            tab,
            line,
        };
        match Remitter::start(owing) {
            Ok(remitter) => *self.remitter.lock() = Some(remitter),
            Err(error) => {
                tracing::error!(%error, "what the last streams use of limits cannot be told to the successor")
            }
        }
        (self.taken)(pid);
    }
}

fn refuse(line: &mut Line, reason: &str) -> io::Result<()> {
    tracing::warn!(reason, "a successor was refused");
    line.say(&Message::Refused {
        version: VERSION,
        reason: reason.to_owned(),
    })
}
