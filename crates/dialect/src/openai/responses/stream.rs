//! Events → the response's events, numbered.
//!
//! ```text
//! created, in_progress, ( output_item.added, [content_part.added], …delta*, …done, [content_part.done], output_item.done )*,
//! completed | incomplete | failed
//! ```
//! Words and thinking are one item at a time; calls stay open until the end, for their arguments may be interleaved.
//! There is no `[DONE]`. What the answer holds is kept, since its last event repeats it, and is bounded.

use super::echo::Echo;
use super::item::{self, Item, Kind};
use super::object::{Snapshot, State};
use crate::chat::{Event, Finish, Signature, TokenLogprob, Usage};
use crate::error::{Failure, FailureKind};
use crate::json::write::{self, Object};
use crate::openai::error;
use crate::stream::{EncoderOptions, FRAME_BYTES_MAX};
use crate::{sse, stream};

/// An answer of half a million words; the frame that repeats it must be readable to others.
const KEPT_BYTES_MAX: usize = FRAME_BYTES_MAX / 2;

pub struct Encoder {
    options: EncoderOptions,
    echo: Echo,
    sequence: u64,
    items: Vec<Item>,
    kept_bytes: usize,
    /// Go with the next piece of text.
    logprobs: Vec<TokenLogprob>,
    usage: Usage,
    finish: Finish,
    started: bool,
    over: bool,
}

impl Encoder {
    pub fn new(options: EncoderOptions, echo: Echo) -> Self {
        Self {
            options,
            echo,
            sequence: 0,
            items: Vec::new(),
            kept_bytes: 0,
            logprobs: Vec::new(),
            usage: Usage::default(),
            finish: Finish::Stop,
            started: false,
            over: false,
        }
    }

    fn event(&mut self, name: &str, out: &mut Vec<u8>, fill: impl FnOnce(&mut Object<'_>)) {
        let data = write::object(|to| {
            to.field("type", name).field("sequence_number", &self.sequence);
            fill(to);
        });
        self.sequence += 1;
        sse::write(out, name, &data);
    }

    fn snapshot(&mut self, name: &str, state: &State, out: &mut Vec<u8>) {
        let data = write::object(|to| {
            to.field("type", name).field("sequence_number", &self.sequence);
            to.object("response", |to| {
                let (identity, model) = (&self.options.identity, self.options.model.as_str());
                Snapshot {
                    identity,
                    model,
                    echo: &self.echo,
                    items: &self.items,
                    state,
                    usage: &self.usage,
                }
                .write(to);
            });
        });
        self.sequence += 1;
        sse::write(out, name, &data);
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.started, true) {
            self.snapshot("response.created", &State::InProgress, out);
            self.snapshot("response.in_progress", &State::InProgress, out);
        }
    }

    /// About an item, or a part of its content.
    fn about(
        &mut self,
        name: &str,
        place: usize,
        part: bool,
        out: &mut Vec<u8>,
        fill: impl FnOnce(&Item, &mut Object<'_>),
    ) {
        let item = &self.items[place];
        let data = write::object(|to| {
            to.field("type", name).field("sequence_number", &self.sequence);
            to.field("item_id", &item.id).field("output_index", &place);
            if part {
                to.field("content_index", &0);
            }
            fill(item, to);
        });
        self.sequence += 1;
        sse::write(out, name, &data);
    }

    fn item_event(&mut self, name: &str, place: usize, bare: bool, out: &mut Vec<u8>) {
        let data = write::object(|to| {
            to.field("type", name)
                .field("sequence_number", &self.sequence)
                .field("output_index", &place);
            to.object("item", |to| self.items[place].write(bare, false, to));
        });
        self.sequence += 1;
        sse::write(out, name, &data);
    }

    fn begin(&mut self, kind: Kind, out: &mut Vec<u8>) -> usize {
        self.start(out);
        self.close_prose(out);
        let place = self.items.len();
        self.items.push(Item::new(&self.options.identity.id, place, kind));
        self.item_event("response.output_item.added", place, true, out);
        if !matches!(self.items[place].kind, Kind::Call { .. }) {
            self.about("response.content_part.added", place, true, out, |item, to| {
                to.object("part", |to| match item.kind {
                    Kind::Reasoning { .. } => item::reasoning_text("", to),
                    _ => item::output_text("", &[], to),
                });
            });
        }
        place
    }

    /// Ends the open words or thinking.
    fn close_prose(&mut self, out: &mut Vec<u8>) {
        let open = |item: &Item| !item.done && !matches!(item.kind, Kind::Call { .. });
        if let Some(place) = self.items.iter().position(open) {
            self.close(place, out);
        }
    }

    fn close(&mut self, place: usize, out: &mut Vec<u8>) {
        let name = match self.items[place].kind {
            Kind::Reasoning { .. } => "response.reasoning_text.done",
            Kind::Message { .. } => "response.output_text.done",
            Kind::Call { .. } => "response.function_call_arguments.done",
        };
        let prose = !matches!(self.items[place].kind, Kind::Call { .. });
        self.about(name, place, prose, out, |item, to| match &item.kind {
            Kind::Reasoning { text, .. } => to.field("text", text).end(),
            Kind::Message { text, logprobs } => item::write_logprobs(logprobs, to.field("text", text)),
            Kind::Call { name, arguments, .. } => to.field("name", name).field("arguments", arguments).end(),
        });
        if prose {
            self.about("response.content_part.done", place, true, out, |item, to| {
                to.object("part", |to| match &item.kind {
                    Kind::Reasoning { text, .. } => item::reasoning_text(text, to),
                    Kind::Message { text, logprobs } => item::output_text(text, logprobs, to),
                    Kind::Call { .. } => {}
                });
            });
        }
        self.items[place].done = true;
        self.item_event("response.output_item.done", place, false, out);
    }

    fn text(&mut self, piece: &str, out: &mut Vec<u8>) {
        let open = |item: &Item| !item.done && matches!(item.kind, Kind::Message { .. });
        let place = match self.items.iter().position(open) {
            Some(place) => place,
            None => self.begin(
                Kind::Message {
                    text: String::new(),
                    logprobs: Vec::new(),
                },
                out,
            ),
        };
        let fresh = std::mem::take(&mut self.logprobs);
        if let Kind::Message { text, logprobs } = &mut self.items[place].kind {
            text.push_str(piece);
            logprobs.extend_from_slice(&fresh);
        }
        self.about("response.output_text.delta", place, true, out, |_, to| {
            item::write_logprobs(&fresh, to.field("delta", piece));
        });
    }

    fn thinking(&mut self, piece: &str, out: &mut Vec<u8>) {
        let open = |item: &Item| !item.done && matches!(item.kind, Kind::Reasoning { .. });
        let place = match self.items.iter().position(open) {
            Some(place) => place,
            None => self.begin(
                Kind::Reasoning {
                    text: String::new(),
                    signature: None,
                },
                out,
            ),
        };
        if let Kind::Reasoning { text, .. } = &mut self.items[place].kind {
            text.push_str(piece);
        }
        self.about("response.reasoning_text.delta", place, true, out, |_, to| {
            to.field("delta", piece).end()
        });
    }

    fn signature(&mut self, signed: &Signature) {
        if let Some(Item {
            kind: Kind::Reasoning { signature, .. },
            ..
        }) = self.items.last_mut()
        {
            *signature = Some(signed.clone());
        }
    }

    fn arguments(&mut self, call: usize, fragment: &str, out: &mut Vec<u8>) {
        let is_it = |item: &Item| matches!(item.kind, Kind::Call { index, .. } if index == call);
        let Some(place) = self.items.iter().position(is_it) else {
            return;
        };
        if let Kind::Call { arguments, .. } = &mut self.items[place].kind {
            arguments.push_str(fragment);
        }
        let name = "response.function_call_arguments.delta";
        self.about(name, place, false, out, |_, to| to.field("delta", fragment).end());
    }

    fn keep(&mut self, bytes: usize, out: &mut Vec<u8>) -> bool {
        self.kept_bytes += bytes;
        let fits = self.kept_bytes <= KEPT_BYTES_MAX;
        if !fits {
            self.fail(&Failure::new(FailureKind::Api, "the answer is longer than 4 MiB"), out);
        }
        fits
    }

    fn done(&mut self, out: &mut Vec<u8>) {
        self.start(out);
        let open: Vec<usize> = (0..self.items.len()).filter(|place| !self.items[*place].done).collect();
        open.into_iter().for_each(|place| self.close(place, out));
        let state = State::of(self.finish);
        self.snapshot(&format!("response.{}", state.name()), &state, out);
        self.over = true;
    }

    /// The response's own last event, and then an `error`: the SDKs raise for the second only.
    fn fail(&mut self, failure: &Failure, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.over, true) {
            return;
        }
        self.start(out);
        self.snapshot("response.failed", &State::Failed(failure.clone()), out);
        let (kind, code) = error::names(failure.kind);
        self.event("error", out, |to| {
            to.field("code", code).field("message", &failure.message).null("param");
            to.object("error", |to| {
                to.field("message", &failure.message)
                    .field("type", kind)
                    .null("param")
                    .field("code", code);
            });
        });
    }
}

impl stream::Encoder for Encoder {
    fn push(&mut self, event: &Event, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        match event {
            Event::Start { .. } => self.start(out),
            Event::Text(piece) if self.keep(piece.len(), out) => self.text(piece, out),
            Event::Thinking(piece) if self.keep(piece.len(), out) => self.thinking(piece, out),
            Event::Signature(signed) => self.signature(signed),
            Event::ToolCallStart { index, id, name, .. } => {
                let (call_id, name) = (id.clone(), name.clone());
                self.begin(
                    Kind::Call {
                        index: *index,
                        call_id,
                        name,
                        arguments: String::new(),
                    },
                    out,
                );
            }
            Event::ToolCallArguments { index, fragment } if self.keep(fragment.len(), out) => {
                self.arguments(*index, fragment, out);
            }
            Event::Logprobs(logprobs) => self.logprobs.extend_from_slice(logprobs),
            Event::Finish {
                finish: Finish::Error, ..
            } => self.fail(&Failure::broke_off(), out),
            Event::Finish { finish, .. } => self.finish = *finish,
            Event::Usage(usage) => self.usage.update(usage),
            Event::Error(failure) => self.fail(failure, out),
            Event::Done => self.done(out),
            // Only its maker can read redacted thinking; and what was too long has failed already.
            _ => {}
        }
    }

    fn error(&mut self, failure: &Failure, out: &mut Vec<u8>) {
        self.fail(failure, out);
    }

    fn heartbeat(&self) -> &'static [u8] {
        sse::HEARTBEAT
    }
}
