//! A 2xx: its first byte is waited for, and what carries the rest is made.

use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use bytes::{Bytes, BytesMut};
use dialect::usage::Framing;
use dialect::{EncoderOptions, Failure, FailureKind, anthropic, gemini, ollama, openai};

use super::{Answer, Exchange, Head};
use crate::backend::BackendKind;
use crate::gateway::bounded;
use crate::gateway::endpoint::Way;
use crate::gateway::flow::Opened;
use crate::gateway::relay::{Converting, Passing, Recorder, Relay};
use crate::gateway::setback::Setback;
use crate::gateway::signs;

/// A whole answer in the client's dialect is looked at up to here before it is passed on: if its backend breaks off
/// until then, another can answer.
const HELD_BACK_BYTES: usize = 1 << 20;

impl Exchange<'_> {
    /// A 2xx: waits for its first byte, or for all of it where it must be said anew.
    pub(super) async fn open(&self, way: Way, head: &Head, upstream: reqwest::Body) -> Result<Answer, Setback> {
        let opened = match (way, self.asked.stream) {
            (Way::Native(_), stream) => self.open_native(stream, head, upstream).await,
            (Way::Converted, true) => {
                let content_type = content_type(self.asked.endpoint.framing(true));
                self.open_stream(self.converting(), upstream, 1, content_type).await
            }
            (Way::Converted, false) if is_sse(head) => self.convert_collected(upstream).await,
            (Way::Converted, false) => self.convert_whole(upstream).await,
        };
        match &opened {
            Err(setback) if setback.is_illness() => self.attempt.failed(),
            _ => self.attempt.answered(),
        }
        opened
    }

    async fn open_native(&self, stream: bool, head: &Head, upstream: reqwest::Body) -> Result<Answer, Setback> {
        let endpoint = self.asked.endpoint;
        let told = head.headers.get(CONTENT_TYPE);
        let by_type = told
            .and_then(|told| told.to_str().ok())
            .and_then(Framing::of_content_type);
        let framing = match stream {
            true => by_type.unwrap_or(endpoint.framing(true)),
            false => Framing::Json,
        };
        let content_type = told.cloned().unwrap_or(content_type(framing));
        let encoder = endpoint.encoder(self.encoder_options(), None);
        let hides = stream && !self.asked.wants_usage;
        let relay = Relay::Passing(Box::new(Passing::new(endpoint.dialect(), framing, hides, encoder)));
        let enough = if framing == Framing::Json { HELD_BACK_BYTES } else { 1 };
        self.open_stream(relay, upstream, enough, content_type).await
    }

    /// Reads until there are `enough` bytes for the client, or the answer is at its end.
    async fn open_stream(
        &self,
        mut relay: Relay,
        mut upstream: reqwest::Body,
        enough: usize,
        content_type: HeaderValue,
    ) -> Result<Answer, Setback> {
        let is_document = !self.asked.stream;
        let mut first = Bytes::new();
        loop {
            let piece = self.heard(bounded::piece(&mut upstream, None)).await?;
            let step = match piece.map_err(|_| broke_off())? {
                Some(bytes) => relay.push(bytes),
                None => {
                    let step = relay.finish();
                    let whole = joined(first, step.bytes);
                    self.measure.used(match is_document {
                        true => dialect::usage::of_body(self.asked.endpoint.dialect(), &whole),
                        false => relay.usage(),
                    });
                    self.measure.saw(&whole);
                    return match step.failed {
                        Some(failure) => self.told(failure),
                        None if is_document && is_no_json(&whole) => Err(unreadable_document()),
                        None => Ok(Answer::Typed(StatusCode::OK, content_type, whole)),
                    };
                }
            };
            if let Some(failure) = step.failed {
                return self.told(failure);
            }
            first = joined(first, step.bytes);
            if first.len() >= enough && is_document && is_no_json(&first) {
                return Err(unreadable_document());
            }
            if first.len() >= enough {
                return Ok(Answer::Stream(content_type, Opened { first, upstream, relay }));
            }
        }
    }

    /// A failure that a 2xx turned out to be: nothing of it has been passed on.
    pub(super) fn told(&self, failure: Failure) -> Result<Answer, Setback> {
        match failure.kind {
            FailureKind::InvalidRequest | FailureKind::TooLarge => {
                let status = StatusCode::from_u16(failure.kind.status()).unwrap_or(StatusCode::BAD_REQUEST);
                Ok(Answer::Whole(status, self.asked.endpoint.error_body(&failure, None)))
            }
            _ => Err(Setback::Failed {
                failure,
                retry_after_s: None,
            }),
        }
    }

    /// For what this backend streams.
    pub(super) fn decoder(&self) -> Box<dyn dialect::Decoder + Send> {
        let identity = self.asked.identity.clone();
        match self.kind() {
            BackendKind::OpenAi => Box::new(openai::stream::Decoder::new(identity)),
            BackendKind::Ollama => Box::new(ollama::stream::Decoder::new(identity)),
            BackendKind::Anthropic => Box::new(anthropic::stream::Decoder::new(identity)),
            BackendKind::Gemini => Box::new(gemini::stream::Decoder::new(identity)),
        }
    }

    fn converting(&self) -> Relay {
        let decoder = self.decoder();
        let encoder = self.asked.endpoint.encoder(self.encoder_options(), self.asked.echo());
        let memory = signs(self.kind()).then(|| std::sync::Arc::clone(&self.gateway.signatures));
        let recorder = memory.map(|memory| Recorder::new(self.asked.caller, memory));
        Relay::Converting(Box::new(Converting::new(decoder, encoder, recorder)))
    }

    fn encoder_options(&self) -> EncoderOptions {
        EncoderOptions {
            identity: self.asked.identity.clone(),
            model: self.attempt.model.to_string(),
            include_usage: self.asked.wants_usage,
        }
    }
}

fn is_sse(head: &Head) -> bool {
    let told = head.headers.get(CONTENT_TYPE).and_then(|told| told.to_str().ok());
    told.and_then(Framing::of_content_type) == Some(Framing::Sse)
}

/// A proxy's page, or nothing at all, under a 200 is no model's answer.
fn is_no_json(bytes: &[u8]) -> bool {
    !matches!(bytes.trim_ascii_start().first(), Some(b'{' | b'['))
}

pub(in crate::gateway) fn content_type(framing: Framing) -> HeaderValue {
    HeaderValue::from_static(match framing {
        Framing::Json => "application/json",
        Framing::Sse => "text/event-stream",
        Framing::Ndjson => "application/x-ndjson",
    })
}

fn joined(first: Bytes, more: Bytes) -> Bytes {
    if first.is_empty() {
        return more;
    }
    let mut all = BytesMut::from(first);
    all.extend_from_slice(&more);
    all.freeze()
}

fn unreadable_document() -> Setback {
    Setback::failed(FailureKind::Api, "the backend's answer cannot be read")
}

pub(super) fn broke_off() -> Setback {
    Setback::failed(FailureKind::Api, "the backend broke off before it answered")
}
