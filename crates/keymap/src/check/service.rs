//! `http.services.NAME`: servers, or other services.

mod composite;
mod health;
mod load_balancer;
mod sticky;

use crate::attachment::Attachment;
use crate::mapping::{Service, ServiceKind};
use document::{Fields, Named, Report, Schema, Support, shown_name};

const KINDS: Schema = &[
    ("loadBalancer", Support::Read),
    ("weighted", Support::Read),
    ("mirroring", Support::Read),
    ("failover", Support::Read),
    ("highestRandomWeight", Support::Read),
];

pub(super) fn check(named: Named<'_>, report: &mut Report<'_>) -> Option<Service> {
    let Named { name, position, node } = named;
    let owner = format!("service `{}`", shown_name(&name));
    let fields = Fields::of(node, KINDS, &owner, report)?;
    let fix = "Write one `loadBalancer:` below it.";
    let kind = fields.into_kind("service", &name, position, fix, report)?;
    let kind = match kind.name {
        "loadBalancer" => ServiceKind::LoadBalancer(load_balancer::load_balancer(kind, &owner, report)?),
        "weighted" => composite::weighted(kind, &owner, report)?,
        "mirroring" => composite::mirroring(kind, &owner, report)?,
        "failover" => composite::failover(kind, &owner, report)?,
        _ => composite::highest_random_weight(kind, &owner, report)?,
    };
    Some(Service {
        name,
        kind,
        position,
        attachment: Attachment::default(),
    })
}
