//! Tokens of an answer that passes through, read from its bytes without parsing what they say.
//!
//! ```text
//!  answer's bytes ──push──▶ UsageReader ──finish──▶ Usage     (the bytes go on to the client untouched)
//! ```
//! Only the outermost level of a body, a frame or a line is looked at, and only where it holds the word. The last
//! non-null value wins; llama.cpp's `timings` count where there is no `usage`; what nobody told stays `None`.

use memchr::memmem;

use crate::chat::Usage;
use crate::error::StreamError;
use crate::json::read::{Object, Problems};
use crate::ndjson::Lines;
use crate::sse::{Frame, Frames};
use crate::stream::FRAME_BYTES_MAX;
use crate::{Dialect, anthropic, openai};

/// How the bytes are divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// One JSON document.
    Json,
    Sse,
    Ndjson,
}

impl Framing {
    /// By the answer's `Content-Type`.
    pub fn of_content_type(content_type: &str) -> Option<Self> {
        let essence = content_type
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        match essence.as_str() {
            "application/json" => Some(Self::Json),
            "text/event-stream" => Some(Self::Sse),
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Some(Self::Ndjson),
            _ => None,
        }
    }
}

/// Reads along.
pub struct UsageReader {
    parts: Parts,
    told: Told,
    /// Something was too long to be read: what is known by then stays.
    lost: bool,
}

enum Parts {
    Json(Vec<u8>),
    Sse(Frames),
    Ndjson(Lines),
}

struct Told {
    dialect: Dialect,
    usage: Usage,
    /// By llama.cpp's timings.
    counted: Usage,
    anthropic: anthropic::Counts,
    /// The dialect's final event, or line, has come.
    ended: bool,
}

impl UsageReader {
    pub fn new(dialect: Dialect, framing: Framing) -> Self {
        let parts = match framing {
            Framing::Json => Parts::Json(Vec::new()),
            Framing::Sse => Parts::Sse(Frames::new()),
            Framing::Ndjson => Parts::Ndjson(Lines::new()),
        };
        let (usage, counted) = (Usage::default(), Usage::default());
        Self {
            parts,
            told: Told {
                dialect,
                usage,
                counted,
                anthropic: anthropic::Counts::default(),
                ended: false,
            },
            lost: false,
        }
    }

    pub fn push(&mut self, bytes: &[u8]) {
        if self.lost {
            return;
        }
        let told = &mut self.told;
        let outcome: Result<(), StreamError> = match &mut self.parts {
            Parts::Json(body) if body.len() + bytes.len() > FRAME_BYTES_MAX => Err(StreamError::TooLong),
            Parts::Json(body) => {
                body.extend_from_slice(bytes);
                Ok(())
            }
            Parts::Sse(frames) => frames.push(bytes, |frame| {
                told.ended |= is_final(told.dialect, &frame);
                told.read(frame.data);
                Ok(())
            }),
            Parts::Ndjson(lines) => lines.push(bytes, |line| {
                told.read(line);
                Ok(())
            }),
        };
        if outcome.is_err() {
            self.lost = true;
            self.parts = Parts::Json(Vec::new());
        }
    }

    /// Whether a stream's final event has come: bytes that end without it are a cut, however cleanly they end, and the
    /// client is to be told so. One JSON document is whole when its bytes are, which is HTTP's to know.
    pub fn has_ended(&self) -> bool {
        self.told.ended || matches!(self.parts, Parts::Json(_))
    }

    /// What was told so far; of one JSON document, once it is whole.
    pub fn finish(mut self) -> Usage {
        match &mut self.parts {
            Parts::Json(body) => self.told.read(body),
            Parts::Ndjson(lines) => {
                let told = &mut self.told;
                let _: Result<(), StreamError> = lines.finish(|line| {
                    told.read(line);
                    Ok(())
                });
            }
            Parts::Sse(_) => {}
        }
        let Told { mut usage, counted, .. } = self.told;
        if usage.is_empty() {
            usage = counted;
        }
        usage
    }
}

/// The usage of one whole body.
pub fn of_body(dialect: Dialect, body: &[u8]) -> Usage {
    let mut reader = UsageReader::new(dialect, Framing::Json);
    reader.push(body);
    reader.finish()
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

impl Told {
    fn read(&mut self, document: &[u8]) {
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
            Dialect::Gemini => self.gemini(&root),
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
        self.usage.update(&Usage {
            input: root.unsigned("prompt_eval_count"),
            output: root.unsigned("eval_count"),
            ..Usage::default()
        });
    }

    fn gemini(&mut self, root: &Object<'_>) {
        let Some(told) = root.object("usageMetadata") else {
            return;
        };
        let thoughts = told.unsigned("thoughtsTokenCount");
        let answer = told.unsigned("candidatesTokenCount");
        let output = answer
            .or(thoughts)
            .map(|_| answer.unwrap_or(0).saturating_add(thoughts.unwrap_or(0)));
        self.usage.update(&Usage {
            input: told.unsigned("promptTokenCount"),
            output,
            cached: told.unsigned("cachedContentTokenCount"),
            cache_creation: None,
            reasoning: thoughts,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(input: u64, output: u64) -> Usage {
        Usage {
            input: Some(input),
            output: Some(output),
            ..Usage::default()
        }
    }

    fn read(dialect: Dialect, framing: Framing, bytes: &str) -> Usage {
        let mut reader = UsageReader::new(dialect, framing);
        bytes.as_bytes().chunks(7).for_each(|chunk| reader.push(chunk));
        reader.finish()
    }

    #[test]
    fn every_dialect_and_framing() {
        use Dialect::{Anthropic, Gemini, Ollama, OpenAi};
        use Framing::{Json, Ndjson, Sse};
        let cached = |usage: Usage, cached| Usage {
            cached: Some(cached),
            ..usage
        };
        let cases = [
            (
                OpenAi,
                Json,
                r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#,
                usage(3, 4),
            ),
            (
                OpenAi,
                Json,
                r#"{"usage":null,"timings":{"prompt_n":1,"cache_n":2,"predicted_n":4}}"#,
                cached(usage(3, 4), 2),
            ),
            (
                OpenAi,
                Json,
                r#"{"choices":[{"message":{"content":"\"usage\":1"}}]}"#,
                Usage::default(),
            ),
            (
                OpenAi,
                Sse,
                "data: {\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}\n\ndata: {\"usage\":null}\n\ndata: [DONE]\n\n",
                usage(3, 4),
            ),
            (
                OpenAi,
                Sse,
                "data: {\"response\":{\"usage\":{\"input_tokens\":3,\"output_tokens\":4}}}\n\n",
                usage(3, 4),
            ),
            (
                Ollama,
                Ndjson,
                "{\"done\":false}\n{\"done\":true,\"prompt_eval_count\":3,\"eval_count\":4}",
                usage(3, 4),
            ),
            (
                Ollama,
                Json,
                r#"{"done":true,"eval_count":4}"#,
                Usage {
                    output: Some(4),
                    ..Usage::default()
                },
            ),
            (
                Anthropic,
                Json,
                r#"{"usage":{"input_tokens":1,"cache_read_input_tokens":2,"output_tokens":4}}"#,
                cached(usage(3, 4), 2),
            ),
            (
                Anthropic,
                Sse,
                "data: {\"message\":{\"usage\":{\"input_tokens\":1,\"cache_read_input_tokens\":2,\"output_tokens\":1}}}\n\ndata: {\"usage\":{\"output_tokens\":4}}\n\n",
                cached(usage(3, 4), 2),
            ),
            (
                Gemini,
                Sse,
                "data: {\"usageMetadata\":{\"promptTokenCount\":3,\"candidatesTokenCount\":4}}\r\n\r\n",
                usage(3, 4),
            ),
        ];
        for (dialect, framing, bytes, expected) in cases {
            assert_eq!(read(dialect, framing, bytes), expected, "{dialect:?} {bytes}");
        }
    }

    #[test]
    fn a_stream_has_ended_with_its_final_event_only() {
        use Dialect::{Anthropic, Ollama, OpenAi};
        let cases = [
            (OpenAi, Framing::Sse, "data: {\"x\":\"[DONE]\"}\n\n", "data: [DONE]\n\n"),
            (
                OpenAi,
                Framing::Sse,
                "event: response.created\ndata: {}\n\n",
                "event: response.completed\ndata: {}\n\n",
            ),
            (
                Anthropic,
                Framing::Sse,
                "event: ping\ndata: {}\n\n",
                "event: message_stop\ndata: {}\n\n",
            ),
            (
                Ollama,
                Framing::Ndjson,
                "{\"done\":false}\n{\"error\":\"x\"}\n",
                "{\"done\":true}\n",
            ),
        ];
        for (dialect, framing, before, last) in cases {
            let mut reader = UsageReader::new(dialect, framing);
            reader.push(before.as_bytes());
            reader.push(&last.as_bytes()[..last.len() - 1]);
            assert!(!reader.has_ended(), "{dialect:?} {last}");
            reader.push(&last.as_bytes()[last.len() - 1..]);
            assert!(reader.has_ended(), "{dialect:?} {last}");
        }
    }

    #[test]
    fn what_is_too_long_is_passed_over() {
        let mut reader = UsageReader::new(Dialect::OpenAi, Framing::Json);
        let block = vec![b' '; 1024 * 1024];
        (0..10).for_each(|_| reader.push(&block));
        assert_eq!(reader.finish(), Usage::default());
    }
}
