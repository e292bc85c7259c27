//! Why nothing was written: the rule, the value, the place, the fix.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use document::Position;

/// Nothing was changed where this is returned, unless it says so. It never holds a key.
#[derive(Debug)]
pub struct EditError {
    rule: String,
    value: String,
    place: Option<(PathBuf, Position)>,
    fix: String,
}

impl EditError {
    /// Without a place.
    pub fn new(rule: impl Into<String>, value: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            rule: rule.into(),
            value: value.into(),
            place: None,
            fix: fix.into(),
        }
    }

    /// The rule that was broken, as a sentence.
    pub fn rule(&self) -> &str {
        &self.rule
    }

    /// What broke it; may be empty.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// What to do instead; may be empty.
    pub fn fix(&self) -> &str {
        &self.fix
    }

    /// Where it is, where it has a place.
    pub fn place(&self) -> Option<(&Path, Position)> {
        self.place.as_ref().map(|(path, position)| (path.as_path(), *position))
    }

    pub(super) fn at(mut self, path: &Path, position: Position) -> Self {
        self.place = Some((path.to_owned(), position));
        self
    }

    pub(super) fn io(what: &str, path: &Path, error: io::Error) -> Self {
        let known = custody::fix(&error).map(str::to_owned);
        let fix = match error.kind() {
            io::ErrorKind::PermissionDenied => "Run this as the folder's owner.",
            io::ErrorKind::NotFound => "Make it, or name the folder of mapping files with --mappings.",
            _ => "",
        };
        Self::new(format!("{what}: {error}."), "", known.as_deref().unwrap_or(fix)).at(path, Position::default())
    }
}

impl fmt::Display for EditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((path, position)) = &self.place {
            write!(f, "{}:", path.display())?;
            if position.line > 0 {
                write!(f, "{}:{}:", position.line, position.column)?;
            }
            f.write_str(" ")?;
        }
        f.write_str(&self.rule)?;
        if !self.value.is_empty() {
            write!(f, "\n    value: {}", self.value)?;
        }
        if !self.fix.is_empty() {
            write!(f, "\n    fix:   {}", self.fix)?;
        }
        Ok(())
    }
}

impl std::error::Error for EditError {}
