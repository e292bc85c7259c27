//! What becomes of an exchange when something fails: another attempt, a refusal, or a cut.

use std::time::Instant;

use pingora_core::{Error, ErrorSource, ErrorType, Result};
use pingora_proxy::{FailToProxy, Session};

use super::{Carried, PASSED_OVER, REFUSED, answer};
use crate::error::Refusal;
use crate::exchange::{Exchange, Failure};

/// A server could not be reached.
pub(super) fn not_connected(carried: &mut Carried, mut e: Box<Error>) -> Box<Error> {
    if let Some(exchange) = &mut carried.exchange {
        if let Some(server) = exchange.current_server()
            && let Some(held_back) = server.complaints.may_tell(Instant::now())
        {
            let error = e.etype().as_str();
            tracing::warn!(server = server.label(), error, held_back, "a server cannot be reached");
        }
        exchange.server_unreachable();
    }
    // Nothing was sent: any request may go to another server. `upstream_peer` ends it when none is left.
    e.set_retry(true);
    e
}

/// An attempt failed: whether there is another is put into the error.
pub(super) fn next_try(
    session: &Session,
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

/// No attempt is left: the client is told, in an answer or in the one that has begun.
pub(super) async fn tell_of_failure(session: &mut Session, e: &Error, carried: &mut Carried) -> FailToProxy {
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
        if let Err(error) = refuse(session, carried, refusal).await {
            tracing::debug!(
                error = error.etype().as_str(),
                "the client left before it could be told of a failure"
            );
        }
    }
    if carried.response_begun
        && *e.esource() != ErrorSource::Downstream
        && let Some(event) = carried.exchange.as_mut().and_then(Exchange::error_event)
    {
        // Who has gone misses nothing.
        let told = session.as_downstream_mut().write_response_body(event.into(), false);
        let _ = told.await;
    }
    FailToProxy {
        error_code,
        can_reuse_downstream: false,
    }
}

/// Answers in a server's place.
pub(super) async fn refuse(session: &mut Session, carried: &mut Carried, refusal: Refusal) -> Result<()> {
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
