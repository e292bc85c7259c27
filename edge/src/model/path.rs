//! The model that a path names, as Gemini's clients (`…/models/NAME:generateContent`) and Azure's
//! (`/openai/deployments/NAME/…`) do. Only what is posted asks a model for something.
//!
//! Invariant: the name is the one that a server finds, whether it decodes the path before it takes it apart or after;
//! where these differ, the path is refused.

use std::borrow::Cow;

use http::Method;
use keymap::{Target, TargetError};

const GEMINI: &str = "/models/";
const AZURE: &str = "/openai/deployments/";

/// A model's name, and what stands around it in the path as it is forwarded.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct InPath<'a> {
    pub(crate) name: &'a str,
    before: &'a str,
    after: &'a str,
}

impl InPath<'_> {
    /// The same path with another name in it.
    pub(crate) fn renamed(&self, name: &str) -> String {
        let escaped: String = name.bytes().map(escaped).collect();
        [self.before, &escaped, self.after].concat()
    }
}

/// # Errors
/// Where two readers of the path would find two names.
pub(crate) fn in_path<'a>(method: &Method, target: &'a Target) -> Result<Option<InPath<'a>>, TargetError> {
    if *method != Method::POST {
        return Ok(None);
    }
    match (parts(target.forward_path()), parts(target.path())) {
        (None, None) => Ok(None),
        (Some((before, forwarded, after)), Some((_, name, _))) if decoded(forwarded) == name.as_bytes() => {
            Ok(Some(InPath { name, before, after }))
        }
        _ => Err(TargetError::Ambiguous),
    }
}

/// Every request passes here, so what is neither is known by its length and by having no colon.
fn parts(path: &str) -> Option<(&str, &str, &str)> {
    let azure = if path.len() > AZURE.len() {
        path.find(AZURE)
    } else {
        None
    };
    let (begin, end) = if let Some(at) = azure {
        let begin = at + AZURE.len();
        (begin, begin + path[begin..].find('/')?)
    } else {
        let end = path.rfind(':')?;
        let begin = path[..end].rfind(GEMINI)? + GEMINI.len();
        let method = &path[end + 1..];
        if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            return None;
        }
        (begin, end)
    };
    (begin < end).then(|| (&path[..begin], &path[begin..end], &path[end..]))
}

/// A cleaned path has no escape that is none.
fn decoded(text: &str) -> Cow<'_, [u8]> {
    if !text.contains('%') {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let escape = after.get(..2).filter(|_| byte == b'%');
        let digits = escape.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        bytes.push(digits.unwrap_or(byte));
        rest = if digits.is_some() { &after[2..] } else { after };
    }
    Cow::Owned(bytes)
}

/// As in a path's segment, a colon left as Gemini's clients leave it.
fn escaped(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() || b"-._~:@".contains(&byte) {
        char::from(byte).to_string()
    } else {
        format!("%{byte:02X}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str) -> Result<Option<String>, TargetError> {
        let target = Target::parse(path.as_bytes())?;
        Ok(in_path(&Method::POST, &target)?.map(|found| found.name.to_owned()))
    }

    #[test]
    fn both_forms_are_known_and_nothing_else() {
        for (path, expected) in [
            ("/v1beta/models/gemini-2.0:generateContent", Some("gemini-2.0")),
            (
                "/v1beta/models/llama3.1:8b:streamGenerateContent?alt=sse",
                Some("llama3.1:8b"),
            ),
            ("/v1/projects/p/publishers/google/models/g:predict", Some("g")),
            (
                "/openai/deployments/gpt-4o/chat/completions?api-version=1",
                Some("gpt-4o"),
            ),
            ("/base/openai/deployments/llama3.1%3A8b/embeddings", Some("llama3.1:8b")),
            ("/openai/deployments/gpt-4o", None),
            ("/openai/deployments//chat", None),
            ("/v1/models/llama3.1:8b", None),
            ("/v1/models/:generateContent", None),
            ("/v1/chat/completions", None),
        ] {
            assert_eq!(found(path), Ok(expected.map(str::to_owned)), "{path}");
        }
        let target = Target::parse(b"/v1/models/llama3.1:latest").expect("a path");
        assert_eq!(
            in_path(&Method::GET, &target),
            Ok(None),
            "a model's name ends as it likes"
        );
    }

    #[test]
    fn what_two_readers_read_differently_is_refused() {
        for path in [
            "/v1beta/models/large%3AgenerateContent",
            "/openai/deployments/small%2Flarge/chat/completions",
            "/openai%2Fdeployments/large/chat/completions",
        ] {
            assert_eq!(found(path), Err(TargetError::Ambiguous), "{path}");
        }
    }

    #[test]
    fn a_name_is_replaced_in_its_place() {
        for (path, expected) in [
            (
                "/v1beta/models/a:generateContent",
                "/v1beta/models/b:8 /%:generateContent",
            ),
            (
                "/openai/deployments/a%20b/chat/completions",
                "/openai/deployments/b:8 /%/chat/completions",
            ),
        ] {
            let target = Target::parse(path.as_bytes()).expect("a path");
            let found = in_path(&Method::POST, &target).expect("clear").expect("a name");
            let renamed = found.renamed("b:8 /%");
            assert_eq!(
                renamed.replace("%20", " ").replace("%2F", "/").replace("%25", "%"),
                expected
            );
        }
    }
}
