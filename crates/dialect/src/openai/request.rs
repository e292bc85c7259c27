//! Chat completion requests, in and out.

mod message;
mod parse;
mod render;

pub use parse::parse;
pub use render::render;

pub(super) use render::{arguments_or_none, write_assistant, write_signature};

pub(super) use parse::{clean_stop, read_effort, read_format, read_function, read_tool_choice, refuse_other_choice};

pub(super) use message::read_image_url;
