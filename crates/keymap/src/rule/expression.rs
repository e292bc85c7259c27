//! A rule in negation normal form, and the matchers at its leaves.

use http::header::HeaderName;

use super::network::Network;
use super::pattern::Pattern;
use crate::credential::{BEARER, CredentialHeader};
use crate::key::KeyHash;

pub(super) enum Expression {
    Atom(Atom),
    /// All of them (`&&`).
    All(Box<[Expression]>),
    /// One of them at least (`||`).
    Any(Box<[Expression]>),
}

pub(super) struct Atom {
    pub(super) negated: bool,
    pub(super) matcher: Matcher,
}

/// What a leaf compares. Arguments were checked when the rule was parsed.
pub(super) enum Matcher {
    /// `Key` and `KeySha256`.
    Key(KeyHash),
    /// A credential header is exactly one of these values.
    CredentialIs {
        header: CredentialHeader,
        values: Box<[CredentialValue]>,
    },
    CredentialLike {
        header: CredentialHeader,
        pattern: Pattern,
    },
    HeaderIs {
        name: HeaderName,
        value: Box<str>,
    },
    HeaderLike {
        name: HeaderName,
        pattern: Pattern,
    },
    /// In lower case, without trailing dot and brackets.
    Host(Box<str>),
    HostLike(Pattern),
    /// In upper case.
    Method(Box<str>),
    Path(Box<str>),
    PathPrefix(Box<str>),
    PathLike(Pattern),
    /// An empty value stands for `?name` and `?name=`.
    QueryIs {
        name: Box<str>,
        value: Box<str>,
    },
    QueryLike {
        name: Box<str>,
        pattern: Pattern,
    },
    ClientIp(Network),
    Model(Box<str>),
}

/// An exact value of a credential header: what stands before the key, and the key's hash in place of the key.
pub(super) struct CredentialValue {
    pub(super) prefix: Prefix,
    pub(super) key: KeyHash,
}

/// What stands before the key. The first two are nearly all there are, and rules should not each own a copy.
#[derive(PartialEq, Eq)]
pub(super) enum Prefix {
    Nothing,
    /// `Bearer` and one space.
    Bearer,
    /// Another spelling of it, or more blanks.
    Other(Box<[u8]>),
}

impl CredentialValue {
    pub(super) fn of(header: CredentialHeader, value: &[u8]) -> Self {
        let (prefix, key) = header.split(value);
        Self {
            prefix: Prefix::of(prefix),
            key: KeyHash::of(key),
        }
    }
}

impl Prefix {
    fn of(prefix: &[u8]) -> Self {
        match prefix {
            b"" => Self::Nothing,
            BEARER => Self::Bearer,
            other => Self::Other(other.into()),
        }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Nothing => b"",
            Self::Bearer => BEARER,
            Self::Other(prefix) => prefix,
        }
    }
}

impl Matcher {
    pub(super) fn is_credential(&self) -> bool {
        matches!(
            self,
            Self::Key(_) | Self::CredentialIs { .. } | Self::CredentialLike { .. }
        )
    }
}

impl Atom {
    /// Whether the request's key makes the atom hold, rather than its absence.
    pub(super) fn grants(&self) -> bool {
        !self.negated && self.matcher.is_credential()
    }
}

impl Expression {
    pub(super) fn all(branches: Vec<Self>) -> Self {
        Self::joined(branches, Self::All)
    }

    pub(super) fn any(branches: Vec<Self>) -> Self {
        Self::joined(branches, Self::Any)
    }

    fn joined(mut branches: Vec<Self>, join: fn(Box<[Self]>) -> Self) -> Self {
        match branches.pop() {
            Some(only) if branches.is_empty() => only,
            last => {
                branches.extend(last);
                join(branches.into())
            }
        }
    }

    pub(super) fn any_atom(&self, wanted: &mut impl FnMut(&Atom) -> bool) -> bool {
        match self {
            Self::Atom(atom) => wanted(atom),
            Self::All(branches) | Self::Any(branches) => branches.iter().any(|branch| branch.any_atom(wanted)),
        }
    }

    pub(super) fn each_atom<'e>(&'e self, visit: &mut impl FnMut(&'e Atom)) {
        match self {
            Self::Atom(atom) => visit(atom),
            Self::All(branches) | Self::Any(branches) => branches.iter().for_each(|branch| branch.each_atom(visit)),
        }
    }
}
