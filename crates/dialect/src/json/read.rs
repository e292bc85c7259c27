//! Walks a JSON document level by level, knows the path of everything, and notes every problem instead of stopping.
//!
//! ```text
//!  Problems ◀──notes── Object{path, fields} ──object("a")──▶ Object ──node("b")──▶ Node{path, raw}
//! ```
//!
//! `null` is absent. In a client's document a name that is given twice is a problem; in a backend's the last one wins
//! ([`Problems::lenient`]), for its client can mend nothing.

mod fields;
mod node;
mod object;
mod problems;

pub(crate) use fields::spans;
pub use node::{Kind, Node};
pub use object::Object;
pub use problems::Problems;
