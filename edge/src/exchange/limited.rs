//! An exchange and its route's limits: asked once it has a route, told what passes, settled once.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, header};
use keymap::{Route, Target};

use super::Exchange;
use super::pace::Seen;
use crate::admission::{Admission, AnswerHead, Asked, AskedBody, Ruling};
use crate::error::Refusal;
use crate::limits::clock::Instant64;
use crate::limits::fair::gate::FairQueue;
use crate::limits::set::Limits;
use crate::limits::standing::Standing;
use crate::metrics::Figures;
use crate::model::{InPath, in_path};
use crate::plane::Plane;
use crate::response_facts::ResponseFacts;
use crate::usage::Endpoint;

impl Exchange {
    /// Whether the route's limits let the request pass. `body`: where it was read.
    pub(super) fn admit(&mut self, headers: &HeaderMap, body: Option<AskedBody<'_>>) -> Ruling {
        let Some(route) = &self.route else {
            return Ruling::Pass;
        };
        let clock = &self.plane.limits.clock;
        // A body may have been long on its way.
        let now = if self.body_is_here {
            clock.now()
        } else {
            clock.at(self.started)
        };
        let Some(state) = RouteState::of(route, &self.plane, now) else {
            return Ruling::Refuse(Refusal::BrokenRouter);
        };
        let limits = &state.limits;
        limits.touch(now);
        if limits.is_open() && limits.models().is_empty() {
            self.seen = Some(Seen::of(state.figures.enter(), self.counted_endpoint(limits)));
            return Ruling::Pass;
        }
        let mut admission = self.admission.take().unwrap_or_default();
        let in_path = match self.model_in_path(limits) {
            Ok(in_path) => in_path,
            Err(refusal) => return Ruling::Refuse(refusal),
        };
        let asked = Asked {
            path: self.forwarded().map_or("", Target::path),
            model_in_path: in_path.as_ref().map(|in_path| in_path.name),
            brings_body: self.brings_body,
            body,
            upgrades: headers.contains_key(header::UPGRADE),
        };
        let ruling = admission.rule(limits, &asked, now);
        let renamed = admission.model_in_path().filter(|_| ruling == Ruling::Pass);
        let renamed = renamed.zip(in_path).map(|(name, in_path)| in_path.renamed(name));
        let target = renamed.and_then(|path| Some(self.forwarded()?.with_path(path.as_bytes())));
        self.admission = Some(admission);
        match target {
            Some(Ok(target)) => self.changes.get_or_insert_default().forward_to(target),
            // Never under the name that the client gave.
            Some(Err(error)) => return Ruling::Refuse(Refusal::BadTarget(error)),
            None => {}
        }
        if ruling == Ruling::Pass {
            self.seen = Some(Seen::of(state.figures.enter(), self.counted_endpoint(limits)));
        }
        ruling
    }

    /// What the path that is forwarded asks for, where that matters.
    fn model_in_path(&self, limits: &Limits) -> Result<Option<InPath<'_>>, Refusal> {
        let target = self.forwarded().filter(|_| !limits.models().is_empty());
        let found = target.map(|target| in_path(&self.method, target)).transpose();
        Ok(found.map_err(Refusal::BadTarget)?.flatten())
    }

    /// What the metrics count tokens of, where they are to and no limit does.
    fn counted_endpoint(&self, limits: &Limits) -> Option<Endpoint> {
        let counts = self.plane.answers.counts_tokens && !limits.counts_tokens();
        counts.then(|| Endpoint::of(self.forwarded().map_or("", Target::path)))
    }

    /// The body to forward, where it is not the client's own.
    pub(crate) fn rewritten_body(&self) -> Option<Bytes> {
        self.admission.as_ref()?.body().cloned()
    }

    /// What the answer says of the key's limits.
    pub(crate) fn standing(&self) -> Option<&Standing> {
        self.admission.as_deref().map(Admission::standing)
    }

    /// An event stream has something in it that the client did not ask for: see [`dialect::openai::stream::HideUsage`].
    pub(crate) fn hides_usage(&self) -> bool {
        self.admission.as_ref().is_some_and(|admission| admission.hides_usage())
    }

    pub(super) fn reads_answer(&self) -> bool {
        self.admission
            .as_ref()
            .is_some_and(|admission| admission.reads_answer())
    }

    pub(super) fn limits_see_head(&mut self, status: u16, facts: &ResponseFacts<'_>) {
        let request_bytes = self.request_bytes;
        self.with_limits(|admission, limits, plane| {
            if admission.reads_answer() {
                let answer = AnswerHead {
                    status,
                    content_type: facts.text("content-type").unwrap_or_default().as_bytes(),
                    is_encoded: facts
                        .text("content-encoding")
                        .is_some_and(|coding| coding != "identity"),
                    request_bytes,
                };
                admission.answer_begins(&answer, limits, plane.limits.clock.now());
            }
        });
    }

    pub(super) fn limits_see(&mut self, payload: &[u8]) {
        self.with_limits(|admission, limits, plane| {
            admission.answer_passes(payload, limits, || plane.limits.clock.now());
        });
    }

    /// The exchange is over, or its answer is: slots are free, tokens are counted. What is told later does not count.
    pub(super) fn settle(&mut self) {
        self.slot = None;
        self.stream = None;
        let settle = |admission: &mut Admission, limits: &Limits, plane: &Plane| {
            admission.settle(limits, plane.limits.clock.now())
        };
        if let Some(tokens) = self.with_limits(settle).flatten() {
            self.count_tokens(tokens);
        }
    }

    /// The edge is about to answer in a server's place: what was taken is given back before the client knows.
    pub(crate) fn refusing(&mut self) {
        if self.status.is_none() {
            self.with_limits(|admission, limits, plane| {
                admission.come_to_nothing(limits, plane.limits.clock.now());
            });
        }
        self.settle();
    }

    fn with_limits<T>(&mut self, act: impl FnOnce(&mut Admission, &Limits, &Plane) -> T) -> Option<T> {
        let (admission, route) = (self.admission.as_mut()?, self.route.as_ref()?);
        let state = RouteState::of(route, &self.plane, self.plane.limits.clock.at(self.started))?;
        Some(act(admission, &state.limits, &self.plane))
    }
}

/// What a route keeps of what outlives it, found at its first use.
pub(super) struct RouteState {
    limits: Limits,
    figures: Arc<Figures>,
    /// Where its service has so many slots and no more.
    pub(super) gate: Option<Arc<FairQueue>>,
    /// Its share of what is waited for.
    pub(super) weight: u32,
}

impl RouteState {
    pub(super) fn of<'a>(route: &'a Route, plane: &Plane, now: Instant64) -> Option<&'a Self> {
        route.attachment.get_or_attach(|| {
            Arc::new(Self {
                limits: Limits::of(route, &plane.limits.registry, now),
                figures: plane.metrics.traffic.of(&route.router.name),
                gate: super::turn::gate_of(route, &plane.limits.registry),
                weight: super::turn::weight_of(route),
            })
        })
    }
}
