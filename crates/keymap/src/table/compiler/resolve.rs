//! A router's names → what they stand for, across all files. A router that cannot be used keeps its place, so that
//! what it guards is refused and not handed on to the next router.

use std::sync::Arc;

use super::Compiler;
use crate::attachment::Attachment;
use crate::mapping::{Destination, Router};
use crate::table::Route;
use crate::table::definitions::Definition;
use crate::table::entry_points::Points;
use crate::table::problems::problem;
use document::{Problem, Severity};

/// Why a router cannot be used: a sentence for the log, the name at fault, and the fix.
pub(super) struct Fault {
    pub(super) name: Arc<str>,
    pub(super) reason: String,
    pub(super) fix: &'static str,
}

impl Fault {
    /// The same, where it was met on the way through something that stands `at` a file and line.
    pub(super) fn through(mut self, kind: &str, name: &str, at: &str) -> Self {
        self.reason = format!("through {kind} {name} ({at}), {}", self.reason);
        self
    }
}

impl Compiler {
    /// What the router's service was found to be, and the rest of what it names.
    pub(super) fn resolve(
        &self,
        definition: &Definition<Router>,
        destination: Result<Destination, Fault>,
    ) -> (Route, Vec<Problem>) {
        let router = &definition.item;
        let mut faults = Vec::new();
        let destination = destination.map_err(|fault| faults.push(fault));
        let (middlewares, unusable) = self.flattened(router);
        faults.extend(unusable);
        let unreachable = self.unreachable(router);
        let everywhere = unreachable.is_some();
        let points = match &router.entry_points {
            Some(named) if !everywhere => self.table.entry_points.named(named.iter().map(|name| &**name)),
            _ => Points::ALL,
        };
        faults.extend(unreachable);
        let broken = |fault: &Fault| format!("Router {} cannot be used: {}.", router.name, fault.reason);
        let destination = match (destination, faults.first()) {
            (Ok(destination), None) => Ok(destination),
            (_, fault) => Err(fault.map(broken).unwrap_or_default().into()),
        };
        let problems = faults
            .iter()
            .map(|fault| problem(Severity::Error, definition, &fault.name, broken(fault), fault.fix))
            .collect();
        (
            Route {
                router: router.clone(),
                destination,
                middlewares,
                attachment: Attachment::default(),
                everywhere,
                points,
            },
            problems,
        )
    }

    fn unreachable(&self, router: &Router) -> Option<Fault> {
        let (named, existing) = (router.entry_points.as_ref()?, self.entry_points.as_ref()?);
        if named.iter().any(|name| existing.contains(&**name)) {
            return None;
        }
        let name = named.join(", ").into();
        let reason = "none of its entry points exists".into();
        Some(Fault {
            name,
            reason,
            fix: "Name an entry point of the static configuration, or take entryPoints out.",
        })
    }
}

/// A name in this provider may say so.
pub(super) fn local(name: &str) -> &str {
    name.strip_suffix("@file").unwrap_or(name)
}

pub(super) fn missing(kind: &str, name: &Arc<str>) -> Fault {
    let name = name.clone();
    if local(&name).contains('@') {
        let reason = format!("{kind} {name} belongs to another provider, and there is only the file provider here");
        return Fault {
            name,
            reason,
            fix: "Define it in a mapping file, and name it without a provider.",
        };
    }
    let reason = format!("no file defines {kind} {name}");
    Fault {
        name,
        reason,
        fix: "Define it, or correct the name; the file that defines it may not check.",
    }
}
