//! A conversation's fingerprint: a chain of keyed hashes, one for each place at which two conversations may part.
//!
//! ```text
//!  scope ─▶ label ─▶ 512 bytes ─▶ 512 bytes ─▶ rest, end ─▶ label ─▶ rest, end
//!                        ●            ●            ●                     ●      ● = a point: (hash, bytes so far)
//! ```
//!
//! Owns how text becomes points. Refuses to keep any of the text. Invariant: two trails made by one index share their
//! first n points exactly if their scopes and all that lies before the n-th point are equal, collisions aside.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};

/// Long pieces are cut here. A server's cache is worth reusing from some hundred tokens on, and 512 bytes are about 128:
/// what a fork inside a message can lose is a tenth of a second of prefill on a small machine, and remembering a prompt
/// costs an eighth of its length (64 bytes a point). Half of it would double the cost to save next to nothing; four times
/// as much would lose the common case of one long system prompt that differs in its last lines.
pub const BLOCK_BYTES: usize = 512;

/// What is remembered of one conversation: 2 MiB of long messages, half a million tokens, or that many short messages.
/// What lies beyond is not told apart, so that one request can neither flush the index nor occupy a thread.
pub const POINTS_MAX: usize = 4096;

/// What a hash is about: no input of one kind can pass for another.
#[derive(Clone, Copy)]
enum Domain {
    Scope,
    Label,
    Block,
    End,
    Caller,
    Session,
}

/// A place in a conversation, reached by exactly what lies before it.
#[derive(Clone, Copy)]
pub(crate) struct Point {
    pub(crate) hash: u64,
    /// Bytes of pieces up to here, labels aside.
    pub(crate) bytes: u64,
}

/// What a request asks to be continued, as points; and the conversation's own name, where the client sent one.
///
/// The hashes are of 64 bits, keyed with a seed that each index draws anew (`RandomState`: SipHash), so nobody outside can
/// make two prompts collide on purpose, and among a million entries a new point meets a stranger's by chance once in
/// 10¹³. A collision is harmless: it names a server that has to read the prompt after all.
#[derive(Clone)]
pub struct Trail {
    seed: RandomState,
    scope: u64,
    last: u64,
    bytes: u64,
    session: Option<u64>,
    points: Vec<Point>,
}

impl Trail {
    /// `scope` is what must be equal before any prefix can be: the router or service, and the model.
    pub(crate) fn new(seed: &RandomState, scope: &[&[u8]]) -> Self {
        let scope = scope.iter().fold(0, |last, part| hash(seed, last, Domain::Scope, part));
        Self {
            seed: seed.clone(),
            scope,
            last: scope,
            bytes: 0,
            session: None,
            points: Vec::new(),
        }
    }

    /// The conversation's own name (a session header's value), which then counts for more than any prefix.
    ///
    /// `caller` is whatever tells one API key from another (its hash, or its router's name): two callers that pick the same
    /// name stay strangers.
    pub fn session(&mut self, caller: &[u8], name: &[u8]) {
        let caller = hash(&self.seed, self.scope, Domain::Caller, caller);
        self.session = Some(hash(&self.seed, caller, Domain::Session, name));
    }

    /// What the model reads next: the tools first, then each message. `label` is what goes before the text without being
    /// worth a point of its own, such as the role.
    pub fn piece(&mut self, label: &[u8], text: &[u8]) {
        if self.is_full() {
            return;
        }
        self.last = hash(&self.seed, self.last, Domain::Label, label);
        let mut rest = text;
        while let Some((block, after)) = rest.split_at_checked(BLOCK_BYTES)
            && !after.is_empty()
        {
            self.extend(Domain::Block, block);
            if self.is_full() {
                return;
            }
            rest = after;
        }
        self.extend(Domain::End, rest);
    }

    /// Bytes of pieces that the points cover.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many points there are: what a lookup and a note cost.
    pub fn len(&self) -> usize {
        self.points.len()
    }

    /// There is nothing to recognise it by but its session, if it has one.
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    pub(crate) fn points(&self) -> &[Point] {
        &self.points
    }

    pub(crate) fn session_hash(&self) -> Option<u64> {
        self.session
    }

    fn is_full(&self) -> bool {
        self.points.len() >= POINTS_MAX
    }

    fn extend(&mut self, domain: Domain, text: &[u8]) {
        self.last = hash(&self.seed, self.last, domain, text);
        self.bytes += text.len() as u64;
        self.points.push(Point {
            hash: self.last,
            bytes: self.bytes,
        });
    }
}

/// Sizes only: a trail stands for a prompt.
impl fmt::Debug for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trail")
            .field("points", &self.points.len())
            .field("bytes", &self.bytes)
            .field("session", &self.session.is_some())
            .finish_non_exhaustive()
    }
}

/// What came before and the domain have a fixed length, and only then the text: so no two inputs are written alike.
fn hash(seed: &RandomState, last: u64, domain: Domain, text: &[u8]) -> u64 {
    let mut hasher = seed.build_hasher();
    hasher.write_u64(last);
    hasher.write_u8(domain as u8);
    hasher.write(text);
    hasher.finish()
}

#[cfg(test)]
mod tests;
