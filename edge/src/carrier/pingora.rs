//! The carrier on pingora-proxy.
//!
//! Bodies that a rule on `Model` needs are read whole before the server is chosen, then handed on from memory. pingora
//! only sends a body that was read early if its retry buffer (64 KiB) holds something, so buffering is switched on for
//! the last piece alone and that piece is replaced by the whole body in `request_body_filter`.

mod ahead;
mod answer;
mod body;
mod downstream;
mod head;
mod http2;
mod leftover;
mod upload;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, header};
use pingora_core::modules::http::HttpModules;
use pingora_core::prelude::HttpPeer;
use pingora_core::protocols::ALPN;
use pingora_core::{Error, ErrorSource, ErrorType, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};

use dialect::openai::stream::HideUsage;

use crate::carrier::forward::{Budget, Portion};
use crate::error::Refusal;
use crate::exchange::{Exchange, Failure, Outcome, Verdict};
use crate::plane::Plane;
use crate::request_id::X_REQUEST_ID;
use crate::response_facts::ResponseFacts;
use crate::rewrite::{UNBUFFERED, is_event_stream};
use crate::upstream::{self, Times, Upstream};
pub(crate) use downstream::Downstream;
use head::{asks_for_websocket, content_length};
pub(crate) use http2::Http2;
use upload::Upload;

/// llama-server closes an idle connection after 5 s; ours must have left the pool before.
const POOL_IDLE: Duration = Duration::from_secs(4);

/// A stream that is reset takes back what was not sent of it. So what a server said before it broke off, and that it did,
/// has this time to leave; pingora cannot be asked whether it has.
const BEFORE_RESET: Duration = Duration::from_millis(100);

/// To one server, on one connection of HTTP/2. More than these open another.
const UPSTREAM_STREAMS_MAX: usize = 100;

/// A custom error type: the exchange refused while the body was on its way.
const REFUSED: ErrorType = ErrorType::Custom("refused");

/// Another: a server's refusal is not passed on, because another server is asked.
const PASSED_OVER: ErrorType = ErrorType::Custom("passed over");

struct PingoraCarrier {
    plane: Arc<Plane>,
    entry_point: Option<Arc<str>>,
    tls: bool,
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
    /// How its body comes, with HTTP/2.
    upload: Option<Upload>,
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

/// A stream that is reset because its client brought too little of its body never comes to [`ProxyHttp::logging`].
impl Drop for Carried {
    fn drop(&mut self) {
        if let Some(exchange) = self
            .exchange
            .as_mut()
            .filter(|_| self.upload.as_ref().is_some_and(Upload::was_too_slow))
        {
            exchange.close(Outcome::Refused(Refusal::BodyTimeout));
        }
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
            answer(session, carried, refusal).await?;
            return Ok(true);
        }
        carried.upload = Upload::of(session.req_header()).cloned();
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
                    answer(session, carried, refusal).await?;
                    return Ok(true);
                }
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
        carried.wait_for_turn().await?;
        loop {
            match carried.exchange()?.pick() {
                Ok(None) => {}
                Ok(Some(pause)) => {
                    tokio::time::sleep(pause).await;
                    continue;
                }
                Err(refusal) => return Err(carried.refused(refusal)),
            }
            carried.wait_for_turn().await?;
            let Some(server) = carried.exchange()?.current_server() else {
                return Err(carried.refused(Refusal::NoServer));
            };
            match server.address().await {
                Ok(address) => {
                    let mut peer = HttpPeer::new(address, server.tls(), server.server_name().to_owned());
                    if server.tls() {
                        self.trusting(&mut peer, server).await?;
                    }
                    peer.options.alpn = match server.http_2() {
                        upstream::Http2::Never => ALPN::H1,
                        upstream::Http2::Offered => ALPN::H2H1,
                        upstream::Http2::Always => ALPN::H2,
                    };
                    peer.options.max_h2_streams = UPSTREAM_STREAMS_MAX;
                    let times = server.times;
                    return Ok(Box::new(self.with_options(peer, times, fresh_connection)));
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
        _: &mut Session,
        request: &mut RequestHeader,
        carried: &mut Carried,
    ) -> Result<()> {
        let was_read = carried.body.is_some();
        let exchange = carried.exchange()?;
        if exchange.request_ready().is_err() {
            let refusal = exchange.not_kept();
            return Err(carried.refused(refusal));
        }
        head::name_host(request)?;
        let mut target = Vec::new();
        exchange.write_target(&mut target);
        request.set_raw_path(&target)?;
        let length = exchange.rewritten_body().map(|body| body.len());
        // With HTTP/2 the host comes as `:authority`; by now pingora has made a header of it.
        let host = request.headers.get(header::HOST).cloned();
        let came = HeaderMap::from_iter(host.map(|host| (header::HOST, host)));
        let origin = exchange.origin(&came, was_read);
        head::keep_one_key_line_each(request)?;
        head::join_cookies(request)?;
        let names = request
            .headers
            .keys()
            .filter(|name| origin.owns(name.as_str().as_bytes()));
        let owned: Vec<_> = names.cloned().collect();
        for name in owned {
            request.remove_header(&name);
        }
        for name in origin.changes.names() {
            request.remove_header(name);
        }
        for (name, value) in origin.changes.each() {
            request.insert_header(name, value)?;
        }
        let mut set = Ok(());
        origin.each(|name, value| {
            if set.is_ok() {
                set = request.insert_header(name, value);
            }
        });
        set?;
        if let Some(length) = length {
            request.remove_header(&header::TRANSFER_ENCODING);
            request.insert_header(header::CONTENT_LENGTH, length)?;
        }
        let body = carried.body.clone();
        self.mirror(request, carried.exchange()?, body.as_ref());
        Ok(())
    }

    async fn request_body_filter(
        &self,
        _: &mut Session,
        body: &mut Option<Bytes>,
        end_of_stream: bool,
        carried: &mut Carried,
    ) -> Result<()> {
        if let Some(upload) = &carried.upload {
            upload.note(body.as_ref().map_or(0, Bytes::len));
            if end_of_stream {
                upload.is_over();
            }
        }
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
        let status = response.status;
        if status.is_informational() && status != http::StatusCode::SWITCHING_PROTOCOLS {
            return Ok(());
        }
        if status == http::StatusCode::SWITCHING_PROTOCOLS && !asks_for_websocket(session.req_header()) {
            return Err(carried.refused(Refusal::UpstreamFailed));
        }
        // What the server says beside its status has not come yet.
        let can_move = carried.can_move(session);
        if status.is_server_error() && carried.exchange()?.judge(status.as_u16(), b"", can_move) {
            return Err(Error::new(PASSED_OVER));
        }
        carried.response_begun = true;
        if let Some(upload) = &carried.upload {
            upload.is_over();
        }
        let exchange = carried.exchange()?;
        if status == http::StatusCode::SWITCHING_PROTOCOLS {
            exchange.upgraded();
        }
        exchange.response_head(status.as_u16(), ResponseFacts::Map(&response.headers));
        if exchange.response_ready(false).is_err()
            && let Err(refusal) = exchange.wait_until_kept().await
        {
            carried.response_begun = false;
            return Err(carried.refused(refusal));
        }
        let exchange = carried.exchange()?;
        response.insert_header(X_REQUEST_ID, exchange.request_id())?;
        let mut set = Ok(false);
        exchange.answer_lines(|name, value| {
            if set.is_ok() {
                set = response.append_header(name, value);
            }
        });
        set?;
        let kind = response.headers.get(header::CONTENT_TYPE);
        if kind.is_some_and(|kind| is_event_stream(kind.as_bytes())) {
            response.insert_header(UNBUFFERED.0, UNBUFFERED.1)?;
        }
        if let Some(standing) = exchange.standing() {
            head::set_standing(standing, response)?;
        }
        answer::change(response, exchange)?;
        if exchange.hides_usage() && head::is_plain_stream(response) {
            head::unmeasured(response)?;
            carried.hide = Some(HideUsage::new());
        }
        Ok(())
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
        let is_stale = e.retry();
        let can_move = !carried.response_begun && carried.can_move(session);
        let is_upstream = *e.esource() != ErrorSource::Downstream && *e.etype() != REFUSED;
        let is_passed_over = *e.etype() == PASSED_OVER;
        let retries = match &mut carried.exchange {
            Some(_) if is_passed_over => true,
            Some(exchange) if can_move && is_stale => {
                exchange.connection_was_stale();
                exchange.stays();
                carried.fresh_connection = true;
                true
            }
            Some(exchange) => can_move && is_upstream && exchange.passes_over(failure_of(&e)),
            None => false,
        };
        if let Some(exchange) = carried.exchange.as_mut().filter(|_| retries && carried.body.is_none()) {
            exchange.request_restarts();
        }
        e.set_retry(retries);
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
        if carried.response_begun && *e.esource() != ErrorSource::Downstream {
            if let Some(event) = carried.exchange.as_mut().and_then(Exchange::error_event) {
                // Who has gone misses nothing.
                let told = session.as_downstream_mut().write_response_body(event.into(), false);
                let _ = told.await;
            }
            if session.as_downstream().is_http2() {
                tokio::time::sleep(BEFORE_RESET).await;
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
        head::of(session.as_downstream(), self.tls, |head| {
            Exchange::open(self.plane.clone(), self.entry_point.clone(), head)
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

    async fn trusting(&self, peer: &mut HttpPeer, server: &Upstream) -> Result<()> {
        let carried = self.plane.tls.back.carried(server.trust()).await;
        let carried = carried.map_err(|error| Error::because(ErrorType::InvalidCert, "files for TLS", error))?;
        peer.options.ca = carried.authorities;
        peer.client_cert_key = carried.identity;
        if let Some(trust) = server.trust() {
            peer.options.verify_cert = !trust.believes_anyone();
            // pingora does not tell pooled connections apart by whom they trusted.
            peer.group_key = trust.group();
        }
        Ok(())
    }

    fn with_options(&self, mut peer: HttpPeer, times: Times, fresh_connection: bool) -> HttpPeer {
        let timeouts = &self.plane.timeouts;
        let connect = times.dial.unwrap_or(timeouts.connect);
        peer.options.idle_timeout = Some(times.idle.unwrap_or(POOL_IDLE));
        peer.options.connection_timeout = Some(connect);
        peer.options.total_connection_timeout = Some(connect);
        peer.options.read_timeout = timeouts.read;
        if fresh_connection {
            peer.group_key = body::unique_group();
        }
        peer
    }
}

async fn answer(session: &mut Session, carried: &mut Carried, refusal: Refusal) -> Result<()> {
    if let Some(exchange) = &mut carried.exchange {
        exchange.refusing();
    }
    answer::send(session.as_downstream_mut(), refusal, carried.exchange.as_ref()).await
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

fn failure_of(e: &Error) -> Failure {
    match e.etype() {
        ErrorType::ReadTimedout => Failure::TooSlow,
        _ => Failure::Broke,
    }
}

/// Whether pingora's retry buffer holds the whole body, so that a connection that turns out stale harms nobody.
fn is_replayable(request: &RequestHeader) -> bool {
    match content_length(request) {
        Some(length) => length <= body::RETRY_BUFFER_BYTES,
        None => !request.headers.contains_key(header::TRANSFER_ENCODING),
    }
}
