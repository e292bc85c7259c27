//! The `headers` middlewares in use that say which other origins may call.
//!
//! A browser asks before it calls (a preflight), and asks without the key: no router of a key can be found by it. What
//! it is told allows nothing that the key does not open, so any of these may answer.

use std::sync::Arc;

use super::Route;
use crate::mapping::{Middleware, MiddlewareKind};

pub(super) fn of(route: &Route) -> impl Iterator<Item = &Arc<Middleware>> {
    let usable = route.destination.is_ok();
    route.middlewares.iter().filter(move |middleware| {
        let MiddlewareKind::Headers(headers) = &middleware.kind else {
            return false;
        };
        usable && headers.cross_origin.is_some()
    })
}
