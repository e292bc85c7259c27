//! The `circuitBreaker` middleware: servers that fail too often are left in peace for a while, and then taken up slowly.
//!
//! ```text
//!           the condition holds                fallbackDuration is over
//!  Closed ──────────────────────▶ Open ─────────────────────────────▶ Recovering ──▶ Closed
//!                                  ▲            the condition holds       │   recoveryDuration is over
//!                                  └──────────────────────────────────────┘
//! ```
//!
//! While it is open everything is refused; while it recovers a share of the requests goes through, which grows evenly from
//! none to all. The condition is looked at as exchanges end, at most every `checkPeriod`, over the last ten seconds. The
//! state hangs on the middleware, so that all its routers share it, and stays while its definition does.

mod window;

use std::sync::Arc;
use std::time::{Duration, Instant};

use keymap::{CircuitBreaker, Middleware, MiddlewareKind, Route};
use parking_lot::Mutex;

use window::Window;

/// How an exchange ended, as far as a breaker cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// No answer came, or it broke off.
    NoAnswer,
    Answered(u16),
}

#[derive(Debug)]
struct Breaker {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    state: State,
    window: Window,
    checked_at: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Closed,
    Open {
        until: Instant,
    },
    /// `credit`: each request brings its share, and one that passes takes a whole.
    Recovering {
        since: Instant,
        credit: f64,
    },
}

/// Whether the route's breakers let a request through.
///
/// # Errors
/// The status of the one that does not.
pub(crate) fn admit(route: &Route, now: Instant) -> Result<(), u16> {
    for (middleware, terms) in of(route) {
        let breaker = breaker(middleware, now);
        if breaker.is_some_and(|breaker| !breaker.inner.lock().admits(terms, now)) {
            return Err(terms.response_status);
        }
    }
    Ok(())
}

/// Tells the route's breakers how an exchange ended that they let through.
pub(crate) fn record(route: &Route, ended: Ended, took: Duration, now: Instant) {
    for (middleware, terms) in of(route) {
        if let Some(breaker) = breaker(middleware, now) {
            breaker.inner.lock().record(terms, ended, took, now);
        }
    }
}

fn of(route: &Route) -> impl Iterator<Item = (&Middleware, &CircuitBreaker)> {
    route
        .middlewares
        .iter()
        .filter_map(|middleware| match &middleware.kind {
            MiddlewareKind::CircuitBreaker(terms) => Some((&**middleware, &**terms)),
            _ => None,
        })
}

fn breaker(middleware: &Middleware, now: Instant) -> Option<&Breaker> {
    middleware.attachment.get_or_attach(|| {
        Arc::new(Breaker {
            inner: Mutex::new(Inner::new(now)),
        })
    })
}

impl Inner {
    fn new(now: Instant) -> Self {
        Self {
            state: State::Closed,
            window: Window::new(now),
            checked_at: now,
        }
    }

    fn admits(&mut self, terms: &CircuitBreaker, now: Instant) -> bool {
        if let State::Open { until } = self.state
            && now >= until
        {
            self.state = State::Recovering {
                since: now,
                credit: 0.0,
            };
        }
        match &mut self.state {
            State::Closed => true,
            State::Open { .. } => false,
            State::Recovering { since, credit } => {
                let elapsed = now.saturating_duration_since(*since);
                if elapsed >= terms.recovery_duration {
                    self.state = State::Closed;
                    return true;
                }
                let share = elapsed.as_secs_f64() / terms.recovery_duration.as_secs_f64().max(f64::MIN_POSITIVE);
                *credit += share;
                let passes = *credit >= 1.0;
                *credit -= if passes { 1.0 } else { 0.0 };
                passes
            }
        }
    }

    fn record(&mut self, terms: &CircuitBreaker, ended: Ended, took: Duration, now: Instant) {
        // What was under way when it opened says nothing new.
        if matches!(self.state, State::Open { .. }) {
            return;
        }
        self.window.add(ended, took, now);
        if now.saturating_duration_since(self.checked_at) < terms.check_period {
            return;
        }
        self.checked_at = now;
        if terms.expression.holds(&*self.window.measured(now)) {
            tracing::warn!("a circuit breaker has opened");
            self.state = State::Open {
                until: now + terms.fallback_duration,
            };
            self.window = Window::new(now);
        }
    }
}

#[cfg(test)]
mod tests;
