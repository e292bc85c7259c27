//! What is done where a server fails. Doing it is the edge's.

use std::time::Duration;

use crate::breaker::Condition;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// How often a request is tried, the first time included. Never 0.
    pub attempts: u32,
    /// Before the second attempt; it doubles from then on. Zero: at once.
    pub initial_interval: Duration,
}

#[derive(Debug, Clone, PartialEq)]
pub struct CircuitBreaker {
    /// Holds: the circuit opens.
    pub expression: Condition,
    /// 100 ms: how often it is evaluated.
    pub check_period: Duration,
    /// 10 s: how long it stays open.
    pub fallback_duration: Duration,
    /// 10 s: how long it takes to let all requests through again.
    pub recovery_duration: Duration,
    /// 503: the answer while it is open.
    pub response_status: u16,
}
