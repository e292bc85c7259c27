//! Where a conversation's cache is: the prefix index, fed with what passes here.
//!
//! Text is hashed and not kept. A backend that goes down, or away, has lost its cache and is forgotten. The lock is held
//! for looks into a small map, and never across a wait.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use affinity::{Capacity, Index, Parts, Server, Trail, VolatileLines};
use axum::http::{HeaderMap, HeaderValue};

use super::locked;
use crate::config_file::Strategy;
use crate::fleet::{FleetView, Status};

pub(super) struct Affinity {
    index: Index,
    /// By the backends' numbers.
    servers: Mutex<Enrolled>,
}

#[derive(Default)]
struct Enrolled {
    servers: HashMap<u32, Arc<Server>>,
    /// The edition of the fleet by which it was last tidied.
    seen: Option<Arc<FleetView>>,
}

/// One request's conversation, as the index knows it.
pub(super) struct Conversation {
    trail: Trail,
    /// By the backends' numbers: bytes of it that each holds.
    pub(super) held: HashMap<u32, usize>,
}

impl Affinity {
    pub(super) fn new() -> Self {
        Self {
            index: Index::new(Capacity::default(), Instant::now()),
            servers: Mutex::default(),
        }
    }

    /// Who holds how much of what is asked; `None` where nobody would ask: another strategy, or one place only.
    pub(super) fn look(
        &self,
        view: &Arc<FleetView>,
        (model, caller): (&str, u64),
        headers: &HeaderMap,
        body: &[u8],
    ) -> Option<Conversation> {
        if view.routing.strategy != Strategy::Smart || view.places(model).is_none_or(|places| places.len() < 2) {
            return None;
        }
        let mut trail = self.index.trail(&[model.as_bytes()]);
        if let Some(session) = session(headers) {
            trail.session(&caller.to_le_bytes(), session.as_bytes());
        }
        walk(body, &mut trail);
        let known = self.index.known(&trail, Instant::now());
        let enrolled = self.enrolled(view);
        let held = enrolled.iter().filter_map(|(number, server)| {
            let held = known.of(server);
            // A session's server comes before any that only shares a beginning.
            let bytes = if held.session {
                usize::MAX
            } else {
                usize::try_from(held.bytes).unwrap_or(usize::MAX)
            };
            (bytes > 0).then_some((*number, bytes))
        });
        let held = held.collect();
        Some(Conversation { trail, held })
    }

    /// This backend is sent the conversation.
    pub(super) fn note(&self, conversation: &Conversation, number: u32) {
        let server = {
            let mut enrolled = locked(&self.servers);
            let server = enrolled
                .servers
                .entry(number)
                .or_insert_with(|| Arc::new(self.index.enrol()));
            Arc::clone(server)
        };
        self.index.note(&conversation.trail, &server, Instant::now());
    }

    /// Everybody who may hold something; whoever is down or gone is forgotten first.
    fn enrolled(&self, view: &Arc<FleetView>) -> Vec<(u32, Arc<Server>)> {
        let mut enrolled = locked(&self.servers);
        let is_news = enrolled.seen.as_ref().is_none_or(|seen| !Arc::ptr_eq(seen, view));
        if is_news {
            let there: HashMap<u32, Status> = view.backends.iter().map(|it| (it.number, it.status)).collect();
            enrolled
                .servers
                .retain(|number, _| there.get(number).is_some_and(|status| *status != Status::Down));
            enrolled.seen = Some(Arc::clone(view));
        }
        enrolled
            .servers
            .iter()
            .map(|(number, server)| (*number, Arc::clone(server)))
            .collect()
    }
}

/// The conversation's own name, where the client says it.
pub(super) fn session(headers: &HeaderMap) -> Option<&HeaderValue> {
    affinity::session(|name| headers.get(name))
}

/// Nothing is configured here that changes from call to call.
fn walk(body: &[u8], trail: &mut Trail) {
    if let Some(parts) = Parts::of(body) {
        parts.walk(trail, &VolatileLines::default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_conversation_begins_as_the_shorter_did() {
        let index = Index::new(Capacity::default(), Instant::now());
        let server = index.enrol();
        let held = |body: &str| {
            let mut trail = index.trail(&[b"m"]);
            walk(body.as_bytes(), &mut trail);
            let held = index.known(&trail, Instant::now()).of(&server).bytes;
            index.note(&trail, &server, Instant::now());
            held
        };
        let long = "x".repeat(600);
        let first = format!(r#"{{"messages":[{{"role":"user","content":"{long}"}}],"model":"m"}}"#);
        let second = format!(
            r#"{{"model":"m","messages":[{{"role":"user","content":"{long}"}},{{"role":"assistant","content":"a"}}]}}"#
        );
        assert_eq!(held(&first), 0);
        assert!(held(&second) > 600);
        assert_eq!(held(r#"{"messages":[{"role":"user","content":"something else"}]}"#), 0);
        assert_eq!(held("no json"), 0);
    }
}
