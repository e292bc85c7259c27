//! An exchange as a span, where traces are on and its trace is kept: begun with its head, ended with its account.
//!
//! Refuses whatever a client sent as text: a path is named where it is one that many have, a method where HTTP names it.

use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use traces::{Begun, Kind, Plane as Whose, Tracer, Value};

use super::{Destination, Exchange, Outcome};
use crate::limits::set::Tokens;
use crate::upstream::Upstream;

/// Paths that a span is called by. Others would be as many names as there are clients.
const PATHS: [&str; 16] = [
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/responses",
    "/v1/messages",
    "/v1/messages/count_tokens",
    "/v1/models",
    "/v1/rerank",
    "/v1/audio/transcriptions",
    "/chat/completions",
    "/completion",
    "/embeddings",
    "/api/chat",
    "/api/generate",
    "/api/embed",
    "/api/tags",
];

pub(super) struct Traced {
    pub(super) begun: Begun,
    tokens: Option<Tokens>,
    first_token: Option<Duration>,
}

impl Traced {
    pub(super) fn begin(tracer: Option<&Tracer>, headers: &HeaderMap) -> Option<Box<Self>> {
        let tracer = tracer?;
        let parent = headers.get("traceparent").map(HeaderValue::as_bytes);
        let state = headers.get("tracestate").and_then(|state| state.to_str().ok());
        let begun = tracer.begin(parent, state)?;
        Some(Box::new(Self {
            begun,
            tokens: None,
            first_token: None,
        }))
    }
}

impl Exchange {
    pub(super) fn span_counts(&mut self, tokens: Tokens) {
        if let Some(traced) = &mut self.traced {
            traced.tokens = Some(tokens);
        }
    }

    pub(super) fn span_paced(&mut self, first_token: Option<Duration>) {
        if let Some(traced) = &mut self.traced {
            traced.first_token = first_token;
        }
    }

    pub(super) fn end_span(&mut self, outcome: Outcome) {
        let Some(traced) = self.traced.take() else { return };
        let method = method(&self.method);
        let path = self.target.as_ref().map_or("", keymap::Target::path);
        let path = PATHS.iter().find(|known| **known == path).copied();
        let mut attributes: Vec<(&'static str, Value)> = vec![
            ("http.request.method", method.into()),
            ("conclave.outcome", outcome.label().into()),
            ("conclave.attempts", u64::from(self.attempts.count).into()),
        ];
        let mut add = |name, value: Option<Value>| attributes.extend(value.map(|value| (name, value)));
        add("http.route", path.map(Value::from));
        add(
            "http.response.status_code",
            self.status.map(|status| u64::from(status).into()),
        );
        add("gen_ai.operation.name", path.and_then(operation).map(Value::from));
        add(
            "conclave.router",
            self.route.as_ref().map(|route| route.router.name.clone().into()),
        );
        add(
            "conclave.service",
            self.destination.as_ref().map(Destination::name).map(Value::from),
        );
        add("conclave.server", self.current_server().map(Upstream::label).map(name));
        if let Outcome::Refused(refusal) = outcome {
            add("conclave.refusal", Some(refusal.code().into()));
        }
        let count = |tokens: i64| Value::Count(tokens);
        add(
            "gen_ai.usage.input_tokens",
            traced.tokens.map(|tokens| count(tokens.input)),
        );
        add(
            "gen_ai.usage.output_tokens",
            traced.tokens.map(|tokens| count(tokens.output)),
        );
        let first = traced.first_token.map(|first| first.as_secs_f64().into());
        add("gen_ai.response.time_to_first_chunk", first);
        let Traced { begun, .. } = *traced;
        let called = path.map_or(method.to_owned(), |path| format!("{method} {path}"));
        begun.end((Whose::Edge, Kind::Server), called, attributes, self.error_of(outcome));
    }

    /// What makes the span an error. A 4xx is the client's own.
    fn error_of(&self, outcome: Outcome) -> Option<&'static str> {
        let is_fault = self.status.is_some_and(|status| status >= 500);
        match outcome {
            Outcome::Complete if is_fault => Some("server_error"),
            Outcome::Refused(refusal) if is_fault => Some(refusal.code()),
            Outcome::Complete | Outcome::Refused(_) => None,
            Outcome::ClientGone | Outcome::UpstreamFailed => Some(outcome.label()),
        }
    }
}

fn name(text: &str) -> Value {
    Value::Name(text.into())
}

fn method(method: &http::Method) -> &'static str {
    const METHODS: [&str; 7] = ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"];
    let known = METHODS.into_iter().find(|known| *known == method.as_str());
    known.unwrap_or("_OTHER")
}

/// As OpenTelemetry's conventions for generative AI call it.
fn operation(path: &'static str) -> Option<&'static str> {
    match path {
        "/v1/chat/completions" | "/chat/completions" | "/v1/responses" | "/v1/messages" | "/api/chat" => Some("chat"),
        "/v1/completions" | "/completion" | "/api/generate" => Some("text_completion"),
        "/v1/embeddings" | "/embeddings" | "/api/embed" => Some("embeddings"),
        _ => None,
    }
}
