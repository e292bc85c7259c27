//! The compiled table: keys pinned exactly in one hash, the rest by priority; equal to a linear scan by priority.
//!
//! ```text
//!  with a credential     SHA-256 ──▶ shard ──▶ slot: is its first router plainly open? ──▶ that one
//!                                               │ or else
//!                                               ├─ the key's few routers ─┐
//!                                               └─ scanned routers ───────┴─▶ by priority, the first that is Keyed
//!  without one           keyless routers ───────────────────────────────────▶ by priority, the first that is Keyless
//! ```
//!
//! A router is indexed under every key its rule can be opened with; one whose keys cannot be listed is scanned. An index
//! only narrows the choice: the whole rule is evaluated in the end.

mod compiler;
mod cross_origin;
mod definitions;
mod entry_points;
mod index;
mod links;
mod order;
mod problems;
mod shards;
mod ties;
mod used;
mod users;
mod watched;

use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderMap;

use crate::attachment::Attachment;
use crate::credential::Credential;
use crate::mapping::{Destination, Middleware, Router, Service};
use crate::rule::Verdict;
pub use compiler::Compiler;
use entry_points::{EntryPoints, Points};
use order::merged;
use shards::{Priority, Shards};

/// What rules can see of a request. Nothing is copied.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// What [`Credential::from_headers`] read from `headers`.
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
    /// In the order they apply, chains taken apart. Most routes share the empty list.
    pub middlewares: Arc<[Arc<Middleware>]>,
    /// What the edge keeps for this router: limits, for one.
    pub attachment: Attachment,
    /// None of its entry points exists: it stays in its place on all of them, so that what it guards is not handed on.
    pub(crate) everywhere: bool,
    /// Where it is, as far as entry points have bits.
    pub(crate) points: Points,
}

/// An immutable table, shared by `Arc`; requests in flight keep the one they began with.
#[derive(Debug, Default, Clone)]
pub struct Table {
    shards: Shards,
    entry_points: EntryPoints,
    /// Routers whose keys cannot be listed, in order.
    scanned: Arc<[Arc<Route>]>,
    /// The priority of the first of these.
    scanned_from: Option<Priority>,
    /// Routers that can serve a request without a credential, in order.
    keyless: Arc<[Arc<Route>]>,
    cross_origins: Arc<[Arc<Middleware>]>,
    watched: Arc<[Arc<Service>]>,
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

    /// The `headers` middlewares of usable routers that let other origins call, by name: for a browser that asks before
    /// it calls, which it does without the key.
    pub fn cross_origins(&self) -> &[Arc<Middleware>] {
        &self.cross_origins
    }

    /// The services of usable routers whose servers are asked how they are: by a `healthCheck`, or for their slots. By
    /// name; services below them are theirs to visit.
    pub fn watched(&self) -> &[Arc<Service>] {
        &self.watched
    }

    /// What holds without the key never serves a request that has one: a mistyped key must not open a public route.
    fn keyed(&self, request: &Request<'_>, credential: &Credential<'_>) -> Decision {
        let entry = self.shards.entry(&credential.hash);
        let at = request.entry_point.map(|name| self.entry_points.named([name]));
        if let Some(route) = entry
            .slot
            .and_then(|slot| slot.plainly_open(credential, at, self.scanned_from))
        {
            return Decision::Forward(route.clone());
        }
        if entry.slot.is_none() && self.scanned.is_empty() {
            return entry.stranger();
        }
        let candidates = || merged(entry.routes(), &self.scanned);
        first(candidates(), request, Verdict::Keyed).unwrap_or_else(|| {
            if candidates().any(|route| route.router.rule.knows(request)) {
                Decision::NoRouter
            } else {
                entry.stranger()
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
