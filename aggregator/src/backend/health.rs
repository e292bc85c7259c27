//! What a poll's outcome says of a backend. Pure.
//!
//! Down at once: no connection, an error status, an answer that is no list. Not down at once: a backend that was up
//! and connects but does not answer in time. llama-server's few HTTP threads starve while it streams; measured, its
//! answers then came up to 9 s late. Such a backend keeps its last list for [`SLOW_POLLS_MAX`] polls.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;

use super::client::Answer;
use crate::catalogue::ModelList;
use crate::config::BackendConfig;

/// The poll after these ends it: five of 2 s, a second apart, outlast the 9 s that were measured.
const SLOW_POLLS_MAX: u32 = 4;

/// A slow backend is asked again soon: whether it is dead is worth knowing.
const SLOW_RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Why a poll brought no list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// No connection, or one that broke.
    Unreachable(String),
    /// Not answered within the mapping time-out.
    Slow,
    Status(StatusCode),
    Unusable(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(cause) => write!(f, "it cannot be reached: {cause}"),
            Self::Slow => f.write_str("it does not answer within the mapping time-out"),
            Self::Status(StatusCode::UNAUTHORIZED) => {
                f.write_str("it answers 401: it asks for a key, and none that was given for backends suits it")
            }
            Self::Status(StatusCode::SERVICE_UNAVAILABLE) => f.write_str("it answers 503: it is loading or full"),
            Self::Status(StatusCode::LOOP_DETECTED) => {
                f.write_str("it leads back to this aggregator; exclude its mapping file with --skip-mapping")
            }
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
    list: Option<Arc<ModelList>>,
    body_bytes: usize,
    asks_key: bool,
}

impl Health {
    pub(crate) fn new() -> Self {
        Self {
            condition: Condition::Unknown,
            list: None,
            body_bytes: 0,
            asks_key: false,
        }
    }

    /// Its list, while it counts.
    pub(crate) fn list(&self) -> Option<&ModelList> {
        self.list.as_deref()
    }

    pub(crate) fn body_bytes(&self) -> usize {
        self.body_bytes
    }

    pub(crate) fn asks_key(&self) -> bool {
        self.asks_key
    }

    pub(crate) fn is_known(&self) -> bool {
        self.condition != Condition::Unknown
    }

    pub(crate) fn is_down(&self) -> bool {
        matches!(self.condition, Condition::Down(_))
    }

    pub(crate) fn take(&mut self, outcome: Result<Answer, Failure>) -> Change {
        match outcome {
            Ok(answer) => self.answered(answer),
            Err(Failure::Slow) => self.unanswered(),
            Err(failure) => self.failed(failure),
        }
    }

    fn answered(&mut self, answer: Answer) -> Change {
        let before = std::mem::replace(&mut self.condition, Condition::Up);
        self.list = Some(Arc::new(answer.list));
        self.body_bytes = answer.body_bytes;
        self.asks_key = answer.asks_key;
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
        (self.list, self.body_bytes) = (None, 0);
        // Whoever answers at this address next may be somebody else: the key is shown again only when asked for.
        self.asks_key = false;
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
    pub(crate) fn pause(&self, config: &BackendConfig) -> Duration {
        let heartbeat = config.heartbeat_interval;
        match self.condition {
            Condition::Unknown => Duration::ZERO,
            Condition::Up => heartbeat,
            Condition::Slow(_) => SLOW_RETRY_PAUSE.min(heartbeat),
            Condition::Down(polls) => {
                let longest = config.down_interval_max.max(heartbeat);
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
        Ok(Answer {
            list: ModelList::default(),
            body_bytes: 2,
            asks_key: false,
        })
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
        let config = BackendConfig {
            heartbeat_interval: Duration::from_secs(5),
            ..BackendConfig::default()
        };
        let mut health = Health::new();
        assert_eq!(health.pause(&config), Duration::ZERO);
        for seconds in [5, 10, 10] {
            health.take(Err(refused()));
            assert_eq!(health.pause(&config), Duration::from_secs(seconds));
        }
        health.take(answer());
        assert_eq!(health.pause(&config), Duration::from_secs(5));
        health.take(Err(Failure::Slow));
        assert_eq!(health.pause(&config), Duration::from_secs(1));
    }
}
