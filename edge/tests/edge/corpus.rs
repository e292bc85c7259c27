//! Tables of bytes: what a client or a server sends, and what becomes of it on the other side, byte for byte.
//!
//! The cases are text (`corpus/*.txt`), so that they can be read, and added to, without Rust:
//!
//! ```text
//! == what it is about
//! > a line that is sent, with CRLF behind it; with none where it ends in \
//! 400 bad_request, closes
//! ```
//!
//! `\r \n \t \0 \xHH \\` stand for those bytes, `{x*9000}` for so many of them. `| ` begins a line of what arrives. Lines
//! that the edge adds are checked and stand as `{edge}`.

#[path = "corpus/answers.rs"]
mod answers;
#[path = "corpus/keys.rs"]
mod keys;
#[path = "corpus/recorder.rs"]
pub(crate) mod recorder;
#[path = "corpus/requests.rs"]
mod requests;
#[path = "corpus/strict.rs"]
pub(crate) mod strict;
#[path = "corpus/table.rs"]
pub(crate) mod table;
