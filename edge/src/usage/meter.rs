//! One answer's tokens.

use dialect::usage::{Framing, UsageReader};

use super::endpoint::{Endpoint, Kind};
use super::events::Events;
use crate::limits::set::Tokens;

/// Bytes of text that make a token, where nobody counts: what English and code come to.
const BYTES_PER_TOKEN: u64 = 4;

pub(crate) struct Meter {
    endpoint: Endpoint,
    request_bytes: u64,
    answer: Answer,
    /// What was reported so far.
    told: Tokens,
}

enum Answer {
    /// None has begun, or one that failed: nothing counts.
    None,
    Read {
        reader: Box<UsageReader>,
        framing: Framing,
        events: Events,
    },
    /// Compressed, or in no form that we know.
    Opaque { bytes: u64 },
}

impl Meter {
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            request_bytes: 0,
            answer: Answer::None,
            told: Tokens::default(),
        }
    }

    /// An answer begins. Returns what is to be charged at once: the prompt, as far as it can be guessed.
    pub(crate) fn begin(&mut self, status: u16, content_type: &[u8], is_encoded: bool, request_bytes: u64) -> Tokens {
        self.request_bytes = request_bytes;
        if !(200..300).contains(&status) {
            return Tokens::default();
        }
        let framing = std::str::from_utf8(content_type)
            .ok()
            .and_then(Framing::of_content_type);
        self.answer = match framing.filter(|_| !is_encoded) {
            Some(framing) => Answer::Read {
                reader: Box::new(UsageReader::new(self.endpoint.dialect, framing)),
                framing,
                events: Events::default(),
            },
            None => Answer::Opaque { bytes: 0 },
        };
        self.owed(Tokens {
            input: self.estimated_input(),
            output: 0,
        })
    }

    /// Reads along. Returns what is to be charged.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Tokens {
        match &mut self.answer {
            Answer::None => {}
            Answer::Opaque { bytes: seen } => *seen += bytes.len() as u64,
            Answer::Read {
                reader,
                framing,
                events,
            } => {
                reader.push(bytes);
                if *framing != Framing::Json && events.push(bytes) > 0 && self.generates() {
                    let output = self.counted_output();
                    return self.owed(Tokens { output, ..self.told });
                }
            }
        }
        Tokens::default()
    }

    /// The answer is over, whole or not. Returns what is left to be charged, or given back.
    pub(crate) fn end(&mut self) -> Tokens {
        let (input, output) = (self.estimated_input(), self.counted_output());
        let tokens = match std::mem::replace(&mut self.answer, Answer::None) {
            Answer::None => self.told,
            Answer::Opaque { .. } => Tokens { input, output },
            Answer::Read { reader, .. } => {
                let usage = reader.finish();
                let told = |tokens: u64| i64::try_from(tokens).unwrap_or(i64::MAX);
                match (usage.input, usage.output) {
                    (None, None) => Tokens { input, output },
                    // Embeddings have no output to tell of.
                    (input_told, output_told) => Tokens {
                        input: input_told.map_or(input, told),
                        output: output_told.map_or(output, told),
                    },
                }
            }
        };
        self.owed(tokens)
    }

    /// The answer turned out to be none. Returns what is to be given back.
    pub(crate) fn cancel(&mut self) -> Tokens {
        self.answer = Answer::None;
        self.owed(Tokens::default())
    }

    /// What was counted, once the answer is over; until then what was charged.
    pub(crate) fn total(&self) -> Tokens {
        self.told
    }

    fn generates(&self) -> bool {
        matches!(self.endpoint.kind, Kind::OnRequest | Kind::Generates)
    }

    fn estimated_input(&self) -> i64 {
        if self.endpoint.kind == Kind::Other {
            return 0;
        }
        i64::try_from(self.request_bytes.div_ceil(BYTES_PER_TOKEN)).unwrap_or(i64::MAX)
    }

    fn counted_output(&self) -> i64 {
        let tokens = match &self.answer {
            _ if !self.generates() => 0,
            Answer::None => 0,
            Answer::Opaque { bytes } => bytes.div_ceil(BYTES_PER_TOKEN),
            Answer::Read { events, .. } => events.count(),
        };
        i64::try_from(tokens).unwrap_or(i64::MAX)
    }

    fn owed(&mut self, total: Tokens) -> Tokens {
        let owed = Tokens {
            input: total.input.saturating_sub(self.told.input),
            output: total.output.saturating_sub(self.told.output),
        };
        self.told = total;
        owed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SSE: &[u8] = b"text/event-stream";
    const JSON: &[u8] = b"application/json; charset=utf-8";

    /// What is charged at the beginning, along the way, and in the end altogether.
    fn charged(path: &str, content_type: &[u8], status: u16, answer: &[&str]) -> [(i64, i64); 3] {
        let mut meter = Meter::new(Endpoint::of(path));
        let begun = meter.begin(status, content_type, false, 400);
        let mut passed = begun;
        for piece in answer {
            let more = meter.push(piece.as_bytes());
            passed = Tokens {
                input: passed.input + more.input,
                output: passed.output + more.output,
            };
        }
        let rest = meter.end();
        let total = Tokens {
            input: passed.input + rest.input,
            output: passed.output + rest.output,
        };
        assert_eq!(total, meter.total());
        assert_eq!(meter.end(), Tokens::default(), "an end is charged once");
        [begun, passed, total].map(|tokens| (tokens.input, tokens.output))
    }

    #[test]
    fn what_the_server_tells_corrects_what_was_counted() {
        const TOKEN: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
        const USAGE: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":5}}\n\n";
        const TIMINGS: &str = "data: {\"choices\":[],\"timings\":{\"prompt_n\":3,\"cache_n\":6,\"predicted_n\":4}}\n\n";
        let chat = "/v1/chat/completions";
        type Case<'a> = (&'a str, &'a [u8], u16, &'a [&'a str], [(i64, i64); 3]);
        let cases: [Case<'_>; 9] = [
            (chat, SSE, 200, &[TOKEN, TOKEN, USAGE], [(100, 0), (100, 2), (7, 5)]),
            (chat, SSE, 200, &[TOKEN, TOKEN, TIMINGS], [(100, 0), (100, 2), (9, 4)]),
            // The client went, or the server does not tell.
            (chat, SSE, 200, &[TOKEN, TOKEN], [(100, 0), (100, 2), (100, 2)]),
            (
                chat,
                JSON,
                200,
                &["{\"usage\":{\"prompt_tokens\":7,", "\"completion_tokens\":5}}"],
                [(100, 0), (100, 0), (7, 5)],
            ),
            (chat, JSON, 400, &["{\"error\":{}}"], [(0, 0); 3]),
            (
                "/v1/embeddings",
                JSON,
                200,
                &["{\"usage\":{\"prompt_tokens\":7,\"total_tokens\":7}}"],
                [(100, 0), (100, 0), (7, 0)],
            ),
            ("/tokenize", JSON, 200, &["{\"tokens\":[1,2]}"], [(0, 0); 3]),
            (
                "/api/chat",
                b"application/x-ndjson",
                200,
                &[
                    "{\"message\":{\"content\":\"a\"},\"done\":false}\n",
                    "{\"done\":true,\"prompt_eval_count\":7,\"eval_count\":5}\n",
                ],
                [(100, 0), (100, 1), (7, 5)],
            ),
            (
                chat,
                b"application/octet-stream",
                200,
                &["12345678"],
                [(100, 0), (100, 0), (100, 2)],
            ),
        ];
        for (path, content_type, status, answer, expected) in cases {
            assert_eq!(
                charged(path, content_type, status, answer),
                expected,
                "{path} {answer:?}"
            );
        }
    }
}
