//! What is stored of an exchange, as whoever assembled it hands it over.
//!
//! Absent is not zero: a figure that nobody told is `None`, and no average is made of it. Invariant: no formatting of an
//! exchange shows what was asked or answered, sizes alone.

use std::fmt;

use bytes::Bytes;
use uuid::Uuid;

/// One exchange, whole. Its id is what makes storing it idempotent.
#[derive(Debug, Clone, Default)]
pub struct NewExchange {
    pub id: Uuid,
    /// The exchange that this one was made for: a council's, for each of its members' calls.
    pub parent: Option<Uuid>,
    /// Since 1970, UTC. Lists are in this order.
    pub started_at_us: i64,
    pub plane: Plane,
    pub asked: Asked,
    pub answered: Answered,
    pub tokens: Tokens,
    pub timing: Timing,
    pub content: Content,
}

/// Who took the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Plane {
    #[default]
    Edge,
    Aggregator,
    /// A council's own call of one of its members.
    Council,
}

/// The request, its body aside.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Asked {
    /// The router's name; never the key.
    pub key: Option<String>,
    pub service: Option<String>,
    /// What the client wrote; what answered is [`Answered::model`].
    pub model: Option<String>,
    /// The path, without a query.
    pub endpoint: String,
    /// `openai`, `ollama`, `anthropic` or `gemini`.
    pub dialect: Option<String>,
    pub streamed: bool,
    pub client: Option<String>,
    pub request_id: Option<String>,
    /// As it came, before any bound cut it.
    pub body_bytes: u64,
}

/// The answer, its body aside.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answered {
    pub status: Status,
    /// Where we answered instead of a server: the refusal's code, `rate_limit_exceeded`.
    pub refused: Option<String>,
    pub http_status: Option<u16>,
    /// The `code` of the answer, where it is an error's.
    pub error_code: Option<String>,
    pub finish_reason: Option<String>,
    /// Where it is an answer of embeddings.
    pub embeddings: Option<Embeddings>,
    /// The server or backend that answered.
    pub backend: Option<String>,
    pub model: Option<String>,
    /// The model that stood in for the one asked for.
    pub fallback: Option<String>,
    pub attempts: Option<u32>,
    /// As it came, before any bound cut it.
    pub body_bytes: u64,
    /// What is kept of a body is its beginning.
    pub is_request_cut: bool,
    pub is_response_cut: bool,
    /// Something of it was lost on the way: the disk stalled, or a record was damaged.
    pub is_lossy: bool,
}

/// The vectors themselves are in the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Embeddings {
    pub count: u64,
    /// Of the first one.
    pub dimensions: u64,
}

/// How an exchange ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Status {
    #[default]
    Complete,
    ClientGone,
    UpstreamFailed,
    /// The process that carried it died.
    Interrupted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tokens {
    pub input: Option<u64>,
    pub output: Option<u64>,
    /// Of the input: what a cache held.
    pub cached: Option<u64>,
    /// Of the output: what was thought and not said.
    pub thinking: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Timing {
    pub first_token_us: Option<u64>,
    pub duration_us: Option<u64>,
    pub tokens_per_second: Option<f64>,
}

/// What was asked and answered.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Content {
    /// The request's body as it came.
    pub request: Option<Bytes>,
    /// The response's body as the client got it.
    pub response: Option<Bytes>,
    pub text: Option<String>,
    pub thinking: Option<String>,
    /// A JSON list in the shape of OpenAI's `tool_calls`.
    pub tool_calls: Option<String>,
    /// The words of the request, to be searched for; not stored beside the body they are from.
    pub prompt: Option<String>,
}

impl Plane {
    pub const ALL: [Self; 3] = [Self::Edge, Self::Aggregator, Self::Council];

    pub fn name(self) -> &'static str {
        match self {
            Self::Edge => "edge",
            Self::Aggregator => "aggregator",
            Self::Council => "council",
        }
    }

    pub(super) fn to_sql(self) -> i64 {
        match self {
            Self::Edge => 0,
            Self::Aggregator => 1,
            Self::Council => 2,
        }
    }

    pub(super) fn from_sql(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|plane| plane.to_sql() == number)
    }
}

impl Status {
    pub const ALL: [Self; 4] = [
        Self::Complete,
        Self::ClientGone,
        Self::UpstreamFailed,
        Self::Interrupted,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::ClientGone => "client_gone",
            Self::UpstreamFailed => "upstream_failed",
            Self::Interrupted => "interrupted",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }

    /// The schema's partial index counts on 0 for what went well.
    pub(super) fn to_sql(self) -> i64 {
        match self {
            Self::Complete => 0,
            Self::ClientGone => 1,
            Self::UpstreamFailed => 2,
            Self::Interrupted => 3,
        }
    }

    pub(super) fn from_sql(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.to_sql() == number)
    }
}

impl Tokens {
    /// What filters by tokens look at.
    pub fn total(&self) -> Option<u64> {
        match (self.input, self.output) {
            (None, None) => None,
            (input, output) => Some(input.unwrap_or(0).saturating_add(output.unwrap_or(0))),
        }
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = |body: &Option<Bytes>| body.as_ref().map(Bytes::len);
        let text = |text: &Option<String>| text.as_ref().map(String::len);
        f.debug_struct("Content")
            .field("request_bytes", &bytes(&self.request))
            .field("response_bytes", &bytes(&self.response))
            .field("text_bytes", &text(&self.text))
            .field("thinking_bytes", &text(&self.thinking))
            .field("tool_calls_bytes", &text(&self.tool_calls))
            .field("prompt_bytes", &text(&self.prompt))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_formatting_shows_what_was_said() {
        let canary = || Some("canary".to_owned());
        let exchange = NewExchange {
            content: Content {
                request: Some(Bytes::from_static(b"canary")),
                response: Some(Bytes::from_static(b"canary")),
                text: canary(),
                thinking: canary(),
                tool_calls: canary(),
                prompt: canary(),
            },
            ..NewExchange::default()
        };
        assert!(!format!("{exchange:?}").contains("canary"));
    }

    #[test]
    fn names_and_numbers_of_statuses_and_planes_lead_back() {
        for status in Status::ALL {
            assert_eq!(Status::from_name(status.name()), Some(status));
            assert_eq!(Status::from_sql(status.to_sql()), Some(status));
        }
        for plane in Plane::ALL {
            assert_eq!(Plane::from_sql(plane.to_sql()), Some(plane));
        }
        assert_eq!(Status::from_name("Complete"), None);
        assert_eq!(Status::from_sql(4), None);
    }

    #[test]
    fn tokens_that_nobody_counted_are_not_zero() {
        let tokens = |input, output| Tokens {
            input,
            output,
            ..Tokens::default()
        };
        assert_eq!(tokens(None, None).total(), None);
        assert_eq!(tokens(Some(2), None).total(), Some(2));
        assert_eq!(tokens(Some(2), Some(3)).total(), Some(5));
    }
}
