//! The successor's side: it asks for the sockets, and takes the edge over once it could serve.

use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::doors::{Door, Sockets};
use super::line::{Line, PATIENCE, unexpected};
use super::message::{Message, VERSION};
use super::{Estate, TakeoverError, socket_of};
use crate::config::StateFolder;
use crate::limits::remit::{Carried, Taken};

/// The predecessor writes its limits down and lets the folder go.
const RELEASE_MAX: Duration = Duration::from_secs(30);

/// The edge that runs, which waits for this one to be ready.
pub struct Predecessor {
    line: Line,
    pid: u32,
    state: PathBuf,
    sockets: Sockets,
}

impl Predecessor {
    /// Finds the edge that runs on this state folder, and takes copies of its listening sockets. It goes on serving.
    ///
    /// # Errors
    /// Where there is none, or it is not of a mind to.
    pub fn meet(state: Option<&StateFolder>) -> Result<Self, TakeoverError> {
        let state = state.ok_or(TakeoverError::NoState)?.path.clone();
        let path = socket_of(&state);
        let stream = UnixStream::connect(&path).map_err(|error| TakeoverError::Nobody {
            path: path.clone(),
            error,
        })?;
        let mut line = Line::over(stream).map_err(broken("connecting"))?;
        if let Some(uid) = line.stranger().map_err(broken("asking whose process it is"))? {
            return Err(TakeoverError::Stranger { path, uid });
        }
        let hello = Message::Hello {
            version: VERSION,
            pid: std::process::id(),
            release: env!("CARGO_PKG_VERSION").to_owned(),
        };
        line.say(&hello).map_err(broken("hello"))?;
        let (message, came) = line.hear_with().map_err(broken("offer"))?;
        let (pid, doors) = match message {
            Message::Offer { version, pid, doors } if version == VERSION => (pid, doors),
            Message::Offer { version, .. } | Message::Refused { version, .. } if version != VERSION => {
                return Err(TakeoverError::Version { theirs: version });
            }
            Message::Refused { reason, .. } => return Err(TakeoverError::Refused(reason)),
            other => return Err(broken("offer")(unexpected(&other))),
        };
        if doors.len() != came.len() {
            return Err(broken("offer")(io::Error::new(
                io::ErrorKind::InvalidData,
                "not as many sockets as were announced",
            )));
        }
        let mut sockets = Sockets::default();
        for (offered, socket) in doors.into_iter().zip(came) {
            sockets.add_door(Door {
                role: offered.role,
                asked: offered.asked,
                listener: TcpListener::from(socket),
            });
        }
        Ok(Self {
            line,
            pid,
            state,
            sockets,
        })
    }

    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Its listening sockets.
    pub(crate) fn take_sockets(&mut self) -> Sockets {
        std::mem::take(&mut self.sockets)
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.state.clone()
    }

    /// From here on the state folder is nobody's, and connections wait in the sockets: the next step follows at once.
    pub(crate) fn release(&mut self) -> Result<Vec<Taken>, TakeoverError> {
        self.line.say(&Message::Ready).map_err(broken("ready"))?;
        self.line.be_patient(Some(RELEASE_MAX)).map_err(broken("ready"))?;
        match self.line.hear().map_err(broken("release"))? {
            Message::Released { slots } => Ok(slots),
            other => Err(broken("release")(unexpected(&other))),
        }
    }

    /// This edge serves. What the predecessor's last streams use is heard from here on, by a thread of its own.
    pub(crate) fn retire(mut self, estate: &Arc<Estate>, carried: Carried) {
        let said = self
            .line
            .say(&Message::Serving)
            .and_then(|()| self.line.be_patient(Some(PATIENCE)));
        if let Err(error) = said {
            // The folder is ours, and it sees that: it looks for us at the socket.
            tracing::warn!(%error, pid = self.pid, "the predecessor does not hear that it was succeeded");
            return;
        }
        let (estate, pid, line) = (estate.clone(), self.pid, self.line);
        let hear = move || estate.hear(line, pid, carried);
        if let Err(error) = std::thread::Builder::new().name("predecessor".to_owned()).spawn(hear) {
            tracing::error!(%error, "the predecessor cannot be heard: what its last streams use is not counted");
        }
    }
}

fn broken(step: &'static str) -> impl Fn(io::Error) -> TakeoverError {
    move |error| TakeoverError::Broken { step, error }
}
