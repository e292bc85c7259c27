//! The end of an exchange: it is counted once and logged once.

use std::time::{Instant, SystemTime};

use super::Exchange;
use crate::access_log::Line;
use crate::breaker::{self, Ended};
use crate::error::Refusal;
use crate::upstream::Upstream;

/// How an exchange ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Complete,
    Refused(Refusal),
    ClientGone,
    UpstreamFailed,
}

impl Outcome {
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Refused(_) => "refused",
            Self::ClientGone => "client_gone",
            Self::UpstreamFailed => "upstream_failed",
        }
    }
}

impl Exchange {
    /// Counts and logs. What a refusal answered counts as the status, unless a server's answer had begun.
    pub(crate) fn close(&mut self, outcome: Outcome) {
        let outcome = match outcome {
            Outcome::Refused(answered @ Refusal::Preflight) => {
                self.status.get_or_insert(answered.status());
                Outcome::Complete
            }
            outcome => outcome,
        };
        if let Outcome::Refused(refusal) = outcome {
            self.refusing();
            self.plane.metrics.refused(refusal);
            self.status.get_or_insert(refusal.status());
        }
        self.settle();
        self.count_pace();
        self.plane.metrics.answered(self.status);
        self.tell_breakers(outcome);
        // Dropping the recorder appends what is left.
        self.end_kept(outcome);
        self.recorder = None;
        self.end_span(outcome);
        if let Some(log) = &self.plane.access_log {
            log.write(self.line(outcome));
        }
    }

    fn tell_breakers(&self, outcome: Outcome) {
        let Some(route) = self.route.as_ref().filter(|route| !route.middlewares.is_empty()) else {
            return;
        };
        let ended = match (outcome, self.status) {
            (Outcome::Complete, Some(status)) => Ended::Answered(status),
            (Outcome::UpstreamFailed | Outcome::Refused(Refusal::UpstreamFailed | Refusal::UpstreamTimeout), _) => {
                Ended::NoAnswer
            }
            // Whoever was refused here, or left, says nothing about the servers.
            _ => return,
        };
        let now = Instant::now();
        breaker::record(route, ended, now.saturating_duration_since(self.started), now);
    }

    fn line(&self, outcome: Outcome) -> Line {
        Line {
            time: humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
            request_id: String::from_utf8_lossy(self.request_id.as_bytes()).into_owned(),
            client: self.client.to_string(),
            method: shown(&self.method).to_owned(),
            path: self
                .target
                .as_ref()
                .map_or_else(String::new, |target| target.path().to_owned()),
            status: self.status,
            outcome: outcome.label(),
            router: self.route.as_ref().map(|route| route.router.name.clone()),
            service: self.destination.as_ref().map(super::Destination::name),
            server: self.current_server().map(Upstream::label).map(str::to_owned),
            attempts: self.attempts.count,
            request_bytes: self.request_bytes,
            response_bytes: self.response_bytes,
            duration_ms: self.started.elapsed().as_secs_f64() * 1000.0,
        }
    }
}

/// A method of HTTP's own. Any other word is the client's, who may have put anything there.
fn shown(method: &http::Method) -> &str {
    let known = [
        http::Method::GET,
        http::Method::POST,
        http::Method::HEAD,
        http::Method::PUT,
        http::Method::DELETE,
        http::Method::OPTIONS,
        http::Method::PATCH,
        http::Method::TRACE,
    ];
    if known.contains(method) {
        method.as_str()
    } else {
        "other"
    }
}
