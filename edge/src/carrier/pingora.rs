//! The carrier on pingora-proxy.
//!
//! Bodies that a rule on `Model` needs are read whole before the server is chosen, then handed on from memory. pingora
//! only sends a body that was read early if its retry buffer (64 KiB) holds something, so buffering is switched on for
//! the last piece alone and that piece is replaced by the whole body in `request_body_filter`.

mod answer;
mod body;
mod downstream;
mod head;
mod leftover;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header;
use pingora_core::modules::http::HttpModules;
use pingora_core::prelude::HttpPeer;
use pingora_core::{Error, ErrorSource, ErrorType, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};

use crate::error::Refusal;
use crate::exchange::{Exchange, Outcome, Verdict};
use crate::plane::Plane;
use crate::request_id::X_REQUEST_ID;
use crate::rewrite::{UNBUFFERED, is_event_stream};
use crate::upstream::Upstream;
pub(crate) use downstream::Downstream;
use head::{asks_for_websocket, content_length};

/// llama-server closes an idle connection after 5 s; ours must have left the pool before.
const POOL_IDLE: Duration = Duration::from_secs(4);

/// A custom error type: the exchange refused while the body was on its way.
const REFUSED: ErrorType = ErrorType::Custom("refused");

struct PingoraCarrier {
    plane: Arc<Plane>,
    entry_point: Option<Arc<str>>,
    tls: bool,
}

/// One request as pingora carries it.
#[derive(Default)]
struct Carried {
    exchange: Option<Exchange>,
    /// The whole body, where it was read early.
    body: Option<Bytes>,
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
        let (exchange, mut verdict) = self.open(session);
        carried.exchange = Some(exchange);
        if matches!(verdict, Verdict::ReadBody) {
            verdict = self.read_body(session, carried).await?;
        }
        match verdict {
            Verdict::Forward => {
                carried.fresh_connection = carried.body.is_none() && !is_replayable(session.req_header());
                Ok(false)
            }
            Verdict::ReadBody => Err(carried.refused(Refusal::BadRequest)),
            Verdict::Refuse(refusal) => {
                carried.refusal = Some(refusal);
                answer(session, carried, refusal).await?;
                Ok(true)
            }
        }
    }

    async fn upstream_peer(&self, _: &mut Session, carried: &mut Carried) -> Result<Box<HttpPeer>> {
        let fresh_connection = carried.fresh_connection;
        loop {
            let server = match carried.exchange()?.next_server() {
                Ok(server) => server,
                Err(refusal) => return Err(carried.refused(refusal)),
            };
            match server.address().await {
                Ok(address) => {
                    let peer = HttpPeer::new(address, server.tls(), server.server_name().to_owned());
                    return Ok(Box::new(self.with_options(peer, fresh_connection)));
                }
                Err(error) => {
                    tracing::warn!(server = server.label(), %error, "a server's name cannot be looked up");
                    carried.exchange()?.server_unreachable();
                }
            }
        }
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        carried: &mut Carried,
    ) -> Result<()> {
        let exchange = carried.exchange()?;
        let mut target = Vec::new();
        exchange.write_target(&mut target);
        request.set_raw_path(&target)?;
        let origin = exchange.origin(&session.req_header().headers, false);
        let names = request
            .headers
            .keys()
            .filter(|name| origin.owns(name.as_str().as_bytes()));
        let owned: Vec<_> = names.cloned().collect();
        for name in owned {
            request.remove_header(&name);
        }
        let mut set = Ok(());
        origin.each(|name, value| {
            if set.is_ok() {
                set = request.insert_header(name, value);
            }
        });
        set
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
                *body = Some(whole.clone());
            }
            return Ok(());
        }
        let bytes = body.as_ref().map_or(0, Bytes::len);
        carried
            .exchange()?
            .request_chunk(bytes)
            .map_err(|refusal| carried.refused(refusal))
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        carried: &mut Carried,
    ) -> Result<()> {
        let status = response.status;
        if status.is_informational() && status != http::StatusCode::SWITCHING_PROTOCOLS {
            return Ok(());
        }
        if status == http::StatusCode::SWITCHING_PROTOCOLS && !asks_for_websocket(session.req_header()) {
            return Err(carried.refused(Refusal::UpstreamFailed));
        }
        carried.response_begun = true;
        let exchange = carried.exchange()?;
        exchange.response_head(status.as_u16());
        response.insert_header(X_REQUEST_ID, exchange.request_id())?;
        let kind = response.headers.get(header::CONTENT_TYPE);
        if kind.is_some_and(|kind| is_event_stream(kind.as_bytes())) {
            response.insert_header(UNBUFFERED.0, UNBUFFERED.1)?;
        }
        Ok(())
    }

    fn response_body_filter(
        &self,
        _: &mut Session,
        body: &mut Option<Bytes>,
        _: bool,
        carried: &mut Carried,
    ) -> Result<Option<Duration>> {
        carried.exchange()?.response_chunk(body.as_ref().map_or(0, Bytes::len));
        Ok(None)
    }

    fn fail_to_connect(&self, _: &mut Session, _: &HttpPeer, carried: &mut Carried, mut e: Box<Error>) -> Box<Error> {
        if let Some(exchange) = &mut carried.exchange {
            if let Some(server) = exchange.current_server().map(Upstream::label) {
                tracing::warn!(server, error = e.etype().as_str(), "a server cannot be reached");
            }
            exchange.server_unreachable();
        }
        // Nothing was sent: any request may go to another server. `upstream_peer` ends it when none is left.
        e.set_retry(true);
        e
    }

    fn error_while_proxy(
        &self,
        _: &HttpPeer,
        session: &mut Session,
        mut e: Box<Error>,
        carried: &mut Carried,
        connection_reused: bool,
    ) -> Box<Error> {
        // Whatever the method: the server closed a connection it held idle, so it never took this request up.
        e.retry.decide_reuse(connection_reused);
        if e.retry()
            && !carried.response_begun
            && (carried.body.is_some() || !session.as_ref().retry_buffer_truncated())
        {
            carried.fresh_connection = true;
            if let Some(exchange) = &carried.exchange {
                exchange.connection_was_stale();
            }
        } else {
            e.set_retry(false);
        }
        e
    }

    async fn fail_to_proxy(&self, session: &mut Session, e: &Error, carried: &mut Carried) -> FailToProxy {
        let refusal = carried.refusal.or_else(|| refusal_of(e));
        carried.refusal = refusal;
        let mut error_code = 0;
        if let Some(refusal) = refusal
            && session
                .response_written()
                .is_none_or(|head| head.status.is_informational())
        {
            error_code = refusal.status();
            session.set_keepalive(None);
            if let Err(error) = answer(session, carried, refusal).await {
                tracing::debug!(
                    error = error.etype().as_str(),
                    "the client left before it could be told of a failure"
                );
            }
        }
        FailToProxy {
            error_code,
            can_reuse_downstream: false,
        }
    }

    async fn logging(&self, _: &mut Session, e: Option<&Error>, carried: &mut Carried) {
        let outcome = match (carried.refusal, e) {
            (Some(refusal), _) if !carried.response_begun => Outcome::Refused(refusal),
            (_, Some(e)) if *e.esource() == ErrorSource::Downstream => Outcome::ClientGone,
            (_, Some(_)) => Outcome::UpstreamFailed,
            _ => Outcome::Complete,
        };
        if let Some(exchange) = &mut carried.exchange {
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
        head::of(session.as_downstream(), self.tls, |head| {
            Exchange::open(self.plane.clone(), self.entry_point.clone(), head)
        })
    }

    async fn read_body(&self, session: &mut Session, carried: &mut Carried) -> Result<Verdict> {
        let bytes_max = self.plane.bounds.body_bytes_max;
        match body::read_whole(session.as_downstream_mut(), bytes_max).await? {
            Ok(body) => {
                let verdict = carried.exchange()?.body_read(&session.req_header().headers, &body);
                carried.body = Some(body).filter(|body| !body.is_empty());
                Ok(verdict)
            }
            Err(refusal) => Ok(Verdict::Refuse(refusal)),
        }
    }

    fn with_options(&self, mut peer: HttpPeer, fresh_connection: bool) -> HttpPeer {
        let timeouts = &self.plane.timeouts;
        peer.options.idle_timeout = Some(POOL_IDLE);
        peer.options.connection_timeout = Some(timeouts.connect);
        peer.options.total_connection_timeout = Some(timeouts.connect);
        peer.options.read_timeout = timeouts.read;
        if fresh_connection {
            peer.group_key = body::unique_group();
        }
        peer
    }
}

async fn answer(session: &mut Session, carried: &Carried, refusal: Refusal) -> Result<()> {
    let request_id = carried.exchange.as_ref().map(Exchange::request_id);
    answer::send(session.as_downstream_mut(), refusal, request_id).await
}

/// What the client is told of a failure that no refusal explains. `None`: there is nobody left to tell.
fn refusal_of(e: &Error) -> Option<Refusal> {
    use ErrorType::{ConnectTimedout, ConnectionClosed, ReadError, ReadTimedout, TLSHandshakeTimedout, WriteError};
    match (e.esource(), e.etype()) {
        (ErrorSource::Downstream, ReadError | WriteError | ConnectionClosed | ReadTimedout) => None,
        (ErrorSource::Downstream, _) => Some(Refusal::BadRequest),
        (_, ReadTimedout | ConnectTimedout | TLSHandshakeTimedout) => Some(Refusal::UpstreamTimeout),
        _ => Some(Refusal::UpstreamFailed),
    }
}

/// Whether pingora's retry buffer holds the whole body, so that a connection that turns out stale harms nobody.
fn is_replayable(request: &RequestHeader) -> bool {
    match content_length(request) {
        Some(length) => length <= body::RETRY_BUFFER_BYTES,
        None => !request.headers.contains_key(header::TRANSFER_ENCODING),
    }
}
