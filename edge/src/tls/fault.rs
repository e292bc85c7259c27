//! Why files cannot be used for TLS. Nothing of their content is in it.

use std::fmt;
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFault {
    /// Empty where no file is to blame.
    pub file: PathBuf,
    pub rule: &'static str,
    /// What was found in its place.
    pub value: String,
    pub fix: &'static str,
}

impl TlsFault {
    pub(super) fn new(file: &Path, rule: &'static str, value: impl fmt::Display, fix: &'static str) -> Self {
        Self {
            file: file.to_owned(),
            rule,
            value: value.to_string(),
            fix,
        }
    }
}

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.file.as_os_str().is_empty() {
            write!(f, "{}: ", self.file.display())?;
        }
        write!(f, "{} Found: {}. {}", self.rule, self.value, self.fix)
    }
}

impl std::error::Error for TlsFault {}
