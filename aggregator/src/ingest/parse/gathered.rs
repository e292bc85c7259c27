//! What an answer says, gathered from its events: text, thinking, calls, how it ended, and when its first and last token
//! came.

use dialect::chat::{Event, Finish, Part, Timings};
use dialect::think::Splitter;
use dialect::{ChatResponse, Failure};

/// A tool call as the model wrote it.
#[derive(Clone, PartialEq, Eq, Default)]
pub(crate) struct Call {
    pub(crate) id: String,
    pub(crate) name: String,
    /// JSON text; where the stream was cut, its beginning.
    pub(crate) arguments: String,
}

#[derive(Default)]
pub(super) struct Gathered {
    pub(super) model: Option<String>,
    pub(super) text: String,
    pub(super) thinking: String,
    pub(super) calls: Vec<(usize, Call)>,
    pub(super) finish: Option<Finish>,
    pub(super) timings: Timings,
    pub(super) failure: Option<Failure>,
    pub(super) first_token_us: Option<u64>,
    pub(super) last_token_us: Option<u64>,
    splitter: Splitter,
    /// Reused from event to event.
    parted: Vec<Event>,
}

impl Gathered {
    /// Takes the events of one piece, which came at `elapsed_us`.
    pub(super) fn take(&mut self, events: &mut Vec<Event>, elapsed_us: u64) {
        for event in events.drain(..) {
            if is_content(&event) {
                self.first_token_us.get_or_insert(elapsed_us);
                self.last_token_us = Some(elapsed_us);
            }
            let mut parted = std::mem::take(&mut self.parted);
            self.splitter.push(event, &mut parted);
            parted.drain(..).for_each(|event| self.keep(event));
            self.parted = parted;
        }
    }

    /// A whole answer. `is_whole`: its end is its own, and not where it was cut.
    pub(super) fn take_response(&mut self, response: ChatResponse, is_whole: bool) {
        self.model = Some(response.model).filter(|model| !model.is_empty());
        self.timings = response.timings;
        self.finish = is_whole.then_some(response.finish);
        for part in dialect::think::split(response.parts) {
            match part {
                Part::Text(text) => self.text.push_str(&text),
                Part::Thinking { text, .. } => self.thinking.push_str(&text),
                Part::ToolCall {
                    id, name, arguments, ..
                } => {
                    self.calls.push((self.calls.len(), Call { id, name, arguments }));
                }
                Part::Image(_) | Part::RedactedThinking { .. } | Part::ToolResult { .. } => {}
            }
        }
    }

    /// Nothing more comes: what was held back is given out.
    pub(super) fn end(&mut self) {
        let mut rest = Vec::new();
        self.splitter.flush(&mut rest);
        rest.into_iter().for_each(|event| self.keep(event));
    }

    /// The calls as OpenAI writes them, JSON; none where there are none.
    pub(super) fn calls_json(&self) -> Option<String> {
        if self.calls.is_empty() {
            return None;
        }
        let call = |(_, call): &(usize, Call)| {
            serde_json::json!({
                "id": call.id,
                "type": "function",
                "function": { "name": call.name, "arguments": call.arguments },
            })
        };
        Some(serde_json::Value::Array(self.calls.iter().map(call).collect()).to_string())
    }

    fn keep(&mut self, event: Event) {
        match event {
            Event::Start { model, .. } if !model.is_empty() => self.model = Some(model),
            Event::Text(piece) => self.text.push_str(&piece),
            Event::Thinking(piece) => self.thinking.push_str(&piece),
            Event::ToolCallStart { index, id, name, .. } => {
                let arguments = String::new();
                self.calls.push((index, Call { id, name, arguments }));
            }
            Event::ToolCallArguments { index, fragment } => {
                // The newest first: pieces follow their call closely.
                if let Some((_, call)) = self.calls.iter_mut().rev().find(|(at, _)| *at == index) {
                    call.arguments.push_str(&fragment);
                }
            }
            Event::Finish { finish, .. } => self.finish = Some(finish),
            Event::Timings(timings) => self.timings = timings,
            Event::Error(failure) => self.failure = self.failure.take().or(Some(failure)),
            _ => {}
        }
    }
}

fn is_content(event: &Event) -> bool {
    matches!(
        event,
        Event::Text(_)
            | Event::Thinking(_)
            | Event::RedactedThinking(_)
            | Event::ToolCallStart { .. }
            | Event::ToolCallArguments { .. }
    )
}
