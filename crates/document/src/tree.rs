//! The YAML of a file as a tree of nodes that know where they stand.
//!
//! It owns the bounds on what a file may make us do, and knows nothing of what the fields mean. A tree built from the
//! parser's events, not derived structs: serde stops at the first mistake, and a person with five wants to see five.
//! Numbers, booleans and texts are all [`Value::Scalar`], spelled as in the file: which of them a field takes is for
//! the field to say, and a service may be called `007`.

mod build;
mod fault;
mod locate;
mod outline;
mod words;

use std::borrow::Cow;

use serde_yaml::granit_parser::Parser;

use crate::problem::Position;
pub use fault::Fault;
pub use outline::{Form, Piece, Spelling, outline};
pub use words::Words;

/// None of our files is more than six levels deep. What is nested deeper than this is a mistake, or an attack on the stack of whoever
/// walks the tree; aliases count as what they stand for.
const DEPTH_MAX: usize = 32;

/// One node of the tree.
#[derive(Debug, Clone)]
pub struct Node<'t> {
    /// Where it is defined, which for an alias is its anchor: a mistake is mended there.
    pub position: Position,
    /// Byte offset in the text.
    pub(crate) start: usize,
    pub value: Value<'t>,
}

#[derive(Debug, Clone)]
pub enum Value<'t> {
    Null,
    Scalar(Words<'t>),
    List(Box<[Node<'t>]>),
    Map(Box<[Entry<'t>]>),
}

impl Node<'_> {
    /// A node at this one's place that says something else: one name of a list in a text, say.
    pub fn saying<'s>(&self, text: &str) -> Node<'s> {
        Node {
            position: self.position,
            start: self.start,
            value: Value::Scalar(text.to_owned().into()),
        }
    }
}

/// One entry of a map. Duplicates are kept: whoever reads the map reports them.
#[derive(Debug, Clone)]
pub struct Entry<'t> {
    pub key: Cow<'t, str>,
    pub position: Position,
    pub value: Node<'t>,
}

/// Parses a whole file. An empty one is a [`Value::Null`].
///
/// # Errors
/// Where it is not YAML, or over a bound: the first such place, since what follows it cannot be known.
pub fn parse(text: &str) -> Result<Node<'_>, Fault> {
    let mut options = serde_yaml::granit_parser::Options::default();
    options.set_emit_comments(false);
    options.flow_nesting_limit = DEPTH_MAX;
    options.block_nesting_limit = DEPTH_MAX;

    let mut tree = build::Tree::default();
    let mut read_bytes = 0;
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| Fault::syntax(&error, text, read_bytes))?;
        read_bytes = span.end.byte_offset().unwrap_or(read_bytes);
        tree.grow(event, span.start).map_err(|fault| fault.hinted(text))?;
    }
    Ok(tree.into_root())
}

#[cfg(test)]
mod tests;
