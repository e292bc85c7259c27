//! The OpenAI dialect: chat completions, and beside it what OpenAI's clients also call.
//!
//! Thinking is written as `reasoning_content` (llama.cpp's and DeepSeek's name) and read as that or as `reasoning`.

pub mod completions;
pub mod embeddings;
pub mod error;
pub mod request;
pub mod response;
pub mod responses;
pub mod stream;

mod usage;

pub(crate) use usage::{read as read_usage, read_timings};
