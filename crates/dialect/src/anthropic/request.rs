//! Messages requests, in and out.

mod block;
mod parse;
mod render;
mod turns;

pub use parse::{parse, parse_count_tokens};
pub use render::render;
