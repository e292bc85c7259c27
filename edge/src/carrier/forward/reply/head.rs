//! The head of a server's answer: parsed once, checked, and rewritten for the client in one pass.

use std::io::Write as _;

use pingora_core::protocols::http::date::get_cached_date;

use super::stated::Stated;
use super::{Form, Framing, HEAD_BYTES_MAX};
use crate::carrier::forward::client::Terms;
use crate::carrier::forward::hops::{Nominated, is_hop_by_hop};
use crate::exchange::Exchange;
use crate::limits::standing::Standing;
use crate::middleware::HeaderChanges;
use crate::rewrite::{HSTS, UNBUFFERED, is_event_stream};

const HEADERS_MAX: usize = 100;

/// What the edge adds to a head, as a rule: a longer request id than ours makes it grow once more.
const ADDED_BYTES_MAX: usize = 256;

pub(super) enum Parsed {
    Incomplete,
    /// 100 to 199, but for 101: `bytes` of it, and `head` for the client.
    Interim {
        status: u16,
        bytes: usize,
        head: Vec<u8>,
    },
    Final(FinalHead),
}

/// A [`Reply`] but for the body.
pub(super) struct FinalHead {
    pub(super) status: u16,
    pub(super) bytes: usize,
    pub(super) head: Vec<u8>,
    pub(super) framing: Framing,
    pub(super) form: Form,
    pub(super) keeps_connection: bool,
    pub(super) ends_client: bool,
}

/// `None`: it is not HTTP/1, or says two things about where it ends.
pub(super) fn parse(bytes: &[u8], terms: Terms, exchange: &Exchange, is_upgrade: bool) -> Option<Parsed> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let head_bytes = match response.parse(bytes) {
        Ok(httparse::Status::Complete(head_bytes)) if head_bytes <= HEAD_BYTES_MAX => head_bytes,
        Ok(httparse::Status::Partial) => return Some(Parsed::Incomplete),
        Ok(_) | Err(_) => return None,
    };
    // Three digits are not yet a status.
    let status = response.code.filter(|status| *status >= 100)?;
    let is_switch = status == 101;
    if (100..200).contains(&status) && !is_switch {
        return Some(Parsed::Interim {
            status,
            bytes: head_bytes,
            head: interim_head(status, &response),
        });
    }
    if is_switch && !(is_upgrade && switches_to_websocket(response.headers)) {
        return None;
    }
    let mut stated = Stated::of(response.headers, response.version? == 1)?;
    if is_switch || status == 204 {
        // These have no body and may not say otherwise (RFC 9110, 8.6): a client that believed it would wait for one.
        stated.length = None;
    }
    let framing = if terms.is_head || is_switch || matches!(status, 204 | 304) {
        Framing::Empty
    } else {
        stated.framing(terms.takes_trailers)
    };
    let shortens = exchange.hides_usage() && is_plain_stream(response.headers);
    let form = form_for(&framing, terms, shortens);
    // What has come of the body is sent with it.
    let mut head = Vec::with_capacity(bytes.len() + ADDED_BYTES_MAX);
    let _ = write!(head, "HTTP/1.1 {status} {}\r\n", response.reason.unwrap_or_default());
    let standing = exchange.standing();
    copy_headers(
        response.headers,
        (
            exchange.response_changes(),
            standing.is_some(),
            exchange.hsts().is_some(),
        ),
        &mut head,
    );
    if let Some(value) = exchange.hsts() {
        line(&mut head, HSTS, value.as_bytes());
    }
    line(&mut head, "x-request-id", exchange.request_id());
    if let Some(standing) = standing {
        standing.each(|name, value| line(&mut head, name, value));
    }
    if let Some((name, value)) = exchange.response_added() {
        line(&mut head, name.as_str(), value.as_bytes());
    }
    exchange.answer_lines(|name, value| line(&mut head, name, value));
    // An HTTP/1.0 client learns of the end of an unannounced body by the connection's.
    let ends_client = matches!(form, Form::Payload | Form::Shortened { chunked: false })
        || (terms.is_http_10 && matches!(framing, Framing::UntilClose));
    if is_switch {
        switch_lines(response.headers, &mut head);
    } else {
        let keep_alive = terms.keep_alive && !ends_client;
        head.extend_from_slice(Terms { keep_alive, ..terms }.connection_line());
    }
    framing_line(&framing, form, &stated, &mut head);
    head.extend_from_slice(b"\r\n");
    let keeps_connection = stated.keeps_connection && !matches!(framing, Framing::UntilClose);
    Some(Parsed::Final(FinalHead {
        status,
        bytes: head_bytes,
        head,
        framing,
        form,
        keeps_connection,
        ends_client,
    }))
}

/// Without what concerns the connection or a body: an interim answer has none, whatever it says.
fn interim_head(status: u16, response: &httparse::Response<'_, '_>) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status} {}\r\n", response.reason.unwrap_or_default()).into_bytes();
    let nominated = Nominated::of(connection_lines(response.headers));
    for header in response.headers.iter() {
        let name = header.name.as_bytes();
        if !is_hop_by_hop(name) && !nominated.contains(name) {
            line(&mut head, header.name, header.value);
        }
    }
    head.extend_from_slice(b"\r\n");
    head
}

/// Whatever else a server switched to, nobody asked for.
fn switches_to_websocket(headers: &[httparse::Header<'_>]) -> bool {
    let named = |header: &&httparse::Header<'_>| header.name.eq_ignore_ascii_case("upgrade");
    let mut protocols = headers.iter().filter(named);
    let only = protocols.next().filter(|_| protocols.next().is_none());
    only.is_some_and(|protocol| protocol.value.trim_ascii().eq_ignore_ascii_case(b"websocket"))
}

fn form_for(framing: &Framing, terms: Terms, shortens: bool) -> Form {
    match (framing, terms.is_http_10) {
        (Framing::Empty, _) => Form::AsTheyCame,
        (_, is_http_10) if shortens => Form::Shortened { chunked: !is_http_10 },
        (Framing::UntilClose, false) => Form::Chunked,
        (Framing::Chunked(_), true) => Form::Payload,
        _ => Form::AsTheyCame,
    }
}

/// Everything but what concerns the connection, the framing, and what the edge says itself.
fn copy_headers(
    headers: &[httparse::Header<'_>],
    (changes, has_standing, has_hsts): (&HeaderChanges, bool, bool),
    head: &mut Vec<u8>,
) {
    let mut has_date = false;
    let mut is_stream = false;
    let nominated = Nominated::of(connection_lines(headers));
    for header in headers {
        let name = header.name.as_bytes();
        match name.len() {
            4 => has_date |= name.eq_ignore_ascii_case(b"date"),
            12 if name.eq_ignore_ascii_case(b"content-type") => is_stream = is_event_stream(header.value),
            12 if name.eq_ignore_ascii_case(b"x-request-id") => continue,
            25 if has_hsts && name.eq_ignore_ascii_case(HSTS.as_bytes()) => continue,
            // What the key has left counts, not what the server's own client has.
            _ if has_standing && Standing::owns(name) => continue,
            _ => {}
        }
        if !is_hop_by_hop(name) && !nominated.contains(name) && !changes.owns(name) {
            line(head, header.name, header.value);
        }
    }
    for (name, value) in changes.each() {
        line(head, name.as_str(), value.as_bytes());
    }
    if is_stream && !changes.owns(UNBUFFERED.0.as_bytes()) {
        line(head, UNBUFFERED.0, UNBUFFERED.1.as_bytes());
    }
    if !has_date && !changes.owns(b"date") {
        line(head, "Date", get_cached_date().as_bytes());
    }
}

/// An event stream that can be read.
fn is_plain_stream(headers: &[httparse::Header<'_>]) -> bool {
    let find = |name: &str| headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
    let is_stream = find("content-type").is_some_and(|header| is_event_stream(header.value));
    is_stream && find("content-encoding").is_none()
}

fn connection_lines<'a>(headers: &'a [httparse::Header<'_>]) -> impl Iterator<Item = &'a [u8]> {
    let named = |header: &&httparse::Header<'_>| header.name.eq_ignore_ascii_case("connection");
    headers.iter().filter(named).map(|header| header.value)
}

fn switch_lines(headers: &[httparse::Header<'_>], head: &mut Vec<u8>) {
    head.extend_from_slice(b"Connection: Upgrade\r\n");
    for header in headers
        .iter()
        .filter(|header| header.name.eq_ignore_ascii_case("upgrade"))
    {
        line(head, "Upgrade", header.value);
    }
}

fn framing_line(framing: &Framing, form: Form, stated: &Stated, head: &mut Vec<u8>) {
    match (framing, form) {
        (_, Form::Shortened { chunked: false }) => {}
        (_, Form::Shortened { chunked: true }) => head.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        (Framing::Length(length), _) => drop(write!(head, "Content-Length: {length}\r\n")),
        (_, Form::Chunked) | (Framing::Chunked(_), Form::AsTheyCame) => {
            head.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
        }
        // An answer to HEAD, or a 304, tells how long the body would be.
        (Framing::Empty, _) => {
            if let Some(length) = stated.length {
                let _ = write!(head, "Content-Length: {length}\r\n");
            }
        }
        _ => {}
    }
}

fn line(head: &mut Vec<u8>, name: &str, value: &[u8]) {
    head.extend_from_slice(name.as_bytes());
    head.extend_from_slice(b": ");
    head.extend_from_slice(value);
    head.extend_from_slice(b"\r\n");
}
