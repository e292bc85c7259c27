//! What changes in a request on its way to a server, and nothing else does: headers the edge owns, and `Host`.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::request_id::X_REQUEST_ID;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// llama-server keeps a generation of this id running after its client has gone, and shows its text to whoever
/// names the id.
const X_CONVERSATION_ID: HeaderName = HeaderName::from_static("x-conversation-id");

/// One header to set (`Some`) or take out (`None`). A list rather than a changed map: carriers hold headers differently.
pub(crate) type HeaderChange = (HeaderName, Option<HeaderValue>);

/// What of a request the changes depend on.
pub(crate) struct Origin<'a> {
    pub(crate) request_id: &'a HeaderValue,
    pub(crate) client: IpAddr,
    pub(crate) tls: bool,
    /// `Host` for the server; `None` passes the client's.
    pub(crate) host: Option<&'a HeaderValue>,
    /// The body was read before it is forwarded, so nobody waits for a `100 Continue`.
    pub(crate) body_is_here: bool,
}

pub(crate) fn request_changes(origin: &Origin<'_>, headers: &HeaderMap) -> Vec<HeaderChange> {
    let proto = HeaderValue::from_static(if origin.tls { "https" } else { "http" });
    let mut changes = vec![
        (X_REQUEST_ID, Some(origin.request_id.clone())),
        (X_FORWARDED_PROTO, Some(proto)),
        (X_FORWARDED_HOST, headers.get(header::HOST).cloned()),
        (X_CONVERSATION_ID, None),
    ];
    let client = HeaderValue::from_str(&origin.client.to_canonical().to_string()).ok();
    changes.push((X_REAL_IP, client.clone()));
    changes.push((X_FORWARDED_FOR, client));
    if let Some(host) = origin.host {
        changes.push((header::HOST, Some(host.clone())));
    }
    if origin.body_is_here {
        changes.push((header::EXPECT, None));
    }
    changes
}

/// What is added to a server's answer.
pub(crate) fn response_changes(request_id: &HeaderValue, headers: &HeaderMap) -> Vec<HeaderChange> {
    let mut changes = vec![(X_REQUEST_ID, Some(request_id.clone()))];
    let is_stream = headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().to_ascii_lowercase().starts_with(b"text/event-stream"));
    if is_stream {
        // nginx in front of us would otherwise gather tokens until its buffer is full.
        changes.push((
            HeaderName::from_static("x-accel-buffering"),
            Some(HeaderValue::from_static("no")),
        ));
    }
    changes
}
