//! The servers of one load balancer, and which of them takes a request now.
//!
//! ```text
//!  those that were not tried yet ─▶ up, or on trial ─▶ strategy ─▶ one
//!                                   none up ─▶ one loads its model ─▶ wait for it
//!                                   none up, none loads ─▶ any that is only suspect: better an attempt than a refusal
//!                                   all down by their health check ─▶ nothing
//! ```

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use affinity::{Held, Known};

use super::member::{Member, Pick, Terms};
use super::rendezvous;
use super::schedule::Schedule;
use super::sticky;
use super::strategy::{Candidate, Draw};
use crate::health::{Registry, Standing, Times, is_outlier};
use crate::upstream::Upstream;

#[derive(Debug)]
pub(crate) struct Pool {
    members: Box<[Arc<Member>]>,
    schedule: Schedule,
    turn: AtomicUsize,
    /// Requests so far.
    asked: AtomicUsize,
}

/// Servers are compared every so many requests: it is not what a request waits for.
const OUTLIERS_EVERY: usize = 32;

/// What is known of a request that asks for a server.
pub(crate) struct Ask<'a> {
    pub(crate) now_ms: u64,
    pub(crate) client: IpAddr,
    /// The `Cookie` header, where a service asks for it.
    pub(crate) cookie: Option<&'a [u8]>,
    /// It waits for a model to be loaded, rather than be told that it is not.
    pub(crate) may_wait: bool,
    /// Who holds how much of its conversation.
    pub(crate) known: Option<&'a Known>,
    /// Where it was tried already.
    pub(crate) tried: &'a [Arc<Member>],
}

pub(crate) enum Found {
    Server(Pick),
    /// Its servers load their model; one is to be asked again at this moment.
    Loading {
        at_ms: u64,
        terms: Arc<Terms>,
    },
    Nothing,
}

impl Pool {
    pub(crate) fn new(
        service: &Arc<str>,
        servers: Vec<(Upstream, u32, String)>,
        mut terms: Terms,
        registry: &Registry,
    ) -> Self {
        let weights: Vec<u32> = servers.iter().map(|(_, weight, _)| *weight).collect();
        terms.has_others = weights.iter().filter(|weight| **weight > 0).count() > 1;
        let terms = Arc::new(terms);
        let member = |(upstream, weight, url): (Upstream, u32, String)| {
            Arc::new(Member {
                state: registry.state(service, &url),
                name: rendezvous::name(url.as_bytes()),
                upstream,
                weight,
                terms: terms.clone(),
            })
        };
        Self {
            members: servers.into_iter().map(member).collect(),
            schedule: Schedule::of(&weights),
            turn: AtomicUsize::new(0),
            asked: AtomicUsize::new(0),
        }
    }

    pub(crate) fn members(&self) -> &[Arc<Member>] {
        &self.members
    }

    pub(crate) fn pick(&self, ask: &Ask<'_>) -> Found {
        match &*self.members {
            [] => Found::Nothing,
            [only] => self.only(only, ask),
            several => several.first().map_or(Found::Nothing, |first| {
                if ask.tried.is_empty() {
                    first.terms.retries.deposit();
                }
                self.one_of(&first.terms, ask)
            }),
        }
    }

    /// A lone server is asked whatever is suspected of it.
    fn only(&self, only: &Arc<Member>, ask: &Ask<'_>) -> Found {
        if only.weight == 0 || was_tried(only, ask) {
            return Found::Nothing;
        }
        let standing = match only.state.standing(ask.now_ms) {
            Standing::OnTrial if only.state.try_again(ask.now_ms, &only.terms.rules) => Standing::Up,
            // Another request was quicker.
            Standing::OnTrial => only.state.standing(ask.now_ms),
            standing => standing,
        };
        match standing {
            Standing::Down => Found::Nothing,
            Standing::Loading(at_ms) if ask.may_wait => loading(only, at_ms),
            _ => Found::Server(self.hold(only)),
        }
    }

    fn one_of(&self, terms: &Arc<Terms>, ask: &Ask<'_>) -> Found {
        if self.asked.fetch_add(1, Relaxed) % OUTLIERS_EVERY == OUTLIERS_EVERY - 1 {
            self.leave_out_outliers(terms, ask.now_ms);
        }
        let mut candidates = self.candidates(ask);
        if let Some(stuck) = self.stuck(terms, ask, &candidates) {
            return Found::Server(Pick::of(stuck));
        }
        loop {
            let Some(chosen) = self.choose(terms, &candidates, ask) else {
                return self.none_up(terms, ask, candidates);
            };
            let member = &self.members[chosen];
            let is_taken = match member.state.standing(ask.now_ms) {
                Standing::Up => true,
                Standing::OnTrial => member.state.try_again(ask.now_ms, &terms.rules),
                _ => false,
            };
            if is_taken {
                return Found::Server(self.hold(member));
            }
            candidates[chosen].may = false;
        }
    }

    fn candidates(&self, ask: &Ask<'_>) -> Vec<Candidate> {
        let candidate = |member: &Arc<Member>| {
            let standing = member.state.standing(ask.now_ms);
            Candidate {
                may: matches!(standing, Standing::Up | Standing::OnTrial) && !was_tried(member, ask),
                weight: member.weight,
                strength: member.state.strength(ask.now_ms),
                in_flight: member.state.in_flight(),
                first_byte_us: member.state.first_byte_us(),
                slots: member.state.slots(),
                held: ask
                    .known
                    .map_or_else(Held::default, |known| known.of(&member.state.cache)),
                name: member.name,
            }
        };
        self.members.iter().map(candidate).collect()
    }

    fn choose(&self, terms: &Terms, candidates: &[Candidate], ask: &Ask<'_>) -> Option<usize> {
        let draw = Draw {
            schedule: &self.schedule,
            turn: &|| self.turn.fetch_add(1, Relaxed),
            client: rendezvous::client(ask.client),
        };
        terms.strategy.choose(candidates, &draw)
    }

    /// Where the client's cookie leads, if that may be chosen.
    fn stuck(&self, terms: &Terms, ask: &Ask<'_>, candidates: &[Candidate]) -> Option<&Arc<Member>> {
        let value = terms.sticky.as_ref()?.value_in(ask.cookie?)?;
        let leads_to = |member: &Arc<Member>| sticky::value_of(member.name) == value;
        let at = self.members.iter().position(leads_to)?;
        let member = &self.members[at];
        // One on trial is left to a client that does not insist.
        (candidates[at].may && member.state.standing(ask.now_ms) == Standing::Up).then_some(member)
    }

    fn none_up(&self, terms: &Arc<Terms>, ask: &Ask<'_>, mut candidates: Vec<Candidate>) -> Found {
        let untried = self.members.iter().filter(|it| it.weight > 0 && !was_tried(it, ask));
        let loads = |member: &Arc<Member>| match member.state.standing(ask.now_ms) {
            Standing::Loading(at_ms) => Some((at_ms, member.clone())),
            _ => None,
        };
        if ask.may_wait
            && let Some((at_ms, member)) = untried.filter_map(loads).min_by_key(|(at_ms, _)| *at_ms)
        {
            return loading(&member, at_ms);
        }
        for (candidate, member) in candidates.iter_mut().zip(&self.members) {
            candidate.may = member.state.standing(ask.now_ms) != Standing::Down && !was_tried(member, ask);
        }
        self.choose(terms, &candidates, ask)
            .map_or(Found::Nothing, |chosen| Found::Server(self.hold(&self.members[chosen])))
    }

    fn leave_out_outliers(&self, terms: &Terms, now_ms: u64) {
        let times = |member: &Arc<Member>| Times {
            first_byte_us: member.state.first_byte_us(),
            answers: member.state.answers(),
            in_flight: member.state.in_flight(),
        };
        for (at, member) in self.members.iter().enumerate() {
            let others = self.members.iter().enumerate().filter(|(other, _)| *other != at);
            let is_up = member.state.standing(now_ms) == Standing::Up;
            if is_up && is_outlier(times(member), others.map(|(_, other)| times(other))) {
                tracing::warn!(
                    server = member.upstream.label(),
                    "a server is far slower than the others, and left out for a while"
                );
                member.state.leave_out(now_ms, &terms.rules);
            }
        }
    }

    fn hold(&self, member: &Arc<Member>) -> Pick {
        let mut pick = Pick::of(member);
        if let Some(cookie) = &member.terms.sticky {
            pick.cookies.push(cookie.set(sticky::value_of(member.name)));
        }
        pick
    }
}

fn loading(member: &Arc<Member>, at_ms: u64) -> Found {
    Found::Loading {
        at_ms,
        terms: member.terms.clone(),
    }
}

fn was_tried(member: &Arc<Member>, ask: &Ask<'_>) -> bool {
    ask.tried.iter().any(|tried| Arc::ptr_eq(&tried.state, &member.state))
}

#[cfg(test)]
mod tests;
