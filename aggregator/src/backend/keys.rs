//! Keys for backends that ask for one.
//!
//! A key given for one URL is sent to that URL from the start. The common key is sent only to a backend that has
//! answered 401 without it, so that servers which ask for nothing learn nothing. Neither is ever shown: the header
//! values are marked sensitive and the plaintext is dropped once they are made.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use axum::http::HeaderValue;
use keymap::{ApiKey, Position, Problem, Severity};

use crate::config::ConfigError;

#[derive(Clone, Default)]
pub struct BackendKeys {
    common: Option<HeaderValue>,
    by_url: HashMap<String, HeaderValue>,
}

impl BackendKeys {
    /// One key for every backend that asks.
    ///
    /// # Errors
    /// Where the key cannot be sent in a header.
    pub fn common(option: &'static str, key: &ApiKey) -> Result<Self, ConfigError> {
        let common = bearer(key).ok_or_else(|| ConfigError {
            option,
            value: String::new(),
            rule: "a key is one or more visible ASCII characters".to_owned(),
            fix: "remove blanks and line ends from the key".to_owned(),
        })?;
        Ok(Self {
            common: Some(common),
            by_url: HashMap::new(),
        })
    }

    /// A key file: one entry a line, `KEY` for every backend that asks or `URL KEY` for one; `#` begins a comment.
    ///
    /// # Errors
    /// Every line that is neither; no problem shows a key.
    pub fn parse(path: &Path, text: &str) -> Result<Self, Vec<Problem>> {
        let mut keys = Self::default();
        let mut problems = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let words: Vec<&str> = line.split_whitespace().collect();
            if words.first().is_none_or(|first| first.starts_with('#')) {
                continue;
            }
            if let Err(rule) = keys.add(&words) {
                problems.push(problem(path, index, rule));
            }
        }
        if problems.is_empty() { Ok(keys) } else { Err(problems) }
    }

    fn add(&mut self, words: &[&str]) -> Result<(), &'static str> {
        const SENDABLE: &str = "a key is made of visible ASCII characters";
        let key = |text: &str| bearer(&ApiKey::new(text)).ok_or(SENDABLE);
        match *words {
            [common] if self.common.is_none() => self.common = Some(key(common)?),
            [_] => return Err("there is one common key at most"),
            [url, own] if url.starts_with("http://") || url.starts_with("https://") => {
                let url = url.trim_end_matches('/').to_owned();
                if self.by_url.insert(url, key(own)?).is_some() {
                    return Err("a URL has one key at most");
                }
            }
            _ => return Err("a line is `KEY` or `URL KEY`, and a URL begins with http:// or https://"),
        }
        Ok(())
    }

    /// What is sent to this URL from the start.
    pub(crate) fn own(&self, url: &str) -> Option<&HeaderValue> {
        self.by_url.get(url)
    }

    /// What is sent to a backend that has answered 401.
    pub(crate) fn when_asked(&self) -> Option<&HeaderValue> {
        self.common.as_ref()
    }
}

/// Says how many keys there are, never which.
impl fmt::Debug for BackendKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackendKeys")
            .field("common", &self.common.as_ref().map(|_| "redacted"))
            .field("by_url", &self.by_url.len())
            .finish()
    }
}

fn bearer(key: &ApiKey) -> Option<HeaderValue> {
    let key = key.expose();
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {key}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn problem(path: &Path, index: usize, rule: &str) -> Problem {
    Problem {
        severity: Severity::Error,
        path: path.to_owned(),
        position: Position {
            line: u32::try_from(index + 1).unwrap_or(u32::MAX),
            column: 1,
        },
        value: String::new(),
        rule: rule.to_owned(),
        fix: "write `KEY`, or `http://127.0.0.1:8011 KEY`".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_holds_a_common_key_and_keys_by_url() {
        let text = "# for all\nsk-canary-1\n\nhttp://10.0.0.1:8011/ sk-canary-2\n";
        let keys = BackendKeys::parse(Path::new("keys"), text).unwrap();
        assert_eq!(keys.when_asked().unwrap(), "Bearer sk-canary-1");
        assert_eq!(keys.own("http://10.0.0.1:8011").unwrap(), "Bearer sk-canary-2");
        assert_eq!(keys.own("http://10.0.0.1:8012"), None);
        assert!(!format!("{keys:?} {:?}", keys.when_asked()).contains("canary"));
    }

    #[test]
    fn every_bad_line_is_reported_with_its_number_and_without_its_key() {
        let text = "sk-canary-1\nsk-canary-2\nftp://x sk-canary-3\na b sk-canary-4\nhttp://a sk-canary-é\nhttp://b k\nhttp://b k";
        let problems = BackendKeys::parse(Path::new("keys"), text).unwrap_err();
        let lines: Vec<u32> = problems.iter().map(|problem| problem.position.line).collect();
        assert_eq!(lines, [2, 3, 4, 5, 7]);
        assert!(problems.iter().all(|problem| !problem.to_string().contains("canary")));
    }

    #[test]
    fn a_key_that_no_header_can_carry_is_refused_unseen() {
        for bad in ["", "sk-canary\n", "sk canary"] {
            let error = BackendKeys::common("--backend-key", &ApiKey::new(bad)).unwrap_err();
            assert!(!error.to_string().contains("canary"));
        }
    }
}
