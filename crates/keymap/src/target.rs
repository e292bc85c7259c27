//! A request target, cleaned: the path that rules match and the path that is forwarded come from the same bytes.
//!
//! ```text
//!  http://h//v1/./%6dodels/a%2fb?x=1 ──▶ forward  /v1/models/a%2Fb?x=1
//!                                        path     /v1/models/a/b
//!                                        query    x=1             authority  h
//! ```
//!
//! A backend may decode the path before or after it looks for slashes and dots. Where the two orders could lead to
//! different places, the target is refused, so that no rule is checked against one path and another one is served.

mod clean;
mod server_wide;

pub(crate) use clean::hex_pair;
pub use server_wide::is_server_wide;

/// What a rewritten path may come to: no client's head is longer.
const PATH_BYTES_MAX: usize = 64 * 1024;

/// A path that stands in a mapping, as [`Target::forward_path`] would have it.
pub(crate) fn clean_path(literal: &str) -> Result<String, TargetError> {
    clean::path(literal.as_bytes(), 0).map(|(forward, _)| forward)
}

/// A cleaned request target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// With the query. Where nothing was escaped, the path that rules match stands in it too.
    forward: String,
    path_bytes: usize,
    /// The path decoded, where that is another text.
    decoded: Option<String>,
    authority: Option<String>,
}

/// Why a target is refused (400).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetError {
    Fragment,
    /// An escape that is none, or a path that does not decode to UTF-8: rules are text, and an approximation of a path
    /// could match what the path itself would not.
    BadEscape,
    /// Decoding makes a dot segment, a backslash or a control character: check and forward could disagree.
    Ambiguous,
    /// Neither origin form, absolute form nor `*`.
    Form,
}

impl Target {
    /// # Errors
    /// [`TargetError`], each a 400.
    pub fn parse(raw: &[u8]) -> Result<Self, TargetError> {
        if raw.contains(&b'#') {
            return Err(TargetError::Fragment);
        }
        if raw.iter().any(|byte| *byte <= b' ' || *byte == 0x7f) {
            return Err(TargetError::Form);
        }
        let (authority, origin) = match raw {
            b"*" => (None, raw),
            _ => split_authority(raw)?,
        };
        let (raw_path, query) = match origin.iter().position(|byte| *byte == b'?') {
            Some(mark) => origin.split_at(mark),
            None => (origin, &[][..]),
        };
        let (mut forward, decoded) = match raw_path {
            b"*" => ("*".into(), None),
            b"" => clean::path(b"/", query.len())?,
            path => clean::path(path, query.len())?,
        };
        let path_bytes = forward.len();
        clean::push_ascii(query, &mut forward);
        Ok(Self {
            forward,
            path_bytes,
            decoded,
            authority,
        })
    }

    /// What is forwarded: origin form, dot segments and doubled slashes gone, unreserved characters unescaped.
    pub fn forward(&self) -> &str {
        &self.forward
    }

    /// [`Self::forward`] without the query.
    pub fn forward_path(&self) -> &str {
        &self.forward[..self.path_bytes]
    }

    /// The same request for another path, which is cleaned as a client's is. What a target could not have (blanks, `?`)
    /// is escaped.
    ///
    /// # Errors
    /// [`TargetError`], as for a client's; also where the path is longer than a client's could be.
    pub fn with_path(&self, raw_path: &[u8]) -> Result<Self, TargetError> {
        if raw_path.len() > PATH_BYTES_MAX {
            return Err(TargetError::Form);
        }
        let query = &self.forward[self.path_bytes..];
        let (mut forward, decoded) = match raw_path {
            [b'/', ..] => clean::path(raw_path, query.len())?,
            _ => clean::path(&[b"/", raw_path].concat(), query.len())?,
        };
        let path_bytes = forward.len();
        forward.push_str(query);
        Ok(Self {
            forward,
            path_bytes,
            decoded,
            authority: self.authority.clone(),
        })
    }

    /// The path that rules match: [`Self::forward`]'s path, percent-decoded whole.
    pub fn path(&self) -> &str {
        self.decoded.as_deref().unwrap_or(&self.forward[..self.path_bytes])
    }

    /// The query as it came, without `?`.
    pub fn query(&self) -> Option<&str> {
        self.forward[self.path_bytes..].strip_prefix('?')
    }

    /// Host and port of an absolute-form target, as they came. They stand above the `Host` header (RFC 9112, 3.2.2).
    pub fn authority(&self) -> Option<&str> {
        self.authority.as_deref()
    }
}

/// Absolute form's authority, and what origin form would have been.
fn split_authority(raw: &[u8]) -> Result<(Option<String>, &[u8]), TargetError> {
    if raw.starts_with(b"/") {
        return Ok((None, raw));
    }
    let scheme = [&b"http://"[..], b"https://"]
        .into_iter()
        .find(|scheme| {
            raw.get(..scheme.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        })
        .ok_or(TargetError::Form)?;
    let rest = &raw[scheme.len()..];
    let end = rest
        .iter()
        .position(|byte| matches!(byte, b'/' | b'?'))
        .unwrap_or(rest.len());
    let (authority, origin) = rest.split_at(end);
    // A user name before an @ is a way to make one host look like another.
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~:[]".contains(byte);
    match std::str::from_utf8(authority) {
        Ok(host) if !host.is_empty() && authority.iter().all(plain) => Ok((Some(host.to_owned()), origin)),
        _ => Err(TargetError::Form),
    }
}

#[cfg(test)]
mod tests;
