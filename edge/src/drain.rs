//! The end of an edge: telling every connection, and waiting until none is being served.
//!
//! Who is waited for is not written down while the edge serves, since that would cost every request a lock: exchanges that
//! are there when it ends sign the list then, once ([`Stop::listing`]).

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// An idle connection is kept for so long once the edge stops: its client's next request may be on its way.
const IDLE_AT_STOP: Duration = Duration::from_secs(1);

/// The same where a successor serves: nobody waits for this process, and who is asked once more is told to connect anew.
const IDLE_AT_HAND_OVER: Duration = Duration::from_secs(5);

/// Routers that a line of the log names.
const ROUTERS_SHOWN: usize = 5;

/// What comes after the edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Nothing,
    /// Another process listens on the same sockets.
    Successor,
}

/// Whether the edge is stopping. A connection asks with one atomic read, and is woken once when it begins.
#[derive(Debug, Default)]
pub(crate) struct Stop {
    stopping: AtomicBool,
    handed_over: AtomicBool,
    idle_until: OnceLock<Instant>,
    begun: Notify,
    list: Mutex<List>,
}

impl Stop {
    pub(crate) fn begin(&self, ending: Ending) {
        let patience = match ending {
            Ending::Nothing => IDLE_AT_STOP,
            Ending::Successor => IDLE_AT_HAND_OVER,
        };
        self.idle_until.get_or_init(|| Instant::now() + patience);
        self.handed_over.fetch_or(ending == Ending::Successor, Ordering::AcqRel);
        self.stopping.store(true, Ordering::Release);
        self.begun.notify_waiters();
    }

    /// The sockets are another process's by now.
    pub(crate) fn is_handed_over(&self) -> bool {
        self.handed_over.load(Ordering::Acquire)
    }

    /// Until when a connection is kept that has no request; `None` while the edge serves.
    pub(crate) fn idle_until(&self) -> Option<Instant> {
        self.idle_until.get().copied().filter(|_| self.is_stopping())
    }

    /// Drives an exchange that began at `since`, and lists it once the edge stops. `router`: whose it is.
    pub(crate) fn listing<F: Future + Unpin>(
        &self,
        since: Instant,
        router: Option<Arc<str>>,
        exchange: F,
    ) -> Listing<'_, F> {
        let entry = Err((since, router));
        Listing {
            listed: Listed { stop: self, entry },
            exchange,
        }
    }

    /// What is waited for.
    pub(crate) fn left(&self, connections: usize) -> Left {
        let list = self.list.lock();
        let mut routers: BTreeMap<&str, usize> = BTreeMap::new();
        for (_, router) in list.entries.values() {
            *routers
                .entry(router.as_deref().unwrap_or("(no answer yet)"))
                .or_insert(0) += 1;
        }
        let mut routers: Vec<_> = routers
            .into_iter()
            .map(|(name, count)| (name.to_owned(), count))
            .collect();
        routers.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        Left {
            connections,
            exchanges: list.entries.len(),
            oldest: list.entries.values().map(|(since, _)| since.elapsed()).max(),
            routers,
            predecessors: Vec::new(),
        }
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Wakes the task that enabled it; [`Stop::is_stopping`] says then.
    pub(crate) fn stopped(&self) -> Notified<'_> {
        self.begun.notified()
    }

    /// Returns once stopping has begun.
    pub(crate) async fn wait(&self) {
        let begun = self.stopped();
        tokio::pin!(begun);
        // Registered before the state is read, so that the beginning is not missed.
        begun.as_mut().enable();
        if !self.is_stopping() {
            begun.await;
        }
    }
}

#[derive(Debug, Default)]
struct List {
    entries: BTreeMap<u64, Entry>,
    last: u64,
}

type Entry = (Instant, Option<Arc<str>>);

/// An exchange that is driven. It is pinned elsewhere: a stream waits for hours, and an async function would hold it twice.
pub(crate) struct Listing<'a, F> {
    listed: Listed<'a>,
    exchange: F,
}

/// On the list or not yet.
struct Listed<'a> {
    stop: &'a Stop,
    entry: Result<u64, Entry>,
}

impl<F: Future + Unpin> Future for Listing<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        if self.listed.stop.is_stopping() {
            self.listed.sign();
        }
        Pin::new(&mut self.exchange).poll(cx)
    }
}

impl Listed<'_> {
    fn sign(&mut self) {
        if let Err(entry) = &mut self.entry {
            let mut list = self.stop.list.lock();
            list.last += 1;
            let number = list.last;
            list.entries.insert(number, (entry.0, entry.1.take()));
            drop(list);
            self.entry = Ok(number);
        }
    }
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        if let Ok(number) = self.entry {
            self.stop.list.lock().entries.remove(&number);
        }
    }
}

/// What an edge waits for before it ends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Left {
    /// Of clients, with those that carry nothing now.
    pub connections: usize,
    /// Exchanges on them.
    pub exchanges: usize,
    pub oldest: Option<Duration>,
    /// How many of the exchanges are whose, the most first.
    pub routers: Vec<(String, usize)>,
    /// Processes that were succeeded by this one and still have streams.
    pub predecessors: Vec<u32>,
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} connections, {} exchanges on them",
            self.connections, self.exchanges
        )?;
        if let Some(oldest) = self.oldest {
            write!(f, ", the oldest {} s old", oldest.as_secs())?;
        }
        for (index, (router, count)) in self.routers.iter().take(ROUTERS_SHOWN).enumerate() {
            let before = if index == 0 { "; " } else { ", " };
            write!(f, "{before}{router:?}: {count}")?;
        }
        let more = self.routers.len().saturating_sub(ROUTERS_SHOWN);
        if more > 0 {
            write!(f, " and {more} more routers")?;
        }
        if !self.predecessors.is_empty() {
            write!(f, "; and for the processes it took over from: {:?}", self.predecessors)?;
        }
        Ok(())
    }
}

#[derive(Debug, Default)]
pub(crate) struct InFlight {
    count: AtomicUsize,
    changed: Notify,
}

/// Counts one connection for as long as it lives.
pub(crate) struct Guard(Arc<InFlight>);

impl InFlight {
    pub(crate) fn enter(self: &Arc<Self>) -> Guard {
        self.count.fetch_add(1, Ordering::AcqRel);
        Guard(self.clone())
    }

    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// Returns once nothing is in flight.
    pub(crate) async fn none_left(&self) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Registered before the count is read, so that a change in between is not missed.
            changed.as_mut().enable();
            if self.count() == 0 {
                return;
            }
            changed.await;
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.changed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn who_is_there_at_the_end_is_on_the_list_and_leaves_it() {
        let stop = Arc::new(Stop::default());
        let begin = |router: Option<&str>| {
            let (end, ended) = oneshot::channel::<()>();
            let (stop, router) = (stop.clone(), router.map(Arc::from));
            let task = tokio::spawn(async move {
                let mut stopped = pin!(stop.stopped());
                std::future::poll_fn(|cx| Poll::Ready(stopped.as_mut().poll(cx).is_ready())).await;
                stop.listing(Instant::now(), router, ended).await
            });
            (end, task)
        };
        let (early, task) = begin(Some("early"));
        early.send(()).expect("waited for");
        task.await.expect("no panic").expect("sent");
        let (end, task) = begin(Some("alice"));
        let further: Vec<_> = [Some("bob"), Some("bob"), None].map(begin).into_iter().collect();
        tokio::task::yield_now().await;
        assert_eq!(stop.left(9).exchanges, 0, "nobody signs while the edge serves");
        stop.begin(Ending::Nothing);
        while stop.left(9).exchanges < 4 {
            tokio::task::yield_now().await;
        }
        let left = stop.left(9);
        assert_eq!((left.connections, left.routers[0].clone()), (9, ("bob".to_owned(), 2)));
        assert!(
            left.to_string().contains("4 exchanges") && left.to_string().contains("\"bob\": 2"),
            "{left}"
        );
        end.send(()).expect("waited for");
        task.await.expect("no panic").expect("sent");
        assert_eq!(stop.left(0).exchanges, 3);
        further.into_iter().for_each(|(_, task)| task.abort());
    }

    #[test]
    fn a_hand_over_is_one_whatever_comes_after() {
        let stop = Stop::default();
        assert_eq!((stop.is_handed_over(), stop.idle_until()), (false, None));
        stop.begin(Ending::Successor);
        stop.begin(Ending::Nothing);
        let patience = stop
            .idle_until()
            .expect("stopping")
            .saturating_duration_since(Instant::now());
        assert!(stop.is_handed_over() && patience > IDLE_AT_STOP, "{patience:?}");
    }
}
