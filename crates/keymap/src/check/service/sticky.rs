//! `sticky.cookie`: a client goes back to the server it was with.

use std::sync::Arc;

use super::super::value;
use crate::mapping::{Cookie, SameSite};
use document::{Field, Fields, Report, Schema, Support, shown_scalar};

const STICKY: Schema = &[("cookie", Support::Read)];

const COOKIE: Schema = &[
    ("name", Support::Read),
    ("secure", Support::Read),
    ("httpOnly", Support::Read),
    ("sameSite", Support::Read),
    ("maxAge", Support::Read),
    ("path", Support::Read),
    ("domain", Support::Read),
];

const SAME_SITE: [(&str, SameSite); 3] = [
    ("none", SameSite::None),
    ("lax", SameSite::Lax),
    ("strict", SameSite::Strict),
];

/// Traefik's `sticky: {cookie: {}}` has a cookie of a name made up; `sticky: {}` has none.
pub(super) fn sticky(field: Field<'_>, report: &mut Report<'_>) -> Option<Cookie> {
    let mut sticky = Fields::of(field.node, STICKY, "`sticky`", report)?;
    let field = sticky.take("cookie")?;
    let mut fields = Fields::of(field.node, COOKIE, "`cookie`", report)?;
    let mut switch = |name, report: &mut Report<'_>| {
        let field = fields.take(name);
        field.and_then(|field| field.boolean(report)).unwrap_or(false)
    };
    let (secure, http_only) = (switch("secure", report), switch("httpOnly", report));
    let path = fields.take("path").and_then(|field| attribute(field, report));
    Some(Cookie {
        name: fields.take("name").and_then(|field| cookie_name(field, report)),
        secure,
        http_only,
        same_site: fields
            .take("sameSite")
            .and_then(|field| value::word(field, &SAME_SITE, report)),
        max_age_seconds: fields
            .take("maxAge")
            .and_then(|field| field.integer(i64::MIN, i64::MAX, report))
            .filter(|seconds| *seconds != 0),
        path: path.unwrap_or_else(|| "/".into()),
        domain: fields.take("domain").and_then(|field| attribute(field, report)),
    })
}

/// A token of HTTP's.
fn cookie_name(field: Field<'_>, report: &mut Report<'_>) -> Option<Arc<str>> {
    let text = field.text(report)?;
    let name = text.value();
    let valid = http::HeaderName::from_bytes(name.as_bytes()).is_ok();
    if !valid {
        let rule = "A cookie's name is letters, digits and !#$%&'*+-.^_`|~.";
        report.error(
            text.node.position,
            shown_scalar(name),
            rule,
            "Write it without blanks and signs.",
        );
    }
    valid.then(|| name.into())
}

/// What stands after `Path=` or `Domain=`.
fn attribute(field: Field<'_>, report: &mut Report<'_>) -> Option<Arc<str>> {
    let name = field.name;
    let text = field.text(report)?;
    let value = text.value();
    let valid = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic() && byte != b';');
    if !valid {
        let rule = format!("`{name}` of a cookie is visible ASCII without `;`.");
        report.error(
            text.node.position,
            shown_scalar(value),
            rule,
            "Write it, or take the field out.",
        );
    }
    valid.then(|| value.into())
}
