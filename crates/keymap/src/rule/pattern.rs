//! Regular expressions: Go's syntax (RE2), unanchored, run by the `regex` crate.
//!
//! Both engines are of one family and linear in the input; where their syntax differs, [`translate`] rewrites Go's
//! to Rust's and refuses what Go refuses. One difference stays: on bytes that are not UTF-8, Go's `.` matches a
//! replacement character where ours matches nothing. Such a header value matches fewer patterns here, never more.

mod class;
mod escape;
mod translate;

use std::borrow::Cow;
use std::fmt;

use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::hir::Hir;
use zeroize::Zeroizing;

/// A compiled pattern may take this much memory: hundreds of times what rules need, and a folder of them still fits.
const COMPILED_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Each thread that matches keeps a cache of this size at most for each pattern.
const CACHE_BYTES_MAX: usize = 256 * 1024;
/// How deep groups may nest. The parsers recurse as deep.
const NEST_MAX: u32 = 100;

/// A compiled pattern.
#[derive(Clone)]
pub struct Pattern(Regex);

/// Nothing of the pattern: it may be most of a key.
impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pattern(redacted)")
    }
}

/// By text: two spellings of one pattern are two.
impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for Pattern {}

/// Why a pattern is refused, without showing it: the reason as half a sentence, and the fix.
#[derive(Debug)]
pub(crate) struct PatternError {
    pub(crate) reason: String,
    pub(crate) fix: &'static str,
}

impl PatternError {
    fn new(reason: impl Into<String>, fix: &'static str) -> Self {
        Self {
            reason: reason.into(),
            fix,
        }
    }
}

impl Pattern {
    pub(crate) fn compile(go: &str) -> Result<Self, PatternError> {
        parse(go)?;
        Self::build(&translate::to_rust(go)?)
    }

    /// One whose groups a replacement may refer to.
    pub(crate) fn compile_with_groups(go: &str) -> Result<Self, PatternError> {
        parse(go)?;
        Self::build(&translate::to_rust_with_groups(go)?)
    }

    fn build(rust: &str) -> Result<Self, PatternError> {
        RegexBuilder::new(rust)
            .size_limit(COMPILED_BYTES_MAX)
            .dfa_size_limit(CACHE_BYTES_MAX)
            .nest_limit(NEST_MAX)
            .build()
            .map(Self)
            .map_err(|error| match error {
                regex::Error::CompiledTooBig(_) => too_big(),
                _ => PatternError::new("it does not compile", "Write it more simply."),
            })
    }

    pub fn matches(&self, value: &[u8]) -> bool {
        self.0.is_match(value)
    }

    /// With every match replaced, `$1` and `${name}` standing for what groups matched, where it was compiled with them.
    /// `None`: nothing matches.
    pub fn replaced(&self, value: &[u8], replacement: &str) -> Option<Vec<u8>> {
        match self.0.replace_all(value, replacement.as_bytes()) {
            Cow::Borrowed(_) => None,
            Cow::Owned(replaced) => Some(replaced),
        }
    }
}

/// The pattern's syntax tree.
pub(super) fn parse(go: &str) -> Result<Hir, PatternError> {
    let rust: Zeroizing<String> = translate::to_rust(go)?;
    regex_syntax::ParserBuilder::new()
        .utf8(false)
        .nest_limit(NEST_MAX)
        .build()
        .parse(&rust)
        .map_err(|error| {
            // The kind says what is wrong; the whole error would quote the pattern.
            let reason = match error {
                regex_syntax::Error::Parse(error) => error.kind().to_string(),
                regex_syntax::Error::Translate(error) => error.kind().to_string(),
                _ => "it does not parse".to_owned(),
            };
            PatternError::new(
                reason,
                "Mend the pattern; a literal character is written with a backslash before it.",
            )
        })
}

fn too_big() -> PatternError {
    let reason = format!("compiled, it takes more than {} MiB", COMPILED_BYTES_MAX >> 20);
    PatternError::new(
        reason,
        "Use smaller repetitions, or list the values in several matchers.",
    )
}

#[cfg(test)]
mod tests;
