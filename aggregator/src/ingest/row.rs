//! An assembled exchange as the store keeps it. Pure. Owns which of two sources wins where two tell the same.
//!
//! Invariant: what is missing is absent or marked; nothing is made up but a lost beginning's time, which the exchange's id
//! holds too.

use bytes::Bytes;
use capture::{Begun, Ended, Entry, Header, Outcome, ResponseHead};
use journal::Kind;
use uuid::Uuid;

use super::assemble::Assembled;
use super::parse::{Body, Parsed, Passed, parse};
use crate::store::{Answered, Asked, Content, NewExchange, Plane, Status, Timing, Tokens};

/// A row, and what is counted of it.
pub(super) struct Row {
    pub(super) exchange: NewExchange,
    pub(super) broken_frames: u64,
    pub(super) is_opaque: bool,
}

/// `plane` is the journal's, for an exchange whose beginning was lost.
pub(super) fn row(assembled: Assembled, plane: Plane, body_bytes_max: usize) -> Row {
    let Assembled {
        id,
        request,
        response,
        last_us,
        is_lossy,
        ..
    } = assembled;
    let begun = payload(Kind::Begun, &assembled.begun).and_then(|entry| match entry {
        Entry::Begun(begun) => Some(begun),
        _ => None,
    });
    let head = payload(Kind::ResponseHead, &assembled.head).and_then(|entry| match entry {
        Entry::ResponseHead(head) => Some(head),
        _ => None,
    });
    let ended = payload(Kind::Ended, &assembled.ended).and_then(|entry| match entry {
        Entry::Ended(ended) => Some(ended),
        _ => None,
    });
    let told = Told { begun, head, ended };
    let mut parsed = parse(&Passed {
        path: told.path(),
        request: &request,
        request_encoding: told
            .begun
            .as_ref()
            .and_then(|begun| begun.headers.get(Header::ContentEncoding)),
        status: told.status(),
        response_type: told.head.and_then(|head| head.content_type).unwrap_or_default(),
        response_encoding: told.head.and_then(|head| head.content_encoding).unwrap_or_default(),
        response: &response,
        body_bytes_max,
    });
    let answered = told.answered(&parsed, &request, &response, is_lossy);
    let exchange = NewExchange {
        id: Uuid::from_bytes(id.0),
        parent: told
            .begun
            .as_ref()
            .and_then(|begun| begun.parent)
            .map(|parent| Uuid::from_bytes(parent.0)),
        started_at_us: told.started_at_us().unwrap_or_else(|| started_by_id(id.0)),
        plane: told.begun.as_ref().map_or(plane, |begun| plane_of(begun.plane)),
        asked: told.asked(&mut parsed, &request),
        answered,
        tokens: Tokens {
            input: parsed.usage.input,
            output: parsed.usage.output,
            cached: parsed.usage.cached,
            thinking: parsed.usage.reasoning,
        },
        timing: Timing {
            first_token_us: parsed.first_token_us,
            duration_us: Some(told.ended.map_or(last_us, |ended| ended.elapsed_us)),
            tokens_per_second: parsed.tokens_per_second,
        },
        content: content(&mut parsed, request, response),
    };
    Row {
        exchange,
        broken_frames: parsed.broken_frames,
        is_opaque: parsed.opaque,
    }
}

/// What the plane told; each part may be missing.
struct Told<'a> {
    begun: Option<Begun<'a>>,
    head: Option<ResponseHead<'a>>,
    ended: Option<Ended<'a>>,
}

impl Told<'_> {
    fn path(&self) -> &str {
        self.begun.as_ref().map_or("", |begun| begun.path)
    }

    /// What the client got: an answer that began may have become another.
    fn status(&self) -> Option<u16> {
        let ended = self.ended.and_then(|ended| ended.status);
        ended.or(self.head.map(|head| head.status))
    }

    fn started_at_us(&self) -> Option<i64> {
        i64::try_from(self.begun.as_ref()?.at_unix_us).ok()
    }

    fn asked(&self, parsed: &mut Parsed, request: &Body) -> Asked {
        let begun = self.begun.as_ref();
        let text = |text: Option<&str>| text.map(str::to_owned);
        Asked {
            key: text(begun.and_then(|begun| begun.router)),
            service: text(begun.and_then(|begun| begun.service)),
            model: parsed.asked.model.take(),
            endpoint: self.path().to_owned(),
            dialect: parsed
                .endpoint
                .map(|endpoint| endpoint.dialect().name().to_ascii_lowercase()),
            streamed: parsed.streamed,
            client: begun.and_then(|begun| begun.client).map(|client| client.to_string()),
            request_id: text(begun.map(|begun| begun.request_id).filter(|id| !id.is_empty())),
            body_bytes: self
                .ended
                .map_or(request.bytes().len() as u64, |ended| ended.request_bytes),
        }
    }

    fn answered(&self, parsed: &Parsed, request: &Body, response: &Body, is_lossy: bool) -> Answered {
        let text = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
        let (status, refused) = match self.ended.map(|ended| ended.outcome) {
            Some(Outcome::Complete) => (Status::Complete, None),
            Some(Outcome::ClientGone) => (Status::ClientGone, None),
            Some(Outcome::UpstreamFailed) => (Status::UpstreamFailed, None),
            Some(Outcome::Refused(code)) => (Status::Complete, text(Some(code))),
            Some(Outcome::Interrupted) | None => (Status::Interrupted, None),
        };
        let server = |told: Option<&str>| text(told);
        let attempts = self
            .ended
            .map(|ended| ended.attempts)
            .or(self.head.map(|head| head.attempts));
        Answered {
            status,
            http_status: self.status(),
            // Of an answer of ours the code is known; of a server's it is what its body says.
            error_code: refused
                .clone()
                .or_else(|| parsed.trouble.as_ref().map(|trouble| trouble.code.clone())),
            refused,
            finish_reason: parsed.finish.map(str::to_owned),
            embeddings: parsed.embeddings,
            backend: server(self.ended.and_then(|ended| ended.server))
                .or_else(|| server(self.head.and_then(|head| head.server))),
            model: parsed.model.clone(),
            fallback: text(self.head.and_then(|head| head.fallback_model)),
            attempts: attempts.filter(|attempts| *attempts > 0),
            body_bytes: self
                .ended
                .map_or(response.bytes().len() as u64, |ended| ended.response_bytes),
            is_request_cut: request.is_cut() || self.ended.is_some_and(|ended| ended.cut_request),
            is_response_cut: response.is_cut() || self.ended.is_some_and(|ended| ended.cut_response),
            is_lossy,
        }
    }
}

fn payload(kind: Kind, payload: &Option<Box<[u8]>>) -> Option<Entry<'_>> {
    // It was decoded when it came: here it cannot fail.
    capture::decode(kind, payload.as_deref()?).ok()
}

fn content(parsed: &mut Parsed, request: Body, response: Body) -> Content {
    let some = |bytes: Vec<u8>| (!bytes.is_empty()).then(|| Bytes::from(bytes));
    let asked = std::mem::take(&mut parsed.asked);
    Content {
        request: some(request.into_bytes()),
        response: some(parsed.decoded.take().unwrap_or_else(|| response.into_bytes())),
        text: parsed.text.take(),
        thinking: parsed.thinking.take(),
        tool_calls: parsed.tool_calls.take(),
        prompt: Some(asked.prompt).filter(|prompt| !prompt.is_empty()),
    }
}

fn plane_of(plane: capture::Plane) -> Plane {
    match plane {
        capture::Plane::Edge => Plane::Edge,
        capture::Plane::Aggregator => Plane::Aggregator,
        capture::Plane::Council => Plane::Council,
    }
}

/// A UUIDv7 begins with the milliseconds since 1970.
fn started_by_id([a, b, c, d, e, f, ..]: [u8; 16]) -> i64 {
    i64::from_be_bytes([0, 0, a, b, c, d, e, f]) * 1_000
}
