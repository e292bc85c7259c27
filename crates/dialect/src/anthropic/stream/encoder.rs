//! Events → message events.
//!
//! ```text
//! Start → message_start   Text, Thinking, calls → content_block_{start,delta,stop}   Done → message_delta, message_stop
//! ```
//! One block is open at a time. A call that begins while another's block is open waits, for its predecessor may still
//! get arguments; what waits is bounded by [`WAITING_BYTES_MAX`].

use super::super::{error, response, usage};
use crate::Dialect;
use crate::chat::{Event, Finish, Signature, Usage};
use crate::error::{Failure, FailureKind};
use crate::json::write::{self, Object};
use crate::stream::{EncoderOptions, FRAME_BYTES_MAX};
use crate::{sse, stream};

const WAITING_BYTES_MAX: usize = 2 * FRAME_BYTES_MAX;

pub struct Encoder {
    options: EncoderOptions,
    /// The open block.
    open: Option<Open>,
    /// Blocks begun so far.
    blocks: usize,
    waiting: Vec<Waiting>,
    waiting_bytes: usize,
    finish: Finish,
    stop_sequence: Option<String>,
    has_calls: bool,
    usage: Usage,
    started: bool,
    /// `message_stop` or an error was written.
    over: bool,
}

#[derive(PartialEq, Clone, Copy)]
enum Open {
    Text,
    Thinking,
    Call(usize),
}

struct Waiting {
    index: usize,
    id: String,
    name: String,
    arguments: String,
}

impl Encoder {
    pub fn new(options: EncoderOptions) -> Self {
        Self {
            options,
            open: None,
            blocks: 0,
            waiting: Vec::new(),
            waiting_bytes: 0,
            finish: Finish::Stop,
            stop_sequence: None,
            has_calls: false,
            usage: Usage::default(),
            started: false,
            over: false,
        }
    }

    fn start(&mut self, id: &str, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        let id = if id.is_empty() {
            format!("msg_{}", self.options.identity.id)
        } else {
            id.to_owned()
        };
        event("message_start", out, |to| {
            to.object("message", |to| {
                to.field("id", &id).field("type", "message").field("role", "assistant");
                to.field("model", &self.options.model).array("content", |_| {});
                to.null("stop_reason").null("stop_sequence");
                // Other dialects count at the end; `message_delta` tells it all then.
                to.object("usage", |to| usage::write(&self.usage, to));
            });
        });
    }

    fn begin(&mut self, open: Open, out: &mut Vec<u8>, block: impl FnOnce(&mut Object<'_>)) {
        self.start("", out);
        event("content_block_start", out, |to| {
            to.field("index", &self.blocks).object("content_block", block);
        });
        self.open = Some(open);
        self.blocks += 1;
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if self.open.take().is_some() {
            event("content_block_stop", out, |to| {
                to.field("index", &(self.blocks - 1)).end()
            });
        }
    }

    /// Closes what is open and writes what waits, so that another kind of block can begin.
    fn settle(&mut self, out: &mut Vec<u8>) {
        self.close(out);
        self.waiting_bytes = 0;
        for call in std::mem::take(&mut self.waiting) {
            self.begin_call(call.index, &call.id, &call.name, out);
            self.call_delta(&call.arguments, out);
            self.close(out);
        }
    }

    fn delta(&self, out: &mut Vec<u8>, delta: impl FnOnce(&mut Object<'_>)) {
        event("content_block_delta", out, |to| {
            to.field("index", &self.blocks.saturating_sub(1)).object("delta", delta);
        });
    }

    fn text(&mut self, text: &str, out: &mut Vec<u8>) {
        if self.open != Some(Open::Text) {
            self.settle(out);
            self.begin(Open::Text, out, |to| to.field("type", "text").field("text", "").end());
        }
        self.delta(out, |to| to.field("type", "text_delta").field("text", text).end());
    }

    fn open_thinking(&mut self, out: &mut Vec<u8>) {
        if self.open != Some(Open::Thinking) {
            self.settle(out);
            self.begin(Open::Thinking, out, |to| {
                to.field("type", "thinking")
                    .field("thinking", "")
                    .field("signature", "");
            });
        }
    }

    fn signature(&mut self, signature: &Signature, out: &mut Vec<u8>) {
        if signature.dialect != Dialect::Anthropic {
            return;
        }
        self.open_thinking(out);
        self.delta(out, |to| {
            to.field("type", "signature_delta")
                .field("signature", &signature.value)
                .end()
        });
        // It ends its thinking: more thinking is another's.
        self.close(out);
    }

    fn begin_call(&mut self, index: usize, id: &str, name: &str, out: &mut Vec<u8>) {
        self.begin(Open::Call(index), out, |to| {
            to.field("type", "tool_use")
                .field("id", id)
                .field("name", name)
                .object("input", |_| {});
        });
    }

    fn call(&mut self, index: usize, id: &str, name: &str, out: &mut Vec<u8>) {
        self.has_calls = true;
        if matches!(self.open, Some(Open::Call(_))) {
            let (id, name) = (id.to_owned(), name.to_owned());
            self.waiting.push(Waiting {
                index,
                id,
                name,
                arguments: String::new(),
            });
            return;
        }
        self.settle(out);
        self.begin_call(index, id, name, out);
    }

    fn call_delta(&self, fragment: &str, out: &mut Vec<u8>) {
        self.delta(out, |to| {
            to.field("type", "input_json_delta")
                .field("partial_json", fragment)
                .end()
        });
    }

    fn arguments(&mut self, index: usize, fragment: &str, out: &mut Vec<u8>) {
        if self.open == Some(Open::Call(index)) {
            self.call_delta(fragment, out);
            return;
        }
        let call = self.waiting.iter_mut().find(|call| call.index == index);
        self.waiting_bytes += fragment.len();
        match call {
            Some(call) if self.waiting_bytes <= WAITING_BYTES_MAX => call.arguments.push_str(fragment),
            // Too much, or arguments for a call that was closed by text: what was written is already wrong.
            _ => self.fail(
                &Failure::new(FailureKind::Api, "the backend's tool calls cannot be told apart"),
                out,
            ),
        }
    }

    fn fail(&mut self, failure: &Failure, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.over, true) {
            sse::write(out, "error", &error::render(failure));
        }
    }

    fn done(&mut self, out: &mut Vec<u8>) {
        self.start("", out);
        self.settle(out);
        let finish = self.finish.with_calls(self.has_calls);
        event("message_delta", out, |to| {
            to.object("delta", |to| {
                to.field("stop_reason", response::finish_name(finish, &self.stop_sequence));
                to.field("stop_sequence", &self.stop_sequence);
            });
            to.object("usage", |to| usage::write(&self.usage, to));
        });
        event("message_stop", out, |_| {});
        self.over = true;
    }
}

impl stream::Encoder for Encoder {
    fn push(&mut self, event: &Event, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        match event {
            Event::Start { id, .. } => self.start(id, out),
            Event::Text(text) => self.text(text, out),
            Event::Thinking(text) => {
                self.open_thinking(out);
                self.delta(out, |to| {
                    to.field("type", "thinking_delta").field("thinking", text).end()
                });
            }
            Event::Signature(signature) => self.signature(signature, out),
            Event::RedactedThinking(data) => {
                self.settle(out);
                self.begin(Open::Thinking, out, |to| {
                    to.field("type", "redacted_thinking").field("data", data).end()
                });
                self.close(out);
            }
            Event::ToolCallStart { index, id, name, .. } => self.call(*index, id, name, out),
            Event::ToolCallArguments { index, fragment } => self.arguments(*index, fragment, out),
            // The dialect has no place for them; a client cannot have asked.
            Event::Logprobs(_) | Event::Timings(_) => {}
            Event::Finish {
                finish: Finish::Error, ..
            } => self.error(&Failure::broke_off(), out),
            Event::Finish { finish, stop_sequence } => {
                (self.finish, self.stop_sequence) = (*finish, stop_sequence.clone());
            }
            Event::Usage(usage) => self.usage.update(usage),
            Event::Error(failure) => self.fail(failure, out),
            Event::Done => self.done(out),
        }
    }

    fn error(&mut self, failure: &Failure, out: &mut Vec<u8>) {
        self.fail(failure, out);
    }

    fn heartbeat(&self) -> &'static [u8] {
        b"event: ping\ndata: {\"type\":\"ping\"}\n\n"
    }
}

/// One event: every frame of this dialect has its name twice.
fn event(name: &str, out: &mut Vec<u8>, fill: impl FnOnce(&mut Object<'_>)) {
    let data = write::object(|to| {
        to.field("type", name);
        fill(to);
    });
    sse::write(out, name, &data);
}
