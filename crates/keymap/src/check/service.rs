//! `http.services.NAME`.

use super::server_url;
use crate::attachment::Attachment;
use crate::mapping::{Server, Service};
use document::Named;
use document::described;
use document::{Field, Fields, Schema, Support};
use document::{Node, Value};
use document::{Report, shown_name};

const KINDS: Schema = &[
    ("loadBalancer", Support::Read),
    ("weighted", Support::Read),
    ("mirroring", Support::Read),
    ("failover", Support::Read),
    ("highestRandomWeight", Support::Read),
];

const LOAD_BALANCER: Schema = &[
    ("servers", Support::Read),
    ("passHostHeader", Support::Read),
    ("sticky", Support::Ignored("requests are not bound to a server.")),
    ("strategy", Support::Ignored("servers take turns by weight.")),
    ("healthCheck", Support::Ignored("servers are not probed.")),
    (
        "passiveHealthCheck",
        Support::Ignored("servers are not taken out for failing."),
    ),
    (
        "serversTransport",
        Support::Ignored("connections to servers use the edge's own settings."),
    ),
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

pub(super) fn check(named: Named<'_>, report: &mut Report<'_>) -> Option<Service> {
    let Named { name, position, node } = named;
    let owner = format!("service `{}`", shown_name(&name));
    let fields = Fields::of(node, KINDS, &owner, report)?;
    let kind = fields.into_kind(
        "service",
        &name,
        position,
        "Write one `loadBalancer:` below it.",
        report,
    )?;
    let (servers, pass_host_header) = match kind.name {
        "loadBalancer" => load_balancer(kind.node, &owner, report)?,
        other => {
            // Without servers it answers 503: its routers refuse, and never hand a request on.
            let rule = format!("`{other}` services are not supported yet: routers that lead here answer 503.");
            report.warning(kind.position, other, rule, "Use `loadBalancer` with all the servers.");
            (Box::default(), true)
        }
    };
    Some(Service {
        name,
        servers,
        pass_host_header,
        position,
        attachment: Attachment::default(),
    })
}

fn load_balancer(node: Node<'_>, owner: &str, report: &mut Report<'_>) -> Option<(Box<[Server]>, bool)> {
    let mut fields = Fields::of(node, LOAD_BALANCER, &format!("the load balancer of {owner}"), report)?;
    let pass_host_header = fields
        .take("passHostHeader")
        .and_then(|field| field.boolean(report))
        .unwrap_or(true);
    let servers = fields
        .take("servers")
        .map(|field| servers(field, owner, report))
        .unwrap_or_default();
    Some((servers, pass_host_header))
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
