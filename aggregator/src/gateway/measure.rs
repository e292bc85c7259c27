//! One attempt at one backend, measured from its beginning to its answer's end: told once, to the metrics and as a span.
//!
//! An attempt that is dropped before its end is one whose client has gone. Of what is asked and answered nothing is kept
//! here but times and numbers of tokens.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use dialect::FailureKind;
use dialect::chat::Usage;
use traces::{Begun, Kind, Plane};

use super::asked::Asked;
use super::first_token::holds_content;
use crate::backend::BackendKind;
use crate::fleet::{Attempt, Backend};
use crate::metrics::{Attempted, Requests, Served};

/// The client left before the answer's end.
const CLIENT_GONE: &str = "client_gone";

pub(super) struct Measure {
    metrics: Arc<Requests>,
    operation: &'static str,
    model: Arc<str>,
    backend: Arc<Backend>,
    began: Instant,
    first_token: OnceLock<Duration>,
    usage: OnceLock<Usage>,
    span: Option<Begun>,
    /// Of a whole document no token is the first.
    streams: bool,
    is_over: bool,
}

impl Measure {
    pub(super) fn begin(metrics: &Arc<Requests>, asked: &Asked, attempt: &Attempt) -> Self {
        Self {
            metrics: Arc::clone(metrics),
            operation: asked.endpoint.operation(),
            model: Arc::clone(&attempt.model),
            backend: Arc::clone(&attempt.backend),
            began: Instant::now(),
            first_token: OnceLock::new(),
            usage: OnceLock::new(),
            span: asked.span.as_ref().map(Begun::child),
            streams: asked.stream,
            is_over: false,
        }
    }

    /// A piece of a stream, as it goes to the client.
    pub(super) fn saw(&self, piece: &[u8]) {
        if self.streams && self.first_token.get().is_none() && holds_content(piece) {
            self.first_token.get_or_init(|| self.began.elapsed());
        }
    }

    /// What the backend told of its tokens; the first word counts.
    pub(super) fn used(&self, usage: Usage) {
        self.usage.get_or_init(|| usage);
    }

    /// Where its span stands, for the request's headers.
    pub(super) fn span(&self) -> Option<&Begun> {
        self.span.as_ref()
    }

    /// `error`: why it came to nothing, or was cut.
    pub(super) fn end(mut self, error: Option<&'static str>) {
        self.tell(error);
    }

    fn tell(&mut self, error: Option<&'static str>) {
        if std::mem::replace(&mut self.is_over, true) {
            return;
        }
        let usage = self.usage.get().copied().unwrap_or_default();
        let attempted = Attempted {
            duration: self.began.elapsed(),
            first_token: self.first_token.get().copied(),
            input_tokens: usage.input,
            output_tokens: usage.output,
            error,
        };
        let served = Served {
            operation: self.operation,
            model: &self.model,
            backend: &self.backend.spec.name,
        };
        self.metrics.attempted(served, &attempted);
        if let Some(span) = self.span.take() {
            self.end_span(span, &attempted);
        }
    }

    fn end_span(&self, span: Begun, attempted: &Attempted) {
        let spec = &self.backend.spec;
        let mut attributes = vec![
            ("gen_ai.operation.name", self.operation.into()),
            ("gen_ai.provider.name", provider(spec.kind).into()),
            ("gen_ai.request.model", Arc::clone(&self.model).into()),
            ("conclave.backend", Arc::clone(&spec.name).into()),
        ];
        let counts = [
            ("gen_ai.usage.input_tokens", attempted.input_tokens),
            ("gen_ai.usage.output_tokens", attempted.output_tokens),
        ];
        attributes.extend(
            counts
                .into_iter()
                .filter_map(|(name, count)| Some((name, count?.into()))),
        );
        let first = attempted.first_token.map(|first| first.as_secs_f64());
        attributes.extend(first.map(|first| ("gen_ai.response.time_to_first_chunk", first.into())));
        let name = format!("{} {}", self.operation, self.model);
        span.end((Plane::Aggregator, Kind::Client), name, attributes, attempted.error);
    }
}

impl Drop for Measure {
    fn drop(&mut self) {
        self.tell(Some(CLIENT_GONE));
    }
}

/// In one word, as labels and attributes say it.
pub(super) fn word(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::InvalidRequest => "invalid_request",
        FailureKind::Authentication => "authentication",
        FailureKind::Permission => "permission",
        FailureKind::NotFound => "not_found",
        FailureKind::TooLarge => "too_large",
        FailureKind::RateLimit => "rate_limit",
        FailureKind::Overloaded => "overloaded",
        FailureKind::Timeout => "timeout",
        FailureKind::Api => "failed",
    }
}

/// As OpenTelemetry's conventions call whose API it is.
fn provider(kind: BackendKind) -> &'static str {
    match kind {
        BackendKind::OpenAi => "openai",
        BackendKind::Ollama => "ollama",
        BackendKind::Anthropic => "anthropic",
        BackendKind::Gemini => "gcp.gemini",
    }
}
