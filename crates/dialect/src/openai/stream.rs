//! Streams of chat completion chunks.

mod decoder;
mod encoder;
mod hide_usage;

pub use decoder::Decoder;
pub use encoder::Encoder;
pub use hide_usage::HideUsage;
