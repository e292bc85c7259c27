//! A folder's keys as `conclave key list` and `/admin/keys` show them: pure, from one reading of the folder.
//!
//! A row is a router that asks for a key. The router that a rotation leaves for the old key is no row of its own while
//! its key's router is there: it is that row's `rotation`.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use document::{Problem, Severity};
use serde::Serialize;

use super::OLD_SUFFIX;
use super::time::rfc3339;
use crate::key::KeyHash;
use crate::mapping::{CountedTokens, Middleware, MiddlewareKind, Router, Validity, ValidityState};
use crate::watch::{FileStatus, Snapshot};

/// Of a chain of chains; the table reports cycles.
const CHAIN_DEPTH_MAX: usize = 32;

#[derive(Debug, Clone, Serialize)]
pub struct KeyRow {
    pub name: Arc<str>,
    pub service: Arc<str>,
    /// How many keys open it; `None`: its rule accepts keys by a pattern.
    pub keys: Option<usize>,
    /// The beginnings of the keys' SHA-256.
    pub fingerprints: Vec<String>,
    pub state: KeyState,
    /// Why it is broken.
    pub problem: Option<String>,
    pub limits: Vec<KeyLimit>,
    /// `None`: any.
    pub models: Option<Vec<String>>,
    pub valid_from: Option<String>,
    pub expires_at: Option<String>,
    pub rotation: Option<OldKey>,
    pub file: Arc<str>,
    pub line: u32,
    pub last_used_at: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    Ok,
    Expired,
    NotYetValid,
    /// The edge refuses it.
    Broken,
    /// Another file defines the name first.
    Shadowed,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum KeyLimit {
    Requests {
        average: u64,
        period_ms: u64,
        burst: u64,
    },
    Concurrent {
        amount: u64,
    },
    Tokens {
        amount: u64,
        period_ms: u64,
        count: &'static str,
    },
}

/// The key before this one.
#[derive(Debug, Clone, Serialize)]
pub struct OldKey {
    pub old_key_until: Option<String>,
    pub old_key_state: KeyState,
    pub fingerprint: Option<String>,
    pub file: Arc<str>,
}

/// What rows are made of.
pub struct KeyFacts<'a> {
    pub folder: &'a Path,
    pub snapshot: &'a Snapshot,
    pub last_uses: &'a BTreeMap<String, SystemTime>,
    pub now: SystemTime,
}

/// Every router that asks for a key, by name.
pub fn keys(facts: &KeyFacts<'_>) -> Vec<KeyRow> {
    let reading = Reading::of(facts);
    let keyed = reading
        .routers
        .iter()
        .filter(|(_, router)| router.rule.has_credential_atom());
    let mut rows: Vec<_> = keyed
        .filter(|at| !reading.is_old(**at))
        .map(|at| reading.row(*at))
        .collect();
    rows.sort_by(|left, right| (&left.name, &left.file).cmp(&(&right.name, &right.file)));
    rows
}

struct Reading<'a> {
    facts: &'a KeyFacts<'a>,
    /// In the order in which they win their names.
    routers: Vec<(&'a FileStatus, &'a Router)>,
    winners: HashMap<&'a str, (&'a FileStatus, &'a Router)>,
    middlewares: HashMap<&'a str, &'a Middleware>,
}

impl<'a> Reading<'a> {
    fn of(facts: &'a KeyFacts<'a>) -> Self {
        let files = facts.snapshot.files.iter();
        let mappings: Vec<_> = files
            .filter_map(|file| Some((&**file, file.mapping.as_deref()?)))
            .collect();
        let routers: Vec<_> = mappings
            .iter()
            .flat_map(|(file, mapping)| mapping.routers.iter().map(|router| (*file, &**router)))
            .collect();
        let (mut winners, mut middlewares) = (HashMap::new(), HashMap::new());
        for (file, router) in &routers {
            winners.entry(&*router.name).or_insert((*file, *router));
        }
        for middleware in mappings.iter().flat_map(|(_, mapping)| &mapping.middlewares) {
            middlewares.entry(&*middleware.name).or_insert(&**middleware);
        }
        Self {
            facts,
            routers,
            winners,
            middlewares,
        }
    }

    /// Whether a rotation wrote it, and its key's router is there.
    fn is_old(&self, (file, router): (&FileStatus, &Router)) -> bool {
        let stem = router.name.strip_suffix(OLD_SUFFIX);
        stem.is_some_and(|name| self.winners.contains_key(name)) && *file.name == *format!("{}.yml", router.name)
    }

    fn row(&self, (file, router): (&'a FileStatus, &'a Router)) -> KeyRow {
        let kinds = self.kinds(router);
        let pins = router.rule.pins();
        let (state, problem) = self.state(file, router, &kinds);
        KeyRow {
            name: Arc::clone(&router.name),
            service: Arc::clone(&router.service),
            keys: pins.as_ref().map(Vec::len),
            fingerprints: pins
                .iter()
                .flatten()
                .take(FINGERPRINTS_MAX)
                .map(|key| fingerprint(*key))
                .collect(),
            state,
            problem,
            limits: kinds.iter().filter_map(|kind| limit(kind)).collect(),
            models: models(router, &kinds),
            valid_from: validities(&kinds)
                .filter_map(|validity| validity.not_before)
                .max()
                .map(rfc3339),
            expires_at: ends(&kinds).map(rfc3339),
            rotation: self.rotation(router),
            file: Arc::clone(&file.name),
            line: router.position.line,
            last_used_at: self.facts.last_uses.get(&*router.name).copied().map(rfc3339),
        }
    }

    /// What its middlewares are, chains written out.
    fn kinds(&self, router: &'a Router) -> Vec<&'a MiddlewareKind> {
        let mut kinds = Vec::new();
        for name in &router.middlewares {
            self.collect(name, CHAIN_DEPTH_MAX, &mut kinds);
        }
        kinds
    }

    fn collect(&self, name: &str, depth: usize, into: &mut Vec<&'a MiddlewareKind>) {
        match self.middlewares.get(name).map(|middleware| &middleware.kind) {
            Some(MiddlewareKind::Chain(names)) if depth > 0 => {
                names.iter().for_each(|name| self.collect(name, depth - 1, into));
            }
            Some(kind) => into.push(kind),
            None => {}
        }
    }

    fn state(&self, file: &FileStatus, router: &Router, kinds: &[&MiddlewareKind]) -> (KeyState, Option<String>) {
        let wins = self
            .winners
            .get(&*router.name)
            .is_some_and(|(winner, _)| winner.name == file.name);
        if !wins {
            return (KeyState::Shadowed, None);
        }
        if let Some(problem) = self.broken(file, router) {
            return (KeyState::Broken, Some(problem.rule.clone()));
        }
        let states: Vec<_> = validities(kinds)
            .map(|validity| validity.state(self.facts.now))
            .collect();
        let state = if states.contains(&ValidityState::Expired) {
            KeyState::Expired
        } else if states.contains(&ValidityState::NotYet) {
            KeyState::NotYetValid
        } else {
            KeyState::Ok
        };
        (state, None)
    }

    fn broken(&self, file: &FileStatus, router: &Router) -> Option<&'a Problem> {
        let path = self.facts.folder.join(&*file.name);
        self.facts.snapshot.problems.iter().find(|problem| {
            problem.severity == Severity::Error && problem.position == router.position && problem.path == path
        })
    }

    fn rotation(&self, router: &Router) -> Option<OldKey> {
        let old = self.winners.get(format!("{}{OLD_SUFFIX}", router.name).as_str());
        let (file, old) = old.filter(|at| self.is_old(**at))?;
        let kinds = self.kinds(old);
        Some(OldKey {
            old_key_until: ends(&kinds).map(rfc3339),
            old_key_state: self.state(file, old, &kinds).0,
            fingerprint: old
                .rule
                .pins()
                .as_deref()
                .and_then(<[_]>::first)
                .map(|key| fingerprint(*key)),
            file: Arc::clone(&file.name),
        })
    }
}

/// A router of a thousand keys is shown by its number of them.
const FINGERPRINTS_MAX: usize = 8;

/// Enough to tell keys of one folder apart by eye, too little to search for a weak one.
fn fingerprint(key: KeyHash) -> String {
    key.to_hex()[..8].to_owned()
}

fn validities<'k>(kinds: &[&'k MiddlewareKind]) -> impl Iterator<Item = &'k Validity> {
    kinds.iter().filter_map(|kind| match kind {
        MiddlewareKind::Validity(validity) => Some(validity),
        _ => None,
    })
}

fn ends(kinds: &[&MiddlewareKind]) -> Option<SystemTime> {
    validities(kinds).filter_map(|validity| validity.ends).min()
}

fn limit(kind: &MiddlewareKind) -> Option<KeyLimit> {
    match kind {
        MiddlewareKind::RateLimit(limit) if limit.average > 0 => Some(KeyLimit::Requests {
            average: limit.average,
            period_ms: milliseconds(limit.period),
            burst: limit.burst,
        }),
        MiddlewareKind::InFlightReq(limit) => Some(KeyLimit::Concurrent { amount: limit.amount }),
        MiddlewareKind::TokenLimit(limit) => Some(KeyLimit::Tokens {
            amount: limit.amount,
            period_ms: milliseconds(limit.period),
            count: match limit.count {
                CountedTokens::Input => "input",
                CountedTokens::Output => "output",
                CountedTokens::Total => "total",
            },
        }),
        _ => None,
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What its middlewares allow and its rule names: a model must pass all of them.
fn models(router: &Router, kinds: &[&MiddlewareKind]) -> Option<Vec<String>> {
    let named = router.rule.models();
    let named: Option<Vec<String>> = (!named.is_empty()).then(|| named.into_iter().map(str::to_owned).collect());
    let allowed = kinds.iter().filter_map(|kind| match kind {
        MiddlewareKind::Models(models) => Some(models.allow.as_ref()?.iter().map(|name| name.to_string()).collect()),
        _ => None,
    });
    allowed.chain(named).reduce(|left: Vec<String>, right: Vec<String>| {
        left.into_iter().filter(|model| right.contains(model)).collect()
    })
}
