//! Events → a client's lines.

use crate::chat::{Event, Finish, Timings, Usage};
use crate::error::{Failure, FailureKind};
use crate::ollama::line::{self, Call, End, Piece};
use crate::ollama::{Endpoint, error};
use crate::stream::{EncoderOptions, FRAME_BYTES_MAX};

/// Events → what a client of either endpoint reads.
///
/// Tool calls are held back until the answer's end, because Ollama's clients take a call only whole and other dialects'
/// calls may come interleaved.
pub struct Encoder {
    options: EncoderOptions,
    endpoint: Endpoint,
    calls: Vec<(usize, Call)>,
    held_bytes: usize,
    finish: Finish,
    usage: Usage,
    timings: Timings,
    over: bool,
}

impl Encoder {
    pub fn new(options: EncoderOptions) -> Self {
        Self::for_endpoint(Endpoint::Chat, options)
    }

    pub fn for_endpoint(endpoint: Endpoint, options: EncoderOptions) -> Self {
        Self {
            options,
            endpoint,
            calls: Vec::new(),
            held_bytes: 0,
            finish: Finish::Stop,
            usage: Usage::default(),
            timings: Timings::default(),
            over: false,
        }
    }

    fn write(&self, piece: &Piece<'_>, out: &mut Vec<u8>) {
        line::write(
            out,
            self.endpoint,
            &self.options.model,
            self.options.identity.created,
            piece,
        );
        out.push(b'\n');
    }

    fn start_call(&mut self, index: usize, id: &str, name: &str, out: &mut Vec<u8>) {
        self.calls.push((
            index,
            Call {
                id: id.to_owned(),
                name: name.to_owned(),
                arguments: String::new(),
            },
        ));
        self.hold(id.len() + name.len(), out);
    }

    fn extend_call(&mut self, index: usize, fragment: &str, out: &mut Vec<u8>) {
        if let Some((_, call)) = self.calls.iter_mut().rev().find(|(call, _)| *call == index) {
            call.arguments.push_str(fragment);
            self.hold(fragment.len(), out);
        }
    }

    /// A client takes no longer line, so that more is not worth holding.
    fn hold(&mut self, bytes: usize, out: &mut Vec<u8>) {
        self.held_bytes += bytes;
        if self.held_bytes > FRAME_BYTES_MAX {
            self.calls.clear();
            let failure = Failure::new(FailureKind::Api, "the answer's tool calls are longer than 8 MiB");
            crate::stream::Encoder::error(self, &failure, out);
        }
    }

    fn release_calls(&mut self, out: &mut Vec<u8>) {
        if self.calls.is_empty() {
            return;
        }
        let calls: Vec<Call> = std::mem::take(&mut self.calls)
            .into_iter()
            .map(|(_, call)| call)
            .collect();
        let text = line::unreadable(&calls);
        self.write(
            &Piece {
                text: &text,
                calls: &calls,
                ..Piece::default()
            },
            out,
        );
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.release_calls(out);
        let end = End {
            reason: line::done_reason(self.finish),
            usage: self.usage,
            timings: self.timings,
        };
        self.write(
            &Piece {
                end: Some(end),
                ..Piece::default()
            },
            out,
        );
        self.over = true;
    }
}

impl crate::stream::Encoder for Encoder {
    fn push(&mut self, event: &Event, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        match event {
            Event::Text(text) => self.write(
                &Piece {
                    text,
                    ..Piece::default()
                },
                out,
            ),
            Event::Thinking(thinking) => self.write(
                &Piece {
                    thinking,
                    ..Piece::default()
                },
                out,
            ),
            Event::Logprobs(logprobs) => self.write(
                &Piece {
                    logprobs,
                    ..Piece::default()
                },
                out,
            ),
            Event::ToolCallStart { index, id, name, .. } => self.start_call(*index, id, name, out),
            Event::ToolCallArguments { index, fragment } => self.extend_call(*index, fragment, out),
            Event::Finish { finish, .. } => {
                self.finish = *finish;
                self.release_calls(out);
            }
            Event::Usage(usage) => self.usage.update(usage),
            Event::Timings(timings) => self.timings = *timings,
            Event::Error(failure) => self.error(failure, out),
            Event::Done => self.end(out),
            // Ollama has no place for any of these.
            Event::Start { .. } | Event::Signature(_) | Event::RedactedThinking(_) => {}
        }
    }

    fn error(&mut self, failure: &Failure, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.over, true) {
            out.extend_from_slice(&error::render(failure));
            out.push(b'\n');
        }
    }

    /// Ollama's Python client takes a blank line for an answer and fails.
    fn heartbeat(&self) -> &'static [u8] {
        b""
    }
}
