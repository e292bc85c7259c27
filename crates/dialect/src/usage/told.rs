//! What the documents of an answer tell of its tokens, and whether the last has come.

use memchr::memmem;

use crate::chat::Usage;
use crate::json::read::{Object, Problems};
use crate::sse::Frame;
use crate::{Dialect, anthropic, gemini, ollama, openai};

pub(super) struct Told {
    dialect: Dialect,
    usage: Usage,
    /// By llama.cpp's timings.
    counted: Usage,
    anthropic: anthropic::Counts,
    /// The dialect's final event, or line, has come.
    ended: bool,
}

impl Told {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            usage: Usage::default(),
            counted: Usage::default(),
            anthropic: anthropic::Counts::default(),
            ended: false,
        }
    }

    /// One frame of a stream.
    pub(super) fn read_frame(&mut self, frame: &Frame<'_>) {
        self.ended |= is_final(self.dialect, frame);
        self.read(frame.data);
    }

    /// One JSON document: a body, a frame's data or a line.
    pub(super) fn read(&mut self, document: &[u8]) {
        // Most frames of a stream hold none of these words, and a search costs a tenth of a parse.
        let words: &[&[u8]] = match self.dialect {
            Dialect::OpenAi => &[b"\"usage\"", b"\"timings\""],
            Dialect::Anthropic => &[b"\"usage\""],
            Dialect::Ollama => &[b"\"done\""],
            Dialect::Gemini => &[b"\"usageMetadata\""],
        };
        if words.iter().all(|word| memmem::find(document, word).is_none()) {
            return;
        }
        let problems = Problems::lenient();
        let Some(root) = Object::root(document, &problems) else {
            return;
        };
        match self.dialect {
            Dialect::OpenAi => self.openai(&root),
            Dialect::Anthropic => self.anthropic(&root),
            Dialect::Ollama => self.ollama(&root),
            Dialect::Gemini => self.usage.update(&gemini::read_usage(&root)),
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// What was told so far.
    pub(super) fn usage(&self) -> Usage {
        if self.usage.is_empty() {
            self.counted
        } else {
            self.usage
        }
    }

    fn openai(&mut self, root: &Object<'_>) {
        // The Responses API wraps its final object.
        let response = root.object("response");
        let root = response.as_ref().unwrap_or(root);
        if let Some(told) = root.object("usage") {
            self.usage.update(&openai::read_usage(&told));
        }
        if let Some(timings) = root.object("timings") {
            self.counted.update(&openai::read_timings(&timings).0);
        }
    }

    fn anthropic(&mut self, root: &Object<'_>) {
        let message = root.object("message");
        if let Some(told) = message.as_ref().unwrap_or(root).object("usage") {
            self.anthropic.update(&told);
            self.usage = self.anthropic.usage();
        }
    }

    fn ollama(&mut self, root: &Object<'_>) {
        self.ended |= root.boolean("done") == Some(true);
        self.usage.update(&ollama::response::read_usage(root));
    }
}

/// Whether a frame is the last that the dialect sends. A failure is none: it is told, and then the stream is cut.
fn is_final(dialect: Dialect, frame: &Frame<'_>) -> bool {
    const RESPONSES: [&str; 2] = ["response.completed", "response.incomplete"];
    match dialect {
        Dialect::OpenAi => frame.data == b"[DONE]" || RESPONSES.contains(&frame.event),
        Dialect::Anthropic => frame.event == "message_stop",
        Dialect::Gemini => memmem::find(frame.data, b"\"finishReason\"").is_some(),
        // It streams lines.
        Dialect::Ollama => false,
    }
}
