//! `routing`: how a backend is chosen, and what stands in for a model.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use document::{Field, Fields, Report, Schema, Support, nearest, shown_scalar};

use super::{fallbacks, number};

const ROUTING: Schema = &[
    ("strategy", Support::Read),
    ("prefer_loaded_model", Support::Read),
    ("heartbeat_interval", Support::Read),
    ("fallbacks", Support::Read),
];

/// What stands in for a model, in order.
pub type Fallbacks = BTreeMap<Arc<str>, Box<[Arc<str>]>>;

#[derive(Debug, Clone, PartialEq)]
pub struct Routing {
    pub strategy: Strategy,
    pub prefer_loaded_model: bool,
    /// How often a backend of this file is asked how it is.
    pub heartbeat_interval: Duration,
    /// Without cycles.
    pub fallbacks: Fallbacks,
}

impl Default for Routing {
    fn default() -> Self {
        Self {
            strategy: Strategy::Smart,
            prefer_loaded_model: true,
            heartbeat_interval: Duration::from_secs(10),
            fallbacks: Fallbacks::new(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strategy {
    /// Loaded, then priority, then where the conversation is cached, then the least busy.
    #[default]
    Smart,
    /// The lowest priority number, whatever is loaded.
    Priority,
    /// In turn, by weight.
    RoundRobin,
}

impl Strategy {
    const NAMES: [(&'static str, Self); 3] = [
        ("smart", Self::Smart),
        ("priority", Self::Priority),
        ("round-robin", Self::RoundRobin),
    ];

    pub fn name(self) -> &'static str {
        Self::NAMES
            .iter()
            .find(|(_, strategy)| *strategy == self)
            .map_or("smart", |(name, _)| name)
    }
}

pub(super) fn read(field: Field<'_>, report: &mut Report<'_>) -> Routing {
    let mut routing = Routing::default();
    let Some(mut fields) = Fields::of(field.node, ROUTING, "`routing`", report) else {
        return routing;
    };
    if let Some(strategy) = fields.take("strategy").and_then(|field| strategy(field, report)) {
        routing.strategy = strategy;
    }
    if let Some(prefer) = fields
        .take("prefer_loaded_model")
        .and_then(|field| field.boolean(report))
    {
        routing.prefer_loaded_model = prefer;
    }
    if let Some(field) = fields.take("heartbeat_interval")
        && let Some(interval) = number::seconds(field, 0.1, 3600.0, report)
    {
        routing.heartbeat_interval = interval;
    }
    if let Some(field) = fields.take("fallbacks") {
        routing.fallbacks = fallbacks::read(field, report);
    }
    routing
}

fn strategy(field: Field<'_>, report: &mut Report<'_>) -> Option<Strategy> {
    let text = field.text(report)?;
    let written = text.value().replace('_', "-");
    let found = Strategy::NAMES
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(&written));
    if found.is_none() {
        let fix = match nearest(&written, Strategy::NAMES.iter().map(|(name, _)| *name)) {
            Some(name) => format!("Did you mean `{name}`?"),
            None => "Write `smart`, `priority` or `round-robin`.".to_owned(),
        };
        let rule = "`strategy` takes `smart`, `priority` or `round-robin`.";
        report.error(text.node.position, shown_scalar(text.value()), rule, fix);
    }
    found.map(|(_, strategy)| *strategy)
}
