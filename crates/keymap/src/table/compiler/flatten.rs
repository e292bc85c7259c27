//! A router's middlewares, in order, each chain replaced by what it stands for.

use std::sync::Arc;

use super::Compiler;
use super::compose::round;
use super::resolve::{Fault, local, missing};
use crate::mapping::{Middleware, MiddlewareKind, Router};

/// Of one router, chains taken apart. A chain may name a chain twice, and so on: without a bound a short file would
/// stand for more middlewares than there is memory.
const MIDDLEWARES_MAX: usize = 64;

impl Compiler {
    /// What cannot be used is reported, and the others are there all the same.
    pub(super) fn flattened(&self, router: &Router) -> (Arc<[Arc<Middleware>]>, Vec<Fault>) {
        if router.middlewares.is_empty() {
            // The one empty list that all share.
            return (Arc::default(), Vec::new());
        }
        let mut flat = Flat {
            compiler: self,
            found: Vec::new(),
            above: Vec::new(),
        };
        let faults = router
            .middlewares
            .iter()
            .filter_map(|name| flat.add(name).err())
            .collect();
        (flat.found.into(), faults)
    }
}

struct Flat<'c> {
    compiler: &'c Compiler,
    found: Vec<Arc<Middleware>>,
    above: Vec<Arc<str>>,
}

impl Flat<'_> {
    fn add(&mut self, name: &Arc<str>) -> Result<(), Fault> {
        let definition = self.compiler.middlewares.winner(local(name));
        let definition = definition.ok_or_else(|| missing("middleware", name))?;
        match &definition.item.kind {
            MiddlewareKind::Chain(names) => {
                let at = format!("{}:{}", definition.file.name, definition.item.position.line);
                let chain = &definition.item.name;
                self.add_all(chain, names)
                    .map_err(|fault| fault.through("chain", chain, &at))
            }
            MiddlewareKind::UnsupportedGuard(kind) => Err(unsupported(name, kind)),
            _ if self.found.len() >= MIDDLEWARES_MAX => Err(too_many(name)),
            _ => {
                self.found.push(definition.item.clone());
                Ok(())
            }
        }
    }

    fn add_all(&mut self, chain: &Arc<str>, names: &[Arc<str>]) -> Result<(), Fault> {
        if self.above.contains(chain) {
            return Err(round("middleware", chain, &self.above));
        }
        self.above.push(chain.clone());
        let added = names.iter().try_for_each(|name| self.add(name));
        self.above.pop();
        added
    }
}

fn unsupported(name: &Arc<str>, kind: &str) -> Fault {
    Fault {
        name: name.clone(),
        reason: format!("middleware {name} guards by {kind}, which is not implemented here"),
        fix: "Take the middleware off the router, and guard what it guarded in another way.",
    }
}

fn too_many(name: &Arc<str>) -> Fault {
    Fault {
        name: name.clone(),
        reason: format!("with its chains taken apart it has more than {MIDDLEWARES_MAX} middlewares"),
        fix: "Take out what stands in it more than once.",
    }
}
