//! Who begins spans, which of them are kept, and the queue that they wait in.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant, SystemTime};

use uuid::Uuid;

use crate::{Context, Kind, Plane, Span, Value};

/// Some seconds of a busy edge; about 2 MiB.
const QUEUE_SPANS: usize = 4096;

/// A request of OTLP's holds so many: some 100 KiB.
const BATCH_SPANS: usize = 512;

/// Longer states are cut off, as the standard allows beyond 512 characters.
const STATE_BYTES_MAX: usize = 512;

/// Which traces are kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// Of those that begin here, from 0 to 1. One that began elsewhere is kept where its `traceparent` says so.
    pub ratio: f64,
}

/// What became of spans.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub exported: u64,
    /// The queue was full.
    pub dropped: u64,
    /// The collector did not take them.
    pub failed: u64,
}

#[derive(Debug, Default)]
struct Tally {
    exported: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
}

/// Begins spans; cheap to clone.
#[derive(Clone)]
pub struct Tracer {
    queue: SyncSender<Span>,
    tally: Arc<Tally>,
    /// A trace whose number is below it is kept.
    below: u64,
}

/// Where spans come out.
pub struct Batches {
    queue: Receiver<Span>,
    tally: Arc<Tally>,
}

/// A span that has begun. Dropped without an end it is forgotten.
#[derive(Clone)]
pub struct Begun {
    tracer: Tracer,
    pub context: Context,
    parent: Option<[u8; 8]>,
    state: Option<Arc<str>>,
    began: SystemTime,
    clock: Instant,
}

impl Tracer {
    pub fn new(sampling: Sampling) -> (Self, Batches) {
        let (sender, receiver) = sync_channel(QUEUE_SPANS);
        let tally = Arc::new(Tally::default());
        let tracer = Self {
            queue: sender,
            tally: Arc::clone(&tally),
            // A float becomes the nearest integer that there is.
            below: (sampling.ratio.clamp(0.0, 1.0) * u64::MAX as f64) as u64,
        };
        let batches = Batches { queue: receiver, tally };
        (tracer, batches)
    }

    /// A request has come, with these headers. `None`: its trace is not kept.
    pub fn begin(&self, traceparent: Option<&[u8]>, tracestate: Option<&str>) -> Option<Begun> {
        let parent = traceparent.and_then(Context::parse);
        let trace_id = match parent {
            Some(parent) if !parent.is_sampled => return None,
            Some(parent) => parent.trace_id,
            None => Some(Uuid::new_v4().into_bytes()).filter(|id| self.keeps(id))?,
        };
        let state = tracestate.filter(|state| parent.is_some() && state.len() <= STATE_BYTES_MAX);
        Some(Begun {
            tracer: self.clone(),
            context: Context {
                trace_id,
                span_id: span_id(),
                is_sampled: true,
            },
            parent: parent.map(|parent| parent.span_id),
            state: state.map(Arc::from),
            began: SystemTime::now(),
            clock: Instant::now(),
        })
    }

    pub fn counts(&self) -> Counts {
        self.tally.counts()
    }

    fn keeps(&self, trace_id: &[u8; 16]) -> bool {
        // The last eight bytes are random, but for their first two bits: a UUID's variant.
        let mut last = [0; 8];
        last.copy_from_slice(&trace_id[8..]);
        self.below == u64::MAX || u64::from_be_bytes(last) << 2 < self.below
    }

    fn send(&self, span: Span) {
        if let Err(TrySendError::Full(_)) = self.queue.try_send(span) {
            self.tally.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracer").finish_non_exhaustive()
    }
}

impl Begun {
    /// A part of it.
    pub fn child(&self) -> Self {
        Self {
            context: Context {
                span_id: span_id(),
                ..self.context
            },
            parent: Some(self.context.span_id),
            began: SystemTime::now(),
            clock: Instant::now(),
            ..self.clone()
        }
    }

    /// What goes on with the request, beside [`Context::traceparent`].
    pub fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }

    pub fn end(
        self,
        (plane, kind): (Plane, Kind),
        name: impl Into<Cow<'static, str>>,
        attributes: Vec<(&'static str, Value)>,
        error: Option<&'static str>,
    ) {
        let span = Span {
            plane,
            context: self.context,
            parent: self.parent,
            state: self.state,
            name: name.into(),
            kind,
            began: self.began,
            // The wall clock may have been set meanwhile.
            ended: self.began + self.clock.elapsed(),
            attributes,
            error,
        };
        self.tracer.send(span);
    }
}

impl fmt::Debug for Begun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Begun")
            .field("context", &self.context)
            .finish_non_exhaustive()
    }
}

impl Batches {
    /// The spans that came within so long, as many as one request holds; empty where none did. `None`: nobody begins
    /// spans any more.
    pub fn next(&self, wait: Duration) -> Option<Vec<Span>> {
        let until = Instant::now() + wait;
        let mut batch = Vec::new();
        while batch.len() < BATCH_SPANS {
            match self.queue.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(span) => batch.push(span),
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) if batch.is_empty() => return None,
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        Some(batch)
    }

    /// So many spans were taken by the collector, or not.
    pub fn told(&self, spans: usize, were_taken: bool) {
        let tally = match were_taken {
            true => &self.tally.exported,
            false => &self.tally.failed,
        };
        tally.fetch_add(spans as u64, Ordering::Relaxed);
    }

    pub fn counts(&self) -> Counts {
        self.tally.counts()
    }
}

impl Tally {
    fn counts(&self) -> Counts {
        Counts {
            exported: self.exported.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
        }
    }
}

/// Random, and not zero.
fn span_id() -> [u8; 8] {
    let (high, low) = Uuid::new_v4().as_u64_pair();
    // Each half has bits that are the same in every UUID, at other places.
    (high ^ low.rotate_left(32)).max(1).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &[u8] = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const NOT_SAMPLED: &[u8] = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
    const NOW: Duration = Duration::ZERO;

    fn end(begun: Begun) {
        begun.end((Plane::Edge, Kind::Server), "x", Vec::new(), None);
    }

    #[test]
    fn a_trace_that_began_elsewhere_goes_on_as_its_beginning_says() {
        let (tracer, batches) = Tracer::new(Sampling { ratio: 0.0 });
        assert!(tracer.begin(None, None).is_none());
        assert!(tracer.begin(Some(NOT_SAMPLED), None).is_none());
        let begun = tracer.begin(Some(PARENT), Some("a=b")).expect("sampled elsewhere");
        assert_eq!(begun.context.trace_id[0], 0x0a);
        assert_ne!(begun.context.span_id[0..2], [0xb7, 0xad]);
        let (outer, child) = (begun.context.span_id, begun.child());
        end(child);
        end(begun);
        let spans = batches.next(NOW).expect("spans");
        assert_eq!(spans[0].parent, Some(outer));
        assert_eq!(spans[1].parent.map(|id| id[0]), Some(0xb7));
        assert_eq!(spans[1].state.as_deref(), Some("a=b"));
    }

    #[test]
    fn a_ratio_is_kept_roughly() {
        for (ratio, expected) in [(0.0, 0..=0), (0.25, 700..=1300), (1.0, 4000..=4000)] {
            let (tracer, _batches) = Tracer::new(Sampling { ratio });
            let kept = (0..4000).filter(|_| tracer.begin(None, None).is_some()).count();
            assert!(expected.contains(&kept), "{kept} of 4000 at {ratio}");
        }
    }

    #[test]
    fn a_full_queue_drops_and_counts() {
        let (tracer, batches) = Tracer::new(Sampling { ratio: 1.0 });
        for _ in 0..QUEUE_SPANS + 7 {
            end(tracer.begin(None, None).expect("sampled"));
        }
        assert_eq!(tracer.counts().dropped, 7);
        let mut got = 0;
        while let Some(batch) = batches.next(NOW).filter(|batch| !batch.is_empty()) {
            assert!(batch.len() <= BATCH_SPANS);
            got += batch.len();
            batches.told(batch.len(), true);
        }
        assert_eq!((got, tracer.counts().exported), (QUEUE_SPANS, QUEUE_SPANS as u64));
        drop(tracer);
        assert!(batches.next(NOW).is_none());
    }
}
