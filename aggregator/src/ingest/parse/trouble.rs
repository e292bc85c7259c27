//! A failure that an answer tells of: its code, a word to filter by, and its message, without what looks like a key.

use std::fmt;

use dialect::json::read::{Kind, Object, Problems};
use dialect::{Dialect, Failure, FailureKind};

const CODE_BYTES_MAX: usize = 64;

#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) code: String,
    pub(crate) message: String,
}

impl Trouble {
    /// Of an answer with a status that says so.
    pub(super) fn of_answer(dialect: Dialect, status: u16, body: &[u8]) -> Self {
        let failure = dialect.parse_error(status, body);
        Self::of(body, &failure)
    }

    /// Of what a document or a stream's frame said.
    pub(super) fn of(document: &[u8], failure: &Failure) -> Self {
        Self {
            code: code(document).unwrap_or_else(|| name(failure.kind).to_owned()),
            message: failure.message.clone(),
        }
    }
}

/// OpenAI's `code` or `type`, Anthropic's `type`, Gemini's `status`.
fn code(document: &[u8]) -> Option<String> {
    let problems = Problems::lenient();
    let root = Object::root(document, &problems)?;
    let error = root
        .node("error")
        .filter(|error| error.kind() == Kind::Object)?
        .object()?;
    let words = ["code", "status", "type"].iter().filter_map(|name| {
        let node = error.node(name)?;
        (node.kind() == Kind::String).then(|| node.string())?
    });
    words.into_iter().find(|word| is_word(word))
}

/// What a client or a backend chose is a code only where it looks like one.
fn is_word(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    !text.is_empty()
        && text.len() <= CODE_BYTES_MAX
        && text.bytes().all(plain)
        && !text.bytes().all(|it| it.is_ascii_digit())
}

fn name(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::InvalidRequest => "invalid_request",
        FailureKind::Authentication => "invalid_api_key",
        FailureKind::Permission => "permission_denied",
        FailureKind::NotFound => "not_found",
        FailureKind::TooLarge => "request_too_large",
        FailureKind::RateLimit => "rate_limit_exceeded",
        FailureKind::Overloaded => "overloaded",
        FailureKind::Timeout => "timeout",
        FailureKind::Api => "backend_error",
    }
}

impl fmt::Debug for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A message may quote what was asked.
        write!(f, "Trouble({}, {} bytes)", self.code, self.message.len())
    }
}
