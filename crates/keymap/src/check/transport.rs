//! `http.serversTransports.NAME`.

use std::time::Duration;

use super::value;
use crate::mapping::{ForwardingTimeouts, ServersTransport};
use document::{Field, Fields, Named, Report, Schema, Support, shown_name};

const EDGE_TLS: Support = Support::Ignored("the edge's own TLS settings apply.");

const TRANSPORT: Schema = &[
    ("serverName", Support::Read),
    ("insecureSkipVerify", Support::Read),
    ("rootCAs", Support::Read),
    ("maxIdleConnsPerHost", Support::Read),
    ("forwardingTimeouts", Support::Read),
    (
        "certificates",
        Support::Ignored("the edge shows servers no certificate, and those that ask for one refuse it."),
    ),
    ("disableHTTP2", Support::Read),
    (
        "peerCertURI",
        Support::Refused("Name the server by `serverName`; its certificate must be for that name."),
    ),
    (
        "spiffe",
        Support::Refused("Name the server by `serverName`, and its signer by `rootCAs`."),
    ),
    ("cipherSuites", EDGE_TLS),
    ("minVersion", EDGE_TLS),
    ("maxVersion", EDGE_TLS),
];

const TIMEOUTS: Schema = &[
    ("dialTimeout", Support::Read),
    ("responseHeaderTimeout", Support::Read),
    ("idleConnTimeout", Support::Read),
    (
        "readIdleTimeout",
        Support::Ignored("a connection of HTTP/2 is pinged every 15 s, and one of HTTP/1.1 has no pings."),
    ),
    (
        "pingTimeout",
        Support::Ignored("a connection of HTTP/2 is pinged every 15 s, and one of HTTP/1.1 has no pings."),
    ),
];

pub(super) fn check(named: Named<'_>, report: &mut Report<'_>) -> Option<ServersTransport> {
    let Named { name, position, node } = named;
    let owner = format!("serversTransport `{}`", shown_name(&name));
    let mut fields = Fields::of(node, TRANSPORT, &owner, report)?;
    let insecure = fields
        .take("insecureSkipVerify")
        .and_then(|field| field.boolean(report));
    let timeouts = fields
        .take("forwardingTimeouts")
        .and_then(|field| timeouts(field, &owner, report));
    let without_http_2 = fields.take("disableHTTP2").and_then(|field| field.boolean(report));
    Some(ServersTransport {
        http_2: without_http_2 == Some(false),
        server_name: fields.take("serverName").and_then(|field| value::name(field, report)),
        insecure_skip_verify: insecure.unwrap_or(false),
        root_cas: fields
            .take("rootCAs")
            .map(|field| field.names(report))
            .unwrap_or_default(),
        // Go's words: 0 is the default, and -1 keeps none.
        max_idle_conns_per_host: fields
            .take("maxIdleConnsPerHost")
            .and_then(|field| field.integer(-1, u32::MAX.into(), report))
            .filter(|most| *most != 0)
            .map(|most| u32::try_from(most).unwrap_or(0)),
        timeouts: timeouts.unwrap_or_default(),
        name,
        position,
    })
}

fn timeouts(field: Field<'_>, owner: &str, report: &mut Report<'_>) -> Option<ForwardingTimeouts> {
    let whose = format!("`forwardingTimeouts` of {owner}");
    let mut fields = Fields::of(field.node, TIMEOUTS, &whose, report)?;
    let mut read = |name, report: &mut Report<'_>| -> Option<Duration> {
        let field = fields.take(name)?;
        value::duration(field, report).filter(|time| !time.is_zero())
    };
    Some(ForwardingTimeouts {
        dial: read("dialTimeout", report),
        response_header: read("responseHeaderTimeout", report),
        idle_conn: read("idleConnTimeout", report),
    })
}
