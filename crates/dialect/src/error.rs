//! What can be wrong with a request, an answer or a stream, and how it is told.
//!
//! Nothing here carries a prompt, an answer or a key: a problem names the field, its rule and its fix, and shows at
//! most the kind of value that was found.

use std::borrow::Cow;
use std::fmt;

use crate::Dialect;

/// One thing wrong with what a client sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// `messages[2].content[1].type`; empty for the document as a whole.
    pub field: String,
    pub rule: Cow<'static, str>,
    /// What was found, in a word ("a string", "missing").
    pub found: Cow<'static, str>,
    pub fix: Cow<'static, str>,
}

/// The client's fault: all problems found, at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRequest {
    pub problems: Vec<Problem>,
}

/// Right in itself, but not expressible where it should go: 400, or the next backend is tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsupported {
    pub field: String,
    pub rule: Cow<'static, str>,
    pub fix: Cow<'static, str>,
}

/// The backend's fault: its answer is not what its dialect says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadResponse {
    pub field: String,
    pub rule: Cow<'static, str>,
}

/// Why a stream is not whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamError {
    /// The bytes ended before the dialect's final event.
    Cut,
    /// One event or line is longer than [`crate::stream::FRAME_BYTES_MAX`].
    TooLong,
    /// A frame that is not what the dialect says.
    Malformed(BadResponse),
    /// The backend told of a failure; it was yielded as an event.
    Failed,
}

/// A failure as any dialect can tell it.
#[derive(Clone, PartialEq, Eq)]
pub struct Failure {
    pub kind: FailureKind,
    /// One sentence for a person.
    pub message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureKind {
    InvalidRequest,
    Authentication,
    Permission,
    NotFound,
    TooLarge,
    RateLimit,
    /// The backend has no room just now.
    Overloaded,
    Timeout,
    /// Anything else that went wrong on the other side.
    Api,
}

impl Unsupported {
    pub fn new(
        field: impl Into<String>,
        rule: impl Into<Cow<'static, str>>,
        fix: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            field: field.into(),
            rule: rule.into(),
            fix: fix.into(),
        }
    }

    /// The common case: `dialect` has nothing like `field`.
    pub fn no_counterpart(dialect: Dialect, field: impl Into<String>) -> Self {
        Self::new(
            field,
            format!(
                "has no counterpart in {}'s API, which this model's backend speaks",
                dialect.name()
            ),
            "leave it out, or ask for a model whose backend has it",
        )
    }
}

impl BadResponse {
    pub fn new(field: impl Into<String>, rule: impl Into<Cow<'static, str>>) -> Self {
        Self {
            field: field.into(),
            rule: rule.into(),
        }
    }
}

impl Failure {
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    /// What a client is told when its backend went away in mid-answer.
    pub fn cut() -> Self {
        Self::new(FailureKind::Api, "the backend's answer ended before it was complete")
    }

    /// What [`crate::chat::Finish::Error`] is, told as a failure.
    pub(crate) fn broke_off() -> Self {
        Self::new(FailureKind::Api, "the model broke off with an error")
    }
}

impl From<&BadRequest> for Failure {
    fn from(bad: &BadRequest) -> Self {
        Self::new(FailureKind::InvalidRequest, bad.to_string())
    }
}

impl From<&Unsupported> for Failure {
    fn from(refusal: &Unsupported) -> Self {
        Self::new(FailureKind::InvalidRequest, refusal.to_string())
    }
}

/// What a client is told of a stream that went wrong; what exactly, is for the log.
impl From<&StreamError> for Failure {
    fn from(_: &StreamError) -> Self {
        Self::cut()
    }
}

impl FailureKind {
    /// The status that says it best.
    pub fn status(self) -> u16 {
        match self {
            Self::InvalidRequest => 400,
            Self::Authentication => 401,
            Self::Permission => 403,
            Self::NotFound => 404,
            Self::TooLarge => 413,
            Self::RateLimit => 429,
            Self::Api => 502,
            Self::Overloaded => 503,
            Self::Timeout => 504,
        }
    }

    pub fn of_status(status: u16) -> Self {
        match status {
            401 => Self::Authentication,
            402 | 403 => Self::Permission,
            404 => Self::NotFound,
            408 | 504 => Self::Timeout,
            413 => Self::TooLarge,
            429 => Self::RateLimit,
            503 | 529 => Self::Overloaded,
            400..=499 => Self::InvalidRequest,
            _ => Self::Api,
        }
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A provider's message may quote what it was sent.
        write!(f, "Failure({:?}, {} bytes)", self.kind, self.message.len())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = if self.field.is_empty() { "the body" } else { &self.field };
        write!(f, "{field}: {}; found {}; {}", self.rule, self.found, self.fix)
    }
}

impl fmt::Display for BadRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.field, self.rule, self.fix)
    }
}

impl fmt::Display for BadResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = if self.field.is_empty() { "the body" } else { &self.field };
        write!(f, "the backend's answer cannot be read: {field}: {}", self.rule)
    }
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cut => f.write_str("the backend's answer ended before it was complete"),
            Self::TooLong => f.write_str("the backend sent an event longer than 8 MiB"),
            Self::Malformed(bad) => bad.fmt(f),
            Self::Failed => f.write_str("the backend told of a failure in its answer"),
        }
    }
}

impl std::error::Error for BadRequest {}
impl std::error::Error for Unsupported {}
impl std::error::Error for BadResponse {}
impl std::error::Error for StreamError {}

impl From<BadResponse> for StreamError {
    fn from(bad: BadResponse) -> Self {
        Self::Malformed(bad)
    }
}
