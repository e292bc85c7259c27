//! A YAML file, read so that every mistake in it can be told at once, each at its place.
//!
//! ```text
//!  text ──parse──▶ Node (tree with positions) ──Fields, named, text, …──▶ the caller's checked types
//!                                                        │
//!                                                        └──▶ Report ──▶ Problem (path, line, column, value, rule, fix)
//! ```
//!
//! Mapping files and `config.yaml` are read through it alike. It knows how a field is found, spelled wrongly, repeated
//! or of the wrong kind; what a field means is its owner's to say. Nothing that may be a key is quoted by a problem.

mod fields;
mod list;
mod problem;
mod report;
mod scalar;
mod tree;

pub use fields::{Field, Fields, Named, Schema, Support, entries, named, nearest};
pub use problem::{Position, Problem, Severity};
pub use report::{Report, shown_field, shown_name, shown_scalar};
pub use scalar::{Text, described, text};
pub use tree::{Entry, Fault, Form, Node, Piece, Spelling, Value, Words, outline, parse};
