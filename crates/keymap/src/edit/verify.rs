//! Whether an edited text says what the text before it said, but for the one thing that was to change.
//!
//! Every edit passes here before it is written. It compares what the two texts mean to a YAML parser, so a mistake in
//! cutting (or a spelling nobody thought of: an anchor that others use, a merge) becomes a refusal, never a wrong file.

use document::{Node, Value, parse};

/// What an edit was to do to a router.
pub(super) enum Change<'a> {
    Gone,
    /// Its rule is now this.
    Rule(&'a str),
}

/// Whether that, and nothing else, is what happened.
pub(super) fn only(before: &str, after: &str, router: &str, change: &Change<'_>) -> bool {
    let (Ok(before), Ok(after)) = (parse(before), parse(after)) else {
        return false;
    };
    let mut path = vec![Step::Field("http"), Step::Field("routers"), Step::Name(router)];
    if matches!(change, Change::Rule(_)) {
        path.push(Step::Field("rule"));
    }
    differs_at(&before, &after, &path, change)
}

#[derive(Clone, Copy)]
enum Step<'a> {
    /// In any case.
    Field(&'a str),
    Name(&'a str),
}

impl Step<'_> {
    fn leads_to(self, key: &str) -> bool {
        match self {
            Self::Field(name) => key.eq_ignore_ascii_case(name),
            Self::Name(name) => key == name,
        }
    }
}

fn differs_at(before: &Node<'_>, after: &Node<'_>, path: &[Step<'_>], change: &Change<'_>) -> bool {
    let Some((step, rest)) = path.split_first() else {
        return matches!((&after.value, change), (Value::Scalar(now), Change::Rule(rule)) if **now == **rule);
    };
    let (Value::Map(before), Value::Map(after)) = (&before.value, &after.value) else {
        return false;
    };
    let mut after = after.iter();
    let mut seen = false;
    for entry in before {
        let here = step.leads_to(&entry.key);
        seen |= here;
        if here && rest.is_empty() && matches!(change, Change::Gone) {
            continue;
        }
        let Some(now) = after.next().filter(|now| now.key == entry.key) else {
            return false;
        };
        let as_wanted = if here {
            differs_at(&entry.value, &now.value, rest, change)
        } else {
            same(&entry.value, &now.value)
        };
        if !as_wanted {
            return false;
        }
    }
    seen && after.next().is_none()
}

fn same(left: &Node<'_>, right: &Node<'_>) -> bool {
    match (&left.value, &right.value) {
        (Value::Null, Value::Null) => true,
        (Value::Scalar(left), Value::Scalar(right)) => left == right,
        (Value::List(left), Value::List(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (Value::Map(left), Value::Map(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .zip(right)
                    .all(|(left, right)| left.key == right.key && same(&left.value, &right.value))
        }
        _ => false,
    }
}
