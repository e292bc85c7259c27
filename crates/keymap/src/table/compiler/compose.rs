//! A service that names others, or a transport → a copy in which each name is found; made once, whatever the number of
//! routers that lead there, and again when something below it changes.

use std::sync::Arc;

use super::Compiler;
use super::resolve::{Fault, local, missing};
use crate::attachment::Attachment;
use crate::mapping::{Destination, Service, ServiceKind};

/// How many services may stand above one another. Whoever serves a request goes down as deep.
const DEPTH_MAX: usize = 16;

impl Compiler {
    pub(super) fn destination(&mut self, name: &Arc<str>) -> Result<Destination, Fault> {
        match &**name {
            "aggregator@internal" => Ok(Destination::Aggregator),
            "noop@internal" => Ok(Destination::Noop),
            _ => self.composed(name, &mut Vec::new()).map(Destination::Service),
        }
    }

    fn composed(&mut self, name: &Arc<str>, above: &mut Vec<Arc<str>>) -> Result<Arc<Service>, Fault> {
        let found = self.services.winner(local(name));
        let found = found.ok_or_else(|| missing("service", name))?;
        let service = found.item.clone();
        if service.is_plain() {
            return Ok(service);
        }
        if let Some(known) = self.composites.get(&service.name) {
            return Ok(known.clone());
        }
        if above.contains(&service.name) {
            return Err(round("service", name, above));
        }
        if above.len() >= DEPTH_MAX {
            return Err(too_deep(name));
        }
        let at = format!("{}:{}", found.file.name, service.position.line);
        above.push(service.name.clone());
        let mut kind = service.kind.clone();
        let filled = self.fill(&mut kind, above);
        above.pop();
        filled.map_err(|fault| fault.through("service", &service.name, &at))?;
        let composite = Arc::new(Service {
            name: service.name.clone(),
            kind,
            position: service.position,
            attachment: Attachment::default(),
        });
        self.composites.insert(service.name.clone(), composite.clone());
        Ok(composite)
    }

    fn fill(&mut self, kind: &mut ServiceKind, above: &mut Vec<Arc<str>>) -> Result<(), Fault> {
        for child in kind.children_mut() {
            child.found = Some(self.composed(&child.name, above)?);
        }
        if let Some(transport) = kind.transport_mut() {
            let found = self.transports.winner(local(&transport.name));
            let found = found.ok_or_else(|| missing("serversTransport", &transport.name))?;
            transport.found = Some(found.item.clone());
        }
        Ok(())
    }
}

/// Something that leads back to itself.
pub(super) fn round(kind: &str, name: &Arc<str>, above: &[Arc<str>]) -> Fault {
    let from = above.iter().position(|known| **known == *local(name)).unwrap_or(0);
    let way = above[from..].join(" → ");
    Fault {
        name: name.clone(),
        reason: format!("{kind} {name} leads back to itself ({way} → {name})"),
        fix: "Take one of the names out of the circle.",
    }
}

fn too_deep(name: &Arc<str>) -> Fault {
    Fault {
        name: name.clone(),
        reason: format!("more than {DEPTH_MAX} services stand above service {name}"),
        fix: "Let a service above it name the servers' services itself.",
    }
}
