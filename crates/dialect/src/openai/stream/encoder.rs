//! Events → chunks.
//!
//! `[DONE]` is written for [`Event::Done`] alone: an answer that broke off ends with an error event and no `[DONE]`.

use crate::chat::{Event, Finish, Signature, TokenLogprob, Usage};
use crate::error::Failure;
use crate::json::write::{self, Object};
use crate::openai::request::write_signature;
use crate::openai::{error, response, usage};
use crate::stream::EncoderOptions;
use crate::{sse, stream};

pub struct Encoder {
    options: EncoderOptions,
    id: String,
    /// Go with the next chunk, for they have no chunk of their own.
    logprobs: Vec<TokenLogprob>,
    usage: Usage,
    finished: bool,
    has_calls: bool,
    /// `[DONE]` or an error was written.
    over: bool,
}

impl Encoder {
    pub fn new(options: EncoderOptions) -> Self {
        let id = format!("chatcmpl-{}", options.identity.id);
        let (logprobs, usage) = (Vec::new(), Usage::default());
        Self {
            options,
            id,
            logprobs,
            usage,
            finished: false,
            has_calls: false,
            over: false,
        }
    }

    fn head(&self, to: &mut Object<'_>) {
        to.field("id", &self.id).field("object", "chat.completion.chunk");
        to.field("created", &self.options.identity.created)
            .field("model", &self.options.model);
    }

    fn chunk(&mut self, out: &mut Vec<u8>, finish: Option<Finish>, delta: impl FnOnce(&mut Object<'_>)) {
        let logprobs = std::mem::take(&mut self.logprobs);
        let data = write::object(|to| {
            self.head(to);
            to.array("choices", |to| {
                to.object(|to| {
                    to.field("index", &0).object("delta", delta);
                    if !logprobs.is_empty() {
                        response::write_logprobs(&logprobs, to);
                    }
                    to.field("finish_reason", &finish.map(response::finish_name));
                });
            });
        });
        sse::write(out, "", &data);
    }

    fn call(&mut self, index: usize, id: &str, name: &str, signature: &Option<Signature>, out: &mut Vec<u8>) {
        self.has_calls = true;
        self.chunk(out, None, |to| {
            to.array("tool_calls", |to| {
                to.object(|to| {
                    to.field("index", &index).field("id", id).field("type", "function");
                    to.object("function", |to| to.field("name", name).field("arguments", "").end());
                    write_signature(signature, to);
                });
            });
        });
    }

    fn arguments(&mut self, index: usize, fragment: &str, out: &mut Vec<u8>) {
        self.chunk(out, None, |to| {
            to.array("tool_calls", |to| {
                to.object(|to| {
                    to.field("index", &index)
                        .object("function", |to| to.field("arguments", fragment).end());
                });
            });
        });
    }

    fn finish(&mut self, finish: Finish, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        self.chunk(out, Some(finish.with_calls(self.has_calls)), |_| {});
    }

    fn done(&mut self, out: &mut Vec<u8>) {
        self.finish(Finish::Stop, out);
        if self.options.include_usage {
            usage::write_chunk(&self.usage, |to| self.head(to), out);
        }
        sse::write(out, "", b"[DONE]");
        self.over = true;
    }
}

impl stream::Encoder for Encoder {
    fn push(&mut self, event: &Event, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        match event {
            Event::Start { id, .. } => {
                if !id.is_empty() {
                    self.id.clone_from(id);
                }
                self.chunk(out, None, |to| to.field("role", "assistant").field("content", "").end());
            }
            Event::Text(text) => self.chunk(out, None, |to| to.field("content", text).end()),
            Event::Thinking(text) => self.chunk(out, None, |to| to.field("reasoning_content", text).end()),
            // Only their maker can read them, and this dialect has no place for them.
            Event::Signature(_) | Event::RedactedThinking(_) => {}
            Event::ToolCallStart {
                index,
                id,
                name,
                signature,
            } => self.call(*index, id, name, signature, out),
            Event::ToolCallArguments { index, fragment } => self.arguments(*index, fragment, out),
            Event::Logprobs(logprobs) => self.logprobs.extend_from_slice(logprobs),
            Event::Finish {
                finish: Finish::Error, ..
            } => self.error(&Failure::broke_off(), out),
            Event::Finish { finish, .. } => self.finish(*finish, out),
            Event::Usage(usage) => self.usage.update(usage),
            Event::Timings(_) => {}
            Event::Error(failure) => self.error(failure, out),
            Event::Done => self.done(out),
        }
    }

    fn error(&mut self, failure: &Failure, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.over, true) {
            sse::write(out, "", &error::render(failure));
        }
    }

    fn heartbeat(&self) -> &'static [u8] {
        sse::HEARTBEAT
    }
}
