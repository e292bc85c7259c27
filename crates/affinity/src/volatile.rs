//! Lines at the top of a system prompt that change from call to call, and are therefore left out of the fingerprint.
//!
//! Some clients begin their first system message with a line (a version, a billing tag, the time) that is never the same
//! twice. Taken literally, no two of their calls would have anything in common. Leaving it out says what matters: it is the
//! same conversation, and where the server reuses caches in parts, or strips the line itself, its cache is there.
//!
//! Owns which lines those are. Refuses to change what is sent: only what is hashed.

use regex::bytes::{Regex, RegexBuilder};

/// No more lines than this are skipped: a pattern that fits every line must not leave all system prompts equal.
pub const VOLATILE_LINES_MAX: usize = 16;

/// A compiled pattern may take this much; a simple prefix takes a few hundred bytes.
const PATTERN_BYTES_MAX: usize = 64 << 10;

/// How the text's line ends are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escaping {
    /// As themselves.
    None,
    /// As in the inside of a JSON string: a backslash and an `n`.
    Json,
}

/// Which leading lines of the first system message are not part of the conversation. By default none.
#[derive(Clone, Debug, Default)]
pub struct VolatileLines {
    count: usize,
    patterns: Vec<Regex>,
}

impl VolatileLines {
    /// The first `count` lines are skipped whatever they say, and after them those that fit one of the patterns (searched
    /// for anywhere in the line; anchor them with `^`), up to the first that fits none.
    ///
    /// # Errors
    /// The first pattern that is no regular expression, or compiles to more than 64 KiB.
    pub fn new(count: usize, patterns: &[impl AsRef<str>]) -> Result<Self, regex::Error> {
        let compile = |pattern: &str| RegexBuilder::new(pattern).size_limit(PATTERN_BYTES_MAX).build();
        Ok(Self {
            count: count.min(VOLATILE_LINES_MAX),
            patterns: patterns.iter().map(|p| compile(p.as_ref())).collect::<Result<_, _>>()?,
        })
    }

    /// Nothing is left out.
    pub fn is_empty(&self) -> bool {
        self.count == 0 && self.patterns.is_empty()
    }

    /// What is left of the first system message's text.
    pub fn skip<'a>(&self, text: &'a [u8], escaping: Escaping) -> &'a [u8] {
        let mut rest = text;
        for skipped in 0..VOLATILE_LINES_MAX {
            let (line, after) = split_line(rest, escaping);
            let is_volatile = skipped < self.count || self.patterns.iter().any(|pattern| pattern.is_match(line));
            if rest.is_empty() || !is_volatile {
                break;
            }
            rest = after;
        }
        rest
    }
}

/// The first line without its end, and what follows.
fn split_line(text: &[u8], escaping: Escaping) -> (&[u8], &[u8]) {
    let (end, width) = match escaping {
        Escaping::None => (text.iter().position(|byte| *byte == b'\n'), 1),
        Escaping::Json => (escaped_newline(text), 2),
    };
    match end {
        Some(end) => (&text[..end], &text[end + width..]),
        None => (text, &[]),
    }
}

/// Escapes are stepped over as wholes: in `\\n` it is the backslash that is escaped.
fn escaped_newline(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    while at + 1 < text.len() {
        match (text[at], text[at + 1]) {
            (b'\\', b'n') => return Some(at),
            (b'\\', _) => at += 2,
            _ => at += 1,
        }
    }
    None
}

#[cfg(test)]
mod tests;
