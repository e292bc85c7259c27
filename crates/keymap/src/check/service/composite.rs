//! `weighted`, `failover`, `mirroring`, `highestRandomWeight`: services that choose among services.

use super::super::{local_name, value};
use super::sticky;
use crate::mapping::{Child, Failover, HighestRandomWeight, Mirror, Mirroring, ServiceKind, Share, Weighted};
use document::{Field, Fields, Node, Report, Schema, Support, Value, described};

const WEIGHTED: Schema = &[
    ("services", Support::Read),
    ("sticky", Support::Read),
    ("healthCheck", Support::Read),
];

pub(super) fn weighted(field: Field<'_>, owner: &str, report: &mut Report<'_>) -> Option<ServiceKind> {
    let at = field.position;
    let mut fields = Fields::of(field.node, WEIGHTED, &format!("`weighted` of {owner}"), report)?;
    let shares = shares(fields.take("services"), owner, at, report);
    Some(ServiceKind::Weighted(Box::new(Weighted {
        sticky: fields.take("sticky").and_then(|field| sticky::sticky(field, report)),
        health_check: health_check(&mut fields, report),
        shares: shares?,
    })))
}

const HIGHEST_RANDOM_WEIGHT: Schema = &[("services", Support::Read), ("healthCheck", Support::Read)];

pub(super) fn highest_random_weight(field: Field<'_>, owner: &str, report: &mut Report<'_>) -> Option<ServiceKind> {
    let at = field.position;
    let whose = format!("`highestRandomWeight` of {owner}");
    let mut fields = Fields::of(field.node, HIGHEST_RANDOM_WEIGHT, &whose, report)?;
    let shares = shares(fields.take("services"), owner, at, report);
    Some(ServiceKind::HighestRandomWeight(Box::new(HighestRandomWeight {
        health_check: health_check(&mut fields, report),
        shares: shares?,
    })))
}

const FAILOVER: Schema = &[
    ("service", Support::Read),
    ("fallback", Support::Read),
    ("healthCheck", Support::Read),
    (
        "errors",
        Support::Ignored("the fallback is used where no server of the service can be."),
    ),
];

pub(super) fn failover(field: Field<'_>, owner: &str, report: &mut Report<'_>) -> Option<ServiceKind> {
    let at = field.position;
    let whose = format!("`failover` of {owner}");
    let mut fields = Fields::of(field.node, FAILOVER, &whose, report)?;
    let (service, fallback) = (fields.take("service"), fields.take("fallback"));
    let service = child(service, &whose, at, "service", report);
    let fallback = child(fallback, &whose, at, "fallback", report);
    Some(ServiceKind::Failover(Box::new(Failover {
        health_check: health_check(&mut fields, report),
        service: service?,
        fallback: fallback?,
    })))
}

const MIRRORING: Schema = &[
    ("service", Support::Read),
    ("mirrors", Support::Read),
    ("mirrorBody", Support::Read),
    ("maxBodySize", Support::Read),
    ("healthCheck", Support::Read),
];

pub(super) fn mirroring(field: Field<'_>, owner: &str, report: &mut Report<'_>) -> Option<ServiceKind> {
    let at = field.position;
    let whose = format!("`mirroring` of {owner}");
    let mut fields = Fields::of(field.node, MIRRORING, &whose, report)?;
    let service = child(fields.take("service"), &whose, at, "service", report);
    let mirrors = fields
        .take("mirrors")
        .map(|field| each(field, report, |node, report| mirror(node, &whose, report)));
    let body = fields.take("mirrorBody").and_then(|field| field.boolean(report));
    let most = fields
        .take("maxBodySize")
        .and_then(|field| field.integer(-1, i64::MAX, report));
    Some(ServiceKind::Mirroring(Box::new(Mirroring {
        mirrors: mirrors.unwrap_or_default(),
        mirror_body: body.unwrap_or(true),
        body_bytes_max: most.and_then(|most| u64::try_from(most).ok()),
        health_check: health_check(&mut fields, report),
        service: service?,
    })))
}

const MIRROR: Schema = &[("name", Support::Read), ("percent", Support::Read)];

fn mirror(node: Node<'_>, whose: &str, report: &mut Report<'_>) -> Option<Mirror> {
    let at = node.position;
    let whose = format!("a mirror of {whose}");
    let mut fields = Fields::of(node, MIRROR, &whose, report)?;
    let percent = fields
        .take("percent")
        .map_or(Some(0), |field| field.integer(0, 100, report));
    let service = child(fields.take("name"), &whose, at, "name", report)?;
    Some(Mirror {
        service,
        percent: u8::try_from(percent?).ok()?,
    })
}

const SHARE: Schema = &[("name", Support::Read), ("weight", Support::Read)];

fn shares(
    field: Option<Field<'_>>,
    owner: &str,
    at: document::Position,
    report: &mut Report<'_>,
) -> Option<Box<[Share]>> {
    let fix = "Write `- name: SERVICE` below it, one for each service.";
    let field = value::required(field, owner, at, "services", fix, report)?;
    let shares = each(field, report, |node, report| {
        let at = node.position;
        let whose = format!("a service of {owner}");
        let mut fields = Fields::of(node, SHARE, &whose, report)?;
        let weight = fields
            .take("weight")
            .map_or(Some(1), |field| value::count(field, 0, u32::MAX, report));
        let service = child(fields.take("name"), &whose, at, "name", report)?;
        Some(Share {
            service,
            weight: weight?,
        })
    });
    Some(shares)
}

fn each<'t, T>(
    field: Field<'t>,
    report: &mut Report<'_>,
    read: impl Fn(Node<'t>, &mut Report<'_>) -> Option<T>,
) -> Box<[T]> {
    match field.node.value {
        Value::List(items) => items.into_iter().filter_map(|item| read(item, report)).collect(),
        other => {
            let rule = format!("`{}` takes a list.", field.name);
            let fix = "Write `- name: SERVICE` below it, one for each service.";
            report.error(field.node.position, described(&other), rule, fix);
            Box::default()
        }
    }
}

fn child(
    field: Option<Field<'_>>,
    owner: &str,
    at: document::Position,
    what: &str,
    report: &mut Report<'_>,
) -> Option<Child> {
    let fix = "Write the name of one of `http.services`.";
    let field = value::required(field, owner, at, what, fix, report)?;
    let name = value::name(field, report)?;
    Some(Child::new(local_name(&name)))
}

/// `healthCheck: {}`: nothing in it, but whether it is there.
fn health_check(fields: &mut Fields<'_>, report: &mut Report<'_>) -> bool {
    let Some(field) = fields.take("healthCheck") else {
        return false;
    };
    Fields::of(field.node, &[], "`healthCheck`", report).is_some()
}
