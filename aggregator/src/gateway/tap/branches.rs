//! Requests of the gateway's own, made for one that is kept: each is kept, too, as a part of it and on its terms.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use capture::{Begun, ExchangeId, Ledger, NotKept, Outcome, Plane, Recorder, Terms};

use super::Kept;

/// Inquiries are put in OpenAI's words, whoever answers.
const METHOD: &str = "POST";
const PATH: &str = "/v1/chat/completions";

/// Where the parts of one exchange are kept.
#[derive(Clone)]
pub(in crate::gateway) struct Branches {
    ledger: Arc<Ledger>,
    terms: Terms,
    parent: ExchangeId,
}

impl Kept {
    pub(in crate::gateway) fn branches(&self) -> Branches {
        Branches {
            ledger: Arc::clone(&self.ledger),
            terms: self.terms,
            parent: self.recorder.id(),
        }
    }

    /// Nobody answered it.
    pub(in crate::gateway) fn ends_refused(mut self, code: &'static str) {
        self.ends(Outcome::Refused(code));
    }
}

impl Branches {
    /// # Errors
    /// Where it must be kept, and the journal does not take it.
    pub(in crate::gateway) fn begin(&self, request_id: &str, body: &[u8]) -> Result<Kept, NotKept> {
        let (started, at) = (Instant::now(), SystemTime::now());
        let at = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let at_unix_us = u64::try_from(at.as_micros()).unwrap_or(u64::MAX);
        let begun = Begun {
            parent: Some(self.parent),
            ..Begun::new(Plane::Council, at_unix_us, request_id, METHOD, PATH)
        };
        let mut kept = Kept {
            recorder: Recorder::begin(&self.ledger, capture::new_id(), &begun, self.terms, started),
            ledger: Arc::clone(&self.ledger),
            terms: self.terms,
            end: None,
            refused: None,
        };
        kept.request(body)?;
        Ok(kept)
    }
}
