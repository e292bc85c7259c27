//! What a request's path becomes, and which paths there are for a router.

use std::sync::Arc;

use crate::rule::Pattern;
use crate::target::is_server_wide;

/// The first of the prefixes that the path begins with is taken off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StripPrefix {
    /// Each begins with a slash, and is escaped as [`crate::Target::forward_path`] is. Never empty.
    pub prefixes: Box<[Arc<str>]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddPrefix {
    /// Empty or `/…` without a slash at its end, escaped as [`crate::Target::forward_path`] is.
    pub prefix: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplacePath {
    /// Begins with a slash, and is escaped as [`crate::Target::forward_path`] is.
    pub path: Arc<str>,
}

/// Every match in the path, as it would be forwarded (escapes and all), is replaced.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplacePathRegex {
    pub regex: Pattern,
    /// With `$1` and `${name}` for what groups matched.
    pub replacement: Arc<str>,
}

/// Conclave's: the paths that a router's requests may have.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Paths {
    /// Only these; `None`: all but server-wide ones. Never empty.
    pub allow: Option<Box<[PathPattern]>>,
    /// Server-wide ones that are open too.
    pub open: Box<[PathPattern]>,
}

/// A path, or with a `*` at its end all that begin so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPattern {
    /// Decoded, without the `*`.
    literal: Arc<str>,
    is_prefix: bool,
}

impl Paths {
    /// Whether a decoded path may be asked for at all.
    pub fn allows(&self, path: &str) -> bool {
        let listed = |patterns: &[PathPattern]| patterns.iter().any(|pattern| pattern.matches(path));
        self.allow
            .as_ref()
            .is_none_or(|allow| listed(allow) || listed(&self.open))
    }

    /// Whether a server-wide path is named. `/*` covers such a path and does not name it.
    pub fn opens(&self, path: &str) -> bool {
        let listed = self.allow.iter().flatten().chain(&self.open);
        listed.into_iter().any(|pattern| pattern.names(path))
    }
}

impl PathPattern {
    /// `None` where it does not begin with a slash, or has a `*` elsewhere than at its end.
    pub fn parse(text: &str) -> Option<Self> {
        let literal = text.strip_suffix('*');
        let is_prefix = literal.is_some();
        let literal = literal.unwrap_or(text);
        let valid = literal.starts_with('/') && !literal.contains('*') && !literal.chars().any(char::is_control);
        valid.then(|| Self {
            literal: literal.into(),
            is_prefix,
        })
    }

    pub fn matches(&self, path: &str) -> bool {
        if self.is_prefix {
            path.starts_with(&*self.literal)
        } else {
            *path == *self.literal
        }
    }

    fn names(&self, path: &str) -> bool {
        self.matches(path) && is_server_wide(&self.literal)
    }
}
