//! One route's limits, found once and kept on the route; what they come to for a request.
//!
//! A request is looked at before it takes anything, takes slots (which come back by being dropped), and takes from rates
//! last. What it took of one rate before the next refused is put back. So what is refused has used nothing, and no slot
//! is held for a moment by a request that a rate refuses anyway.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use keymap::{CountedTokens, Middleware, MiddlewareKind, Models, Route, Validity, ValidityState};

use super::budget::Budget;
use super::clock::Instant64;
use super::in_flight::{self, Slot};
use super::rate::{Empty, Rate};
use super::registry::{Entry, LastUse, Registry};
use super::standing::{Shown, Standing};

/// Where nothing says when a slot is free again.
const SLOT_WAIT: Duration = Duration::from_secs(1);

pub(crate) struct Limits {
    last_use: Arc<LastUse>,
    validity: Box<[Validity]>,
    models: Box<[Models]>,
    rates: Box<[(Rate, Arc<Entry>)]>,
    slots: Box<[(u64, Arc<Entry>)]>,
    budgets: Box<[(Budget, CountedTokens, Arc<Entry>)]>,
}

/// Which limit refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    Validity,
    Rate,
    Slots,
    Budget,
}

/// What an admitted request has taken.
#[derive(Debug)]
pub(crate) struct Taken {
    slots: Vec<Slot>,
    at: Instant64,
}

/// Tokens of a request and its answer; negative ones correct an estimate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tokens {
    pub(crate) input: i64,
    pub(crate) output: i64,
}

impl Limits {
    pub(crate) fn of(route: &Route, registry: &Registry, now: Instant64) -> Self {
        let router = &route.router.name;
        let (mut validity, mut models) = (Vec::new(), Vec::new());
        let (mut rates, mut slots, mut budgets) = (Vec::new(), Vec::new(), Vec::new());
        for middleware in distinct(&route.middlewares) {
            let name = &middleware.name;
            match &middleware.kind {
                MiddlewareKind::Validity(limit) => validity.push(*limit),
                MiddlewareKind::Models(limit) => models.push(limit.clone()),
                MiddlewareKind::RateLimit(limit) => {
                    if let Some(rate) = Rate::new(limit.average, limit.period, limit.burst) {
                        rates.push((rate, registry.rate(router, name, &rate, now)));
                    }
                }
                MiddlewareKind::InFlightReq(limit) => slots.push((limit.amount, registry.slots(router, name))),
                MiddlewareKind::TokenLimit(limit) => {
                    let budget = Budget::new(limit.amount, limit.period);
                    budgets.push((budget, limit.count, registry.budget(router, name, &budget, now)));
                }
                _ => {}
            }
        }
        Self {
            last_use: registry.last_use(router),
            validity: validity.into(),
            models: models.into(),
            rates: rates.into(),
            slots: slots.into(),
            budgets: budgets.into(),
        }
    }

    pub(crate) fn touch(&self, now: Instant64) {
        self.last_use.touch(now);
    }

    /// Nothing is ever refused, and nothing has to be given back.
    pub(crate) fn is_open(&self) -> bool {
        self.validity.is_empty() && self.rates.is_empty() && self.slots.is_empty() && self.budgets.is_empty()
    }

    pub(crate) fn models(&self) -> &[Models] {
        &self.models
    }

    pub(crate) fn counts_tokens(&self) -> bool {
        !self.budgets.is_empty()
    }

    /// Whether a request would be refused now. It takes nothing.
    pub(crate) fn look(&self, now: Instant64, standing: &mut Standing) -> Result<(), Over> {
        if !self.validity.is_empty() {
            let now = SystemTime::now();
            if self
                .validity
                .iter()
                .any(|limit| limit.state(now) != ValidityState::Valid)
            {
                return Err(Over::Validity);
            }
        }
        for (budget, _, entry) in &self.budgets {
            let balance = budget.balance(&entry.word, now);
            standing.show_tokens(Shown {
                limit: budget.amount(),
                remaining: balance.left,
                reset: balance.renewed_in,
            });
            if balance.left == 0 {
                standing.refused(balance.renewed_in);
                return Err(Over::Budget);
            }
        }
        for (rate, entry) in &self.rates {
            let looked = rate.peek(&entry.word, now);
            looked.map_err(|empty| refused_by(rate, empty, standing))?;
        }
        Ok(())
    }

    /// Takes what a request takes, or nothing.
    pub(crate) fn take(&self, now: Instant64, standing: &mut Standing) -> Result<Taken, Over> {
        self.look(now, standing)?;
        let mut taken = Taken {
            slots: Vec::with_capacity(self.slots.len()),
            at: now,
        };
        for (amount, entry) in &self.slots {
            let Some((slot, _)) = in_flight::take(&entry.word, *amount) else {
                standing.refused(SLOT_WAIT);
                return Err(Over::Slots);
            };
            taken.slots.push(slot);
        }
        for (index, (rate, entry)) in self.rates.iter().enumerate() {
            match rate.take(&entry.word, now) {
                Ok(filling) => standing.show_requests(Shown {
                    limit: rate.burst(),
                    remaining: filling.left,
                    reset: filling.full_in,
                }),
                Err(empty) => {
                    self.put_back_first(index, now, now);
                    return Err(refused_by(rate, empty, standing));
                }
            }
        }
        Ok(taken)
    }

    /// A request that was admitted and came to nothing has used nothing.
    pub(crate) fn put_back(&self, taken: Taken, now: Instant64) {
        self.put_back_first(self.rates.len(), taken.at, now);
    }

    fn put_back_first(&self, count: usize, taken: Instant64, now: Instant64) {
        for (rate, entry) in &self.rates[..count] {
            rate.put_back(&entry.word, taken, now);
        }
    }

    pub(crate) fn charge(&self, tokens: Tokens, now: Instant64) {
        for (budget, count, entry) in &self.budgets {
            let tokens = match count {
                CountedTokens::Input => tokens.input,
                CountedTokens::Output => tokens.output,
                CountedTokens::Total => tokens.input.saturating_add(tokens.output),
            };
            if tokens != 0 {
                budget.charge(&entry.word, now, tokens);
            }
        }
    }
}

impl Taken {
    /// The server has done with the request: another may come.
    pub(crate) fn free_slots(&mut self) {
        self.slots.clear();
    }
}

/// A middleware that stands on a route twice, by itself and in a chain, counts once.
fn distinct(middlewares: &[Arc<Middleware>]) -> impl Iterator<Item = &Arc<Middleware>> {
    let first = |(at, middleware): &(usize, &Arc<Middleware>)| {
        !middlewares[..*at].iter().any(|before| Arc::ptr_eq(before, middleware))
    };
    middlewares
        .iter()
        .enumerate()
        .filter(first)
        .map(|(_, middleware)| middleware)
}

fn refused_by(rate: &Rate, empty: Empty, standing: &mut Standing) -> Over {
    standing.show_requests(Shown {
        limit: rate.burst(),
        remaining: 0,
        reset: empty.full_in,
    });
    standing.refused(empty.token_in);
    Over::Rate
}

#[cfg(test)]
pub(crate) mod tests {
    use std::path::Path;

    use http::{HeaderMap, HeaderValue, header};
    use keymap::{Compiler, Credential, Decision, Model, Request};

    use super::*;

    const NOW: Instant64 = Instant64(20_000 * 86_400 * 1_000_000_000);

    /// The route of a mapping whose one router has these middlewares, as YAML.
    pub(crate) fn route(middlewares: &str) -> Arc<Route> {
        let names: Vec<&str> = middlewares
            .lines()
            .filter_map(|line| line.trim().split_once(':'))
            .map(|(name, _)| name)
            .collect();
        let text = format!(
            "http:\n  routers:\n    r:\n      rule: Key(`k`)\n      service: noop@internal\n      middlewares: [{}]\n  \
             middlewares:\n{middlewares}",
            names.join(", ")
        );
        let (mapping, problems) = keymap::check(Path::new("a.yml"), &text);
        let mut compiler = Compiler::new(None);
        compiler.set(
            "a.yml",
            Some(Arc::new(mapping.unwrap_or_else(|| panic!("{problems:?}")))),
        );
        let headers = HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static("Bearer k"))]);
        let credential = Credential::from_headers(&headers).expect("one");
        let request = Request {
            credential: credential.as_ref(),
            method: "GET",
            host: "h",
            path: "/",
            query: None,
            headers: &headers,
            client_ip: [127, 0, 0, 1].into(),
            entry_point: None,
            model: Model::Unread,
        };
        match compiler.table().0.decide(&request) {
            Decision::Forward(route) => route,
            other => panic!("{other:?}"),
        }
    }

    fn limits(middlewares: &[&str]) -> Limits {
        let lines = middlewares.iter().enumerate();
        let text: String = lines.map(|(at, limit)| format!("    m{at}: {{ {limit} }}\n")).collect();
        Limits::of(&route(&text), &Registry::default(), NOW)
    }

    fn taken(limits: &Limits) -> Result<Taken, Over> {
        limits.take(NOW, &mut Standing::default())
    }

    const VALID: &str = "validity: { notBefore: 2026-01-01 }";
    const RATE: &str = "rateLimit: { average: 1, period: 1h, burst: 1 }";
    const SLOT: &str = "inFlightReq: { amount: 1 }";
    const TOKENS: &str = "tokenLimit: { amount: 10, period: 1h }";
    const MODELS: &str = "models: { allow: [a] }";

    #[test]
    fn what_a_router_has_is_what_is_kept_of_it() {
        for (has, is_open, counts_tokens, models) in [
            (&[][..], true, false, 0),
            (&["addPrefix: { prefix: /a }"], true, false, 0),
            (&["rateLimit: { average: 0 }"], true, false, 0),
            (&[MODELS], true, false, 1),
            (&[VALID], false, false, 0),
            (&[RATE], false, false, 0),
            (&[SLOT], false, false, 0),
            (&[TOKENS], false, true, 0),
            (&[VALID, RATE, SLOT, TOKENS, MODELS], false, true, 1),
        ] {
            let limits = limits(has);
            let found = (limits.is_open(), limits.counts_tokens(), limits.models().len());
            assert_eq!(found, (is_open, counts_tokens, models), "{has:?}");
        }
    }

    #[test]
    fn a_key_is_refused_outside_its_time() {
        for (limit, expected) in [
            (VALID, Ok(())),
            ("validity: { notAfter: 2020-01-01 }", Err(Over::Validity)),
            ("validity: { notBefore: 9000-01-01 }", Err(Over::Validity)),
        ] {
            assert_eq!(
                limits(&[limit]).look(NOW, &mut Standing::default()),
                expected,
                "{limit}"
            );
        }
    }

    #[test]
    fn what_is_taken_of_one_limit_is_put_back_where_another_refuses() {
        let limits = limits(&[SLOT, RATE, "rateLimit: { average: 2, period: 1h, burst: 2 }"]);
        let mut first = taken(&limits).expect("free");
        assert_eq!(
            taken(&limits).err(),
            Some(Over::Rate),
            "it is looked at before a slot is taken"
        );
        let left = |limits: &Limits| {
            limits
                .rates
                .iter()
                .map(|(rate, entry)| rate.now(&entry.word, NOW).left)
                .sum::<u64>()
        };
        assert_eq!(left(&limits), 1);
        first.free_slots();
        limits.put_back(first, NOW);
        assert_eq!(left(&limits), 3);
        let mut again = taken(&limits).expect("as before");
        again.free_slots();
        assert_eq!(limits.slots[0].1.word.load(std::sync::atomic::Ordering::SeqCst), 0);
    }

    #[test]
    fn a_slot_is_free_as_soon_as_it_is_freed() {
        let limits = limits(&[SLOT]);
        let mut standing = Standing::default();
        let mut first = taken(&limits).expect("free");
        assert_eq!(limits.take(NOW, &mut standing).err(), Some(Over::Slots));
        let mut headers = Vec::new();
        standing.each(|name, value| headers.push((name, value.to_vec())));
        assert!(headers.contains(&("retry-after", b"1".to_vec())), "{headers:?}");
        first.free_slots();
        assert!(taken(&limits).is_ok());
    }

    #[test]
    fn tokens_are_charged_as_they_are_counted_until_none_is_left() {
        for (count, left) in [("input", 7), ("output", 8), ("total", 5)] {
            let limit = format!("tokenLimit: {{ amount: 10, period: 1h, count: {count} }}");
            let limits = limits(&[&limit]);
            let tokens = Tokens { input: 3, output: 2 };
            limits.charge(tokens, NOW);
            let mut standing = Standing::default();
            assert_eq!(limits.look(NOW, &mut standing), Ok(()));
            assert_eq!(
                standing.tokens.map(|shown| (shown.limit, shown.remaining)),
                Some((10, left)),
                "{count}"
            );
            (0..4).for_each(|_| limits.charge(tokens, NOW));
            assert_eq!(limits.look(NOW, &mut standing), Err(Over::Budget), "{count}");
        }
    }
}
