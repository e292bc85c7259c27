//! The Anthropic dialect: Messages, as version 2023-06-01 has them.
//!
//! Later versions refuse what this one takes (temperature, top_p, top_k), so the version a backend is called with is an
//! option of rendering and not a constant.

pub mod error;
pub mod request;
pub mod response;
pub mod stream;

mod usage;

pub(crate) use usage::Counts;

/// The `anthropic-version` header's value that this module is written for.
pub const VERSION: &str = "2023-06-01";
