//! Traefik's v3 rule language, with `Key`, `KeySha256` and `Model`.
//!
//! ```text
//!  text ──lexer──▶ tokens ──parser──▶ names and arguments ──matcher──▶ Expression ──▶ Form ──evaluate──▶ Answer
//!                                                                                      │
//!                                                                                      └──reach──▶ keys that can open it
//! ```
//!
//! A parsed rule is in negation normal form: every `!` has been pushed to the matchers. It holds no key in the clear:
//! where a matcher spells out a credential, only the hash of the key is kept.

mod evaluate;
mod excludes;
mod expression;
mod form;
mod lexer;
mod literals;
mod matcher;
mod name;
mod network;
mod parser;
mod pattern;
mod query;
mod reach;
mod salvage;
mod server_wide;
mod sites;

use std::fmt;

use crate::key::KeyHash;
pub(crate) use evaluate::Verdict;
use expression::{Atom, Expression, Matcher};
use form::Form;
pub(crate) use form::Opening;
pub use network::Network;
pub use pattern::Pattern;
pub(crate) use pattern::PatternError;
pub(crate) use reach::Reach;
pub use salvage::salvage_keys;
pub(crate) use sites::{Site, sites};

/// The longest rule taken, in bytes. A rule that lists a thousand keys fits; what is longer is a file gone wrong.
pub const RULE_BYTES_MAX: usize = 64 * 1024;

/// A parsed rule. It holds no key in the clear, and no formatting shows one.
pub struct Rule {
    form: Form,
    text_bytes: u32,
}

/// Neither keys nor patterns: what a pattern on a credential header looks for may be most of a key.
impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rule({} bytes)", self.text_bytes)
    }
}

/// Why a rule does not parse: where in its text (byte offset), what stands there (masked where it may be a key), the
/// rule broken and the fix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleError {
    pub offset: usize,
    pub value: String,
    pub rule: String,
    pub fix: String,
}

impl Rule {
    /// # Errors
    /// All that is wrong with the text, in order. After a fault in the grammar nothing further is looked for.
    pub fn parse(text: &str) -> Result<Self, Vec<RuleError>> {
        let text_bytes = u32::try_from(text.len()).ok().filter(|_| text.len() <= RULE_BYTES_MAX);
        let text_bytes = text_bytes.ok_or_else(|| vec![too_long(text.len())])?;
        Ok(Self {
            form: Form::of(parser::parse(text)?),
            text_bytes,
        })
    }

    /// The text's length in bytes: the priority of a router that gives none.
    pub fn text_length(&self) -> usize {
        self.text_bytes as usize
    }

    /// The credentials of which one must be presented for the rule to hold by way of a key. `None`: they cannot be
    /// listed. Empty: no key opens it.
    pub fn pins(&self) -> Option<Vec<KeyHash>> {
        self.reach().keyed.listed()
    }

    /// Whether a credential's presence can make the rule hold.
    pub fn has_credential_atom(&self) -> bool {
        match &self.form {
            Form::Key(_) | Form::Bearer(_) => true,
            Form::Tree(tree) => tree.any_atom(&mut |atom| atom.grants()),
        }
    }

    /// Whether the rule asks for the body's model.
    pub fn uses_model(&self) -> bool {
        let is_model = &mut |atom: &Atom| matches!(atom.matcher, Matcher::Model(_));
        self.tree().is_some_and(|tree| tree.any_atom(is_model))
    }

    /// The models that the rule names.
    pub fn models(&self) -> Vec<&str> {
        let mut models = Vec::new();
        if let Some(tree) = self.tree() {
            tree.each_atom(&mut |atom| match &atom.matcher {
                Matcher::Model(model) if !atom.negated => models.push(&**model),
                _ => {}
            });
        }
        models
    }

    pub(crate) fn reach(&self) -> Reach {
        match &self.form {
            Form::Key(key) | Form::Bearer(key) => Reach::of_key(*key),
            Form::Tree(tree) => Reach::of(tree),
        }
    }

    pub(crate) fn opening(&self) -> Opening {
        self.form.opening()
    }

    /// `None`: the rule is one key and asks for nothing else.
    fn tree(&self) -> Option<&Expression> {
        match &self.form {
            Form::Key(_) | Form::Bearer(_) => None,
            Form::Tree(tree) => Some(tree),
        }
    }
}

fn too_long(bytes: usize) -> RuleError {
    RuleError {
        offset: 0,
        value: format!("{bytes} bytes"),
        rule: format!("A rule is at most {RULE_BYTES_MAX} bytes long."),
        fix: "Split it into several routers.".into(),
    }
}

#[cfg(test)]
mod tests;
