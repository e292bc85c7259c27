//! What is kept of which exchange: the way from the edge into its journal.
//!
//! Owns the decision whether an exchange is kept and under which terms. An exchange without a route is never kept: what
//! comes without a known key is nobody's, and would let anybody fill the disk.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use capture::{Begun, Headers, Ledger, LossPolicy, Mode, Plane as KeptPlane, Recorder, Statistics, Terms};
use http::HeaderMap;
use keymap::{Capture, CaptureLoss, CaptureMode, MiddlewareKind, Route};

use crate::config::CaptureConfig;
use crate::exchange::Destination;
use crate::plane::Plane;
use crate::request_id::RequestId;

/// The edge's journal.
pub(crate) struct Tap {
    ledger: Arc<Ledger>,
    /// For routers that do not say.
    terms: Option<Terms>,
    /// What a router's own terms begin from.
    base: Terms,
}

/// An exchange as its beginning is told.
pub(crate) struct Described<'a> {
    pub(crate) started: Instant,
    pub(crate) request_id: &'a RequestId,
    pub(crate) client: IpAddr,
    pub(crate) route: Option<&'a Route>,
    pub(crate) destination: Option<&'a Destination>,
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) headers: Option<&'a HeaderMap>,
}

impl Tap {
    /// # Errors
    /// Where the journal's folder cannot be used, or too many other processes write there.
    pub(crate) fn open(config: &CaptureConfig) -> Result<Self, capture::Error> {
        Ok(Self {
            ledger: Ledger::open_free(&config.journal, KeptPlane::Edge, config.options)?,
            terms: config.terms,
            base: Terms {
                mode: Mode::Full,
                loss: config.options.loss,
                body_bytes_max: config.body_bytes_max,
            },
        })
    }

    pub(crate) fn statistics(&self) -> Statistics {
        self.ledger.statistics()
    }

    /// `None`: nothing of this route's exchanges is kept. Of several `capture` middlewares the last counts, which is the
    /// nearest to the server.
    fn terms_for(&self, route: &Route) -> Option<Terms> {
        let said = route
            .middlewares
            .iter()
            .rev()
            .find_map(|middleware| match &middleware.kind {
                MiddlewareKind::Capture(capture) => Some(capture),
                _ => None,
            });
        match said {
            None => self.terms,
            Some(capture) => self.terms_of(capture),
        }
    }

    fn terms_of(&self, capture: &Capture) -> Option<Terms> {
        let mode = match capture.mode {
            CaptureMode::Full => Mode::Full,
            CaptureMode::Metadata => Mode::Metadata,
            CaptureMode::Off => return None,
        };
        let loss = match capture.loss {
            Some(CaptureLoss::Drop) => LossPolicy::Drop,
            Some(CaptureLoss::Refuse) => LossPolicy::Refuse,
            None => self.base.loss,
        };
        let body_bytes_max = capture.body_bytes_max.unwrap_or(self.base.body_bytes_max);
        Some(Terms {
            mode,
            loss,
            body_bytes_max,
        })
    }
}

/// Begins to keep an exchange; nothing is appended yet.
pub(crate) fn begin(plane: &Plane, exchange: &Described<'_>) -> Option<Box<Recorder>> {
    let tap = plane.tap.as_ref()?;
    let route = exchange.route?;
    let terms = tap.terms_for(route)?;
    let request_id = std::str::from_utf8(exchange.request_id.as_bytes()).unwrap_or_default();
    let service = exchange.destination.map(Destination::name);
    let all = exchange.headers.into_iter().flatten();
    let all = all.map(|(name, value)| (name.as_str(), value));
    let begun = Begun {
        client: Some(exchange.client),
        router: Some(&route.router.name),
        service: service.as_deref(),
        headers: Headers::among(all, |value| value.to_str().ok()),
        ..Begun::new(
            KeptPlane::Edge,
            unix_us(exchange.started),
            request_id,
            exchange.method,
            exchange.path,
        )
    };
    let id = exchange.request_id.as_exchange_id();
    Some(Box::new(Recorder::begin(
        &tap.ledger,
        id,
        &begun,
        terms,
        exchange.started,
    )))
}

fn unix_us(moment: Instant) -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let then = now.unwrap_or_default().saturating_sub(moment.elapsed());
    u64::try_from(then.as_micros()).unwrap_or(u64::MAX)
}
