//! What a stream of HTTP/2 says, as HTTP/1.1 says it, and an answer the other way.
//!
//! Nothing is mended that HTTP/1.1 refuses: two lengths, two hosts or a host that is not the authority pass as they came,
//! and are refused by who reads them there.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, COOKIE, HOST, HeaderName, TRAILER, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, Version};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::Sleep;

use super::{Here, Pipe};

/// A server's own, and what the edge adds.
pub(super) const HEADERS_MAX: usize = 256;

/// A stream that is reset takes back what was not sent of it. So what was said before an answer broke off, and that it
/// did, has this time to leave.
const BEFORE_RESET: Duration = Duration::from_millis(100);

/// With the whole target where there is an authority: which host that names is compared with what `host` says.
pub(super) fn as_http_1(request: Request<Incoming>) -> Request<Incoming> {
    let (mut head, body) = request.into_parts();
    if let Some(authority) = head.uri.authority()
        && !head.headers.contains_key(HOST)
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        head.headers.insert(HOST, host);
    }
    // Of a whole server, or a tunnel: neither has a host before it.
    if head.uri.path() == "*" && head.method != Method::CONNECT {
        head.uri = Uri::from_static("*");
    }
    join_cookies(&mut head.headers);
    head.headers.remove(TRAILER);
    // Whatever the method, a body that is there is passed on, so that what is done with it is decided in one place.
    if !body.is_end_stream() && !head.headers.contains_key(CONTENT_LENGTH) {
        head.headers
            .insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    head.version = Version::HTTP_11;
    Request::from_parts(head, body)
}

/// With HTTP/2 a cookie comes in crumbs; with HTTP/1.1 it has one line (RFC 9113, 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let crumbs: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if crumbs.len() < 2 {
        return;
    }
    // What was made of values is one.
    if let Ok(whole) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
        headers.insert(COOKIE, whole);
    }
}

pub(super) fn as_http_2(answer: Response<Incoming>, held: (Pipe, Here)) -> Response<Answer> {
    let (mut head, body) = answer.into_parts();
    for name in [
        CONNECTION,
        TRANSFER_ENCODING,
        HeaderName::from_static("keep-alive"),
        TRAILER,
    ] {
        head.headers.remove(name);
    }
    head.version = Version::HTTP_2;
    let answer = Answer {
        body,
        broken: None,
        _held: held,
    };
    Response::from_parts(head, answer)
}

/// An answer's body. Where it breaks off, the stream is reset a moment later.
pub(super) struct Answer {
    body: Incoming,
    broken: Option<Box<(hyper::Error, Pin<Box<Sleep>>)>>,
    _held: (Pipe, Here),
}

impl Body for Answer {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        loop {
            if let Some(broken) = &mut self.broken {
                ready!(broken.1.as_mut().poll(cx));
                return Poll::Ready(self.broken.take().map(|broken| Err(broken.0)));
            }
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Err(error)) => {
                    self.broken = Some(Box::new((error, Box::pin(tokio::time::sleep(BEFORE_RESET)))));
                }
                frame => return Poll::Ready(frame),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.broken.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
