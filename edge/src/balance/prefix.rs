//! A request's conversation, as the prefix index knows it: who holds how much of it, and what a choice teaches.
//!
//! What makes up a conversation is [`affinity`]'s to know. The body is looked at and not kept: text goes into keyed hashes. Of
//! a body over [`affinity::LOOKED_AT_MAX`] only the session header is seen, and a body that is no JSON is nobody's
//! conversation; both go to the least busy server.

use std::time::Instant;

use affinity::{Index, Known, Parts, Server, Trail, VolatileLines};
use http::HeaderMap;

#[derive(Debug)]
pub(crate) struct Conversation {
    trail: Trail,
    pub(crate) known: Known,
}

impl Conversation {
    /// `caller` tells one key from another, so that equal session names of two stay strangers.
    pub(crate) fn of(
        index: &Index,
        (service, caller): (&str, &str),
        headers: &HeaderMap,
        body: &[u8],
        volatile: &VolatileLines,
    ) -> Self {
        let parts = Parts::of(body);
        let model = parts.as_ref().and_then(Parts::model).unwrap_or_default();
        let mut trail = index.trail(&[service.as_bytes(), model.as_bytes()]);
        if let Some(session) = affinity::session(|name| headers.get(name)) {
            trail.session(caller.as_bytes(), session.as_bytes());
        }
        if let Some(parts) = parts {
            parts.walk(&mut trail, volatile);
        }
        let known = index.known(&trail, Instant::now());
        Self { trail, known }
    }

    /// Whether this server has read enough of it for that to count.
    pub(crate) fn is_held_by(&self, server: &Server) -> bool {
        let held = self.known.of(server);
        held.session || held.bytes >= affinity::Policy::default().worth_bytes_min
    }

    /// This server is sent the conversation.
    pub(crate) fn note(&self, index: &Index, server: &Server) {
        index.note(&self.trail, server, Instant::now());
    }
}

#[cfg(test)]
mod tests;
