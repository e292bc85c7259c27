//! How a generation is told to its client: the chat, completion and messages shapes, streamed and whole.
//! Pure: a dialect only turns events into bytes.

mod chat;
mod completion;
mod messages;

use serde::Serialize;

use crate::answer::{Finish, Kind};
use crate::wire::Timings;

pub(crate) use chat::Chat;
pub(crate) use completion::{Native, OpenAi};
pub(crate) use messages::Messages;

/// One way of telling it. For a stream the calls are: progress*, begin, token*, end; else whole alone.
pub(crate) trait Dialect: Send {
    fn progress(&mut self, out: &mut Vec<u8>, progress: &Progress);
    /// What precedes the first token, in the same chunk with it.
    fn begin(&mut self, out: &mut Vec<u8>, kind: &Kind, prompt: Prompt);
    fn token(&mut self, out: &mut Vec<u8>, kind: &Kind, piece: &str, timings: Option<&Timings>);
    fn end(&mut self, out: &mut Vec<u8>, outcome: &Outcome);
    /// The stream's last words, in a chunk of their own.
    fn done(&self) -> &'static [u8] {
        b""
    }
    fn whole(&self, kind: &Kind, text: &str, outcome: &Outcome) -> Vec<u8>;
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Prompt {
    pub tokens: usize,
    pub cached_tokens: usize,
}

/// How far the prefill is, for clients that sent `return_progress`.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Progress {
    pub total: usize,
    pub cache: usize,
    pub processed: usize,
    pub time_ms: u64,
}

/// What is known of a generation at its end.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub prompt: Prompt,
    pub tokens: usize,
    pub finish: Finish,
    pub timings: Timings,
    pub slot: usize,
}

/// Appends a value as JSON.
fn json(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    serde_json::to_writer(out, value).expect("a Vec takes every write, and the values have string keys");
}
