//! Hands the slots to waiting generations, first come, first served, without a bound on the waiting: the real server
//! never answers 429. Invariant: a slot is held by exactly one [`Lease`] and freed when that is dropped.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::observe::{Counter, Observed};
use crate::slots::{Placement, SlotTable};
use crate::text::Token;

#[derive(Clone)]
pub(crate) struct Scheduler {
    shared: Arc<Shared>,
}

struct Shared {
    observed: Arc<Observed>,
    state: Mutex<State>,
}

struct State {
    table: SlotTable,
    /// What each slot is doing, or did last.
    tasks: Vec<Option<Arc<Task>>>,
    waiting: VecDeque<Waiter>,
    tasks_begun: u64,
}

struct Waiter {
    wish: Wish,
    granted: oneshot::Sender<Lease>,
}

/// What a generation asks a slot for.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    pub prompt: Vec<Token>,
    pub pin: Option<usize>,
    pub tokens_max: usize,
    pub stream: bool,
}

/// One generation as `/slots` shows it.
#[derive(Debug)]
pub(crate) struct Task {
    pub id: u64,
    pub prompt_tokens: usize,
    pub cached_tokens: usize,
    pub tokens_max: usize,
    pub stream: bool,
    pub processed: AtomicU64,
    pub decoded: AtomicU64,
}

/// A slot as `/slots` shows it.
pub(crate) struct SlotView {
    pub busy: bool,
    pub task: Option<Arc<Task>>,
}

/// The right to a slot. Dropping it frees the slot, with the tokens its cache then holds.
pub(crate) struct Lease {
    shared: Arc<Shared>,
    pub slot: usize,
    pub task: Arc<Task>,
    /// Prompt, then what has been generated.
    tokens: Vec<Token>,
}

impl Scheduler {
    pub(crate) fn new(slots: usize, observed: Arc<Observed>) -> Self {
        let table = SlotTable::new(slots);
        let tasks = vec![None; table.len()];
        let state = Mutex::new(State {
            table,
            tasks,
            waiting: VecDeque::new(),
            tasks_begun: 0,
        });
        Self {
            shared: Arc::new(Shared { observed, state }),
        }
    }

    /// Waits for a slot. Cancel safe: a place in the queue, or a slot given too late, goes to the next.
    pub(crate) async fn acquire(&self, wish: Wish) -> Lease {
        let granted = {
            let mut state = self.shared.lock();
            // This passes nobody: a slot is free while others wait only if they all wait for other, pinned slots.
            if let Some(lease) = state.place(&self.shared, &wish) {
                return lease;
            }
            let (sender, receiver) = oneshot::channel();
            state.forget_the_gone();
            state.waiting.push_back(Waiter { wish, granted: sender });
            receiver
        };
        let _waiting = self.shared.observed.during(Counter::RequestsWaiting);
        match granted.await {
            Ok(lease) => lease,
            // The sender lives in the queue as long as `self` does, and a waiter leaves it only with a lease.
            Err(_) => std::future::pending().await,
        }
    }

    pub(crate) fn view(&self) -> Vec<SlotView> {
        let state = self.shared.lock();
        let tasks = state.tasks.iter().enumerate();
        tasks
            .map(|(slot, task)| SlotView {
                busy: state.table.is_busy(slot),
                task: task.clone(),
            })
            .collect()
    }
}

impl Lease {
    /// Notes a generated token, which the slot's cache holds from now on.
    pub(crate) fn push(&mut self, token: Token) {
        self.tokens.push(token);
        self.task.decoded.fetch_add(1, Ordering::Relaxed);
    }

    /// Cuts what was not evaluated after all: a prefill that was cancelled half way leaves half a prompt.
    pub(crate) fn keep_evaluated(&mut self, tokens: usize) {
        self.tokens.truncate(tokens);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let tokens = std::mem::take(&mut self.tokens);
        self.shared.release(self.slot, tokens);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn release(self: &Arc<Self>, slot: usize, tokens: Vec<Token>) {
        // A lease that its waiter no longer takes is dropped after the lock is, since its own drop locks again.
        let mut untaken = Vec::new();
        let mut state = self.lock();
        state.table.release(slot, tokens);
        self.observed.set(Counter::SlotsBusy, state.table.busy_count() as u64);
        let mut at = 0;
        while state.table.busy_count() < state.table.len()
            && let Some(waiter) = state.waiting.remove(at)
        {
            if waiter.granted.is_closed() {
                continue;
            }
            match state.place(self, &waiter.wish) {
                Some(lease) => untaken.extend(waiter.granted.send(lease).err()),
                None => {
                    state.waiting.insert(at, waiter);
                    at += 1;
                }
            }
        }
        drop(state);
    }
}

impl State {
    fn place(&mut self, shared: &Arc<Shared>, wish: &Wish) -> Option<Lease> {
        let Placement { slot, cached_tokens } = self.table.place(&wish.prompt, wish.pin)?;
        self.tasks_begun += 1;
        let task = Arc::new(Task {
            id: self.tasks_begun,
            prompt_tokens: wish.prompt.len(),
            cached_tokens,
            tokens_max: wish.tokens_max,
            stream: wish.stream,
            processed: AtomicU64::new(0),
            decoded: AtomicU64::new(0),
        });
        self.tasks[slot] = Some(Arc::clone(&task));
        shared.observed.set(Counter::SlotsBusy, self.table.busy_count() as u64);
        Some(Lease {
            shared: Arc::clone(shared),
            slot,
            task,
            tokens: wish.prompt.clone(),
        })
    }

    /// Waiters that went away stay queued until met; this keeps them from piling up behind a slot that hangs.
    fn forget_the_gone(&mut self) {
        if self.waiting.len().is_power_of_two() {
            self.waiting.retain(|waiter| !waiter.granted.is_closed());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(prompt: &[Token], pin: Option<usize>) -> Wish {
        Wish {
            prompt: prompt.to_vec(),
            pin,
            tokens_max: 1,
            stream: false,
        }
    }

    #[tokio::test]
    async fn those_who_wait_are_served_in_order_and_the_gone_are_passed_over() {
        let observed = Arc::new(Observed::new());
        let scheduler = Scheduler::new(1, Arc::clone(&observed));
        let first = scheduler.acquire(wish(&[1, 2, 3], None)).await;
        assert_eq!(observed.stats().slots_busy, 1);

        let mut waiting: Vec<_> = (0..3)
            .map(|_| Box::pin(scheduler.acquire(wish(&[1, 2, 3, 4], None))))
            .collect();
        for future in &mut waiting {
            assert!(
                std::future::poll_fn(|cx| std::task::Poll::Ready(future.as_mut().poll(cx)))
                    .await
                    .is_pending()
            );
        }
        assert_eq!(observed.stats().requests_waiting, 3);
        drop(waiting.remove(0));
        drop(first);
        // Given to the next one and never taken: it goes on to the last.
        drop(waiting.remove(0));
        let last = waiting.remove(0).await;
        assert_eq!((last.slot, last.task.cached_tokens), (0, 3));
        drop(last);
        let stats = observed.stats();
        assert_eq!((stats.slots_busy, stats.requests_waiting), (0, 0));
    }

    #[tokio::test]
    async fn a_wait_for_a_pinned_slot_blocks_nobody_else() {
        let scheduler = Scheduler::new(2, Arc::new(Observed::new()));
        let zero = scheduler.acquire(wish(&[1], Some(0))).await;
        let mut pinned = Box::pin(scheduler.acquire(wish(&[1], Some(0))));
        assert!(
            std::future::poll_fn(|cx| std::task::Poll::Ready(pinned.as_mut().poll(cx)))
                .await
                .is_pending()
        );
        let one = scheduler.acquire(wish(&[1], None)).await;
        assert_eq!(one.slot, 1);
        drop(zero);
        assert_eq!(pinned.await.slot, 0);
    }
}
