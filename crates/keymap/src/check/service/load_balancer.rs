//! `loadBalancer`: servers, and how to choose among them.

use super::super::server_url;
use super::super::{local_name, value};
use super::{health, sticky};
use crate::mapping::{LoadBalancer, LoadBalancing, Server, Strategy, TransportName};
use document::{Field, Fields, Node, Report, Schema, Support, Value, described};

const LOAD_BALANCER: Schema = &[
    ("servers", Support::Read),
    ("passHostHeader", Support::Read),
    ("sticky", Support::Read),
    ("strategy", Support::Read),
    ("healthCheck", Support::Read),
    ("passiveHealthCheck", Support::Read),
    ("serversTransport", Support::Read),
    ("maxInFlight", Support::Read),
    (
        "responseForwarding",
        Support::Ignored("every chunk is forwarded as it comes."),
    ),
];

const SERVER: Schema = &[
    ("url", Support::Read),
    ("weight", Support::Read),
    ("preservePath", Support::Read),
];

const STRATEGIES: [(&str, Strategy); 5] = [
    ("wrr", Strategy::Wrr),
    ("p2c", Strategy::P2c),
    ("leasttime", Strategy::LeastTime),
    ("hrw", Strategy::Hrw),
    ("prefix", Strategy::Prefix),
];

pub(super) fn load_balancer(field: Field<'_>, owner: &str, report: &mut Report<'_>) -> Option<LoadBalancer> {
    let whose = format!("the load balancer of {owner}");
    let mut fields = Fields::of(field.node, LOAD_BALANCER, &whose, report)?;
    let pass_host_header = fields
        .take("passHostHeader")
        .and_then(|field| field.boolean(report))
        .unwrap_or(true);
    let strategy = fields
        .take("strategy")
        .and_then(|field| value::word(field, &STRATEGIES, report))
        .unwrap_or_default();
    let more = LoadBalancing {
        sticky: fields.take("sticky").and_then(|field| sticky::sticky(field, report)),
        health_check: fields
            .take("healthCheck")
            .and_then(|field| health::check(field, owner, report)),
        passive: fields
            .take("passiveHealthCheck")
            .and_then(|field| health::passive(field, owner, report)),
        transport: fields
            .take("serversTransport")
            .and_then(|field| value::name(field, report))
            .map(|name| TransportName::new(local_name(&name))),
        max_in_flight: fields
            .take("maxInFlight")
            .and_then(|field| value::whole(field, 1, report)),
    };
    let servers = fields.take("servers").map(|field| servers(field, owner, report));
    Some(LoadBalancer {
        servers: servers.unwrap_or_default(),
        pass_host_header,
        strategy,
        more: (more != LoadBalancing::default()).then(|| Box::new(more)),
    })
}

fn servers(field: Field<'_>, owner: &str, report: &mut Report<'_>) -> Box<[Server]> {
    match field.node.value {
        Value::List(items) => items
            .into_iter()
            .filter_map(|item| server(item, owner, report))
            .collect(),
        other => {
            let fix = "Write `- url: http://host:port` below it, one line for each server.";
            report.error(field.node.position, described(&other), "`servers` takes a list.", fix);
            Box::default()
        }
    }
}

fn server(node: Node<'_>, owner: &str, report: &mut Report<'_>) -> Option<Server> {
    let position = node.position;
    let mut fields = Fields::of(node, SERVER, &format!("a server of {owner}"), report)?;
    let weight = fields
        .take("weight")
        .map_or(Some(1), |field| field.integer(0, u32::MAX.into(), report));
    let preserve_path = fields
        .take("preservePath")
        .map_or(Some(false), |field| field.boolean(report));
    let Some(url) = fields.take("url") else {
        report.error(
            position,
            "",
            "A server needs a `url`.",
            "Write `- url: http://host:port`.",
        );
        return None;
    };
    let url = url.text(report)?;
    let parsed = server_url::parse(url.value());
    if let Err(refusal) = &parsed {
        report.error(url.node.position, refusal.shown.clone(), refusal.rule, refusal.fix);
    }
    if let Ok(parsed) = &parsed
        && !parsed.path.is_empty()
        && preserve_path == Some(false)
    {
        let rule = "The path of a server's URL has no effect without `preservePath: true`.";
        report.warning(
            url.node.position,
            "",
            rule,
            "Add `preservePath: true`, or remove the path.",
        );
    }
    Some(Server {
        url: parsed.ok()?,
        weight: u32::try_from(weight?).ok()?,
        preserve_path: preserve_path?,
    })
}
