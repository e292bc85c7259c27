//! How a parsed rule is kept: nearly every rule is one key and nothing else, and then it is that key's hash.
//!
//! A tree beside it would be most of the rule's memory, and a look-up would have to walk it. Invariant: a rule in any
//! form comes to what its expression comes to.

use super::expression::{Atom, Expression, Matcher, Prefix};
use crate::credential::{Credential, CredentialHeader};
use crate::key::KeyHash;

pub(super) enum Form {
    /// `Key` or `KeySha256`.
    Key(KeyHash),
    /// `Authorization` is `Bearer` with one space and this key.
    Bearer(KeyHash),
    Tree(Box<Expression>),
}

/// What a request must show for a rule to hold by way of its key, given that the key is one the rule pins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opening {
    Nothing,
    /// `Bearer` with one space before the key.
    Bearer,
    /// It takes an evaluation to say.
    Unclear,
}

impl Opening {
    /// A `false` says nothing where the opening is unclear.
    pub(crate) fn is_met_by(self, credential: &Credential<'_>) -> bool {
        match self {
            Self::Nothing => true,
            Self::Bearer => credential.is_bearer,
            Self::Unclear => false,
        }
    }
}

impl Form {
    pub(super) fn of(expression: Expression) -> Self {
        let Expression::Atom(Atom {
            negated: false,
            matcher,
        }) = &expression
        else {
            return Self::Tree(Box::new(expression));
        };
        match matcher {
            Matcher::Key(key) => Self::Key(*key),
            Matcher::CredentialIs {
                header: CredentialHeader::Authorization,
                values,
            } => match &**values {
                [value] if value.prefix == Prefix::Bearer => Self::Bearer(value.key),
                _ => Self::Tree(Box::new(expression)),
            },
            _ => Self::Tree(Box::new(expression)),
        }
    }

    pub(super) fn opening(&self) -> Opening {
        match self {
            Self::Key(_) => Opening::Nothing,
            Self::Bearer(_) => Opening::Bearer,
            Self::Tree(tree) => opening(tree),
        }
    }
}

/// Lists of keys are as plain as one key, as long as all of them ask for the same.
fn opening(expression: &Expression) -> Opening {
    match expression {
        Expression::Atom(Atom {
            negated: false,
            matcher,
        }) => match matcher {
            Matcher::Key(_) => Opening::Nothing,
            Matcher::CredentialIs {
                header: CredentialHeader::Authorization,
                values,
            } if values.iter().all(|value| value.prefix == Prefix::Bearer) => Opening::Bearer,
            _ => Opening::Unclear,
        },
        Expression::Any(branches) => {
            let mut openings = branches.iter().map(opening);
            let first = openings.next().unwrap_or(Opening::Unclear);
            if openings.all(|other| other == first) {
                first
            } else {
                Opening::Unclear
            }
        }
        _ => Opening::Unclear,
    }
}
