//! Faults that a test switches on while the server runs. Owns which request meets which fault; what a fault does
//! on the wire is carried out by `http::Conn` and `connection`. A request meets the fault set when it arrived.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What goes wrong, for which requests and how often. The default is: nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Faults {
    /// Only requests whose path begins so; everyone if absent.
    pub only: Option<String>,
    /// Only this many requests, then none; without end if absent.
    pub times: Option<u32>,
    /// Answer with this status and an error body instead of what was asked for.
    pub status: Option<u16>,
    /// Stop saying anything, until the client goes.
    pub hang: Option<Hang>,
    /// Close the connection in the middle of the response.
    pub cut: Option<Cut>,
    /// Let a cut be a TCP reset rather than an orderly end.
    pub reset: bool,
    /// Wait this long before every write.
    pub slow: Option<Duration>,
    /// Break HTTP's own framing.
    pub malformed: Option<Malformed>,
}

/// Where a hanging response stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hang {
    BeforeHead,
    AfterHead,
}

/// Where a cut response ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// After this many bytes of the response, head included. Zero closes without an answer.
    Bytes(u64),
    /// After this many tokens of a generated answer; an unstreamed one is cut before its first byte.
    Tokens(u64),
}

/// How the framing is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// The response does not begin with `HTTP/`.
    StatusLine,
    /// A header line without a colon.
    HeaderLine,
    /// A chunk whose size is no number (streams only).
    ChunkSize,
    /// A body shorter than its Content-Length, then the end (bodies only).
    ShortBody,
}

/// The faults now in force, shared by all connections.
#[derive(Debug, Default)]
pub(crate) struct FaultBox {
    // Nearly all requests meet no fault: one relaxed load spares them the lock.
    any: AtomicBool,
    set: Mutex<Option<Set>>,
}

#[derive(Debug)]
struct Set {
    faults: Arc<Faults>,
    left: Option<u32>,
}

impl FaultBox {
    pub(crate) fn set(&self, faults: Faults) {
        let nothing = faults == Faults::default();
        let left = faults.times;
        let mut set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        *set = (!nothing).then(|| Set {
            faults: Arc::new(faults),
            left,
        });
        self.any.store(!nothing, Ordering::Release);
    }

    /// The fault that a request for `path` meets; counts it against `times`.
    pub(crate) fn take(&self, path: &str) -> Option<Arc<Faults>> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        let mut guard = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        let set = guard.as_mut()?;
        if set
            .faults
            .only
            .as_ref()
            .is_some_and(|only| !path.starts_with(only.as_str()))
        {
            return None;
        }
        match &mut set.left {
            Some(0) => return None,
            Some(left) => *left -= 1,
            None => {}
        }
        Some(Arc::clone(&set.faults))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_meets_only_its_paths_and_only_so_often() {
        let faults = FaultBox::default();
        assert!(faults.take("/health").is_none());
        faults.set(Faults {
            only: Some("/v1/".into()),
            times: Some(2),
            status: Some(500),
            ..Faults::default()
        });
        assert!(faults.take("/health").is_none());
        assert!(faults.take("/v1/models").is_some());
        assert!(faults.take("/v1/models").is_some());
        assert!(faults.take("/v1/models").is_none());
        faults.set(Faults::default());
        assert!(faults.take("/v1/models").is_none());
    }
}
