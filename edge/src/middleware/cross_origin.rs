//! CORS: which other origins a browser may call from.
//!
//! A browser asks first (a preflight: `OPTIONS` with `Access-Control-Request-Method`), and is answered here. It asks
//! without the key, so no router of a key can be found by it: any route's `headers` that allow its origin answer.
//! What they say opens nothing, for the call itself needs the key.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use keymap::{CrossOrigin, Middleware, MiddlewareKind};

use super::{Asked, Changes};
use crate::error::Refusal;

/// For a preflight: its answer, as a refusal to forward it. For anything else: what the server's answer says besides.
pub(super) fn apply(cross_origin: &CrossOrigin, asked: &Asked<'_>, changes: &mut Changes) -> Result<(), Refusal> {
    let origin = origin_of(asked.headers);
    if is_preflight(asked.method, asked.headers) {
        answer_preflight(cross_origin, origin, changes);
        return Err(Refusal::Preflight);
    }
    allow(cross_origin, origin, changes);
    if let Some(exposed) = &cross_origin.expose_headers {
        let name = header::ACCESS_CONTROL_EXPOSE_HEADERS;
        changes.response.set(name, Some(exposed.clone()));
    }
    changes.varies_by_origin |= cross_origin.vary;
    Ok(())
}

/// The answer to a preflight that no router takes, where somebody's `headers` allow its origin.
pub(crate) fn keyless_preflight(
    method: &Method,
    headers: &HeaderMap,
    middlewares: &[Arc<Middleware>],
) -> Option<Box<Changes>> {
    if middlewares.is_empty() || !is_preflight(method, headers) {
        return None;
    }
    let origin = origin_of(headers)?;
    let allowing = middlewares.iter().find_map(|middleware| match &middleware.kind {
        MiddlewareKind::Headers(headers) => headers
            .cross_origin
            .as_ref()
            .filter(|cross_origin| cross_origin.allowed(origin).is_some()),
        _ => None,
    })?;
    let mut changes = Box::<Changes>::default();
    answer_preflight(allowing, Some(origin), &mut changes);
    Some(changes)
}

fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::OPTIONS
        && headers.contains_key(header::ORIGIN)
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

fn origin_of(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::ORIGIN)?.to_str().ok()
}

fn answer_preflight(cross_origin: &CrossOrigin, origin: Option<&str>, changes: &mut Changes) {
    allow(cross_origin, origin, changes);
    let mut say = |name: HeaderName, value: &Option<HeaderValue>| {
        if let Some(value) = value {
            changes.response.set(name, Some(value.clone()));
        }
    };
    say(header::ACCESS_CONTROL_ALLOW_HEADERS, &cross_origin.allow_headers);
    say(header::ACCESS_CONTROL_ALLOW_METHODS, &cross_origin.allow_methods);
    let max_age = HeaderValue::from(cross_origin.max_age_seconds);
    say(header::ACCESS_CONTROL_MAX_AGE, &Some(max_age));
    // Another origin may get another answer.
    changes.varies_by_origin = true;
}

/// The server's own words about origins do not count beside ours.
fn allow(cross_origin: &CrossOrigin, origin: Option<&str>, changes: &mut Changes) {
    let allowed = origin.and_then(|origin| cross_origin.allowed(origin));
    let allowed = allowed.and_then(|allowed| HeaderValue::from_str(allowed).ok());
    changes.response.set(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
    let credentials = cross_origin.allow_credentials.then(|| HeaderValue::from_static("true"));
    changes
        .response
        .set(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, credentials);
}
