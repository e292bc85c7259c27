//! A router's names → what they stand for, across all files. A router that cannot be used keeps its place, so that
//! what it guards is refused and not handed on to the next router.

use std::sync::Arc;

use super::Compiler;
use crate::attachment::Attachment;
use crate::mapping::{Destination, Middleware, MiddlewareKind, Router};
use crate::table::Route;
use crate::table::definitions::Definition;
use crate::table::entry_points::Points;
use crate::table::problems::problem;
use document::{Problem, Severity};

/// Why a router cannot be used: a sentence for the log, the name at fault, and the fix.
struct Fault {
    name: Arc<str>,
    reason: String,
    fix: &'static str,
}

impl Compiler {
    pub(super) fn resolve(&self, definition: &Definition<Router>) -> (Route, Vec<Problem>) {
        let router = &definition.item;
        let mut faults = Vec::new();
        let destination = self.destination(&router.service).map_err(|fault| faults.push(fault));
        let mut middlewares = Vec::with_capacity(router.middlewares.len());
        for name in &router.middlewares {
            match self.middleware(name) {
                Ok(middleware) => middlewares.push(middleware),
                Err(fault) => faults.push(fault),
            }
        }
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
                middlewares: middlewares.into(),
                attachment: Attachment::default(),
                everywhere,
                points,
            },
            problems,
        )
    }

    fn destination(&self, name: &Arc<str>) -> Result<Destination, Fault> {
        match &**name {
            "aggregator@internal" => return Ok(Destination::Aggregator),
            "noop@internal" => return Ok(Destination::Noop),
            _ => {}
        }
        let found = self.services.winner(local(name));
        found
            .map(|found| Destination::Service(found.item.clone()))
            .ok_or_else(|| missing("service", name))
    }

    fn middleware(&self, name: &Arc<str>) -> Result<Arc<Middleware>, Fault> {
        let found = self
            .middlewares
            .winner(local(name))
            .ok_or_else(|| missing("middleware", name))?;
        match &found.item.kind {
            MiddlewareKind::UnsupportedGuard(kind) => Err(Fault {
                name: name.clone(),
                reason: format!("middleware {name} guards by {kind}, which is not implemented here"),
                fix: "Take the middleware off the router, and guard what it guarded in another way.",
            }),
            MiddlewareKind::UnsupportedOther(_) => Ok(found.item.clone()),
        }
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
fn local(name: &str) -> &str {
    name.strip_suffix("@file").unwrap_or(name)
}

fn missing(kind: &str, name: &Arc<str>) -> Fault {
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
