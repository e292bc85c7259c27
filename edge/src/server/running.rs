//! A serving edge: what can be asked of it, and how it ends.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::drain::{Ending, Left};
use crate::plane::Plane;
use crate::takeover::{Doors, Giver, Remitter};
use crate::threads::Threads;
use crate::tls::Renewal;

/// After the last stream, for what is still being flushed.
const LAST_FLUSH: Duration = Duration::from_secs(1);

/// While a drain waits, the log says for what: after this time, then after twice it, and so on.
const FIRST_LINE: Duration = Duration::from_secs(2);
const LINE_EVERY_MAX: Duration = Duration::from_secs(300);

/// They say within half a second that they are done.
const PREDECESSORS_LOOK: Duration = Duration::from_millis(50);

/// A serving edge. [`RunningEdge::stop`] ends it; dropping it cuts what is in flight.
pub struct RunningEdge {
    pub(super) threads: Threads,
    pub(super) plane: Arc<Plane>,
    pub(super) stop: watch::Sender<bool>,
    pub(super) doors: Doors,
    pub(super) state: Option<PathBuf>,
    pub(super) remitter: Arc<Mutex<Option<Remitter>>>,
    pub(super) renewal: Option<Renewal>,
}

impl RunningEdge {
    /// Lets a successor take over (`--upgrade`). `taken` is told its process id once it serves: then this edge is to be
    /// stopped, and finishes what it has. Without a state folder there is no place to meet, and nobody comes.
    pub fn await_successor(&self, taken: impl Fn(u32) + Send + Sync + 'static) {
        let Some(state) = self.state.clone() else { return };
        let _inside = self.threads.handle().enter();
        let listener = match Giver::open(&state) {
            Ok(listener) => listener,
            Err(error) => {
                tracing::warn!(%error, state = %state.display(), "there will be no --upgrade of this edge: no socket can be made there");
                return;
            }
        };
        let stop = self.stop.clone();
        let plane = self.plane.clone();
        let giver = Giver {
            state,
            doors: self.doors.clone(),
            plane: plane.clone(),
            remitter: self.remitter.clone(),
            taken: Box::new(move |pid| {
                plane.stop.begin(Ending::Successor);
                let _ = stop.send(true);
                taken(pid);
            }),
            busy: Mutex::default(),
        };
        self.threads.handle().spawn(Arc::new(giver).wait(listener));
    }

    /// A finger on its pulse, for a watchdog.
    pub fn pulse(&self) -> Pulse {
        Pulse(self.threads.handle().clone())
    }

    /// What a stop would wait for.
    pub fn left(&self) -> Left {
        {
            let predecessors = self.plane.limits.estate.predecessors();
            Left {
                predecessors: predecessors.into_keys().collect(),
                ..self.plane.stop.left(self.plane.in_flight.count())
            }
        }
    }

    /// Stops accepting, finishes what is in flight, and returns how many connections had to be cut (none, unless the
    /// drain time-out is configured and passed).
    pub fn stop(self) -> usize {
        self.stop_telling(&|_| {})
    }

    /// The same; `tell` hears now and then what is waited for.
    pub fn stop_telling(mut self, tell: &dyn Fn(&Left)) -> usize {
        drop(self.renewal.take());
        let _ = self.stop.send(true);
        self.plane.stop.begin(Ending::Nothing);
        self.doors.lock().clear();
        let began = Instant::now();
        let limit = self.plane.timeouts.drain.map(|limit| began + limit);
        let by = |wanted: Instant| limit.map_or(wanted, |limit| limit.min(wanted));
        let mut pause = FIRST_LINE;
        while !self.drained_by(by(Instant::now() + pause)) && limit.is_none_or(|limit| Instant::now() < limit) {
            let left = self.left();
            tracing::info!(after_s = began.elapsed().as_secs(), "draining: waiting for {left}");
            tell(&left);
            pause = (pause * 2).min(LINE_EVERY_MAX);
        }
        let cut = self.plane.in_flight.count();
        self.threads.end(LAST_FLUSH);
        // Written here and not as the plane is dropped: somebody may still hold it.
        drop(self.plane.limits.keeper.release());
        drop(self.remitter.lock().take());
        cut
    }

    /// Whether nothing is left by then: no connection, and no predecessor that ends with this process, since a service
    /// manager ends all that is left once the main process is gone.
    fn drained_by(&self, deadline: Instant) -> bool {
        let none_left = async {
            self.plane.in_flight.none_left().await;
            while !self.plane.stop.is_handed_over() && !self.plane.limits.estate.predecessors().is_empty() {
                tokio::time::sleep(PREDECESSORS_LOOK).await;
            }
        };
        let by = async { tokio::time::timeout_at(deadline.into(), none_left).await.is_ok() };
        self.threads.handle().block_on(by)
    }

    /// After a renewal: certificates, keys and authorities are read again, by a thread of their own.
    pub fn reload_tls(&self) {
        self.plane.tls.back.forget();
        if let Some(follower) = &self.plane.tls.follower {
            follower.look_now();
        }
        if let Some(renewal) = &self.renewal {
            renewal.hasten();
        }
    }

    /// After a log rotation.
    pub fn reopen_logs(&self) {
        if let Some(log) = &self.plane.access_log {
            log.reopen();
        }
    }
}

/// Tells whether an edge's threads still do what they are given.
#[derive(Debug, Clone)]
pub struct Pulse(Handle);

impl Pulse {
    pub fn beats_within(&self, patience: Duration) -> bool {
        // No timer of the runtime's: its end must be an answer too.
        let (beat, heard) = channel();
        self.0.spawn(async move { beat.send(()) });
        heard.recv_timeout(patience).is_ok()
    }
}
