//! What a stream of HTTP/2 says, as HTTP/1.1 says it, and an answer the other way.
//!
//! Nothing is mended that HTTP/1.1 refuses: two lengths, two hosts or a host that is not the authority pass as they came,
//! and are refused by who reads them there.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::header::{CONNECTION, CONTENT_LENGTH, COOKIE, HOST, HeaderName, TRAILER, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, Version};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::Sleep;

use super::taken::{Piece, Taken};
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
        taken: Taken::of_this_stream(),
        has_begun: false,
        end: None,
        broken: None,
        _held: held,
    };
    Response::from_parts(head, answer)
}

/// An answer's body. Where it breaks off, the stream is reset a moment later.
pub(super) struct Answer {
    body: Incoming,
    taken: Arc<Taken>,
    has_begun: bool,
    /// With trailers, or nothing. It waits until the rest is taken: behind it nobody watches over the stream.
    end: Option<Option<HeaderMap>>,
    broken: Option<Box<(hyper::Error, Pin<Box<Sleep>>)>>,
    _held: (Pipe, Here),
}

impl Answer {
    fn poll_end(&mut self, trailers: Option<HeaderMap>, cx: &Context<'_>) -> Poll<Option<Frame<Piece>>> {
        if self.taken.poll_all(cx).is_ready() {
            return Poll::Ready(trailers.map(Frame::trailers));
        }
        self.end = Some(trailers);
        Poll::Pending
    }
}

impl Body for Answer {
    type Data = Piece;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Piece>, hyper::Error>>> {
        loop {
            if let Some(broken) = &mut self.broken {
                ready!(broken.1.as_mut().poll(cx));
                return Poll::Ready(self.broken.take().map(|broken| Err(broken.0)));
            }
            if let Some(trailers) = self.end.take() {
                return self.poll_end(trailers, cx).map(|end| end.map(Ok));
            }
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Err(error)) => {
                    self.broken = Some(Box::new((error, Box::pin(tokio::time::sleep(BEFORE_RESET)))));
                }
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) => {
                        self.has_begun = true;
                        return Poll::Ready(Some(Ok(Frame::data(self.taken.piece(bytes)))));
                    }
                    Err(frame) => self.end = Some(frame.into_trailers().ok()),
                },
                None => self.end = Some(None),
            }
        }
    }

    /// An answer without a body is one; of any other, the end is a frame.
    fn is_end_stream(&self) -> bool {
        self.broken.is_none() && self.end.is_none() && self.body.is_end_stream() && !self.has_begun
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
