//! `headers`: what is set, what is taken away, and which other origins a browser may call from.

use std::fmt;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};

use crate::rule::Pattern;

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Headers {
    pub request: Box<[HeaderChange]>,
    /// `customResponseHeaders`, after what `frameDeny` and its like stand for.
    pub response: Box<[HeaderChange]>,
    pub cross_origin: Option<CrossOrigin>,
}

/// A header's new value, or that it goes.
#[derive(Clone, PartialEq, Eq)]
pub struct HeaderChange {
    pub name: HeaderName,
    /// `None`: it is taken away.
    pub value: Option<HeaderValue>,
}

/// CORS: the `accessControl…` fields.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CrossOrigin {
    pub allow_credentials: bool,
    /// As the header's value; `None`: not sent.
    pub allow_headers: Option<HeaderValue>,
    pub allow_methods: Option<HeaderValue>,
    pub expose_headers: Option<HeaderValue>,
    pub max_age_seconds: i64,
    /// `*` allows any.
    pub allow_origins: Box<[Arc<str>]>,
    pub allow_origin_patterns: Box<[Pattern]>,
    /// Whether answers say that they depend on the origin.
    pub vary: bool,
}

/// The value may be a key.
impl fmt::Debug for HeaderChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.value.is_some() { "set" } else { "removed" };
        write!(f, "{}: {what}", self.name)
    }
}

impl CrossOrigin {
    /// What `Access-Control-Allow-Origin` says to this origin: `*`, or the origin itself. `None`: it is not allowed.
    pub fn allowed<'a>(&self, origin: &'a str) -> Option<&'a str> {
        let listed = self.allow_origins.iter().find_map(|allowed| match &**allowed {
            "*" => Some("*"),
            allowed => (*allowed == *origin).then_some(origin),
        });
        let like = || {
            self.allow_origin_patterns
                .iter()
                .any(|pattern| pattern.matches(origin.as_bytes()))
        };
        listed.or_else(|| like().then_some(origin))
    }
}
