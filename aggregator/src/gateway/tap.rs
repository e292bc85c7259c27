//! What is kept of the gateway's own exchanges: request and answer as the client has them, in the client's dialect.
//!
//! ```text
//!  Gateway::answer ── begin ──▶ Kept ── request, before a backend is asked
//!                                │
//!                                └─ follow ──▶ the response's body: each piece, before the client gets it
//! ```
//!
//! Invariants: an exchange that the edge keeps is kept here without its bodies and as a part of the edge's; one that the
//! edge was told not to keep is not kept here either. Only a caller on this machine is believed to be the edge.

mod body;
mod branches;

pub(super) use branches::Branches;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use axum::body::Body;
use axum::http::header::{HeaderMap, HeaderName};
use axum::http::request::Parts;
use axum::response::Response;
use capture::{Begun, End, ExchangeId, Headers, Ledger, Mode, Outcome, Plane, Recorder, ResponseHead, Terms};
use uuid::Uuid;

use super::headers;
use body::Followed;

/// How the edge says what it keeps of an exchange: a UUID, or `none`.
const EXCHANGE: HeaderName = HeaderName::from_static("x-conclave-exchange");
const NOTHING: &str = "none";

/// What is kept of exchanges, and where.
#[derive(Debug, Clone)]
pub struct CaptureConfig {
    /// The journals' folder; the aggregator's own is below it.
    pub journal: PathBuf,
    pub options: capture::Options,
    pub terms: Terms,
}

/// The aggregator's journal.
#[derive(Debug)]
pub(crate) struct Tap {
    ledger: Arc<Ledger>,
    terms: Terms,
}

/// An exchange that is being kept. Dropped before its answer is complete, it ends as one whose client has gone.
pub(super) struct Kept {
    recorder: Recorder,
    ledger: Arc<Ledger>,
    terms: Terms,
    end: Option<End<'static>>,
    refused: Option<&'static str>,
}

/// Where a request comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// What the edge says.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Kept(ExchangeId),
    Nothing,
}

impl Tap {
    /// # Errors
    /// Where the journal's folder cannot be used, or another process writes it.
    pub(crate) fn open(config: &CaptureConfig) -> Result<Self, capture::Error> {
        let folder = capture::folder_of(&config.journal, Plane::Aggregator);
        Ok(Self {
            ledger: Ledger::open(&folder, config.options)?,
            terms: config.terms,
        })
    }

    pub(crate) fn ledger(&self) -> Arc<Ledger> {
        Arc::clone(&self.ledger)
    }

    /// `None`: it is not kept.
    pub(super) fn begin(&self, head: &Parts, request_id: &headers::RequestId, router: Option<&str>) -> Option<Kept> {
        let peer = head.extensions.get::<Peer>().map(|peer| peer.0.to_canonical());
        let mut terms = self.terms;
        let parent = match told(&head.headers, peer) {
            None => None,
            Some(Told::Nothing) => return None,
            Some(Told::Kept(parent)) => {
                terms.mode = Mode::Metadata;
                Some(parent)
            }
        };
        let (started, at) = (Instant::now(), SystemTime::now());
        let at = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let begun = Begun {
            parent,
            client: peer,
            router,
            headers: Headers::of(|name| head.headers.get(name)?.to_str().ok()),
            ..Begun::new(
                Plane::Aggregator,
                u64::try_from(at.as_micros()).unwrap_or(u64::MAX),
                request_id.as_str(),
                head.method.as_str(),
                head.uri.path(),
            )
        };
        let recorder = Recorder::begin(&self.ledger, capture::new_id(), &begun, terms, started);
        Some(Kept {
            recorder,
            ledger: Arc::clone(&self.ledger),
            terms,
            end: None,
            refused: None,
        })
    }
}

/// What the edge says of the exchange, where it is the edge that says it.
fn told(headers: &HeaderMap, peer: Option<IpAddr>) -> Option<Told> {
    let value = headers.get(EXCHANGE)?.to_str().ok()?;
    if !peer?.is_loopback() {
        return None;
    }
    if value == NOTHING {
        return Some(Told::Nothing);
    }
    let id = Uuid::try_parse(value).ok()?;
    Some(Told::Kept(ExchangeId(id.into_bytes())))
}

impl Kept {
    /// The request, before anybody is asked.
    ///
    /// # Errors
    /// Where it must be kept, and the journal does not take it.
    pub(super) fn request(&mut self, body: &[u8]) -> Result<(), capture::NotKept> {
        self.recorder.request_bytes(body);
        let kept = self.recorder.hand_in();
        if kept.is_err() {
            self.recorder.abandon();
        }
        kept.map(|_| ())
    }

    /// The answer is the gateway's own.
    pub(super) fn refused(&mut self, code: &'static str) {
        self.refused = Some(code);
    }

    /// The answer, as it passes.
    pub(super) fn follow(mut self, response: Response) -> Response {
        let of = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        let status = response.status().as_u16();
        self.recorder.response_head(&ResponseHead {
            elapsed_us: 0,
            status,
            content_type: of("content-type"),
            content_encoding: of("content-encoding"),
            server: of(headers::BACKEND.as_str()),
            attempts: response.extensions().get::<Attempts>().map_or(0, |attempts| attempts.0),
            fallback_model: of(headers::FALLBACK_MODEL.as_str()),
        });
        self.end = Some(End {
            status: Some(status),
            ..End::of(self.refused.map_or(Outcome::Complete, Outcome::Refused))
        });
        response.map(|body| Body::new(Followed::new(body, self)))
    }

    fn ends(&mut self, outcome: Outcome<'static>) {
        let end = self.end.unwrap_or(End::of(outcome));
        self.recorder.end(&End { outcome, ..end });
    }

    /// As it was foreseen.
    fn ends_well(&mut self) {
        self.ends(self.end.map_or(Outcome::Complete, |end| end.outcome));
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // Only the first end counts.
        self.ends(Outcome::ClientGone);
    }
}

/// Backends that were asked.
#[derive(Clone, Copy)]
pub(super) struct Attempts(pub(super) u32);

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn only_the_edge_on_this_machine_is_believed() {
        let id = "019aac3c-1111-7222-8333-444444444444";
        let kept = Told::Kept(ExchangeId(Uuid::try_parse(id).expect("a UUID").into_bytes()));
        for (value, peer, expected) in [
            (id, "127.0.0.1", Some(kept)),
            ("none", "::1", Some(Told::Nothing)),
            ("none", "10.0.0.7", None),
            ("anything", "127.0.0.1", None),
        ] {
            let headers = HeaderMap::from_iter([(EXCHANGE, HeaderValue::from_static(value))]);
            assert_eq!(told(&headers, peer.parse().ok()), expected, "{value} from {peer}");
        }
        assert_eq!(told(&HeaderMap::new(), "127.0.0.1".parse().ok()), None);
    }
}
