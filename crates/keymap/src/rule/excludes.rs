//! Whether two rules can never hold for one request, as far as that is plain to see.

use super::Rule;
use super::expression::{Expression, Matcher};

impl Rule {
    /// Both demand one thing of the request, and different values of it. A `false` says nothing.
    pub(crate) fn excludes(&self, other: &Self) -> bool {
        let (Some(mine), Some(theirs)) = (self.tree(), other.tree()) else {
            return false;
        };
        demands(mine).any(|mine| demands(theirs).any(|theirs| clash(mine, theirs)))
    }
}

/// The matchers that hold wherever the rule holds.
fn demands(expression: &Expression) -> impl Iterator<Item = &Matcher> {
    let parts = match expression {
        Expression::All(parts) => parts,
        other => std::slice::from_ref(other),
    };
    parts.iter().filter_map(|part| match part {
        Expression::Atom(atom) if !atom.negated => Some(&atom.matcher),
        _ => None,
    })
}

fn clash(left: &Matcher, right: &Matcher) -> bool {
    match (left, right) {
        (Matcher::Path(left), Matcher::Path(right))
        | (Matcher::Method(left), Matcher::Method(right))
        | (Matcher::Host(left), Matcher::Host(right))
        | (Matcher::Model(left), Matcher::Model(right)) => left != right,
        (Matcher::Path(path), Matcher::PathPrefix(prefix)) | (Matcher::PathPrefix(prefix), Matcher::Path(path)) => {
            !path.starts_with(&**prefix)
        }
        (Matcher::PathPrefix(left), Matcher::PathPrefix(right)) => {
            !left.starts_with(&**right) && !right.starts_with(&**left)
        }
        _ => false,
    }
}
