//! A certificate that is wanted: when it is ordered, and when the authority is asked for a better time. Time comes in.

use std::time::{Duration, SystemTime};

use instant_acme::RenewalInfo;

use super::issued::Issued;
use super::order::{self, Failed, FailedKind};
use super::schedule::{back_off, jitter};
use super::store::Store;

/// Between two orders of one certificate, whatever the authority issues.
const APART_MIN: Duration = Duration::from_secs(10);

/// How often an authority is asked when to renew, whatever it says.
const ASK_MIN: Duration = Duration::from_secs(3600);
const ASK_MAX: Duration = Duration::from_secs(24 * 3600);

/// After a question without an answer of use (RFC 9773, 4.3.3).
const ASK_AGAIN: Duration = Duration::from_secs(6 * 3600);

/// One certificate, and when something is done about it.
pub(super) struct Wanted {
    pub(super) names: Vec<String>,
    /// `None`: there is none.
    pub(super) issued: Option<Issued>,
    pub(super) due: SystemTime,
    /// When the authority is next asked for a better time.
    pub(super) asks: SystemTime,
    failures: u32,
    /// From 0 to 1: where in its time this one is renewed.
    jitter: f64,
}

impl Wanted {
    pub(super) fn new(names: &[String], store: &Store, now: SystemTime) -> Self {
        let issued = store.issued(names).unwrap_or_else(|fault| {
            tracing::error!("another certificate is ordered, for the one that is there cannot be used: {fault}");
            None
        });
        let mut wanted = Self {
            names: names.to_vec(),
            issued: None,
            due: now,
            asks: now + ASK_MAX,
            failures: 0,
            jitter: jitter(),
        };
        if let Some(issued) = issued {
            wanted.due = issued.life.renewal(wanted.jitter);
            wanted.asks = now;
            wanted.issued = Some(issued);
        }
        wanted
    }

    pub(super) fn has(&mut self, issued: Issued, now: SystemTime) {
        self.jitter = jitter();
        self.due = issued.life.renewal(self.jitter).max(now + APART_MIN);
        self.asks = now + ASK_MIN;
        self.failures = 0;
        self.issued = Some(issued);
    }

    pub(super) fn failed(&mut self, failed: &Failed, now: SystemTime) {
        self.failures = self.failures.saturating_add(1);
        let wait = back_off(self.failures, failed.kind == FailedKind::RateLimited, jitter());
        self.due = now + wait;
        let left = self
            .issued
            .as_ref()
            .and_then(|issued| issued.life.end.duration_since(now).ok());
        let consequence = match left {
            Some(left) => format!("the one there is ends in {} hours", left.as_secs() / 3600),
            None => "clients that ask for it are turned away".to_owned(),
        };
        tracing::error!(
            names = self.names.join(" "),
            again_in_seconds = wait.as_secs(),
            "a certificate was not issued ({consequence}): {failed}"
        );
    }

    /// What the authority suggests. No back-off is cut short by it: an authority that wants a certificate renewed, and
    /// fails to issue another, is not asked for it the more often.
    pub(super) fn suggested(&mut self, info: &RenewalInfo, again: Duration, now: SystemTime) {
        self.asks = now + again.clamp(ASK_MIN, ASK_MAX);
        let Some(issued) = self.issued.as_ref().filter(|_| self.failures == 0) else {
            return;
        };
        let window = (info.suggested_window.start.into(), info.suggested_window.end.into());
        let due = issued.life.suggested(window, self.jitter);
        if due < self.due {
            tracing::info!(
                names = self.names.join(" "),
                in_hours = due.duration_since(now).unwrap_or_default().as_secs() / 3600,
                why = info.explanation_url.as_deref().map(order::plain),
                "the authority suggests an earlier renewal"
            );
        }
        self.due = due;
    }

    /// It may know later.
    pub(super) fn not_suggested(&mut self, now: SystemTime) {
        self.asks = now + ASK_AGAIN;
    }

    /// What failed is tried now; what is valid and not due stays as it is.
    pub(super) fn hasten(&mut self, now: SystemTime) {
        if self.failures > 0 {
            self.due = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::acme::settings::{AcmeSettings, ChallengeKind};

    const HOUR: Duration = Duration::from_secs(3600);

    /// With a certificate of the first 90 days of 2026, and 31 days later.
    fn wanted() -> (Wanted, SystemTime) {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&AcmeSettings {
            directory: "https://ca.example/dir".to_owned(),
            certificates: Vec::new(),
            contacts: Vec::new(),
            challenge: ChallengeKind::Http01,
            directory_ca: None,
            external_account: None,
            folder: folder.path().to_owned(),
        });
        let store = store.expect("opened");
        let names = ["a.example".to_owned()];
        let mut parameters = rcgen::CertificateParams::new(names.to_vec()).expect("a name");
        parameters.not_before = rcgen::date_time_ymd(2026, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(2026, 4, 1);
        let key = rcgen::KeyPair::generate().expect("a key");
        let chain = parameters.self_signed(&key).expect("a certificate").pem();
        store.keep(&names, &key.serialize_pem(), &chain).expect("kept");
        let now = SystemTime::from(rcgen::date_time_ymd(2026, 2, 1));
        (Wanted::new(&names, &store, now), now)
    }

    fn window(start: &str, end: &str) -> RenewalInfo {
        let text = format!(r#"{{"suggestedWindow": {{"start": "{start}T00:00:00Z", "end": "{end}T00:00:00Z"}}}}"#);
        serde_json::from_str(&text).expect("renewal information")
    }

    #[test]
    fn the_authority_is_asked_at_the_start_and_then_once_to_24_times_a_day() {
        let (mut wanted, now) = wanted();
        assert_eq!(wanted.asks, now);
        for (again, expected) in [(0, 1), (6, 6), (24, 24), (25, 24)] {
            wanted.suggested(&window("2026-03-01", "2026-03-02"), HOUR * again, now);
            assert_eq!(wanted.asks, now + HOUR * expected, "{again}");
        }
        let due = wanted.due;
        wanted.not_suggested(now);
        assert_eq!(
            (wanted.asks, wanted.due),
            (now + HOUR * 6, due),
            "what it said before holds"
        );
    }

    #[test]
    fn a_suggestion_moves_the_renewal_and_cuts_no_back_off_short() {
        let (mut wanted, now) = wanted();
        let (early, late) = (window("2026-01-20", "2026-01-21"), window("2026-03-10", "2026-03-11"));
        assert!(wanted.due > now && wanted.due < SystemTime::from(rcgen::date_time_ymd(2026, 3, 3)));
        wanted.suggested(&late, HOUR, now);
        assert!(wanted.due >= SystemTime::from(rcgen::date_time_ymd(2026, 3, 10)));
        wanted.suggested(&early, HOUR, now);
        assert!(wanted.due < now);
        wanted.failed(&Failed::too_slow(), now);
        let due = wanted.due;
        assert!(due >= now + Duration::from_secs(5 * 60));
        for info in [early, late] {
            wanted.suggested(&info, HOUR, now);
            assert_eq!(wanted.due, due);
        }
    }
}
