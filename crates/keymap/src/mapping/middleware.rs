//! `http.middlewares.NAME`: what is done to a router's requests on their way.
//!
//! These are settings, checked: what acts on them, and what it remembers, is the edge's. Folders may hold one for each
//! key, so what few need is boxed.

mod guards;
mod headers;
mod limits;
mod paths;
mod resilience;

use std::sync::Arc;

pub use guards::{Buffering, Capture, CaptureLoss, CaptureMode, IpAllowList, KeySource, UpstreamKey};
pub use headers::{CrossOrigin, HeaderChange, Headers};
pub use limits::{CountedTokens, FairShare, InFlightReq, Models, RateLimit, TokenLimit, Validity, ValidityState};
pub use paths::{AddPrefix, PathPattern, Paths, ReplacePath, ReplacePathRegex, StripPrefix};
pub use resilience::{CircuitBreaker, Retry};

use crate::attachment::Attachment;
use document::Position;

#[derive(Debug)]
pub struct Middleware {
    pub name: Arc<str>,
    pub kind: MiddlewareKind,
    pub position: Position,
    /// What the edge keeps for all routers that use it; what is a router's own hangs on its [`crate::Route`].
    pub attachment: Attachment,
}

#[derive(Debug, Clone, PartialEq)]
pub enum MiddlewareKind {
    AddPrefix(AddPrefix),
    Buffering(Buffering),
    Capture(Capture),
    /// Other middlewares by name, in order. A route never holds one: the table puts in what the names stand for.
    Chain(Box<[Arc<str>]>),
    CircuitBreaker(Box<CircuitBreaker>),
    FairShare(FairShare),
    Headers(Box<Headers>),
    InFlightReq(InFlightReq),
    IpAllowList(IpAllowList),
    Models(Models),
    Paths(Paths),
    RateLimit(RateLimit),
    ReplacePath(ReplacePath),
    ReplacePathRegex(Box<ReplacePathRegex>),
    Retry(Retry),
    StripPrefix(StripPrefix),
    TokenLimit(TokenLimit),
    UpstreamKey(Box<UpstreamKey>),
    Validity(Validity),
    /// Not acted on, and it guards (authentication, allow-list, limit) or redirects: a router that uses it refuses.
    UnsupportedGuard(Arc<str>),
    /// Not acted on, and it decorates (compression, …): a router that uses it works without, and a warning names it.
    UnsupportedOther(Arc<str>),
}
