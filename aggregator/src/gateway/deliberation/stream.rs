//! The same as a stream: the HTTP body that moves the deliberation as its client reads.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body as AnyBody;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use dialect::{Encoder, EncoderOptions, Event, Failure, sse};
use hyper::body::{Body, Frame};
use serde_json::{Value, json};
use tokio::time::{Instant, Sleep, sleep, timeout};

use super::table::{Moved, Table};
use super::{finish, response_id};
use crate::council::{Sitting, Transcript, Word};
use crate::gateway::asked::Asked;
use crate::gateway::exchange::content_type;
use crate::gateway::headers;
use crate::gateway::refusal::Refusal;

/// How long a stream's status may wait for a model's first word: then it begins with what there is.
const FIRST_WORD_PATIENCE: Duration = Duration::from_secs(2);

/// Between signs of life, while nobody says anything.
const HEARTBEAT_PAUSE: Duration = Duration::from_secs(15);

/// Between the error event and the cut.
const CUT_DELAY: Duration = Duration::from_millis(50);

pub(super) async fn streamed(table: Table, asked: &Asked, sitting: Arc<Sitting>) -> Result<Response, Refusal> {
    let options = EncoderOptions {
        identity: asked.identity.clone(),
        model: asked.model.clone(),
        include_usage: asked.wants_usage,
    };
    let mut deliberation = Deliberation {
        table,
        encoder: asked.endpoint.encoder(options, asked.echo()),
        events: sitting.wants_events.then(|| EventHead::of(asked)),
        sitting,
        first: Vec::new(),
        heartbeat: Box::pin(sleep(HEARTBEAT_PAUSE)),
        state: State::Sitting,
    };
    let mut first = Vec::new();
    deliberation.encode(
        &Event::Start {
            id: String::new(),
            model: asked.model.clone(),
        },
        &mut first,
    );
    let waited = timeout(FIRST_WORD_PATIENCE, deliberation.first_word(&mut first)).await;
    if let Ok(Err(failure)) = waited {
        return Err(Refusal::new(failure).spent(None));
    }
    deliberation.first = first;
    let mut response = AnyBody::new(deliberation).into_response();
    let out = response.headers_mut();
    out.insert(CONTENT_TYPE, content_type(asked.endpoint.framing(true)));
    out.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    out.insert(headers::ACCEL_BUFFERING, HeaderValue::from_static("no"));
    Ok(response)
}

/// How the chunks that carry structure begin, in OpenAI's stream.
struct EventHead {
    id: String,
    created: u64,
    model: String,
}

impl EventHead {
    fn of(asked: &Asked) -> Self {
        Self {
            id: response_id(asked),
            created: asked.identity.created,
            model: asked.model.clone(),
        }
    }

    /// A chunk without choices: clients that do not know the field pass over it.
    fn chunk(&self, of: &Value, out: &mut Vec<u8>) {
        let chunk = json!({
            "id": self.id, "object": "chat.completion.chunk", "created": self.created, "model": self.model,
            "choices": [], "council": of,
        });
        sse::write(out, "", chunk.to_string().as_bytes());
    }
}

struct Deliberation {
    table: Table,
    encoder: Box<dyn Encoder + Send>,
    events: Option<EventHead>,
    sitting: Arc<Sitting>,
    /// What the status has waited for.
    first: Vec<u8>,
    heartbeat: Pin<Box<Sleep>>,
    state: State,
}

enum State {
    Sitting,
    /// The error event has been sent.
    Cutting(Pin<Box<Sleep>>),
    Over,
}

impl Deliberation {
    /// Until a model has said something. It may be dropped at any point: nothing is lost.
    async fn first_word(&mut self, out: &mut Vec<u8>) -> Result<(), Failure> {
        loop {
            match self.table.next().await {
                Some(Moved::Said(word)) => {
                    self.pass(&word, out);
                    if matches!(word, Word::Thought(_) | Word::Answer(_)) {
                        return Ok(());
                    }
                }
                Some(Moved::Ended(Ok(transcript))) => {
                    self.conclude(&transcript, out);
                    return Ok(());
                }
                Some(Moved::Ended(Err(failure))) => return Err(failure),
                None => return Ok(()),
            }
        }
    }

    fn encode(&mut self, event: &Event, out: &mut Vec<u8>) {
        self.encoder.push(event, out);
    }

    fn pass(&mut self, word: &Word, out: &mut Vec<u8>) {
        match word {
            Word::Announced(text) | Word::Thought(text) => self.encode(&Event::Thinking(text.clone()), out),
            Word::Answer(text) => self.encode(&Event::Text(text.clone()), out),
            Word::Event(of) => {
                if let Some(head) = &self.events {
                    head.chunk(of, out);
                }
            }
        }
    }

    fn conclude(&mut self, transcript: &Transcript, out: &mut Vec<u8>) {
        if let Some(head) = &self.events {
            let mut record = transcript.record(&self.sitting);
            record["stage"] = "closed".into();
            head.chunk(&record, out);
        }
        let finish = Event::Finish {
            finish: finish(transcript),
            stop_sequence: None,
        };
        for event in [finish, Event::Usage(transcript.usage), Event::Done] {
            self.encode(&event, out);
        }
        self.state = State::Over;
    }

    fn fail(&mut self, failure: &Failure, out: &mut Vec<u8>) {
        tracing::warn!(template = %self.sitting.template.name, failure = ?failure.kind, "a council's answer broke off");
        self.encoder.error(failure, out);
        self.state = State::Cutting(Box::pin(sleep(CUT_DELAY)));
    }

    /// All that can be said now; empty where that is nothing.
    fn say(&mut self, cx: &mut Context<'_>) -> Vec<u8> {
        let mut out = std::mem::take(&mut self.first);
        while matches!(self.state, State::Sitting) {
            match self.table.poll_next(cx) {
                Poll::Pending => break,
                Poll::Ready(Some(Moved::Said(word))) => self.pass(&word, &mut out),
                Poll::Ready(Some(Moved::Ended(Ok(transcript)))) => self.conclude(&transcript, &mut out),
                Poll::Ready(Some(Moved::Ended(Err(failure)))) => self.fail(&failure, &mut out),
                Poll::Ready(None) => self.state = State::Over,
            }
        }
        out
    }

    fn poll_heartbeat(&mut self, cx: &mut Context<'_>) -> Poll<&'static [u8]> {
        std::task::ready!(self.heartbeat.as_mut().poll(cx));
        self.heartbeat.as_mut().reset(Instant::now() + HEARTBEAT_PAUSE);
        Poll::Ready(self.encoder.heartbeat())
    }
}

impl Body for Deliberation {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = self.get_mut();
        let out = this.say(cx);
        if !out.is_empty() {
            this.heartbeat.as_mut().reset(Instant::now() + HEARTBEAT_PAUSE);
            return Poll::Ready(Some(Ok(Frame::data(out.into()))));
        }
        match &mut this.state {
            State::Over => Poll::Ready(None),
            State::Cutting(delay) => {
                std::task::ready!(delay.as_mut().poll(cx));
                this.state = State::Over;
                Poll::Ready(Some(Err(io::Error::other("the council's answer is not whole"))))
            }
            State::Sitting => loop {
                let beat = std::task::ready!(this.poll_heartbeat(cx));
                if !beat.is_empty() {
                    return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(beat)))));
                }
            },
        }
    }
}
