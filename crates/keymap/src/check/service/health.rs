//! `healthCheck` and `passiveHealthCheck`.

use std::time::Duration;

use http::Method;

use super::super::value;
use crate::mapping::{HealthCheck, PassiveHealth, UrlScheme};
use document::{Field, Fields, Report, Schema, Support, shown_scalar};

const HEALTH_CHECK: Schema = &[
    ("path", Support::Read),
    ("method", Support::Read),
    ("status", Support::Read),
    ("scheme", Support::Read),
    ("mode", Support::Read),
    ("port", Support::Read),
    ("interval", Support::Read),
    ("unhealthyInterval", Support::Read),
    ("timeout", Support::Read),
    ("hostname", Support::Read),
    ("followRedirects", Support::Read),
    ("headers", Support::Read),
];

pub(super) fn check(field: Field<'_>, owner: &str, report: &mut Report<'_>) -> Option<HealthCheck> {
    let at = field.position;
    let whose = format!("the health check of {owner}");
    let mut fields = Fields::of(field.node, HEALTH_CHECK, &whose, report)?;
    if let Some(mode) = fields.take("mode") {
        value::word(mode, &[("http", ())], report);
    }
    let interval = period(&mut fields, "interval", Duration::from_secs(30), report);
    let unhealthy_interval = period(&mut fields, "unhealthyInterval", interval, report);
    let timeout = period(&mut fields, "timeout", Duration::from_secs(5), report);
    let schemes = [
        ("http", UrlScheme::Http),
        ("https", UrlScheme::Https),
        ("h2c", UrlScheme::H2c),
    ];
    let fix = "Write for example `path: /health`.";
    let path = value::required(fields.take("path"), &whose, at, "path", fix, report)
        .and_then(|field| probe_path(field, report));
    let port = fields.take("port").and_then(|field| field.integer(1, 65_535, report));
    let follow = fields.take("followRedirects").and_then(|field| field.boolean(report));
    Some(HealthCheck {
        method: fields
            .take("method")
            .and_then(|field| method(field, report))
            .unwrap_or(Method::GET),
        status: fields
            .take("status")
            .and_then(|field| value::status(field, 100, report)),
        scheme: fields
            .take("scheme")
            .and_then(|field| value::word(field, &schemes, report)),
        port: port.and_then(|port| u16::try_from(port).ok()),
        hostname: fields
            .take("hostname")
            .and_then(|field| value::header_text(field, report))
            .filter(|hostname| !hostname.is_empty()),
        interval,
        unhealthy_interval,
        timeout,
        follow_redirects: follow.unwrap_or(true),
        headers: fields
            .take("headers")
            .map(|field| value::header_values(field, report))
            .unwrap_or_default(),
        path: path?,
    })
}

const PASSIVE: Schema = &[("failureWindow", Support::Read), ("maxFailedAttempts", Support::Read)];

pub(super) fn passive(field: Field<'_>, owner: &str, report: &mut Report<'_>) -> Option<PassiveHealth> {
    let whose = format!("the passive health check of {owner}");
    let mut fields = Fields::of(field.node, PASSIVE, &whose, report)?;
    Some(PassiveHealth {
        failure_window: period(&mut fields, "failureWindow", Duration::from_secs(10), report),
        max_failed_attempts: fields
            .take("maxFailedAttempts")
            .and_then(|field| value::count(field, 1, u32::MAX, report))
            .unwrap_or(1),
    })
}

/// What is wrong is reported; what comes out then does not matter.
fn period(fields: &mut Fields<'_>, name: &str, default: Duration, report: &mut Report<'_>) -> Duration {
    let field = fields.take(name);
    field.and_then(|field| value::period(field, report)).unwrap_or(default)
}

/// A path, with a query if there is one.
fn probe_path(field: Field<'_>, report: &mut Report<'_>) -> Option<std::sync::Arc<str>> {
    let text = field.text(report)?;
    let path = text.value();
    let valid = path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    if !valid {
        let rule = "The path of a health check begins with a slash and has no blanks in it.";
        report.error(
            text.node.position,
            shown_scalar(path),
            rule,
            "Write for example /health.",
        );
    }
    valid.then(|| path.into())
}

fn method(field: Field<'_>, report: &mut Report<'_>) -> Option<Method> {
    let text = field.text(report)?;
    let method = Method::from_bytes(text.value().as_bytes()).ok();
    if method.is_none() {
        let shown = shown_scalar(text.value());
        report.error(
            text.node.position,
            shown,
            "`method` takes a method of HTTP.",
            "Write for example GET.",
        );
    }
    method
}
