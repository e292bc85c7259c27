//! The bytes of the file that spell a part of a scalar.

use std::ops::Range;

use document::{Form, Piece, Spelling};

/// Where in `text` the bytes `part` of the scalar's value are spelled. Neither end of the part is white space.
///
/// Quoting, folding and indentation put only white space between a scalar's characters, so value and spelling are
/// walked in step, white space aside. `None` where they fall out of step: whoever edits must not guess.
pub(super) fn spelled(text: &str, scalar: &Piece<'_>, part: &Range<usize>) -> Option<Range<usize>> {
    let Form::Scalar(spelling, value) = &scalar.form else {
        return None;
    };
    let mut source = Source::open(text, scalar, *spelling)?;
    let mut start = None;
    for (at, wanted) in value.char_indices().filter(|(_, c)| !c.is_whitespace()) {
        let (range, found) = source.next()?;
        if found != wanted {
            return None;
        }
        if at == part.start {
            start = Some(range.start);
        }
        if at + wanted.len_utf8() == part.end {
            return Some(start?..range.end);
        }
    }
    None
}

struct Source<'t> {
    text: &'t str,
    at: usize,
    end: usize,
    spelling: Spelling,
}

impl<'t> Source<'t> {
    fn open(text: &'t str, scalar: &Piece<'_>, spelling: Spelling) -> Option<Self> {
        let Range { start, end } = scalar.range;
        let at = match spelling {
            Spelling::Plain => start,
            Spelling::SingleQuoted | Spelling::DoubleQuoted => start + 1,
            // A span may begin with the header or behind it.
            Spelling::Block if text.get(start..)?.starts_with(['|', '>']) => start + text.get(start..)?.find('\n')? + 1,
            Spelling::Block => start,
        };
        // A block's end is no mark of its own; the walk ends before it.
        let end = if spelling == Spelling::Block { text.len() } else { end };
        Some(Self {
            text,
            at,
            end,
            spelling,
        })
    }

    /// The next character that is no white space, and the bytes that spell it.
    fn next(&mut self) -> Option<(Range<usize>, char)> {
        loop {
            let start = self.at;
            let first = self.take()?;
            let found = match (self.spelling, first) {
                (Spelling::SingleQuoted, '\'') => self.take().filter(|second| *second == '\''),
                (Spelling::DoubleQuoted, '\\') => self.escaped(),
                _ => Some(first),
            }?;
            if !found.is_whitespace() {
                return Some((start..self.at, found));
            }
        }
    }

    fn take(&mut self) -> Option<char> {
        let next = self.text.get(self.at..self.end)?.chars().next()?;
        self.at += next.len_utf8();
        Some(next)
    }

    /// One of YAML's escapes, behind its backslash; what stands for a control character is as good as a blank here.
    fn escaped(&mut self) -> Option<char> {
        let digits = match self.take()? {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            literal @ ('"' | '\\' | '/') => return Some(literal),
            'n' | 't' | '\t' | ' ' | '\n' | '\r' | '_' | 'N' | 'L' | 'P' | 'r' | 'v' | 'f' => return Some(' '),
            _ => return None,
        };
        let mut code = 0;
        for _ in 0..digits {
            code = code * 16 + self.take()?.to_digit(16)?;
        }
        char::from_u32(code)
    }
}
