//! What is changed of heads on their way: a request's to its server, an answer's to its client.

use http::{HeaderMap, header};
use pingora_core::{Error, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::Session;

use dialect::openai::stream::HideUsage;

use super::head::{self, asks_for_websocket};
use super::{Carried, PASSED_OVER, PingoraCarrier, answer};
use crate::error::Refusal;
use crate::request_id::X_REQUEST_ID;
use crate::response_facts::ResponseFacts;
use crate::rewrite::{UNBUFFERED, is_event_stream};

impl PingoraCarrier {
    /// The request as its server gets it.
    pub(super) fn rewrite(&self, request: &mut RequestHeader, carried: &mut Carried) -> Result<()> {
        let was_read = carried.body.is_some();
        let exchange = carried.exchange()?;
        if exchange.request_ready().is_err() {
            let refusal = exchange.not_kept();
            return Err(carried.refused(refusal));
        }
        let mut target = Vec::new();
        exchange.write_target(&mut target);
        request.set_raw_path(&target)?;
        let length = exchange.rewritten_body().map(|body| body.len());
        let host = request.headers.get(header::HOST).cloned();
        let came = HeaderMap::from_iter(host.map(|host| (header::HOST, host)));
        let origin = exchange.origin(&came, was_read);
        head::keep_one_key_line_each(request)?;
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

    /// Passes an answer's head on, or has another server asked.
    pub(super) async fn answer_head(
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
}
