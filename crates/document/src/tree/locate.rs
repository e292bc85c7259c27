//! The place in the file of a byte inside a scalar: where inside a rule a mistake stands.

use super::{Node, Value};
use crate::problem::Position;

impl Node<'_> {
    /// Where the scalar's byte `offset` stands in `text`, the file this node was parsed from.
    ///
    /// Quoting, folding and block indentation put only white space and quotes between a scalar's characters, so walking
    /// both in step finds the place. Where an escape breaks the step, the scalar's start has to do.
    pub fn locate(&self, text: &str, offset: usize) -> Position {
        let Value::Scalar(scalar) = &self.value else {
            return self.position;
        };
        self.walk(text, scalar, offset).unwrap_or(self.position)
    }

    fn walk(&self, text: &str, scalar: &str, offset: usize) -> Option<Position> {
        let (before, rest) = scalar.split_at_checked(offset)?;
        let mut source = Cursor {
            rest: text.get(self.start..)?,
            at: self.position,
        };
        let quote = source.open();
        for wanted in before.chars().filter(|c| !c.is_whitespace()) {
            source.skip_blanks();
            source.take(wanted, quote)?;
        }
        if rest.chars().next().is_some_and(|c| !c.is_whitespace()) {
            source.skip_blanks();
        }
        Some(source.at)
    }
}

struct Cursor<'t> {
    rest: &'t str,
    at: Position,
}

impl Cursor<'_> {
    /// Goes past what opens the scalar: a quote, which is returned, or the header line of a block.
    fn open(&mut self) -> Option<char> {
        match self.rest.chars().next() {
            Some(quote @ ('"' | '\'')) => self.next().map(|_| quote),
            Some('|' | '>') => {
                while self.next().is_some_and(|c| c != '\n') {}
                None
            }
            _ => None,
        }
    }

    fn skip_blanks(&mut self) {
        while self.rest.starts_with(char::is_whitespace) {
            self.next();
        }
    }

    /// One character of the scalar, which `''` and `\` spell with two.
    fn take(&mut self, wanted: char, quote: Option<char>) -> Option<()> {
        let found = self.next()?;
        let escaped = match quote {
            Some('"') => found == '\\',
            Some('\'') => found == '\'',
            _ => false,
        };
        let found = if escaped { self.next()? } else { found };
        // `\n` spells a line break, not an n.
        let spelled = found == wanted && !(quote == Some('"') && escaped && wanted.is_alphanumeric());
        spelled.then_some(())
    }

    fn next(&mut self) -> Option<char> {
        let next = self.rest.chars().next()?;
        self.rest = &self.rest[next.len_utf8()..];
        if next == '\n' {
            self.at = Position {
                line: self.at.line + 1,
                column: 1,
            };
        } else {
            self.at.column += 1;
        }
        Some(next)
    }
}
