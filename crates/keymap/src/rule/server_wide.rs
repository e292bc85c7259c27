//! Whether a rule names a path that shows or changes the whole server.

use super::Rule;
use super::expression::{Atom, Expression, Matcher};
use crate::target::is_server_wide;

impl Rule {
    /// Whether a request for `path`, a server-wide one, is one that this rule was written for: a `Path` or
    /// `PathPrefix` that is itself server-wide leads there. `PathPrefix(/)` covers such a path and does not name it.
    pub fn names_path(&self, path: &str) -> bool {
        self.tree().is_some_and(|tree| naming(tree, path) == Naming::Named)
    }
}

/// Ordered: a conjunction is as its first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Naming {
    /// This part of the rule does not hold on the path.
    Elsewhere,
    Named,
    Unnamed,
}

fn naming(expression: &Expression, path: &str) -> Naming {
    match expression {
        Expression::Atom(atom) => atom.naming(path),
        Expression::All(branches) => branches
            .iter()
            .map(|branch| naming(branch, path))
            .min()
            .unwrap_or(Naming::Unnamed),
        Expression::Any(branches) => any(branches, path),
    }
}

/// One branch that names the path is enough, unless another holds by a key of its own and does not name it: from
/// ``Key(`a`) && Path(`/slots`) || Key(`b`)``, b must not get what was meant for a.
fn any(branches: &[Expression], path: &str) -> Naming {
    let mut found = Naming::Elsewhere;
    for branch in branches {
        match naming(branch, path) {
            Naming::Elsewhere => {}
            Naming::Named => found = Naming::Named,
            Naming::Unnamed if branch.any_atom(&mut Atom::grants) => return Naming::Unnamed,
            Naming::Unnamed if found == Naming::Elsewhere => found = Naming::Unnamed,
            Naming::Unnamed => {}
        }
    }
    found
}

impl Atom {
    fn naming(&self, path: &str) -> Naming {
        let literal = match &self.matcher {
            Matcher::Path(literal) | Matcher::PathPrefix(literal) => Some(literal),
            Matcher::PathLike(_) => None,
            _ => return Naming::Unnamed,
        };
        if self.matcher.matches_path(path) == self.negated {
            return Naming::Elsewhere;
        }
        if !self.negated && literal.is_some_and(|literal| is_server_wide(literal)) {
            Naming::Named
        } else {
            Naming::Unnamed
        }
    }
}
