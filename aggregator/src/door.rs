//! The one door before administration and the pages: whatever is mounted behind it has been looked at here.
//!
//! ```text
//!                 Host, Origin          token              body
//!  /admin/* ──▶ this address's? ──▶ admitted, or told ──▶ ≤ 1 MiB ──▶ handler ──▶ headers that shut the browser's doors
//!  /ui      ──▶ this address's? ──────────────────────────────────▶ handler ──▶ headers, a page's policy
//! ```
//!
//! A page brings the token as a program does, in `Authorization`: there are no cookies, so that no other site can make
//! a browser bring it. What is behind [`Door::pages`] is for everybody who reaches the address, and holds no data.
//! No handler asks again; a test asks every route of the router that is not on a list of open ones.
//! Invariant: no name but an allowed one reaches a handler, so that a name of somebody else's that has been pointed at
//! this address (DNS rebinding) reads nothing, `admin.auth.type: none` included.

mod attempts;
mod headers;
mod hosts;
mod refusal;
mod token;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, HttpBody as _, to_bytes};
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};

use self::attempts::Attempts;
pub use self::hosts::AllowedHosts;
pub(crate) use self::refusal::DoorRefusal;
use crate::config_file::CurrentConfig;
use crate::error::ApiError;
use crate::gateway::Peer;

/// Of a request to administration: filters and small documents. Blobs of models have a way of their own.
const BODY_BYTES_MAX: usize = 1 << 20;

/// For all of such a body.
const BODY_PATIENCE: Duration = Duration::from_secs(10);

#[derive(Clone)]
pub(crate) struct Door(Arc<Inner>);

struct Inner {
    settings: Arc<CurrentConfig>,
    hosts: AllowedHosts,
    attempts: Attempts,
}

/// What is behind the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    /// Data and actions: for whoever has the token.
    Admin,
    /// What a browser shows, without any data in it.
    Pages,
}

impl Door {
    pub(crate) fn new(settings: Arc<CurrentConfig>, hosts: AllowedHosts) -> Self {
        Self(Arc::new(Inner {
            settings,
            hosts,
            attempts: Attempts::default(),
        }))
    }

    /// These routes are for whoever has the admin token.
    pub(crate) fn admin<S: Clone + Send + Sync + 'static>(&self, routes: Router<S>) -> Router<S> {
        routes.route_layer(middleware::from_fn_with_state((self.clone(), Side::Admin), pass))
    }

    /// These routes are a page's shell: scripts, styles and markup that are the same for everybody.
    pub(crate) fn pages<S: Clone + Send + Sync + 'static>(&self, routes: Router<S>) -> Router<S> {
        routes.route_layer(middleware::from_fn_with_state((self.clone(), Side::Pages), pass))
    }

    /// Whether this request may act: for a handler that cannot stand behind [`Door::admin`], because its bodies are
    /// large or its errors another dialect's.
    ///
    /// # Errors
    /// Where it comes under a name that is not ours, from a page that is not ours, or without the token.
    pub(crate) fn admit(&self, head: &Parts) -> Result<(), ApiError> {
        self.check_site(Side::Admin, head)?;
        let peer = head.extensions.get::<Peer>().map(|peer| peer.0);
        self.check_token(&head.headers, peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)))
    }

    /// Whether whoever was let in with these headers would be let in now: an answer that lasts ends with its token.
    ///
    /// # Errors
    /// Where the token is another by now.
    pub(crate) fn still_admits(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        token::admit(&self.0.settings.load().admin, headers)
    }

    fn check_site(&self, side: Side, head: &Parts) -> Result<(), ApiError> {
        let host = self.0.hosts.named_in(head).ok_or(DoorRefusal::Host)?;
        if !self.0.hosts.is_own_origin(&host, &head.headers) {
            return Err(DoorRefusal::Origin.into());
        }
        if side == Side::Admin && hosts::is_from_another_site(&head.headers) {
            return Err(DoorRefusal::Origin.into());
        }
        Ok(())
    }

    /// Only a token that is wrong counts as an attempt: to bring none is how one finds out that one is wanted.
    fn check_token(&self, headers: &HeaderMap, peer: IpAddr) -> Result<(), ApiError> {
        let now = Instant::now();
        self.0.attempts.admit(peer, now).map_err(DoorRefusal::Attempts)?;
        let admitted = self.still_admits(headers);
        if matches!(admitted, Err(ApiError::AdminToken)) && token::is_brought(headers) {
            self.0.attempts.failed(peer, now);
        }
        admitted
    }
}

async fn pass(State((door, side)): State<(Door, Side)>, request: Request, next: Next) -> Response {
    let mut response = match examined(&door, side, request).await {
        Ok(request) => next.run(request).await,
        Err(error) => error.into_response(),
    };
    headers::shut(side, response.headers_mut());
    response
}

async fn examined(door: &Door, side: Side, request: Request) -> Result<Request, ApiError> {
    let (head, body) = request.into_parts();
    match side {
        Side::Pages => {
            door.check_site(side, &head)?;
            // A page's shell reads nothing.
            Ok(Request::from_parts(head, Body::empty()))
        }
        Side::Admin => {
            door.admit(&head)?;
            let body = bounded(body).await?;
            Ok(Request::from_parts(head, body))
        }
    }
}

async fn bounded(body: Body) -> Result<Body, DoorRefusal> {
    if body.is_end_stream() {
        return Ok(body);
    }
    if body.size_hint().lower() > BODY_BYTES_MAX as u64 {
        return Err(DoorRefusal::BodySize);
    }
    match tokio::time::timeout(BODY_PATIENCE, to_bytes(body, BODY_BYTES_MAX)).await {
        Ok(Ok(bytes)) => Ok(Body::from(bytes)),
        Ok(Err(_)) => Err(DoorRefusal::BodySize),
        Err(_) => Err(DoorRefusal::BodySlow),
    }
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door")
            .field("hosts", &self.0.hosts)
            .finish_non_exhaustive()
    }
}
