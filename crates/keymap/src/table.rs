//! The compiled table: keys pinned exactly in one hash, the rest by priority; equal to a linear scan by priority.
//!
//! ```text
//!  with a credential     SHA-256 ──▶ shard ──▶ the key's few routers ─┐
//!                                              scanned routers ───────┴─▶ by priority, the first that is Keyed
//!  without one           keyless routers ───────────────────────────────▶ by priority, the first that is Keyless
//! ```
//!
//! A router is indexed under every key its rule can be opened with; one whose keys cannot be listed is scanned. An index
//! only narrows the choice: the whole rule is evaluated in the end.

mod compiler;
mod definitions;
mod order;
mod problems;
mod shards;
mod ties;
mod users;

use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderMap;

use crate::attachment::Attachment;
use crate::credential::Credential;
use crate::mapping::{Destination, Middleware, Router};
use crate::rule::Verdict;
pub use compiler::Compiler;
use order::merged;
use shards::Shards;

/// What rules can see of a request. Nothing is copied.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    pub credential: Option<&'a Credential<'a>>,
    pub method: &'a str,
    /// Lower case, without port and trailing dot.
    pub host: &'a str,
    /// Cleaned and decoded: [`crate::Target::path`].
    pub path: &'a str,
    pub query: Option<&'a str>,
    pub headers: &'a HeaderMap,
    /// The socket's peer.
    pub client_ip: IpAddr,
    /// `None` where entry points are not told apart: every router is then on it.
    pub entry_point: Option<&'a str>,
    pub model: Model<'a>,
}

/// The body's `model`, read only where a rule asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model<'a> {
    Unread,
    /// `None`: the body names none (or is no JSON object).
    Read(Option<&'a str>),
}

/// What the table says of a request.
#[derive(Debug, Clone)]
pub enum Decision {
    Forward(Arc<Route>),
    /// The router that wins cannot be used (its service is missing, a guard is not supported): 503, never handed on.
    Broken(Arc<Route>),
    /// The key can only be read from a file that does not check and has no last good content: 503.
    FileBroken,
    /// A rule on the body's model must be decided first: read the body and ask again.
    NeedsModel,
    /// A credential that no router knows: 401.
    UnknownKey,
    /// A known credential, none of whose routers match: 404.
    NoRouter,
    /// No credential and no keyless router: built-in routes or 401.
    Keyless,
}

/// A router with everything it names found.
#[derive(Debug)]
pub struct Route {
    pub router: Arc<Router>,
    /// What makes it unusable, as a sentence for the log.
    pub destination: Result<Destination, Arc<str>>,
    pub middlewares: Box<[Arc<Middleware>]>,
    /// The edge's limits.
    pub attachment: Attachment,
    /// None of its entry points exists: it stays in its place on all of them, so that what it guards is not handed on.
    pub(crate) everywhere: bool,
}

/// An immutable table, shared by `Arc`; requests in flight keep the one they began with.
#[derive(Debug, Default, Clone)]
pub struct Table {
    shards: Shards,
    /// Routers whose keys cannot be listed, in order.
    scanned: Arc<[Arc<Route>]>,
    /// Routers that can serve a request without a credential, in order.
    keyless: Arc<[Arc<Route>]>,
    routers: usize,
}

impl Table {
    pub fn decide(&self, request: &Request<'_>) -> Decision {
        match request.credential {
            Some(credential) => self.keyed(request, credential),
            None => first(self.keyless.iter(), request, Verdict::Keyless).unwrap_or(Decision::Keyless),
        }
    }

    /// Distinct keys pinned exactly.
    pub fn keys(&self) -> usize {
        self.shards.keys()
    }

    pub fn routers(&self) -> usize {
        self.routers
    }

    /// What holds without the key never serves a request that has one: a mistyped key must not open a public route.
    fn keyed(&self, request: &Request<'_>, credential: &Credential<'_>) -> Decision {
        let entry = self.shards.entry(&credential.hash);
        let candidates = || merged(entry.routes(), &self.scanned);
        first(candidates(), request, Verdict::Keyed).unwrap_or_else(|| {
            if candidates().any(|route| route.router.rule.knows(request)) {
                Decision::NoRouter
            } else if entry.is_refused() {
                Decision::FileBroken
            } else {
                Decision::UnknownKey
            }
        })
    }
}

/// The first router, in order, whose rule comes to `wanted`.
fn first<'a>(
    mut routes: impl Iterator<Item = &'a Arc<Route>>,
    request: &Request<'_>,
    wanted: Verdict,
) -> Option<Decision> {
    routes.find_map(|route| {
        if !route.is_on(request.entry_point) {
            return None;
        }
        match route.router.rule.evaluate(request).comes_to(wanted) {
            Some(true) => Some(route.decision()),
            Some(false) => None,
            None => Some(Decision::NeedsModel),
        }
    })
}

impl Route {
    fn is_on(&self, entry_point: Option<&str>) -> bool {
        match (&self.router.entry_points, entry_point) {
            (Some(named), Some(entry_point)) => self.everywhere || named.iter().any(|name| **name == *entry_point),
            _ => true,
        }
    }

    fn decision(self: &Arc<Self>) -> Decision {
        match self.destination {
            Ok(_) => Decision::Forward(self.clone()),
            Err(_) => Decision::Broken(self.clone()),
        }
    }
}

#[cfg(test)]
mod tests;
