//! One server of a service, what all servers of the service go by, and a request's hold on one of them.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::budget::RetryBudget;
use super::sticky::Cookie;
use super::strategy::Strategy;
use crate::health::{Rules, State};
use crate::limits::fair::gate::{FairQueue, FairSlot};
use crate::limits::registry::Registry;
use crate::upstream::Upstream;

/// Requests that wait for one service's servers to load their model. Each holds its prompt.
const WAITING_MAX: u32 = 256;

#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) upstream: Upstream,
    pub(crate) state: Arc<State>,
    pub(crate) weight: u32,
    /// Its URL as a number, for strategies and cookies.
    pub(crate) name: u64,
    pub(crate) terms: Arc<Terms>,
}

/// What holds for all servers of a service.
#[derive(Debug)]
pub(crate) struct Terms {
    pub(crate) strategy: Strategy,
    pub(crate) rules: Rules,
    pub(crate) sticky: Option<Cookie>,
    pub(crate) passes_host: bool,
    /// There is another server to go to.
    pub(crate) has_others: bool,
    /// An active check runs, so that an exchange that waits for a server can be told that it is lost.
    pub(crate) is_checked: bool,
    pub(crate) retries: RetryBudget,
    pub(crate) waiting: AtomicU32,
    /// Where the service takes so many requests at once and no more.
    pub(crate) slots: Option<Arc<Slots>>,
}

/// A service's `maxInFlight`, and the queue for it, found at its first use.
#[derive(Debug)]
pub(crate) struct Slots {
    pub(super) service: Arc<str>,
    pub(super) most: u64,
    pub(super) gate: OnceLock<Arc<FairQueue>>,
}

/// A request's hold on a server: it counts there for as long as this lives.
#[derive(Debug)]
pub(crate) struct Pick {
    pub(crate) member: Arc<Member>,
    /// What the client is to be told so that it comes back here.
    pub(crate) cookies: Vec<String>,
    /// Who gets a copy of the request.
    pub(crate) mirrors: Vec<Mirror>,
}

#[derive(Debug)]
pub(crate) struct Mirror {
    pub(crate) pick: Pick,
    /// A longer body is not copied.
    pub(crate) body_bytes_max: usize,
    /// One of its service's slots, where those are counted.
    pub(crate) slot: Option<FairSlot>,
}

/// A place among those that wait for a model to be loaded.
#[derive(Debug)]
pub(crate) struct Waiting(Arc<Terms>);

impl Terms {
    pub(crate) fn new(strategy: Strategy) -> Self {
        Self {
            strategy,
            rules: Rules::default(),
            sticky: None,
            passes_host: true,
            has_others: false,
            is_checked: false,
            retries: RetryBudget::default(),
            waiting: AtomicU32::new(0),
            slots: None,
        }
    }

    /// `None` where too many wait already.
    pub(crate) fn wait(self: &Arc<Self>) -> Option<Waiting> {
        let more = |waiting: u32| (waiting < WAITING_MAX).then_some(waiting + 1);
        let entered = self.waiting.fetch_update(Relaxed, Relaxed, more);
        entered.is_ok().then(|| Waiting(self.clone()))
    }
}

impl Slots {
    pub(crate) fn gate(&self, registry: &Registry) -> Arc<FairQueue> {
        let found = self.gate.get_or_init(|| registry.gate(&self.service, self.most));
        found.clone()
    }
}

impl Pick {
    pub(crate) fn of(member: &Arc<Member>) -> Self {
        member.state.enter();
        Self {
            member: member.clone(),
            cookies: Vec::new(),
            mirrors: Vec::new(),
        }
    }
}

impl Drop for Pick {
    fn drop(&mut self) {
        self.member.state.leave();
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Relaxed);
    }
}

/// How long a request waits, all in all, for a model to be loaded: the large ones take a minute from a disk.
pub(crate) const LOADING_WAIT_MAX: Duration = Duration::from_secs(60);
