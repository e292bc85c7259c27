//! A client's request as a span: begun with its head, ended with its answer's last byte. Where traces are off, or this
//! one is not kept, there is none, and nothing is done.

use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};

use axum::body::Body as AnyBody;
use axum::http::header::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;
use bytes::Bytes;
use dialect::Event;
use hyper::body::{Body, Frame, SizeHint};
use traces::{Begun, Kind, Plane, Tracer, Value};

use super::endpoint::Endpoint;
use super::headers::{BACKEND, FALLBACK_MODEL};
use super::measure::word;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// What goes on as it came where no span is ours.
pub(super) const CARRIED: [HeaderName; 2] = [TRACEPARENT, TRACESTATE];

pub(super) fn begin(tracer: Option<&Tracer>, headers: &HeaderMap) -> Option<Begun> {
    let parent = headers.get(TRACEPARENT).map(HeaderValue::as_bytes);
    let state = headers.get(TRACESTATE).and_then(|state| state.to_str().ok());
    tracer?.begin(parent, state)
}

/// What a backend is told of the trace.
pub(super) fn headers(span: &Begun) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let parent = HeaderValue::from_bytes(&span.context.traceparent());
    headers.extend(parent.ok().map(|parent| (TRACEPARENT, parent)));
    let state = span.state().and_then(|state| HeaderValue::from_str(state).ok());
    headers.extend(state.map(|state| (TRACESTATE, state)));
    headers
}

/// The answer, which ends the span with its last byte.
pub(super) fn follow(span: Begun, endpoint: Endpoint, response: Response) -> Response {
    let text = |name: &HeaderName| {
        let value = response.headers().get(name)?.to_str().ok()?;
        Some(Value::Name(value.into()))
    };
    let status = response.status().as_u16();
    let mut attributes = vec![
        ("http.request.method", "POST".into()),
        ("http.route", endpoint.path().into()),
        ("http.response.status_code", u64::from(status).into()),
        ("gen_ai.operation.name", endpoint.operation().into()),
    ];
    attributes.extend(text(&BACKEND).map(|backend| ("conclave.backend", backend)));
    attributes.extend(text(&FALLBACK_MODEL).map(|model| ("conclave.fallback_model", model)));
    let ending = Ending {
        span: Some(span),
        endpoint,
        attributes,
        error: (status >= 500).then_some("refused"),
    };
    response.map(|body| AnyBody::new(Traced { body, ending }))
}

/// What is asked of one member of a council, or of its chair: a part of the request that convened it. It is dropped with
/// the answer; what went wrong before its last word is told as an error.
pub(crate) struct MemberSpan {
    span: Option<Begun>,
    part: String,
    model: String,
    error: Option<&'static str>,
}

impl MemberSpan {
    pub(super) fn begin(request: Option<&Begun>, part: &str, model: &str) -> Self {
        let span = request.map(Begun::child);
        let named = |text: &str| match span {
            Some(_) => text.to_owned(),
            None => String::new(),
        };
        Self {
            part: named(part),
            model: named(model),
            error: Some("unanswered"),
            span,
        }
    }

    pub(super) fn span(&self) -> Option<&Begun> {
        self.span.as_ref()
    }

    pub(super) fn heard(&mut self, event: &Event) {
        match event {
            Event::Done => self.error = None,
            Event::Error(failure) => self.error = Some(word(failure.kind)),
            _ => {}
        }
    }
}

impl Drop for MemberSpan {
    fn drop(&mut self) {
        let Some(span) = self.span.take() else { return };
        let attributes = vec![
            ("gen_ai.operation.name", "chat".into()),
            ("gen_ai.request.model", Value::Name(self.model.as_str().into())),
            ("conclave.council.part", Value::Name(self.part.as_str().into())),
        ];
        let kind = (Plane::Aggregator, Kind::Internal);
        span.end(kind, "council member", attributes, self.error);
    }
}

struct Ending {
    span: Option<Begun>,
    endpoint: Endpoint,
    attributes: Vec<(&'static str, Value)>,
    error: Option<&'static str>,
}

impl Ending {
    fn end(&mut self, error: Option<&'static str>) {
        if let Some(span) = self.span.take() {
            let name = format!("POST {}", self.endpoint.path());
            let attributes = std::mem::take(&mut self.attributes);
            span.end(
                (Plane::Aggregator, Kind::Server),
                name,
                attributes,
                self.error.or(error),
            );
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.end(Some("client_gone"));
    }
}

struct Traced {
    body: AnyBody,
    ending: Ending,
}

impl Body for Traced {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        let piece = ready!(Pin::new(&mut this.body).poll_frame(cx));
        match &piece {
            Some(Err(_)) => this.ending.end(Some("upstream_failed")),
            None => this.ending.end(None),
            Some(Ok(_)) if this.body.is_end_stream() => this.ending.end(None),
            Some(Ok(_)) => {}
        }
        Poll::Ready(piece)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
