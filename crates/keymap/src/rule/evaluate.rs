//! What a rule says of a request, and what its holding is owed to.

use std::borrow::Cow;

use zeroize::Zeroizing;

use super::Rule;
use super::expression::{Atom, CredentialValue, Expression, Matcher, Prefix};
use super::form::Form;
use super::matcher::without_brackets;
use super::query;
use crate::credential::{BEARER, Credential, CredentialHeader, trimmed};
use crate::key::KeyHash;
use crate::table::{Model, Request};

/// Ordered: what a conjunction owes to a key, it owes to one of its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    False,
    /// It holds, and no matcher of a key had a part in it.
    Keyless,
    /// It holds because of the request's key.
    Keyed,
}

/// The least and the most a rule can come to. They differ only while the body's model, on which it turns, is unread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answer {
    least: Verdict,
    most: Verdict,
}

impl Answer {
    const NEVER: Self = Self::exactly(Verdict::False);

    const fn exactly(verdict: Verdict) -> Self {
        Self {
            least: verdict,
            most: verdict,
        }
    }

    /// Whether the rule comes to `wanted`; `None`: that turns on the model.
    pub(crate) fn comes_to(self, wanted: Verdict) -> Option<bool> {
        match self.least == self.most {
            true => Some(self.least == wanted),
            false if (self.least..=self.most).contains(&wanted) => None,
            false => Some(false),
        }
    }

    /// `False` dominates, then `Keyed`.
    fn and(self, other: Self) -> Self {
        let both = |left: Verdict, right: Verdict| match left.min(right) {
            Verdict::False => Verdict::False,
            _ => left.max(right),
        };
        Self {
            least: both(self.least, other.least),
            most: both(self.most, other.most),
        }
    }

    /// `Keyed` dominates, then `Keyless`.
    fn or(self, other: Self) -> Self {
        Self {
            least: self.least.max(other.least),
            most: self.most.max(other.most),
        }
    }
}

/// How much of a request is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    Whole,
    /// The credential alone; all else is taken to be as the rule wants it.
    Credential,
}

impl Rule {
    pub(crate) fn evaluate(&self, request: &Request<'_>) -> Answer {
        self.answer(request, Scope::Whole)
    }

    /// Whether the request's key opens this rule for some request, if not for this one.
    pub(crate) fn knows(&self, request: &Request<'_>) -> bool {
        self.answer(request, Scope::Credential).most == Verdict::Keyed
    }

    fn answer(&self, request: &Request<'_>, scope: Scope) -> Answer {
        let holds = match &self.form {
            Form::Key(key) => request.credential.is_some_and(|credential| credential.hash == *key),
            Form::Bearer(key) => {
                let value = CredentialValue {
                    prefix: Prefix::Bearer,
                    key: *key,
                };
                credential_is(CredentialHeader::Authorization, &[value], request)
            }
            Form::Tree(tree) => return answer(tree, request, scope),
        };
        Answer::exactly(if holds { Verdict::Keyed } else { Verdict::False })
    }
}

fn answer(expression: &Expression, request: &Request<'_>, scope: Scope) -> Answer {
    match expression {
        Expression::Atom(atom) => atom.answer(request, scope),
        Expression::All(branches) => {
            let mut all = Answer::exactly(Verdict::Keyless);
            for branch in branches {
                all = all.and(answer(branch, request, scope));
                if all == Answer::NEVER {
                    break;
                }
            }
            all
        }
        Expression::Any(branches) => {
            let mut any = Answer::NEVER;
            for branch in branches {
                any = any.or(answer(branch, request, scope));
                if any == Answer::exactly(Verdict::Keyed) {
                    break;
                }
            }
            any
        }
    }
}

impl Atom {
    fn answer(&self, request: &Request<'_>, scope: Scope) -> Answer {
        if scope == Scope::Credential && !self.matcher.is_credential() {
            return Answer::exactly(Verdict::Keyless);
        }
        match self.matcher.holds(request) {
            None => Answer {
                least: Verdict::False,
                most: Verdict::Keyless,
            },
            Some(holds) if holds == self.negated => Answer::NEVER,
            Some(_) if self.grants() => Answer::exactly(Verdict::Keyed),
            Some(_) => Answer::exactly(Verdict::Keyless),
        }
    }
}

impl Matcher {
    /// `None`: the body's model has not been read.
    fn holds(&self, request: &Request<'_>) -> Option<bool> {
        Some(match self {
            Self::Key(hash) => request.credential.is_some_and(|credential| credential.hash == *hash),
            Self::CredentialIs { header, values } => credential_is(*header, values, request),
            Self::CredentialLike { header, pattern } => any_line(*header, request, |line| pattern.matches(line)),
            Self::HeaderIs { name, value } => any_value(name, request, |found| found == value.as_bytes()),
            Self::HeaderLike { name, pattern } => any_value(name, request, |found| pattern.matches(found)),
            Self::Host(host) => host.eq_ignore_ascii_case(bare(request.host)),
            Self::HostLike(pattern) => pattern.matches(canonical(request.host).as_bytes()),
            Self::Method(method) => **method == *request.method,
            Self::Path(_) | Self::PathPrefix(_) | Self::PathLike(_) => self.matches_path(request.path),
            Self::QueryIs { name, value } => any_query(name, request, |found| found == value.as_bytes()),
            Self::QueryLike { name, pattern } => any_query(name, request, |found| pattern.matches(found)),
            Self::ClientIp(network) => network.contains(request.client_ip),
            Self::Model(model) => match request.model {
                Model::Unread => return None,
                Model::Read(found) => found == Some(model),
            },
        })
    }

    /// Matchers of other things hold for every path.
    pub(super) fn matches_path(&self, path: &str) -> bool {
        match self {
            Self::Path(literal) => **literal == *path,
            Self::PathPrefix(literal) => path.starts_with(&**literal),
            Self::PathLike(pattern) => pattern.matches(path.as_bytes()),
            _ => true,
        }
    }
}

/// The request's host as it is meant to come: a front end that left a capital, a dot or brackets changes no outcome.
fn canonical(host: &str) -> Cow<'_, str> {
    let bare = bare(host);
    if bare.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Cow::Owned(bare.to_ascii_lowercase());
    }
    Cow::Borrowed(bare)
}

fn bare(host: &str) -> &str {
    without_brackets(host.strip_suffix('.').unwrap_or(host))
}

/// `Host` is not among the headers that rules see; `Host(…)` is its matcher.
fn any_value(name: &http::HeaderName, request: &Request<'_>, matches: impl Fn(&[u8]) -> bool) -> bool {
    *name != http::header::HOST
        && request
            .headers
            .get_all(name)
            .iter()
            .any(|value| matches(trimmed(value)))
}

fn any_query(name: &str, request: &Request<'_>, matches: impl Fn(&[u8]) -> bool) -> bool {
    let mut pairs = request.query.into_iter().flat_map(query::pairs);
    pairs.any(|(found, value)| *found == *name.as_bytes() && matches(&value))
}

/// The key that rules on `Authorization` see as `Bearer <key>`, because another header brought it.
fn stand_in<'a>(header: CredentialHeader, request: &Request<'a>) -> Option<&'a Credential<'a>> {
    request
        .credential
        .filter(|credential| header == CredentialHeader::Authorization && !credential.in_authorization)
}

fn credential_is(header: CredentialHeader, values: &[CredentialValue], request: &Request<'_>) -> bool {
    if let Some(credential) = stand_in(header, request) {
        return values
            .iter()
            .any(|value| value.prefix == Prefix::Bearer && value.key == credential.hash);
    }
    header.lines(request.headers).any(|line| {
        let (prefix, key) = header.split(line);
        let mut candidates = values
            .iter()
            .filter(|value| value.prefix.as_bytes() == prefix)
            .peekable();
        candidates.peek().is_some() && {
            let hash = hash_of(key, request.credential);
            candidates.any(|value| value.key == hash)
        }
    })
}

/// A request's key has been hashed once already; only a line without it is hashed here.
fn hash_of(key: &[u8], credential: Option<&Credential<'_>>) -> KeyHash {
    match credential {
        Some(credential) if credential.key == key => credential.hash,
        _ => KeyHash::of(key),
    }
}

fn any_line(header: CredentialHeader, request: &Request<'_>, matches: impl Fn(&[u8]) -> bool) -> bool {
    match stand_in(header, request) {
        Some(credential) => matches_bearer(credential.key, matches),
        None => header.lines(request.headers).any(matches),
    }
}

/// Keys are short: for nearly all of them this takes no memory from the heap.
fn matches_bearer(key: &[u8], matches: impl Fn(&[u8]) -> bool) -> bool {
    const VALUE_BYTES_USUAL: usize = 128;
    let mut usual = Zeroizing::new([0; VALUE_BYTES_USUAL]);
    let Some(value) = usual.get_mut(..BEARER.len() + key.len()) else {
        return matches(&Zeroizing::new([BEARER, key].concat()));
    };
    value[..BEARER.len()].copy_from_slice(BEARER);
    value[BEARER.len()..].copy_from_slice(key);
    matches(value)
}
