//! What a lookup found: how much of one trail each server holds.
//!
//! Owns the bound on it. Invariant: each server is named once, with the longest of its prefixes.

use super::Server;

/// Servers told apart in one lookup; of more, those with the longest prefixes.
const KNOWN_MAX: usize = 64;

/// Who has seen how much of one trail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    pub(super) session: Option<u32>,
    /// The longest prefix of each stamp, longest first.
    pub(super) prefixes: Prefixes,
}

/// What one server holds of one trail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// It was the last to serve the session that the client names.
    pub session: bool,
    /// How many leading bytes of the pieces it was sent before.
    pub bytes: u64,
    /// How often others went on from there in another way: 0 where the conversation merely grows, and many where what is
    /// held is but a system prompt that all share.
    pub branches: u32,
}

impl Known {
    /// What this server holds.
    pub fn of(&self, server: &Server) -> Held {
        let stamp = server.stamp();
        let prefix = self.prefixes.iter().find(|(known, _)| *known == stamp);
        Held {
            session: self.session == Some(stamp),
            ..prefix.map_or_else(Held::default, |(_, held)| *held)
        }
    }
}

/// Stamps, and what each holds.
pub(super) type Prefixes = Vec<(u32, Held)>;

/// The stamps met so far: of what all share, each point names every server again, which then costs one look each.
pub(super) struct Seen([u32; 256]);

impl Default for Seen {
    fn default() -> Self {
        Self([0; 256])
    }
}

impl Seen {
    /// Points come deepest first, so a stamp's first one is its longest.
    pub(super) fn add(&mut self, prefixes: &mut Prefixes, stamp: u32, held: Held) {
        let seen = &mut self.0[stamp as usize % 256];
        if *seen == stamp {
            return;
        }
        *seen = stamp;
        if prefixes.len() < KNOWN_MAX && prefixes.iter().all(|(known, _)| *known != stamp) {
            prefixes.push((stamp, held));
        }
    }
}
