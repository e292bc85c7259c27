//! One request's decisions and state, from its head to its account. It moves no bytes: a carrier asks it.
//!
//! ```text
//!  open ──▶ Forward ──────────────▶ pick ──▶ origin, write_target ──▶ judge ──▶ response_head ──▶ close
//!    │ └──▶ ReadBody ──▶ body_read ─┘ ▲              │                  │
//!    └────▶ Refuse                    └ server_unreachable, passes_over ┘ (before the first response byte)
//! ```

mod account;
mod attempts;
mod bytes;
mod changed;
mod destination;
mod head;
mod kept;
mod limited;
mod pace;
mod tail;
mod traced;
mod turn;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use http::{HeaderMap, HeaderValue, header};
use keymap::{Decision, KeyHash, Model, Route, Target};

pub(crate) use account::Outcome;
use attempts::Attempts;
pub(crate) use attempts::Failure;
pub(crate) use destination::Destination;
pub(crate) use head::Head;
pub(crate) use turn::Turn;

use crate::admission::{Admission, AskedBody, Ruling};
use crate::balance::Balancer;
use crate::breaker;
use crate::error::Refusal;
use crate::limits::fair::gate::FairSlot;
use crate::metrics::UpstreamFailure;
use crate::middleware::{Changes, keyless_preflight};
use crate::plane::Plane;
use crate::request_id::RequestId;
use crate::rewrite::Origin;
use crate::streams::Stream;

use crate::upstream::Upstream;

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
    /// What its route's middlewares made of it. `None`: it goes as it came.
    changes: Option<Box<Changes>>,
    body_is_here: bool,
    attempts: Attempts,
    /// It has a body, or may have.
    brings_body: bool,
    /// What its route's limits made of it. `None`: it has none.
    admission: Option<Box<Admission>>,
    /// How it goes, once it was let through.
    seen: Option<pace::Seen>,
    /// One of its service's slots, where those are counted.
    slot: Option<FairSlot>,
    /// One of its key's, where those are bounded.
    stream: Option<Stream>,
    /// Its route's circuit breakers let it through.
    passed_breakers: bool,
    request_bytes: u64,
    response_bytes: u64,
    status: Option<u16>,
    tail: tail::Tail,
    /// `None`: its trace is not kept.
    traced: Option<Box<traced::Traced>>,
    /// Keeps what passes. `None`: nobody wants it kept.
    recorder: Option<Box<capture::Recorder>>,
}

impl Exchange {
    /// Decides what becomes of a request from its head, which came just now.
    pub(crate) fn open(
        plane: Arc<Plane>,
        entry_point: Option<Arc<str>>,
        head: &Head<'_>,
        came: Instant,
    ) -> (Self, Verdict) {
        let client = plane.trusted_proxies.client(head.client.ip(), head.tls, head.headers);
        let mut exchange = Self {
            traced: traced::Traced::begin(plane.tracer.as_ref(), head.headers),
            plane,
            entry_point,
            started: came,
            client: SocketAddr::new(client.address, head.client.port()),
            tls: client.tls,
            request_id: RequestId::of(head.headers),
            method: head.method.clone(),
            target: None,
            route: None,
            destination: None,
            changes: None,
            body_is_here: false,
            attempts: Attempts::default(),
            brings_body: head.brings_body(),
            admission: None,
            seen: None,
            slot: None,
            stream: None,
            passed_breakers: false,
            request_bytes: 0,
            response_bytes: 0,
            status: None,
            tail: tail::Tail::default(),
            recorder: None,
        };
        let verdict = match exchange.read_head(head) {
            Ok(()) => exchange.decide(head.headers, None),
            Err(refusal) => Verdict::Refuse(refusal),
        };
        (exchange, verdict)
    }

    /// The same decision once the body is known.
    pub(crate) fn body_read(&mut self, headers: &HeaderMap, body: &[u8]) -> Verdict {
        self.body_is_here = true;
        self.request_bytes = body.len() as u64;
        let content_type = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let verdict = match crate::model::in_body(content_type.unwrap_or_default(), body) {
            Ok(model) => {
                let body = AskedBody {
                    bytes: body,
                    model: model.as_ref(),
                };
                let verdict = self.decide(headers, Some(body));
                if self.balancer().is_some_and(|balancer| balancer.wants_conversation) {
                    self.look_up_conversation(headers, body.bytes);
                }
                verdict
            }
            Err(error) => Verdict::Refuse(Refusal::BadModel(error)),
        };
        self.keep_request(body);
        verdict
    }

    fn read_head(&mut self, head: &Head<'_>) -> Result<(), Refusal> {
        let target = Target::parse(head.target).map_err(Refusal::BadTarget)?;
        if !head::names_one_host(&target, head.headers) {
            return Err(Refusal::BadRequest);
        }
        // Of a whole server only its options can be asked for (RFC 9112, 3.2.4).
        if target.forward_path() == "*" && head.method != http::Method::OPTIONS {
            return Err(Refusal::BadTarget(keymap::TargetError::Form));
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

    /// `body`: where it was read.
    fn decide(&mut self, headers: &HeaderMap, body: Option<AskedBody<'_>>) -> Verdict {
        let Some(target) = &self.target else {
            return Verdict::Refuse(Refusal::BadRequest);
        };
        // Where the path names a model, that is the one that answers, whatever a body says.
        let model = match (crate::model::in_path(&self.method, target), body) {
            (Ok(Some(named)), _) => Model::Read(Some(named.name)),
            (Ok(None), Some(body)) => Model::Read(body.model_name()),
            (Ok(None), None) => Model::Unread,
            (Err(error), _) => return Verdict::Refuse(Refusal::BadTarget(error)),
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
        let mappings = self.plane.mappings.load();
        let decision = mappings.table.decide(&request);
        if let Decision::Keyless = decision
            && let Some(answer) = keyless_preflight(&self.method, headers, mappings.table.cross_origins())
        {
            self.changes = Some(answer);
            return Verdict::Refuse(Refusal::Preflight);
        }
        drop(mappings);
        let key = credential.as_ref().map(|credential| credential.hash);
        match self.destination_of(decision).and_then(|found| self.count(key, found)) {
            Ok(Some(destination)) => {
                if let Err(refusal) = self.change(headers) {
                    return Verdict::Refuse(refusal);
                }
                self.destination = Some(destination);
                self.prepare_attempts(headers);
                if self.wants_conversation(headers) {
                    return Verdict::ReadBody;
                }
                if let Err(status) = self.ask_breakers() {
                    return Verdict::Refuse(Refusal::CircuitOpen(status));
                }
                match self.admit(headers, body) {
                    Ruling::Pass => {}
                    Ruling::NeedsBody => return Verdict::ReadBody,
                    Ruling::Refuse(refusal) => return Verdict::Refuse(refusal),
                }
                self.recorder = crate::tap::begin(&self.plane, &self.described(Some(headers)));
                Verdict::Forward
            }
            Ok(None) => Verdict::ReadBody,
            Err(refusal) => Verdict::Refuse(refusal),
        }
    }

    /// Takes one of its key's places, where those are bounded. One whose body is read first has it meanwhile.
    fn count<T>(&mut self, key: Option<KeyHash>, found: T) -> Result<T, Refusal> {
        if let (Some(streams), Some(key), None) = (&self.plane.streams, key, &self.stream) {
            self.stream = Some(streams.begin(key).ok_or(Refusal::TooManyAtOnce)?);
        }
        Ok(found)
    }

    /// Once: of a breaker that takes traffic up again, each that it lets through is part of what it lets through.
    fn ask_breakers(&mut self) -> Result<(), u16> {
        if let Some(route) = self.route.as_ref().filter(|_| !self.passed_breakers) {
            breaker::admit(route, self.started)?;
            self.passed_breakers = true;
        }
        Ok(())
    }

    /// `None`: the body must be read first.
    fn destination_of(&mut self, decision: Decision) -> Result<Option<Destination>, Refusal> {
        let path = self.target.as_ref().map_or("", Target::path);
        match decision {
            Decision::Forward(route) => {
                let destination = destination::of_route(&route, &self.plane);
                self.route = Some(route);
                destination.map(Some)
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

    /// A connection that died while it was idle in the pool: the same server deserves a fresh one.
    pub(crate) fn connection_was_stale(&self) {
        self.plane.metrics.upstream_failed(UpstreamFailure::StaleConnection);
    }

    fn balancer(&self) -> Option<&Balancer> {
        self.destination.as_ref()?.balancer(&self.plane)
    }

    /// What the server gets as its request target: cleaned, with the server's own path before it where asked for.
    pub(crate) fn write_target(&self, out: &mut Vec<u8>) {
        let target = self.forwarded().map_or("/", Target::forward);
        if target.starts_with('/') {
            out.extend_from_slice(self.current_server().map_or("", Upstream::path_prefix).as_bytes());
        }
        out.extend_from_slice(target.as_bytes());
    }

    /// The headers that the edge speaks for on the way to the current server.
    pub(crate) fn origin<'a>(&'a self, headers: &'a HeaderMap, continued: bool) -> Origin<'a> {
        // HTTP/1.0 may come without; HTTP/1.1, in which it leaves, may not.
        let lacks_host = !headers.contains_key(header::HOST);
        let server = self.member().filter(|member| lacks_host || !member.terms.passes_host);
        let server = server.map(|member| &member.upstream);
        Origin {
            request_id: self.request_id.as_bytes(),
            client: self.client.ip(),
            tls: self.tls,
            client_host: headers.get(header::HOST).map(|host| host.as_bytes()),
            server_host: server.map(|server| server.host_header.as_bytes()),
            continued: continued || self.body_is_here,
            as_it_is: self.reads_answer(),
            kept_as: self.kept_as(),
            trace: self.traced.as_ref().map(|traced| &traced.begun),
            changes: self.request_changes(),
        }
    }

    /// Whose it is.
    pub(crate) fn router(&self) -> Option<&Arc<str>> {
        self.route.as_ref().map(|route| &route.router.name)
    }

    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// What a browser is told so that it comes back with TLS only.
    pub(crate) fn hsts(&self) -> Option<&HeaderValue> {
        let front = self.plane.tls.front.as_ref().filter(|_| self.tls)?;
        front.hsts.as_ref()
    }

    pub(crate) fn request_id(&self) -> &[u8] {
        self.request_id.as_bytes()
    }
}
