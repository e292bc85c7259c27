//! One request's decisions and state, from its head to its account. It moves no bytes: a carrier asks it.
//!
//! ```text
//!  open ──▶ Forward ──────────────▶ next_server ──▶ origin, write_target ──▶ response_head ──▶ close
//!    │ └──▶ ReadBody ──▶ body_read ─┘     ▲                   │
//!    └────▶ Refuse                        └ server_unreachable┘ (before the first response byte)
//! ```

mod account;
mod destination;
mod head;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use http::{HeaderMap, header};
use keymap::{Decision, Model, Route, Target};

pub(crate) use account::Outcome;
use destination::Destination;
pub(crate) use head::Head;

use crate::balance::ServerSet;
use crate::error::Refusal;
use crate::metrics::UpstreamFailure;
use crate::plane::Plane;
use crate::request_id::RequestId;
use crate::rewrite::Origin;
use crate::upstream::Upstream;

/// Attempts at servers in one exchange. Three distinct servers that cannot be reached are a fault that a fourth
/// attempt hides rather than mends.
const ATTEMPTS_MAX: u32 = 3;

pub(crate) enum Verdict {
    Forward,
    /// A rule on the body's model decides: read the body whole and call [`Exchange::body_read`].
    ReadBody,
    Refuse(Refusal),
}

pub(crate) struct Exchange {
    plane: Arc<Plane>,
    entry_point: Option<Arc<str>>,
    started: Instant,
    client: SocketAddr,
    tls: bool,
    request_id: RequestId,
    method: http::Method,
    target: Option<Target>,
    route: Option<Arc<Route>>,
    destination: Option<Destination>,
    body_is_here: bool,
    tried: Vec<usize>,
    server: Option<usize>,
    attempts: u32,
    request_bytes: u64,
    response_bytes: u64,
    status: Option<u16>,
}

impl Exchange {
    /// Decides what becomes of a request from its head.
    pub(crate) fn open(plane: Arc<Plane>, entry_point: Option<Arc<str>>, head: &Head<'_>) -> (Self, Verdict) {
        let client = plane.trusted_proxies.client(head.client.ip(), head.tls, head.headers);
        let mut exchange = Self {
            plane,
            entry_point,
            started: Instant::now(),
            client: SocketAddr::new(client.address, head.client.port()),
            tls: client.tls,
            request_id: RequestId::of(head.headers),
            method: head.method.clone(),
            target: None,
            route: None,
            destination: None,
            body_is_here: false,
            tried: Vec::new(),
            server: None,
            attempts: 0,
            request_bytes: 0,
            response_bytes: 0,
            status: None,
        };
        let verdict = match exchange.read_head(head) {
            Ok(()) => exchange.decide(head.headers, Model::Unread),
            Err(refusal) => Verdict::Refuse(refusal),
        };
        (exchange, verdict)
    }

    /// The same decision once the body is known.
    pub(crate) fn body_read(&mut self, headers: &HeaderMap, body: &[u8]) -> Verdict {
        self.body_is_here = true;
        self.request_bytes = body.len() as u64;
        match crate::model::model_of(body) {
            Ok(model) => self.decide(headers, Model::Read(model.as_deref())),
            Err(error) => Verdict::Refuse(Refusal::BadModel(error)),
        }
    }

    fn read_head(&mut self, head: &Head<'_>) -> Result<(), Refusal> {
        let target = Target::parse(head.target).map_err(Refusal::BadTarget)?;
        if !head::names_one_host(&target, head.headers) {
            return Err(Refusal::BadRequest);
        }
        self.target = Some(target);
        if head
            .content_length
            .is_some_and(|length| length > self.plane.bounds.body_bytes_max)
        {
            return Err(Refusal::BodyTooLarge);
        }
        Ok(())
    }

    fn decide(&mut self, headers: &HeaderMap, model: Model<'_>) -> Verdict {
        let Some(target) = &self.target else {
            return Verdict::Refuse(Refusal::BadRequest);
        };
        let credential = match keymap::Credential::from_headers(headers) {
            Ok(credential) => credential,
            Err(keymap::CredentialConflict) => return Verdict::Refuse(Refusal::CredentialConflict),
        };
        let request = keymap::Request {
            credential: credential.as_ref(),
            method: self.method.as_str(),
            host: &head::host(target, headers),
            path: target.path(),
            query: target.query(),
            headers,
            client_ip: self.client.ip().to_canonical(),
            entry_point: self.entry_point.as_deref(),
            model,
        };
        let decision = self.plane.mappings.load().table.decide(&request);
        match self.destination_of(decision) {
            Ok(Some(destination)) => {
                self.destination = Some(destination);
                Verdict::Forward
            }
            Ok(None) => Verdict::ReadBody,
            Err(refusal) => Verdict::Refuse(refusal),
        }
    }

    /// `None`: the body must be read first.
    fn destination_of(&mut self, decision: Decision) -> Result<Option<Destination>, Refusal> {
        let path = self.target.as_ref().map_or("", Target::path);
        match decision {
            Decision::Forward(route) => {
                let opened = !keymap::is_server_wide(path) || route.router.rule.names_path(path);
                let destination = destination::of_route(&route, &self.plane);
                self.route = Some(route);
                if opened {
                    destination.map(Some)
                } else {
                    Err(Refusal::ServerWidePath)
                }
            }
            Decision::Broken(route) => {
                self.route = Some(route);
                Err(Refusal::BrokenRouter)
            }
            Decision::NeedsModel if self.body_is_here => Err(Refusal::NoRouter),
            Decision::NeedsModel => Ok(None),
            Decision::FileBroken => Err(Refusal::BrokenFile),
            Decision::UnknownKey => Err(Refusal::UnknownKey),
            Decision::NoRouter => Err(Refusal::NoRouter),
            Decision::Keyless if crate::keyless::is_built_in(&self.method, path) => {
                destination::aggregator(&self.plane).map(Some)
            }
            Decision::Keyless => Err(Refusal::NoKey),
        }
    }

    /// The server to try next.
    pub(crate) fn next_server(&mut self) -> Result<&Upstream, Refusal> {
        let servers = self.servers().ok_or(Refusal::NoServer)?;
        // What was tried and could not be reached says more than that nothing is left.
        let nothing_left = if self.attempts == 0 {
            Refusal::NoServer
        } else {
            Refusal::UpstreamFailed
        };
        if self.attempts >= ATTEMPTS_MAX {
            return Err(nothing_left);
        }
        let index = servers.next(&self.tried).ok_or(nothing_left)?;
        self.server = Some(index);
        self.attempts += 1;
        self.current_server().ok_or(Refusal::NoServer)
    }

    /// The current server cannot be reached: do not pick it again.
    pub(crate) fn server_unreachable(&mut self) {
        self.tried.extend(self.server);
        self.plane.metrics.upstream_failed(UpstreamFailure::Connect);
    }

    /// A connection that died while it was idle in the pool: the same server deserves a fresh one.
    pub(crate) fn connection_was_stale(&self) {
        self.plane.metrics.upstream_failed(UpstreamFailure::StaleConnection);
    }

    pub(crate) fn current_server(&self) -> Option<&Upstream> {
        self.servers()?.get(self.server?)
    }

    fn servers(&self) -> Option<&ServerSet> {
        self.destination.as_ref()?.servers()
    }

    /// What the server gets as its request target: cleaned, with the server's own path before it where asked for.
    pub(crate) fn write_target(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.current_server().map_or("", Upstream::path_prefix).as_bytes());
        out.extend_from_slice(self.target.as_ref().map_or("/", Target::forward).as_bytes());
    }

    /// The headers that the edge speaks for on the way to the current server.
    pub(crate) fn origin<'a>(&'a self, headers: &'a HeaderMap, continued: bool) -> Origin<'a> {
        let pass_host = self.destination.as_ref().is_some_and(Destination::passes_host);
        let server = self.current_server().filter(|_| !pass_host);
        Origin {
            request_id: self.request_id.as_bytes(),
            client: self.client.ip(),
            tls: self.tls,
            client_host: headers.get(header::HOST).map(|host| host.as_bytes()),
            server_host: server.map(|server| server.host_header.as_bytes()),
            continued: continued || self.body_is_here,
        }
    }

    /// Counts a piece of the request's body on its way.
    ///
    /// # Errors
    /// Where the body outgrows its bound.
    pub(crate) fn request_chunk(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.request_bytes += bytes as u64;
        if self.request_bytes > self.plane.bounds.body_bytes_max {
            Err(Refusal::BodyTooLarge)
        } else {
            Ok(())
        }
    }

    /// A server's final answer begins: from here on nothing is tried again.
    pub(crate) fn response_head(&mut self, status: u16) {
        self.status = Some(status);
    }

    pub(crate) fn response_chunk(&mut self, bytes: usize) {
        self.response_bytes += bytes as u64;
    }

    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    pub(crate) fn request_id(&self) -> &[u8] {
        self.request_id.as_bytes()
    }
}
