//! Which credentials a rule can be opened with, read from the rule alone: what decides where a router is indexed.

use std::collections::BTreeSet;

use super::expression::{Expression, Matcher};
use crate::key::KeyHash;

/// A rule that more keys open than this is scanned: each key is an entry in the table.
const KEYS_MAX: usize = 4096;

/// A set of credentials, by hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Keys {
    /// All there are, or so many that they are not listed.
    Any,
    Only(BTreeSet<KeyHash>),
}

/// Upper bounds: what the rule cannot come to is left out, and evaluation has the last word on the rest.
#[derive(Debug)]
pub(crate) struct Reach {
    /// The credentials with which it can hold by way of a key.
    pub(crate) keyed: Keys,
    /// The credentials with which it can hold at all.
    holds: Keys,
    /// Whether it can hold for a request without a credential, and without one having a part in it.
    pub(crate) keyless: bool,
}

impl Keys {
    fn none() -> Self {
        Self::Only(BTreeSet::new())
    }

    fn listed_from(keys: impl IntoIterator<Item = KeyHash>) -> Self {
        Self::Only(keys.into_iter().collect()).bounded()
    }

    fn bounded(self) -> Self {
        match self {
            Self::Only(keys) if keys.len() > KEYS_MAX => Self::Any,
            keys => keys,
        }
    }

    pub(crate) fn listed(self) -> Option<Vec<KeyHash>> {
        match self {
            Self::Any => None,
            Self::Only(keys) => Some(keys.into_iter().collect()),
        }
    }

    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Only(mut left), Self::Only(right)) => {
                left.extend(right);
                Self::Only(left).bounded()
            }
            _ => Self::Any,
        }
    }

    fn and(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Any, keys) | (keys, Self::Any) => keys.clone(),
            (Self::Only(left), Self::Only(right)) => Self::Only(left & right),
        }
    }
}

impl Reach {
    pub(super) fn of_key(key: KeyHash) -> Self {
        Self::of_keys(Keys::listed_from([key]))
    }

    fn of_keys(keys: Keys) -> Self {
        Self {
            keyed: keys.clone(),
            holds: keys,
            keyless: false,
        }
    }

    pub(super) fn of(expression: &Expression) -> Self {
        match expression {
            Expression::Atom(atom) if atom.grants() => Self::of_keys(match &atom.matcher {
                Matcher::Key(hash) => Keys::listed_from([*hash]),
                Matcher::CredentialIs { values, .. } => Keys::listed_from(values.iter().map(|value| value.key)),
                _ => Keys::Any,
            }),
            Expression::Atom(_) => Self {
                keyed: Keys::none(),
                holds: Keys::Any,
                keyless: true,
            },
            Expression::All(branches) => {
                let all = Self {
                    keyed: Keys::none(),
                    holds: Keys::Any,
                    keyless: true,
                };
                branches.iter().map(Self::of).fold(all, Self::and)
            }
            Expression::Any(branches) => {
                let any = Self {
                    keyed: Keys::none(),
                    holds: Keys::none(),
                    keyless: false,
                };
                branches.iter().map(Self::of).fold(any, Self::or)
            }
        }
    }

    /// One side holds by way of the key, and the other holds.
    fn and(self, other: Self) -> Self {
        Self {
            keyed: self.keyed.and(&other.holds).or(self.holds.and(&other.keyed)),
            holds: self.holds.and(&other.holds),
            keyless: self.keyless && other.keyless,
        }
    }

    fn or(self, other: Self) -> Self {
        Self {
            keyed: self.keyed.or(other.keyed),
            holds: self.holds.or(other.holds),
            keyless: self.keyless || other.keyless,
        }
    }
}
