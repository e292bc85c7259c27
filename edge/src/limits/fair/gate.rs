//! A service's slots, and the requests that wait for one.
//!
//! A free slot is taken in one atomic step where nobody waits; only contention takes the lock. A request that waits is a
//! future: dropping it, because its client left, takes it out of the queue.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::queue::{Joined, Queue, Serving, Ticket};

/// How long and how many requests wait.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    /// So many requests wait; more are turned away.
    pub(crate) waiting_max: usize,
    /// So long a request waits.
    pub(crate) patience: Duration,
}

impl Terms {
    /// More than one service answers in the time; a client that waits longer has given up as a rule.
    pub(crate) const USUAL: Self = Self {
        waiting_max: 512,
        patience: Duration::from_secs(30),
    };
}

/// Why a request has no slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoSlot {
    /// Too many wait already.
    Full,
    /// It waited too long.
    TooLong,
}

#[derive(Debug)]
pub(crate) struct FairQueue {
    terms: Terms,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    slots: usize,
    taken: usize,
    queue: Queue,
    told: std::collections::HashMap<Ticket, oneshot::Sender<Grant>>,
}

type Grant = Result<Serving, NoSlot>;

/// A slot of a service, freed by being dropped: the next that waits has it then.
#[derive(Debug)]
pub(crate) struct FairSlot {
    gate: Arc<FairQueue>,
    serving: Serving,
    since: Instant,
}

impl FairQueue {
    pub(crate) fn new(slots: usize, terms: Terms) -> Arc<Self> {
        Arc::new(Self {
            terms,
            inner: Mutex::new(Inner {
                slots,
                taken: 0,
                queue: Queue::new(terms.waiting_max),
                told: Default::default(),
            }),
        })
    }

    /// A reload said another number. Those that hold a slot keep it.
    pub(crate) fn resize(&self, slots: usize) {
        let mut inner = self.inner.lock();
        inner.slots = slots;
        inner.serve();
    }

    /// A slot, at once or when it is this request's turn. Dropping the future leaves the queue.
    pub(crate) async fn acquire(self: &Arc<Self>, key: &Arc<str>, weight: u32) -> Result<FairSlot, NoSlot> {
        let (ticket, told) = match self.join(key, weight)? {
            Entered::Served(serving) => return Ok(self.slot(serving)),
            Entered::Waits(ticket, told) => (ticket, told),
        };
        let mut place = Place {
            gate: self,
            ticket,
            told,
        };
        match tokio::time::timeout(self.terms.patience, &mut place.told).await {
            Ok(Ok(granted)) => granted.map(|serving| self.slot(serving)),
            Ok(Err(_)) => Err(NoSlot::Full),
            Err(_) => Err(NoSlot::TooLong),
        }
    }

    /// A slot where one is free and nobody waits for it.
    pub(crate) fn take_free(self: &Arc<Self>, key: &Arc<str>, weight: u32) -> Option<FairSlot> {
        let serving = self.inner.lock().take_free(key, weight)?;
        Some(self.slot(serving))
    }

    fn join(&self, key: &Arc<str>, weight: u32) -> Result<Entered, NoSlot> {
        let mut inner = self.inner.lock();
        if let Some(serving) = inner.take_free(key, weight) {
            return Ok(Entered::Served(serving));
        }
        let ticket = match inner.queue.join(key, weight) {
            Joined::Waits(ticket) => ticket,
            Joined::InPlaceOf(ticket, out) => {
                if let Some(out) = inner.told.remove(&out) {
                    let _ = out.send(Err(NoSlot::Full));
                }
                ticket
            }
            Joined::TurnedAway => return Err(NoSlot::Full),
        };
        let (tell, told) = oneshot::channel();
        inner.told.insert(ticket, tell);
        Ok(Entered::Waits(ticket, told))
    }

    fn slot(self: &Arc<Self>, serving: Serving) -> FairSlot {
        FairSlot {
            gate: self.clone(),
            serving,
            since: Instant::now(),
        }
    }

    /// A slot is free: whoever is next has it.
    fn free(&self, serving: &Serving, held: Duration) {
        let mut inner = self.inner.lock();
        inner
            .queue
            .ended(serving, u64::try_from(held.as_nanos()).unwrap_or(u64::MAX));
        inner.taken -= 1;
        inner.serve();
    }
}

enum Entered {
    Served(Serving),
    Waits(Ticket, oneshot::Receiver<Grant>),
}

impl FairSlot {
    /// Whether it is one of these slots.
    pub(crate) fn is_of(&self, gate: &Arc<FairQueue>) -> bool {
        Arc::ptr_eq(&self.gate, gate)
    }
}

impl Inner {
    fn take_free(&mut self, key: &Arc<str>, weight: u32) -> Option<Serving> {
        let is_free = self.taken < self.slots && self.queue.is_empty();
        self.taken += usize::from(is_free);
        is_free.then(|| self.queue.served_at_once(key, weight))
    }

    fn serve(&mut self) {
        while self.taken < self.slots {
            let Some((ticket, serving)) = self.queue.next() else {
                return;
            };
            let Some(tell) = self.told.remove(&ticket) else {
                continue;
            };
            // Nobody hears it any more: then the slot is the next one's.
            match tell.send(Ok(serving)) {
                Ok(()) => self.taken += 1,
                Err(Ok(serving)) => self.queue.ended(&serving, 0),
                Err(Err(_)) => {}
            }
        }
    }
}

/// A place in the queue; dropped, it is given up.
struct Place<'a> {
    gate: &'a Arc<FairQueue>,
    ticket: Ticket,
    told: oneshot::Receiver<Grant>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut inner = self.gate.inner.lock();
        inner.queue.leave(self.ticket);
        inner.told.remove(&self.ticket);
        // The turn came at the moment of leaving: the slot goes on.
        if let Ok(Ok(serving)) = self.told.try_recv() {
            inner.queue.ended(&serving, 0);
            inner.taken -= 1;
            inner.serve();
        }
    }
}

impl Drop for FairSlot {
    fn drop(&mut self) {
        self.gate.free(&self.serving, self.since.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(slots: usize, waiting_max: usize, patience_ms: u64) -> Arc<FairQueue> {
        let patience = Duration::from_millis(patience_ms);
        FairQueue::new(slots, Terms { waiting_max, patience })
    }

    fn key(name: &str) -> Arc<str> {
        name.into()
    }

    #[tokio::test]
    async fn a_slot_passes_from_hand_to_hand() {
        let gate = gate(1, 10, 10_000);
        let first = gate.acquire(&key("a"), 1).await.expect("a free slot");
        let second = tokio::spawn({
            let gate = gate.clone();
            async move { gate.acquire(&key("b"), 1).await.map(drop) }
        });
        while gate.inner.lock().queue.is_empty() {
            tokio::task::yield_now().await;
        }
        drop(first);
        assert_eq!(second.await.expect("no panic"), Ok(()));
        assert_eq!(gate.inner.lock().taken, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_further_slot_goes_to_who_waits_and_one_less_is_taken_from_nobody() {
        let (gate, a) = (gate(1, 10, 10_000), key("a"));
        let first = gate.acquire(&a, 1).await.expect("a free slot");
        let (second, ()) = tokio::join!(gate.acquire(&a, 1), async { gate.resize(2) });
        gate.resize(1);
        assert!(first.is_of(&gate) && !first.is_of(&self::gate(1, 10, 10_000)));
        drop(first);
        assert!(gate.take_free(&a, 1).is_none(), "it is held");
        drop(second.expect("a further slot"));
        assert!(gate.take_free(&a, 1).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_is_bounded_in_number_and_in_time() {
        let gate = gate(1, 1, 50);
        let held = gate.acquire(&key("a"), 1).await.expect("a free slot");
        let b = key("b");
        let (one, two) = tokio::join!(gate.acquire(&b, 1), gate.acquire(&b, 1));
        assert_eq!((one.err(), two.err()), (Some(NoSlot::TooLong), Some(NoSlot::Full)));
        drop(held);
        assert!(
            gate.acquire(&key("b"), 1).await.is_ok(),
            "who gave up left nothing behind"
        );
    }

    #[tokio::test]
    async fn a_client_that_leaves_is_forgotten_and_no_slot_is_lost() {
        let gate = gate(2, 100, 10_000);
        for _ in 0..200 {
            let held = (gate.acquire(&key("a"), 1).await, gate.acquire(&key("a"), 1).await);
            let b = key("b");
            let mut waiting = Box::pin(gate.acquire(&b, 1));
            std::future::poll_fn(|cx| {
                let _ = waiting.as_mut().poll(cx);
                std::task::Poll::Ready(())
            })
            .await;
            // Its turn comes, and it leaves without having looked.
            drop(held);
            drop(waiting);
            assert_eq!(gate.inner.lock().taken, 0);
            assert!(gate.inner.lock().told.is_empty());
        }
    }
}
