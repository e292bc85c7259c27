//! `routing.fallbacks`: read, and held free of cycles.
//!
//! A chain may go on through the fallbacks of a fallback. One that comes back to where it began can only be a mistake,
//! and it is told at the name that closes the circle.

use std::collections::BTreeMap;
use std::sync::Arc;

use document::{Field, Named, Position, Report, named, shown_name};

use super::routing::Fallbacks;

/// A model with more stand-ins than this has none that anybody means.
const FALLBACKS_MAX: usize = 16;

pub(super) fn read(field: Field<'_>, report: &mut Report<'_>) -> Fallbacks {
    let mut fallbacks = Fallbacks::new();
    let mut places = BTreeMap::new();
    for Named { name, position, node } in named(field.node, "fallback", report) {
        let chain = Field {
            name: "fallbacks",
            position,
            node,
        };
        let chain = chain.names(report);
        if chain.is_empty() {
            let fix = "Write the models that stand in for it, as `[one, two]`, or remove the line.";
            report.warning(position, shown_name(&name), "This model has no fallbacks.", fix);
        }
        if chain.len() > FALLBACKS_MAX {
            let rule = format!(
                "A model has {FALLBACKS_MAX} fallbacks at most; this one has {}.",
                chain.len()
            );
            report.error(position, shown_name(&name), rule, "Keep the ones that matter.");
        }
        places.insert(Arc::clone(&name), position);
        fallbacks.insert(name, chain);
    }
    for (name, position) in places {
        if let Some(circle) = circle(&name, &fallbacks) {
            tell(&circle, position, report);
        }
    }
    fallbacks
}

/// The way from a model back to itself, if there is one. Each circle is found once, from its first name by code point.
fn circle<'f>(start: &'f str, fallbacks: &'f Fallbacks) -> Option<Vec<&'f str>> {
    let mut ways = vec![vec![start]];
    let mut seen = std::collections::BTreeSet::new();
    while let Some(way) = ways.pop() {
        let last = way.last().copied().unwrap_or(start);
        for next in fallbacks.get(last).into_iter().flatten().map(|name| &**name) {
            if next == start {
                return Some(way);
            }
            // Through an earlier name the circle is that name's to tell.
            if next > start && seen.insert(next) {
                let mut further = way.clone();
                further.push(next);
                ways.push(further);
            }
        }
    }
    None
}

fn tell(circle: &[&str], position: Position, report: &mut Report<'_>) {
    let first = circle.first().copied().unwrap_or_default();
    let way: Vec<String> = circle.iter().chain([&first]).map(|name| shown_name(name)).collect();
    let fix = "Remove one of the names from the others' fallbacks.";
    report.error(
        position,
        way.join(" → "),
        "Fallbacks must not lead back to the model they stand in for.",
        fix,
    );
}
