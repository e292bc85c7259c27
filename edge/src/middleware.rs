//! What a route's middlewares make of a request and of its answer: its path, its headers, whether it may pass.
//!
//! ```text
//!  route, head ──apply──▶ Changes: target, request headers, response headers, bound on the body
//!                 │
//!                 └─────▶ Refusal (also a browser's preflight, which is answered here)
//! ```
//!
//! Middlewares apply in the order the router names them. What is decided is decided once, from the head; carriers only
//! ask what came out. Limits, retries and circuit breakers are not here. Invariant: the path that is checked is the path
//! that is forwarded; whatever made it, a server-wide one passes only where the rule or `paths` names it.

mod cross_origin;
mod headers;
mod paths;
mod upstream_key;

use std::net::IpAddr;
use std::time::Instant;

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use keymap::{Middleware, MiddlewareKind, Route, Target};

pub(crate) use cross_origin::keyless_preflight;

use crate::error::Refusal;
use crate::rewrite::spells;

/// What differs from a request that is forwarded as it came. A route without middlewares has none.
#[derive(Default)]
pub(crate) struct Changes {
    /// `None`: the client's.
    target: Option<Target>,
    request: HeaderChanges,
    response: HeaderChanges,
    /// The client's origin counts for the answer, and caches are told so.
    varies_by_origin: bool,
    body_bytes_max: Option<u64>,
}

/// Headers that are set or taken away; the last word on a name counts.
#[derive(Default)]
pub(crate) struct HeaderChanges(Vec<(HeaderName, Option<HeaderValue>)>);

/// The head of a request on its way through the middlewares.
pub(crate) struct Asked<'a> {
    pub(crate) target: &'a Target,
    pub(crate) method: &'a Method,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) client: IpAddr,
    pub(crate) now: Instant,
}

/// Applies the route's middlewares. What they changed before one refused is in `changes` all the same: an answer of the
/// edge's own carries it too.
pub(crate) fn apply(route: &Route, asked: &Asked<'_>, changes: &mut Option<Box<Changes>>) -> Result<(), Refusal> {
    if !route.middlewares.is_empty() {
        let changes = changes.insert(Box::default());
        for middleware in route.middlewares.iter() {
            changes.apply(middleware, asked)?;
        }
        changes.check_length(asked.headers)?;
    }
    let forwarded = changes.as_deref().and_then(|changes| changes.target.as_ref());
    let paths = [Some(asked.target), forwarded].into_iter().flatten().map(Target::path);
    for path in paths {
        if !is_open(route, path) {
            return Err(Refusal::ServerWidePath);
        }
    }
    Ok(())
}

/// Whether a path may be forwarded: one that shows or changes the whole server only where it is named.
pub(crate) fn is_open(route: &Route, path: &str) -> bool {
    let named = |middleware: &Middleware| match &middleware.kind {
        MiddlewareKind::Paths(paths) => paths.opens(path),
        _ => false,
    };
    !keymap::is_server_wide(path)
        || route.router.rule.names_path(path)
        || route.middlewares.iter().any(|middleware| named(middleware))
}

impl Changes {
    fn apply(&mut self, middleware: &Middleware, asked: &Asked<'_>) -> Result<(), Refusal> {
        match &middleware.kind {
            MiddlewareKind::IpAllowList(list) if !list.allows(asked.client.to_canonical()) => {
                Err(Refusal::AddressNotAllowed(list.reject_status))
            }
            MiddlewareKind::Paths(paths) if !paths.allows(self.target(asked).path()) => Err(Refusal::PathNotAllowed),
            MiddlewareKind::StripPrefix(strip) => self.rewrite(asked, |target| paths::strip(strip, target)),
            MiddlewareKind::AddPrefix(add) => self.rewrite(asked, |target| paths::add(add, target)),
            MiddlewareKind::ReplacePath(replace) => self.rewrite(asked, |target| paths::replace(replace, target)),
            MiddlewareKind::ReplacePathRegex(replace) => {
                self.rewrite(asked, |target| paths::replace_regex(replace, target))
            }
            MiddlewareKind::Headers(headers) => headers::apply(headers, asked, self),
            MiddlewareKind::UpstreamKey(key) => upstream_key::apply(key, middleware, asked.now, &mut self.request),
            MiddlewareKind::Buffering(buffering) => {
                if let Some(most) = buffering.request_body_bytes_max {
                    let least = self.body_bytes_max.map_or(most, |other| other.min(most));
                    self.body_bytes_max = Some(least);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The request's target as it stands.
    fn target<'a>(&'a self, asked: &'a Asked<'_>) -> &'a Target {
        self.target.as_ref().unwrap_or(asked.target)
    }

    fn rewrite(
        &mut self,
        asked: &Asked<'_>,
        rewrite: impl Fn(&Target) -> Result<Option<paths::Rewritten>, keymap::TargetError>,
    ) -> Result<(), Refusal> {
        if let Some(rewritten) = rewrite(self.target(asked)).map_err(Refusal::BadTarget)? {
            if let Some((name, value)) = rewritten.told {
                self.request.set(name, value);
            }
            self.target = Some(rewritten.target);
        }
        Ok(())
    }

    /// A body of which the head says that it is too long is not waited for.
    fn check_length(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let announced = headers.get(header::CONTENT_LENGTH);
        let announced = announced.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        self.check_body(announced.unwrap_or(0))
    }

    /// Whether so much of a body may pass.
    pub(crate) fn check_body(&self, bytes: u64) -> Result<(), Refusal> {
        match self.body_bytes_max {
            Some(most) if bytes > most => Err(Refusal::BodyTooLarge),
            _ => Ok(()),
        }
    }

    /// `None`: the client's.
    pub(crate) fn forwarded(&self) -> Option<&Target> {
        self.target.as_ref()
    }

    pub(crate) fn forward_to(&mut self, target: Target) {
        self.target = Some(target);
    }

    pub(crate) fn request(&self) -> &HeaderChanges {
        &self.request
    }

    pub(crate) fn response(&self) -> &HeaderChanges {
        &self.response
    }

    /// Headers that are added to those of the same name.
    pub(crate) fn response_added(&self) -> Option<(HeaderName, HeaderValue)> {
        self.varies_by_origin
            .then(|| (header::VARY, HeaderValue::from_static("Origin")))
    }
}

impl HeaderChanges {
    /// For who changes nothing.
    pub(crate) const NONE: &'static Self = &Self(Vec::new());

    fn set(&mut self, name: HeaderName, value: Option<HeaderValue>) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => self.0.push((name, value)),
        }
    }

    /// Whether what came under this name, or under another spelling of it, goes no further.
    pub(crate) fn owns(&self, name: &[u8]) -> bool {
        self.0.iter().any(|(known, _)| spells(name, known.as_str()))
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &HeaderName> {
        self.0.iter().map(|(name, _)| name)
    }

    /// What is sent instead.
    pub(crate) fn each(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        self.0.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)))
    }
}

#[cfg(test)]
mod tests;
