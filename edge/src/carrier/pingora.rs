//! The carrier on pingora-proxy, for HTTP/1.1: it is what our own is held against.
//!
//! Bodies that a rule on `Model` needs are read whole before the server is chosen, then handed on from memory. pingora
//! only sends a body that was read early if its retry buffer (64 KiB) holds something, so buffering is switched on for
//! the last piece alone and that piece is replaced by the whole body in `request_body_filter`.

mod ahead;
mod answer;
mod body;
mod downstream;
mod failing;
mod head;
mod heads;
mod leftover;
mod peer;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use http::header;
use pingora_core::modules::http::HttpModules;
use pingora_core::prelude::HttpPeer;
use pingora_core::{Error, ErrorSource, ErrorType, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};

use dialect::openai::stream::HideUsage;

use crate::carrier::forward::{Budget, Portion};
use crate::error::Refusal;
use crate::exchange::{Exchange, Outcome, Verdict};
use crate::plane::Plane;
use crate::upstream::Upstream;
pub(crate) use downstream::Downstream;
use failing::{next_try, not_connected, refuse, tell_of_failure};
use head::content_length;

/// A custom error type: the exchange refused while the body was on its way.
const REFUSED: ErrorType = ErrorType::Custom("refused");

/// Another: a server's refusal is not passed on, because another server is asked.
const PASSED_OVER: ErrorType = ErrorType::Custom("passed over");

struct PingoraCarrier {
    plane: Arc<Plane>,
    entry_point: Option<Arc<str>>,
    /// For bodies that are read ahead.
    kept: Arc<Budget>,
}

/// One request as pingora carries it.
#[derive(Default)]
struct Carried {
    exchange: Option<Exchange>,
    /// The whole body, where it was read early.
    body: Option<Bytes>,
    /// Its share of what all bodies that were read ahead may take.
    kept: Option<Portion>,
    /// What is left out of an event stream.
    hide: Option<HideUsage>,
    refusal: Option<Refusal>,
    /// The body cannot be replayed, or a pooled connection has just failed: use a new connection.
    fresh_connection: bool,
    response_begun: bool,
}

impl Carried {
    fn exchange(&mut self) -> Result<&mut Exchange> {
        self.exchange
            .as_mut()
            .ok_or_else(|| Error::explain(ErrorType::InternalError, "no exchange is open"))
    }

    /// Whether another server could get the request from its first byte on.
    fn can_move(&self, session: &Session) -> bool {
        self.body.is_some() || !session.as_ref().retry_buffer_truncated()
    }

    async fn wait_for_turn(&mut self) -> Result<()> {
        let Some(turn) = self.exchange()?.turn() else {
            return Ok(());
        };
        match turn.wait().await {
            Ok(slot) => self.exchange()?.has_turn(&turn, slot),
            Err(refusal) => return Err(self.refused(refusal)),
        }
        Ok(())
    }

    fn refused(&mut self, refusal: Refusal) -> Box<Error> {
        self.refusal = Some(refusal);
        Error::new(REFUSED)
    }
}

#[async_trait]
impl ProxyHttp for PingoraCarrier {
    type CTX = Carried;

    fn new_ctx(&self) -> Carried {
        Carried::default()
    }

    /// None: pingora would add a (disabled) compression module to every response.
    fn init_downstream_modules(&self, _: &mut HttpModules) {}

    async fn request_filter(&self, session: &mut Session, carried: &mut Carried) -> Result<bool> {
        if self.plane.pressure.is_high() {
            let refusal = Refusal::AtMemoryBound;
            self.plane.metrics.refused(refusal);
            self.plane.metrics.answered(Some(refusal.status()));
            carried.refusal = Some(refusal);
            refuse(session, carried, refusal).await?;
            return Ok(true);
        }
        let (exchange, mut verdict) = self.open(session);
        carried.exchange = Some(exchange);
        if let Some(fault) = head::fault(session.req_header(), &self.plane.bounds.head) {
            verdict = Verdict::Refuse(fault);
        }
        if matches!(verdict, Verdict::ReadBody) {
            verdict = self.read_body(session, carried).await?;
        }
        match verdict {
            Verdict::Forward => {
                if let Err(refusal) = self.read_ahead(session, carried).await? {
                    carried.refusal = Some(refusal);
                    refuse(session, carried, refusal).await?;
                    return Ok(true);
                }
                carried.fresh_connection = carried.body.is_none() && !is_replayable(session.req_header());
                Ok(false)
            }
            Verdict::ReadBody => Err(carried.refused(Refusal::BadRequest)),
            Verdict::Refuse(refusal) => {
                carried.refusal = Some(refusal);
                refuse(session, carried, refusal).await?;
                Ok(true)
            }
        }
    }

    async fn upstream_peer(&self, _: &mut Session, carried: &mut Carried) -> Result<Box<HttpPeer>> {
        self.peer(carried).await
    }

    async fn upstream_request_filter(
        &self,
        _: &mut Session,
        request: &mut RequestHeader,
        carried: &mut Carried,
    ) -> Result<()> {
        self.rewrite(request, carried)
    }

    async fn request_body_filter(
        &self,
        _: &mut Session,
        body: &mut Option<Bytes>,
        end_of_stream: bool,
        carried: &mut Carried,
    ) -> Result<()> {
        if let Some(whole) = &carried.body {
            if end_of_stream {
                *body = Some(whole.clone()).filter(|whole| !whole.is_empty());
            }
            return Ok(());
        }
        // pingora would write the last piece as a chunk, and where it is empty that ends the body once too often: what
        // follows is read as another request.
        *body = body.take().filter(|piece| !end_of_stream || !piece.is_empty());
        let payload = body.as_deref().unwrap_or_default();
        let exchange = carried.exchange()?;
        let mut told = exchange.request_chunk(payload);
        if told.is_ok() && exchange.request_ready().is_err() {
            told = Err(exchange.not_kept());
        }
        told.map_err(|refusal| carried.refused(refusal))
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        carried: &mut Carried,
    ) -> Result<()> {
        self.answer_head(session, response, carried).await
    }

    fn response_body_filter(
        &self,
        _: &mut Session,
        body: &mut Option<Bytes>,
        end_of_stream: bool,
        carried: &mut Carried,
    ) -> Result<Option<Duration>> {
        let exchange = carried.exchange()?;
        exchange.response_chunk(body.as_deref().unwrap_or_default());
        // Here nothing can be waited for: what must be kept and cannot be is cut.
        if exchange.response_ready(end_of_stream).is_err() {
            let refusal = exchange.not_kept();
            return Err(carried.refused(refusal));
        }
        if let Some(hide) = &mut carried.hide {
            let mut shown = Vec::new();
            hide.push(body.as_deref().unwrap_or_default(), &mut shown);
            if end_of_stream {
                hide.finish(&mut shown);
            }
            *body = (!shown.is_empty()).then(|| shown.into());
        }
        Ok(None)
    }

    fn fail_to_connect(&self, _: &mut Session, _: &HttpPeer, carried: &mut Carried, e: Box<Error>) -> Box<Error> {
        not_connected(carried, e)
    }

    fn error_while_proxy(
        &self,
        _: &HttpPeer,
        session: &mut Session,
        e: Box<Error>,
        carried: &mut Carried,
        connection_reused: bool,
    ) -> Box<Error> {
        next_try(session, e, carried, connection_reused)
    }

    async fn fail_to_proxy(&self, session: &mut Session, e: &Error, carried: &mut Carried) -> FailToProxy {
        tell_of_failure(session, e, carried).await
    }

    async fn logging(&self, _: &mut Session, e: Option<&Error>, carried: &mut Carried) {
        let outcome = match (carried.refusal, e) {
            (Some(refusal), _) if !carried.response_begun => Outcome::Refused(refusal),
            (_, Some(e)) if *e.esource() == ErrorSource::Downstream => Outcome::ClientGone,
            (_, Some(_)) => Outcome::UpstreamFailed,
            _ => Outcome::Complete,
        };
        if let Some(mut exchange) = carried.exchange.take() {
            if let (Outcome::UpstreamFailed, Some(e)) = (outcome, e) {
                let server = exchange.current_server().map(Upstream::label);
                tracing::warn!(server, error = e.etype().as_str(), "a server's answer broke off");
            }
            exchange.close(outcome);
        }
    }

    /// pingora's own lines hold the request's path and query; ours are written by `logging`.
    fn suppress_error_log(&self, _: &Session, _: &Carried, _: &Error) -> bool {
        true
    }

    fn suppress_proxy_warn_log(&self, _: &Session, _: &Carried, _: &Error, _: ProxyWarnLogContext) -> bool {
        true
    }
}

impl PingoraCarrier {
    fn open(&self, session: &Session) -> (Exchange, Verdict) {
        head::of(session.as_downstream(), |head| {
            Exchange::open(self.plane.clone(), self.entry_point.clone(), head, Instant::now())
        })
    }

    async fn read_body(&self, session: &mut Session, carried: &mut Carried) -> Result<Verdict> {
        let bytes_max = self.plane.bounds.body_bytes_max;
        match body::read_whole(session.as_downstream_mut(), bytes_max).await? {
            Ok(body) => {
                let verdict = carried.exchange()?.body_read(&session.req_header().headers, &body);
                let body = carried.exchange()?.rewritten_body().unwrap_or(body);
                carried.body = Some(body).filter(|body| !body.is_empty());
                Ok(verdict)
            }
            Err(refusal) => Ok(Verdict::Refuse(refusal)),
        }
    }
}

/// Whether pingora's retry buffer holds the whole body, so that a connection that turns out stale harms nobody.
fn is_replayable(request: &RequestHeader) -> bool {
    match content_length(request) {
        Some(length) => length <= body::RETRY_BUFFER_BYTES,
        None => !request.headers.contains_key(header::TRANSFER_ENCODING),
    }
}
