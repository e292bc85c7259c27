//! A scalar's text: a part of the file's, or (where escapes or line breaks had to be resolved) one of its own, which is
//! wiped when it is dropped. A key may stand in any scalar, so no formatting shows one.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use zeroize::Zeroize as _;

#[derive(Clone)]
pub struct Words<'t>(Cow<'t, str>);

impl<'t> Words<'t> {
    /// What a copy takes beside the node that holds it.
    pub(super) fn own_bytes(&self) -> usize {
        match &self.0 {
            Cow::Borrowed(_) => 0,
            Cow::Owned(text) => text.len(),
        }
    }

    /// For a map's key: names are no secrets.
    pub(super) fn into_name(mut self) -> Cow<'t, str> {
        std::mem::take(&mut self.0)
    }
}

impl<'t> From<Cow<'t, str>> for Words<'t> {
    fn from(text: Cow<'t, str>) -> Self {
        Self(text)
    }
}

impl From<String> for Words<'_> {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text))
    }
}

impl Deref for Words<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Words<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl fmt::Debug for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({} bytes)", self.0.len())
    }
}

impl Drop for Words<'_> {
    fn drop(&mut self) {
        if let Cow::Owned(text) = &mut self.0 {
            text.zeroize();
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn debug_shows_no_text() {
        let node = crate::parse("rule: \"Key(`sk-canary`) \\x41\"\nother: sk-canary\n").unwrap();
        let shown = format!("{node:?}");
        assert!(!shown.contains("canary") && shown.contains("bytes"), "{shown}");
    }
}
