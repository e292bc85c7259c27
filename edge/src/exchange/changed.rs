//! What its route's middlewares made of an exchange, as the rest of it and the carriers ask for it.

use http::{HeaderMap, HeaderName, HeaderValue};
use keymap::Target;

use super::Exchange;
use crate::error::Refusal;
use crate::middleware::{self, Asked, Changes, HeaderChanges};
use crate::upstream::Upstream;

impl Exchange {
    /// Applies the middlewares, and checks the path that comes of it. A request without a route passes.
    pub(super) fn change(&mut self, headers: &HeaderMap) -> Result<(), Refusal> {
        let (Some(route), Some(target)) = (&self.route, &self.target) else {
            return Ok(());
        };
        let asked = Asked {
            target,
            method: &self.method,
            headers,
            client: self.client.ip(),
            now: self.started,
        };
        middleware::apply(route, &asked, &mut self.changes)?;
        // Where the body was read first, it is all here.
        self.check_body()
    }

    pub(super) fn check_body(&self) -> Result<(), Refusal> {
        match &self.changes {
            Some(changes) => changes.check_body(self.request_bytes),
            None => Ok(()),
        }
    }

    /// A server's own path may make a server-wide one of a path that is none.
    pub(super) fn check_whole_path(&self) -> Result<(), Refusal> {
        let prefix = self.current_server().map_or("", Upstream::path_prefix);
        let (Some(route), Some(target)) = (&self.route, self.forwarded()) else {
            return Ok(());
        };
        if prefix.is_empty() || middleware::is_open(route, &[prefix, target.path()].concat()) {
            Ok(())
        } else {
            Err(Refusal::ServerWidePath)
        }
    }

    /// The target as it is forwarded, without the server's own path.
    pub(super) fn forwarded(&self) -> Option<&Target> {
        let changed = self.changes.as_deref().and_then(Changes::forwarded);
        changed.or(self.target.as_ref())
    }

    pub(super) fn request_changes(&self) -> &HeaderChanges {
        self.changes.as_deref().map_or(HeaderChanges::NONE, Changes::request)
    }

    /// What answers say in the place of what the server said.
    pub(crate) fn response_changes(&self) -> &HeaderChanges {
        self.changes.as_deref().map_or(HeaderChanges::NONE, Changes::response)
    }

    /// What answers say besides.
    pub(crate) fn response_added(&self) -> Option<(HeaderName, HeaderValue)> {
        self.changes.as_deref().and_then(Changes::response_added)
    }
}
