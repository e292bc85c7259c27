//! From the bytes of an exchange to what is asked of a store: who asked which model for what, and what it said. Pure.
//!
//! ```text
//!   path, request ──asked──▶ model, messages, prompt
//!   response ──inflate──▶ Body ──stream · whole──▶ events ──gathered──▶ text, thinking, calls, finish, first token
//!                              └──usage──▶ tokens
//! ```
//! Owns which reader an exchange gets. Refuses nothing: what cannot be read is left out and counted, what was cut gives
//! what had come. Invariant: bytes on two sides of a hole are never read as one frame.

mod asked;
mod body;
mod completions;
mod endpoint;
mod first_choice;
mod gathered;
mod inflate;
mod mend;
mod responses;
mod stream;
#[cfg(test)]
mod tests;
mod trouble;
mod whole;

use dialect::chat::{Finish, Usage};
use dialect::usage::{Framing, UsageReader};
use dialect::{anthropic, gemini, ollama, openai};

pub(crate) use asked::Asked;
pub(crate) use body::Body;
pub(crate) use endpoint::Endpoint;
pub(crate) use trouble::Trouble;

use crate::store::Embeddings;

use gathered::Gathered;
use inflate::{Inflated, inflate};
use stream::Reading;

/// What passed, as far as it matters here.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Passed<'a> {
    pub(crate) path: &'a str,
    pub(crate) request: &'a Body,
    /// `Content-Encoding` of the request.
    pub(crate) request_encoding: Option<&'a str>,
    /// None where no answer began.
    pub(crate) status: Option<u16>,
    /// `Content-Type` of the answer; empty where there is none.
    pub(crate) response_type: &'a str,
    /// `Content-Encoding` of the answer; empty where there is none.
    pub(crate) response_encoding: &'a str,
    pub(crate) response: &'a Body,
    /// The most that a compressed answer may become.
    pub(crate) body_bytes_max: usize,
}

/// What it says.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Parsed {
    /// None: it was kept as bytes.
    pub(crate) endpoint: Option<Endpoint>,
    pub(crate) asked: Asked,
    /// The model that the answer names.
    pub(crate) model: Option<String>,
    /// It was answered piece by piece; where there is no answer, it was to be.
    pub(crate) streamed: bool,
    pub(crate) text: Option<String>,
    pub(crate) thinking: Option<String>,
    /// OpenAI's `tool_calls`, JSON.
    pub(crate) tool_calls: Option<String>,
    pub(crate) finish: Option<&'static str>,
    pub(crate) usage: Usage,
    pub(crate) trouble: Option<Trouble>,
    pub(crate) embeddings: Option<Embeddings>,
    /// Since the exchange began: when the first and the last piece came that said something.
    pub(crate) first_token_us: Option<u64>,
    pub(crate) last_token_us: Option<u64>,
    pub(crate) tokens_per_second: Option<f64>,
    /// The answer without its `Content-Encoding`, where it had one.
    pub(crate) decoded: Option<Vec<u8>>,
    /// The answer's encoding is not known here: it was kept as it came and nothing of it was read.
    pub(crate) opaque: bool,
    /// Frames or documents that are not what their dialect says.
    pub(crate) broken_frames: u64,
}

/// What an answer was read to be.
#[derive(Default)]
struct Answer {
    gathered: Gathered,
    usage: Usage,
    trouble: Option<Trouble>,
    embeddings: Option<Embeddings>,
    broken_frames: u64,
}

pub(crate) fn parse(passed: &Passed<'_>) -> Parsed {
    let Some(endpoint) = Endpoint::of_path(passed.path) else {
        return Parsed {
            streamed: Framing::of_content_type(passed.response_type).is_some_and(|it| it != Framing::Json),
            ..Parsed::default()
        };
    };
    let asked = match inflate(
        passed.request,
        passed.request_encoding.unwrap_or_default(),
        passed.body_bytes_max,
    ) {
        Inflated::Decoded(request) => asked::read(endpoint, passed.path, request.before_hole()),
        Inflated::Plain | Inflated::Opaque => asked::read(endpoint, passed.path, passed.request.before_hole()),
    };
    let inflated = inflate(passed.response, passed.response_encoding, passed.body_bytes_max);
    let response = match &inflated {
        Inflated::Plain => Some(passed.response),
        Inflated::Decoded(body) => Some(body),
        Inflated::Opaque => None,
    };
    let framing = framing(passed.response_type, response);
    let mut answer = Answer::default();
    if let (Some(status), Some(response)) = (passed.status, response) {
        match status {
            ..400 => read(endpoint, framing, response, asked.answers > 1, &mut answer),
            _ => answer.trouble = Some(Trouble::of_answer(endpoint.dialect(), status, response.bytes())),
        }
    }
    let streamed = match passed.status {
        Some(..400) if !endpoint.embeds() => framing != Framing::Json,
        _ => asked.streams,
    };
    let opaque = matches!(inflated, Inflated::Opaque);
    let decoded = match inflated {
        Inflated::Decoded(body) => Some(body.into_bytes()),
        _ => None,
    };
    Parsed {
        endpoint: Some(endpoint),
        asked,
        streamed,
        decoded,
        opaque,
        ..answer.into_parsed()
    }
}

impl Answer {
    fn into_parsed(self) -> Parsed {
        let some = |text: String| (!text.is_empty()).then_some(text);
        Parsed {
            tool_calls: self.gathered.calls_json(),
            tokens_per_second: self.tokens_per_second(),
            finish: self.gathered.finish.map(finish_name),
            usage: self.usage,
            trouble: self.trouble,
            embeddings: self.embeddings,
            first_token_us: self.gathered.first_token_us,
            last_token_us: self.gathered.last_token_us,
            broken_frames: self.broken_frames,
            model: self.gathered.model,
            text: some(self.gathered.text),
            thinking: some(self.gathered.thinking),
            ..Parsed::default()
        }
    }

    /// The answer's tokens by the time from the first to the last as they passed; where they came at once, by the time that
    /// the backend says it took.
    fn tokens_per_second(&self) -> Option<f64> {
        let tokens = self.usage.output.filter(|tokens| *tokens > 0)? as f64;
        let passing = match (self.gathered.first_token_us, self.gathered.last_token_us) {
            (Some(first), Some(last)) if last > first => Some((last - first) as f64 / 1e6),
            _ => None,
        };
        let told = self.gathered.timings.output.map(|output| output.as_secs_f64());
        let seconds = passing.or(told).filter(|seconds| *seconds > 0.0)?;
        Some(tokens / seconds)
    }
}

/// By its content type; a server that names none, or a wrong one for a stream, is known by the first bytes.
fn framing(content_type: &str, response: Option<&Body>) -> Framing {
    let begins = response.map_or(&b""[..], |body| body.before_hole().trim_ascii_start());
    let is_sse = [&b"data:"[..], b"event:", b":", b"id:", b"retry:"]
        .iter()
        .any(|field| begins.starts_with(field));
    match Framing::of_content_type(content_type) {
        Some(Framing::Json) | None if is_sse => Framing::Sse,
        Some(framing) => framing,
        None => Framing::Json,
    }
}

fn read(endpoint: Endpoint, framing: Framing, body: &Body, several: bool, answer: &mut Answer) {
    if framing == Framing::Json || endpoint.embeds() {
        whole::read(endpoint, body.before_hole(), answer);
        return;
    }
    answer.usage = usage(endpoint, framing, body);
    match (endpoint, framing) {
        (Endpoint::Chat, Framing::Sse) => {
            stream::read::<<openai::stream::Decoder as Reading>::Reader>(body, several, false, answer);
        }
        (Endpoint::Completions, Framing::Sse) => stream::read::<completions::Pieces>(body, several, false, answer),
        (Endpoint::Responses, Framing::Sse) => stream::read::<responses::Pieces>(body, false, false, answer),
        (Endpoint::Messages, Framing::Sse) => {
            stream::read::<<anthropic::stream::Decoder as Reading>::Reader>(body, false, false, answer);
        }
        (Endpoint::Gemini, Framing::Sse) => {
            stream::read::<<gemini::stream::Decoder as Reading>::Reader>(body, false, false, answer);
        }
        (Endpoint::OllamaChat | Endpoint::OllamaGenerate, Framing::Ndjson) => {
            stream::read::<<ollama::stream::Decoder as Reading>::Reader>(body, false, true, answer);
        }
        _ => answer.broken_frames += 1,
    }
}

fn usage(endpoint: Endpoint, framing: Framing, body: &Body) -> Usage {
    let mut reader = UsageReader::new(endpoint.dialect(), framing);
    for piece in body.pieces() {
        if piece.after_hole {
            reader.push(b"\n\n");
        }
        reader.push(piece.bytes);
    }
    reader.finish()
}

/// OpenAI's words, for all dialects.
fn finish_name(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "stop",
        Finish::Length => "length",
        Finish::ToolCalls => "tool_calls",
        Finish::ContentFilter => "content_filter",
        Finish::Error => "error",
    }
}
