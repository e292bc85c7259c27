//! What a poll's outcome says of a backend. Pure.
//!
//! Down at once: no connection, an error status, an answer that is no list. Not down at once: a backend that was up
//! and connects but does not answer in time. llama-server's few HTTP threads starve while it streams; measured, its
//! answers then came up to 9 s late. Such a backend keeps its last list for [`SLOW_POLLS_MAX`] polls.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::http::StatusCode;

use super::client::{Answer, Memory};
use super::gauge::Load;
use crate::catalogue::ModelList;
use crate::fleet::{Models, Status};

/// The poll after these ends it: five of 2 s, a second apart, outlast the 9 s that were measured.
const SLOW_POLLS_MAX: u32 = 4;

/// A slow backend is asked again soon: whether it is dead is worth knowing.
const SLOW_RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Why a poll brought no list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// No connection, or one that broke.
    Unreachable(String),
    /// Not answered within its time-out.
    Slow,
    Status(StatusCode),
    Unusable(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(cause) => write!(f, "it cannot be reached: {cause}"),
            Self::Slow => f.write_str("it does not answer in time"),
            Self::Status(StatusCode::UNAUTHORIZED) => {
                f.write_str("it answers 401: it asks for a key, and none that was given for backends suits it")
            }
            Self::Status(StatusCode::SERVICE_UNAVAILABLE) => f.write_str("it answers 503: it is loading or full"),
            Self::Status(StatusCode::LOOP_DETECTED) => f.write_str(
                "it leads back to this aggregator; remove it, or exclude its mapping file with --skip-mapping",
            ),
            Self::Status(status) if status.is_redirection() => {
                write!(f, "it answers {}: redirects are not followed", status.as_u16())
            }
            Self::Status(status) => write!(f, "it answers {}", status.as_u16()),
            Self::Unusable(cause) => f.write_str(cause),
        }
    }
}

/// How a backend is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Condition {
    Unknown,
    Up,
    /// Its last list still counts; so many polls in a row went unanswered.
    Slow(u32),
    /// So many polls in a row failed.
    Down(u32),
}

/// What changed, for the one line in the log.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Change {
    None,
    WentUp,
    BecameSlow,
    WentDown(Failure),
}

/// One backend as the poller remembers it.
#[derive(Debug)]
pub(crate) struct Health {
    condition: Condition,
    /// Why the last poll failed, while it is down.
    cause: Option<Arc<str>>,
    heard_at: Option<SystemTime>,
    /// Its last list. Kept while it is down, so that its models are known to be missing and not unknown.
    list: ModelList,
    models: Arc<Models>,
    body_bytes: usize,
    load: Option<Load>,
    memory: Memory,
}

/// How often a backend is asked, when it is well and when it is down.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) heartbeat: Duration,
    pub(crate) down_max: Duration,
}

impl Health {
    pub(crate) fn new() -> Self {
        Self {
            condition: Condition::Unknown,
            cause: None,
            heard_at: None,
            list: ModelList::default(),
            models: Arc::default(),
            body_bytes: 0,
            load: None,
            memory: Memory::default(),
        }
    }

    /// A backend whose models are configured is known to serve them before it is heard of.
    pub(crate) fn expecting(models: Models) -> Self {
        Self {
            models: Arc::new(models),
            ..Self::new()
        }
    }

    /// Its list, while it counts.
    pub(crate) fn list(&self) -> Option<&ModelList> {
        matches!(self.condition, Condition::Up | Condition::Slow(_)).then_some(&self.list)
    }

    /// What it serves, or served last.
    pub(crate) fn models(&self) -> &Arc<Models> {
        &self.models
    }

    pub(crate) fn load(&self) -> Option<Load> {
        self.load
    }

    pub(crate) fn status(&self) -> Status {
        match self.condition {
            Condition::Unknown => Status::Unknown,
            Condition::Up => Status::Up,
            Condition::Slow(_) => Status::Slow,
            Condition::Down(_) => Status::Down,
        }
    }

    pub(crate) fn cause(&self) -> Option<&Arc<str>> {
        self.cause.as_ref()
    }

    pub(crate) fn heard_at(&self) -> Option<SystemTime> {
        self.heard_at
    }

    pub(crate) fn body_bytes(&self) -> usize {
        self.body_bytes
    }

    pub(crate) fn memory(&self) -> Memory {
        self.memory
    }

    pub(crate) fn is_known(&self) -> bool {
        self.condition != Condition::Unknown
    }

    pub(crate) fn is_down(&self) -> bool {
        matches!(self.condition, Condition::Down(_))
    }

    pub(crate) fn take(&mut self, outcome: Result<Answer, Failure>) -> Change {
        self.heard_at = Some(SystemTime::now());
        match outcome {
            Ok(answer) => self.answered(answer),
            Err(Failure::Slow) => self.unanswered(),
            Err(failure) => self.failed(failure),
        }
    }

    fn answered(&mut self, answer: Answer) -> Change {
        let before = std::mem::replace(&mut self.condition, Condition::Up);
        self.cause = None;
        (self.list, self.models) = (answer.list, answer.models);
        self.body_bytes = answer.body_bytes;
        (self.load, self.memory) = (answer.load, answer.memory);
        if before == Condition::Up {
            Change::None
        } else {
            Change::WentUp
        }
    }

    fn unanswered(&mut self) -> Change {
        match self.condition {
            Condition::Up => {
                self.condition = Condition::Slow(1);
                Change::BecameSlow
            }
            Condition::Slow(polls) if polls < SLOW_POLLS_MAX => {
                self.condition = Condition::Slow(polls + 1);
                Change::None
            }
            _ => self.failed(Failure::Slow),
        }
    }

    fn failed(&mut self, failure: Failure) -> Change {
        self.load = None;
        self.cause = Some(failure.to_string().into());
        // Whoever answers at this address next may be somebody else: the key is shown again only when asked for.
        self.memory = Memory::default();
        match self.condition {
            Condition::Down(polls) => {
                self.condition = Condition::Down(polls.saturating_add(1));
                Change::None
            }
            _ => {
                self.condition = Condition::Down(1);
                Change::WentDown(failure)
            }
        }
    }

    /// How long until its next poll.
    pub(crate) fn pause(&self, pace: Pace) -> Duration {
        let heartbeat = pace.heartbeat;
        match self.condition {
            Condition::Unknown => Duration::ZERO,
            Condition::Up => heartbeat,
            Condition::Slow(_) => SLOW_RETRY_PAUSE.min(heartbeat),
            Condition::Down(polls) => {
                let longest = pace.down_max.max(heartbeat);
                heartbeat
                    .saturating_mul(1 << polls.saturating_sub(1).min(16))
                    .min(longest)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> Result<Answer, Failure> {
        Ok(Answer::for_test(2))
    }

    fn refused() -> Failure {
        Failure::Unreachable("connection refused".to_owned())
    }

    #[test]
    fn a_change_is_told_once() {
        let mut health = Health::new();
        assert_eq!(health.take(Err(refused())), Change::WentDown(refused()));
        assert_eq!(
            health.take(Err(Failure::Status(StatusCode::SERVICE_UNAVAILABLE))),
            Change::None
        );
        assert_eq!(health.take(answer()), Change::WentUp);
        assert_eq!(health.take(answer()), Change::None);
        assert_eq!(health.take(Err(refused())), Change::WentDown(refused()));
        assert!(health.list().is_none(), "down is left out at once");
    }

    #[test]
    fn a_backend_that_was_up_may_be_slow_for_a_while() {
        let mut health = Health::new();
        assert_eq!(
            health.take(Err(Failure::Slow)),
            Change::WentDown(Failure::Slow),
            "it never was up"
        );
        health.take(answer());
        assert_eq!(health.take(Err(Failure::Slow)), Change::BecameSlow);
        for _ in 1..SLOW_POLLS_MAX {
            assert_eq!(health.take(Err(Failure::Slow)), Change::None);
            assert!(health.list().is_some());
        }
        assert_eq!(health.take(Err(Failure::Slow)), Change::WentDown(Failure::Slow));
        assert!(health.list().is_none());
    }

    #[test]
    fn who_is_down_is_asked_ever_more_rarely() {
        let pace = Pace {
            heartbeat: Duration::from_secs(5),
            down_max: Duration::from_secs(10),
        };
        let mut health = Health::new();
        assert_eq!(health.pause(pace), Duration::ZERO);
        for seconds in [5, 10, 10] {
            health.take(Err(refused()));
            assert_eq!(health.pause(pace), Duration::from_secs(seconds));
        }
        health.take(answer());
        assert_eq!(health.pause(pace), Duration::from_secs(5));
        health.take(Err(Failure::Slow));
        assert_eq!(health.pause(pace), Duration::from_secs(1));
    }
}
