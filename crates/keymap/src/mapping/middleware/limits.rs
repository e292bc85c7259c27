//! What a router may use, when, and of which models. Counting is the edge's.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// So many requests a period, a burst more at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// 0: no limit, as in Traefik.
    pub average: u64,
    /// 1 s; never zero.
    pub period: Duration,
    /// 1; never 0.
    pub burst: u64,
}

/// So many requests at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InFlightReq {
    /// Never 0.
    pub amount: u64,
}

/// What a router's requests weigh where they wait for a service's slots with those of other routers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FairShare {
    /// Never 0; a router without one weighs 1.
    pub weight: u32,
}

/// So many tokens a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenLimit {
    /// Never 0.
    pub amount: u64,
    /// 24 h; never zero.
    pub period: Duration,
    pub count: CountedTokens,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CountedTokens {
    Input,
    Output,
    #[default]
    Total,
}

/// From when until when a router's requests are taken. At least one is given, and the first is before the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// The first moment at which they are.
    pub not_before: Option<SystemTime>,
    /// The first moment at which they no longer are: of a plain date in the file, the end of that day in UTC.
    pub ends: Option<SystemTime>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValidityState {
    NotYet,
    Valid,
    Expired,
}

impl Validity {
    pub fn state(&self, now: SystemTime) -> ValidityState {
        if self.not_before.is_some_and(|begin| now < begin) {
            ValidityState::NotYet
        } else if self.ends.is_some_and(|end| now >= end) {
            ValidityState::Expired
        } else {
            ValidityState::Valid
        }
    }
}

/// Which models may be asked for, and under which names. An alias is replaced first; what comes out must be allowed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Models {
    /// `None`: any. Never empty.
    pub allow: Option<Box<[Arc<str>]>>,
    /// What is asked for, and what that becomes; sorted by the first, which are distinct.
    pub alias: Box<[(Arc<str>, Arc<str>)]>,
}

impl Models {
    /// What the name becomes. A name without an alias stays what it is; what an alias gives is not replaced again.
    pub fn renamed<'a>(&'a self, asked: &'a str) -> &'a str {
        self.alias
            .binary_search_by(|(from, _)| (**from).cmp(asked))
            .map_or(asked, |at| &*self.alias[at].1)
    }

    /// Whether a name, renamed already, may be asked for.
    pub fn allows(&self, model: &str) -> bool {
        self.allow
            .as_ref()
            .is_none_or(|allowed| allowed.iter().any(|name| **name == *model))
    }
}
