//! Where the parts of a YAML text begin and end, for whoever changes a few bytes of it and keeps all others.
//!
//! Unlike [`Node`](super::Node) it keeps what only the spelling has: quotes, flow and block style, aliases unresolved.
//! It is made for a text that [`parse`](super::parse) has taken, under the same bounds.

use std::borrow::Cow;
use std::ops::Range;

use serde_yaml::granit_parser::{Event, Parser, ScalarStyle, Span, StructureStyle};

use super::{DEPTH_MAX, Fault};

/// One node as it is spelled. It derives no `Debug`: a scalar may hold a key.
pub struct Piece<'t> {
    /// In bytes, without anchor and tag. A block collection ends with its last child; nothing at all is an empty range
    /// behind what came before it.
    pub range: Range<usize>,
    pub form: Form<'t>,
}

pub enum Form<'t> {
    Scalar(Spelling, Cow<'t, str>),
    /// `*name`
    Alias,
    List(Vec<Piece<'t>>),
    Map {
        /// In braces, not by indentation.
        flow: bool,
        /// Names and values; merges (`<<`) are entries like others.
        entries: Vec<(Piece<'t>, Piece<'t>)>,
    },
}

/// How a scalar is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spelling {
    Plain,
    SingleQuoted,
    DoubleQuoted,
    /// After `|` or `>`.
    Block,
}

/// The outline of a text of one document; `None` where it holds nothing.
///
/// # Errors
/// Where it is not YAML, or over a bound.
pub fn outline(text: &str) -> Result<Option<Piece<'_>>, Fault> {
    let mut options = serde_yaml::granit_parser::Options::default();
    options.set_emit_comments(false);
    options.flow_nesting_limit = DEPTH_MAX;
    options.block_nesting_limit = DEPTH_MAX;

    let mut sketch = Sketch::default();
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| Fault::syntax(&error, text, sketch.read_bytes))?;
        sketch.draw(event, &span);
    }
    Ok(sketch.root)
}

#[derive(Default)]
struct Sketch<'t> {
    root: Option<Piece<'t>>,
    open: Vec<Open<'t>>,
    /// Where the last piece ended.
    read_bytes: usize,
}

struct Open<'t> {
    start: usize,
    flow: bool,
    is_map: bool,
    /// Of a map: names and values in turn.
    children: Vec<Piece<'t>>,
}

impl<'t> Sketch<'t> {
    fn draw(&mut self, event: Event<'t>, span: &Span) {
        match event {
            Event::Scalar(text, style, ..) => {
                let nothing = text.is_empty() && style == ScalarStyle::Plain;
                let range = if nothing {
                    self.read_bytes..self.read_bytes
                } else {
                    self.bytes(span)
                };
                self.put(range, Form::Scalar(spelling(style), text));
            }
            Event::Alias(_) => self.put(self.bytes(span), Form::Alias),
            Event::SequenceStart(style, ..) => self.start(style, false, span),
            Event::MappingStart(style, ..) => self.start(style, true, span),
            Event::SequenceEnd | Event::MappingEnd => self.end(span),
            _ => {}
        }
    }

    fn start(&mut self, style: StructureStyle, is_map: bool, span: &Span) {
        let start = self.bytes(span).start;
        self.read_bytes = start;
        self.open.push(Open {
            start,
            flow: style == StructureStyle::Flow,
            is_map,
            children: Vec::new(),
        });
    }

    fn end(&mut self, span: &Span) {
        let Some(open) = self.open.pop() else { return };
        let last = open.children.last().map_or(open.start, |child| child.range.end);
        let end = if open.flow {
            self.bytes(span).end.max(last)
        } else {
            last
        };
        let form = if open.is_map {
            Form::Map {
                flow: open.flow,
                entries: pairs(open.children),
            }
        } else {
            Form::List(open.children)
        };
        self.put(open.start..end, form);
    }

    fn put(&mut self, range: Range<usize>, form: Form<'t>) {
        self.read_bytes = range.end;
        let piece = Piece { range, form };
        match self.open.last_mut() {
            Some(open) => open.children.push(piece),
            None => {
                self.root.get_or_insert(piece);
            }
        }
    }

    fn bytes(&self, span: &Span) -> Range<usize> {
        span.byte_range().unwrap_or(self.read_bytes..self.read_bytes)
    }
}

fn pairs(children: Vec<Piece<'_>>) -> Vec<(Piece<'_>, Piece<'_>)> {
    let mut children = children.into_iter();
    std::iter::from_fn(|| Some((children.next()?, children.next()?))).collect()
}

fn spelling(style: ScalarStyle) -> Spelling {
    match style {
        ScalarStyle::Plain => Spelling::Plain,
        ScalarStyle::SingleQuoted => Spelling::SingleQuoted,
        ScalarStyle::DoubleQuoted => Spelling::DoubleQuoted,
        ScalarStyle::Literal | ScalarStyle::Folded => Spelling::Block,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names with what stands at their value's range.
    fn drawn(text: &str) -> Vec<(String, String)> {
        fn walk(text: &str, piece: &Piece<'_>, into: &mut Vec<(String, String)>) {
            match &piece.form {
                Form::Map { entries, .. } => {
                    for (name, value) in entries {
                        into.push((
                            text[name.range.clone()].to_owned(),
                            text[value.range.clone()].to_owned(),
                        ));
                        walk(text, value, into);
                    }
                }
                Form::List(items) => items.iter().for_each(|item| walk(text, item, into)),
                Form::Scalar(..) | Form::Alias => {}
            }
        }
        let mut all = Vec::new();
        walk(text, &outline(text).expect("YAML").expect("something"), &mut all);
        all
    }

    #[test]
    fn ranges_hold_what_is_written() {
        for (text, expected) in [
            ("a: b # c\n", &[("a", "b")][..]),
            ("a: 'b ''c'''  \n", &[("a", "'b ''c'''")]),
            ("\"a\" : \"\\x41\"", &[("\"a\"", "\"\\x41\"")]),
            (
                "a:\n  b: c d\n    e\n\n# end\n",
                &[("a", "b: c d\n    e"), ("b", "c d\n    e")],
            ),
            ("a:\nb: 1\n", &[("a", ""), ("b", "1")]),
            ("a: &x !!str b\nc: *x\n", &[("a", "b"), ("c", "*x")]),
            ("a: { b: [1, 2], } # c\n", &[("a", "{ b: [1, 2], }"), ("b", "[1, 2]")]),
            ("ä: ö\r\nb: 'ü'\r\n", &[("ä", "ö"), ("b", "'ü'")]),
            (
                "a:\n  - b: 1\n  - 2\nc: ~\n",
                &[("a", "- b: 1\n  - 2"), ("b", "1"), ("c", "~")],
            ),
        ] {
            let expected: Vec<_> = expected
                .iter()
                .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
                .collect();
            assert_eq!(drawn(text), expected, "{text:?}");
        }
    }
}
