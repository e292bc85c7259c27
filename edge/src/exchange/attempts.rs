//! Where an exchange was tried, where it is now, and whether it is tried once more.
//!
//! ```text
//!  pick ──▶ a server ──▶ unreachable ───────────────────────────────▶ pick    nothing was sent: it costs nobody anything
//!   │ └───▶ wait so long, pick again                                          all that could take it load their model
//!   │                └▶ broke off, lost, 502, 503, 504 ─▶ passes_over? ─▶ pick    paid for from the service's retry budget
//!   └─────▶ nothing left: a refusal                            └ no: the answer stands
//! ```
//!
//! Invariant: once an answer has begun nothing is tried again; and an exchange is sent to no more than [`SENT_MAX`] servers
//! (or as often as the `retry` middleware says), whatever happens.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderValue, header};
use keymap::{MiddlewareKind, Retry};

use super::Exchange;
use crate::balance::prefix::Conversation;
use crate::balance::{Ask, Found, LOADING_WAIT_MAX, Member, Pick, Terms, Waiting};
use crate::error::Refusal;
use crate::metrics::UpstreamFailure;
use crate::upstream::Upstream;

/// Servers that one exchange is sent to. Three that fail with it in hand are a fault that a fourth hides rather than
/// mends, or one that the request brings with it.
const SENT_MAX: u32 = 3;

/// Servers that were tried and not reached. Each may take the whole connect time-out.
const REFUSED_MAX: u32 = 8;

/// Between two looks at whether a model is loaded.
const LOOK_MIN: Duration = Duration::from_millis(20);
const LOOK_MAX: Duration = Duration::from_millis(250);

#[derive(Default)]
pub(super) struct Attempts {
    /// The client's `Cookie`, where a service asks for it.
    cookie: Option<HeaderValue>,
    conversation: Option<Box<Conversation>>,
    tried: Vec<Arc<Member>>,
    pub(super) pick: Option<Pick>,
    /// Found when it was asked whether there is one.
    next: Option<Pick>,
    /// Before the next attempt.
    pause: Option<Duration>,
    pub(super) count: u32,
    sent: u32,
    refused: u32,
    /// When this one began, where its time counts.
    began: Option<Instant>,
    waiting: Option<(Instant, Waiting)>,
    waited_enough: bool,
}

/// Why a server that was sent the request gave no answer worth passing on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The connection broke before the answer's first byte.
    Broke,
    /// It took longer than configured.
    TooSlow,
    /// Its health check failed while it was waited for.
    Lost,
}

/// llama-server says this with 503 while it reads its model.
const LOADING: &[u8] = b"Loading model";

impl Exchange {
    /// What of the head the choice of a server needs.
    pub(super) fn prepare_attempts(&mut self, headers: &HeaderMap) {
        let wants_cookie = self.balancer().is_some_and(|balancer| balancer.wants_cookie);
        self.attempts.cookie = headers.get(header::COOKIE).filter(|_| wants_cookie).cloned();
    }

    /// Whether the body must be read because what it says chooses the server.
    pub(super) fn wants_conversation(&mut self, headers: &HeaderMap) -> bool {
        if self.body_is_here || !self.balancer().is_some_and(|balancer| balancer.wants_conversation) {
            return false;
        }
        let length = headers
            .get(header::CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok());
        let looked_at = |bytes: u64| bytes > 0 && bytes <= affinity::LOOKED_AT_MAX as u64;
        let is_read = length.map_or(headers.contains_key(header::TRANSFER_ENCODING), |length| {
            length.parse().is_ok_and(looked_at)
        });
        if !is_read {
            // What is longer is not looked at, and so not waited for; a session's name is in the head.
            self.look_up_conversation(headers, b"");
        }
        is_read
    }

    /// Finds out who holds the conversation; `body` is empty where it is not known.
    pub(super) fn look_up_conversation(&mut self, headers: &HeaderMap, body: &[u8]) {
        let (Some(destination), Some(route)) = (&self.destination, &self.route) else {
            return;
        };
        let scope = (&*destination.name(), &*route.router.name);
        let (index, volatile) = (&self.plane.servers.prefixes, &self.plane.balancing.volatile_lines);
        let conversation = Conversation::of(index, scope, headers, body, volatile);
        self.attempts.conversation = Some(Box::new(conversation));
    }

    /// Chooses the server to try next. `Some`: none can take it yet; ask again after so long.
    pub(crate) fn pick(&mut self) -> Result<Option<Duration>, Refusal> {
        self.is_ready();
        let pause = self.pick_or_wait()?;
        if pause.is_none() {
            self.check_whole_path()?;
        }
        Ok(pause)
    }

    fn pick_or_wait(&mut self) -> Result<Option<Duration>, Refusal> {
        if let Some(pause) = self.attempts.pause.take() {
            return Ok(Some(pause));
        }
        if let Some(next) = self.attempts.next.take() {
            self.hold(next);
            return Ok(None);
        }
        match self.find(true) {
            Found::Server(pick) => self.hold(pick),
            Found::Loading { at_ms, terms } => {
                if let Some(pause) = self.wait(at_ms, &terms) {
                    return Ok(Some(pause));
                }
                match self.find(false) {
                    Found::Server(pick) => self.hold(pick),
                    _ => return Err(Refusal::NoServer),
                }
            }
            // What was tried and could not be reached says more than that nothing is left.
            Found::Nothing if self.attempts.count > 0 => return Err(Refusal::UpstreamFailed),
            Found::Nothing => return Err(Refusal::NoServer),
        }
        Ok(None)
    }

    fn find(&mut self, may_wait: bool) -> Found {
        let Some(balancer) = self.destination.as_ref().and_then(|it| it.balancer(&self.plane)) else {
            return Found::Nothing;
        };
        let attempts = &self.attempts;
        if attempts.sent >= self.sent_max() || attempts.refused >= REFUSED_MAX {
            return Found::Nothing;
        }
        // The first attempt follows the head at once, so its moment will do.
        let is_first = attempts.count == 0 && attempts.waiting.is_none();
        let now = if is_first { self.started } else { Instant::now() };
        let ask = Ask {
            now_ms: self.plane.servers.millis(now),
            client: self.client.ip(),
            cookie: attempts.cookie.as_ref().map(HeaderValue::as_bytes),
            may_wait: may_wait && self.may_wait(),
            known: attempts.conversation.as_ref().map(|it| &it.known),
            tried: &attempts.tried,
        };
        let found = balancer.pick(&ask, &self.plane.servers);
        match found {
            // The `retry` middleware may come back to where it was.
            Found::Nothing if !attempts.tried.is_empty() && self.retry().is_some() => {
                let ask = Ask { tried: &[], ..ask };
                balancer.pick(&ask, &self.plane.servers)
            }
            found => found,
        }
    }

    /// Only work waits for a model to be loaded: who asks how things are is told.
    fn may_wait(&self) -> bool {
        self.method == http::Method::POST && !self.attempts.waited_enough
    }

    fn hold(&mut self, pick: Pick) {
        let attempts = &mut self.attempts;
        if let Some(conversation) = &attempts.conversation {
            if attempts.count == 0 {
                self.plane
                    .metrics
                    .prefix_looked_up(conversation.is_held_by(&pick.member.state.cache));
            }
            conversation.note(&self.plane.servers.prefixes, &pick.member.state.cache);
        }
        attempts.began = pick.member.terms.has_others.then(|| match attempts.count {
            0 => self.started,
            _ => Instant::now(),
        });
        attempts.count += 1;
        attempts.pick = Some(pick);
    }

    /// `None` where it has waited long enough, or too many wait.
    fn wait(&mut self, at_ms: u64, terms: &Arc<Terms>) -> Option<Duration> {
        let now = Instant::now();
        if self.attempts.waiting.is_none() {
            self.attempts.waiting = terms.wait().map(|place| (now, place));
        }
        let since = self.attempts.waiting.as_ref().map(|(since, _)| *since);
        let goes_on = since.is_some_and(|since| now.saturating_duration_since(since) < LOADING_WAIT_MAX);
        if !goes_on {
            self.attempts.waited_enough = true;
            self.attempts.waiting = None;
            return None;
        }
        let left = at_ms.saturating_sub(self.plane.servers.millis(now));
        Some(Duration::from_millis(left).clamp(LOOK_MIN, LOOK_MAX))
    }

    /// The current server cannot be reached: nothing was sent, and another is asked.
    pub(crate) fn server_unreachable(&mut self) {
        self.plane.metrics.upstream_failed(UpstreamFailure::Connect);
        self.attempts.refused += 1;
        self.note_failure();
        self.leave();
        self.pause_before_retry();
    }

    /// The current server was sent the request, and gave no answer. True where another attempt is to be made, which
    /// takes what was sent from its first byte on.
    pub(crate) fn passes_over(&mut self, failure: Failure) -> bool {
        self.plane.metrics.upstream_failed(UpstreamFailure::NoAnswer);
        match failure {
            Failure::Broke | Failure::TooSlow => self.note_failure(),
            Failure::Lost => {}
        }
        self.finds_another(true)
    }

    /// What the current server answers, before any of it is passed on; `body`: what came with the head. True where
    /// another attempt is made instead.
    pub(crate) fn judge(&mut self, status: u16, body: &[u8], can_move: bool) -> bool {
        let Some(member) = self.member() else { return false };
        let is_loading = status == 503 && memchr::memmem::find(body, LOADING).is_some();
        if !is_loading && status < 500 {
            return false;
        }
        let now_ms = self.plane.servers.millis(Instant::now());
        if is_loading {
            member.state.is_loading(now_ms);
        } else if status != 501 && status < 506 && member.state.erred(now_ms, &member.terms.rules) {
            tracing::warn!(
                server = member.upstream.label(),
                status,
                "a server is left out for a while"
            );
        }
        // Whoever waits comes back to one that loads; to anybody else it is one that was tried.
        let comes_back = is_loading && self.may_wait();
        can_move && matches!(status, 502..=504) && self.finds_another(!comes_back)
    }

    /// The next attempt goes to the same server: only the connection was stale.
    pub(crate) fn stays(&mut self) {
        self.attempts.next = self.attempts.pick.take();
        self.attempts.count -= u32::from(self.attempts.next.is_some());
    }

    fn finds_another(&mut self, counts: bool) -> bool {
        let Some(member) = self.member().cloned() else {
            return false;
        };
        let now_ms = self.plane.servers.millis(Instant::now());
        let pick = self.attempts.pick.take();
        if counts {
            self.attempts.sent += 1;
            self.attempts
                .tried
                .extend(pick.as_ref().map(|pick| pick.member.clone()));
        }
        let found = match self.find(true) {
            Found::Server(next) if !counts || member.terms.retries.withdraw(now_ms) => {
                self.attempts.next = Some(next);
                true
            }
            Found::Loading { at_ms, terms } => self.wait(at_ms, &terms).is_some(),
            _ => false,
        };
        if found {
            self.pause_before_retry();
        } else {
            self.attempts.pick = pick;
        }
        found
    }

    fn note_failure(&self) {
        let Some(member) = self.member() else { return };
        let now_ms = self.plane.servers.millis(Instant::now());
        if member.state.failed(now_ms, &member.terms.rules) {
            // Whoever does not answer was restarted, or will be.
            self.plane.servers.prefixes.forget(&member.state.cache);
        }
    }

    fn leave(&mut self) {
        let pick = self.attempts.pick.take();
        self.attempts.tried.extend(pick.map(|pick| pick.member.clone()));
    }

    fn pause_before_retry(&mut self) {
        let Some(retry) = self.retry() else { return };
        let doubled = retry
            .initial_interval
            .saturating_mul(1 << (self.attempts.count.max(1) - 1).min(6));
        self.attempts.pause = Some(doubled).filter(|pause| !pause.is_zero());
    }

    fn sent_max(&self) -> u32 {
        self.retry().map_or(SENT_MAX, |retry| retry.attempts)
    }

    fn retry(&self) -> Option<Retry> {
        let middlewares = &self.route.as_ref()?.middlewares;
        middlewares.iter().find_map(|middleware| match middleware.kind {
            MiddlewareKind::Retry(retry) => Some(retry),
            _ => None,
        })
    }

    /// The answer of the current server is passed on.
    pub(super) fn note_answer(&mut self, status: u16) {
        self.attempts.waiting = None;
        let Some(member) = self.member() else { return };
        let began = self.attempts.began;
        if status >= 500 && status != 501 {
            return;
        }
        let now = began.map_or(self.started, |_| Instant::now());
        member.state.succeeded(self.plane.servers.millis(now));
        if let Some(began) = began {
            member.state.answered_in(now.saturating_duration_since(began));
        }
    }

    /// Something came from the current server.
    pub(super) fn note_progress(&self) {
        if let Some(member) = self.member().filter(|member| member.terms.is_checked) {
            member.state.progressed();
        }
    }

    /// Whether another server may get what is sent, so that it is worth keeping until it is answered.
    pub(crate) fn has_choice(&self) -> bool {
        self.balancer().is_some_and(|balancer| balancer.has_choice)
    }

    /// Whether others may get a copy of what is sent.
    pub(crate) fn is_mirrored(&self) -> bool {
        self.balancer().is_some_and(|balancer| balancer.is_mirrored)
    }

    /// Told when the current server's health check fails, where there is one.
    pub(crate) fn lost(&self) -> Option<Arc<tokio::sync::Notify>> {
        let member = self.member().filter(|member| member.terms.is_checked)?;
        Some(member.state.lost.clone())
    }

    pub(crate) fn current_server(&self) -> Option<&Upstream> {
        self.member().map(|member| &member.upstream)
    }

    pub(super) fn member(&self) -> Option<&Arc<Member>> {
        self.attempts.pick.as_ref().map(|pick| &pick.member)
    }

    /// The lines that are put into every answer.
    pub(crate) fn answer_lines(&self, mut line: impl FnMut(&'static str, &[u8])) {
        let Some(pick) = &self.attempts.pick else { return };
        for cookie in &pick.cookies {
            line("set-cookie", cookie.as_bytes());
        }
        if self.plane.balancing.tells_server {
            let server = format!("{}; attempts={}", pick.member.upstream.label(), self.attempts.count);
            line("x-conclave-server", server.as_bytes());
        }
    }
}
