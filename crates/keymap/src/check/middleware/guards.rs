//! ipAllowList, buffering, upstreamKey, capture; and chain, which may stand for any of them.

use std::path::Path;
use std::sync::Arc;

use http::header::AUTHORIZATION;

use super::super::{local_names, value};
use crate::mapping::{
    Buffering, Capture, CaptureLoss, CaptureMode, IpAllowList, KeySource, MiddlewareKind, UpstreamKey,
};
use document::{Field, Fields, Report, Schema, Support};

const CHAIN: Schema = &[("middlewares", Support::Read)];

pub(super) fn chain(field: Field<'_>, owner: &str, report: &mut Report<'_>) -> Option<MiddlewareKind> {
    let at = field.position;
    let mut fields = Fields::of(field.node, CHAIN, owner, report)?;
    let names = fields.take("middlewares").map(|field| local_names(field, report));
    let names = names.filter(|names| !names.is_empty());
    if names.is_none() {
        let rule = format!("{owner} needs `middlewares`.");
        report.error(at, "", rule, "Name the middlewares, in their order.");
    }
    names.map(MiddlewareKind::Chain)
}

const IP_ALLOW_LIST: Schema = &[
    ("sourceRange", Support::Read),
    (
        "ipStrategy",
        Support::Refused("Allow the addresses that connect to the edge: headers that name others are not believed."),
    ),
    ("rejectStatusCode", Support::Read),
];

pub(super) fn ip_allow_list(field: Field<'_>, owner: &str, report: &mut Report<'_>) -> Option<MiddlewareKind> {
    let at = field.position;
    let mut fields = Fields::of(field.node, IP_ALLOW_LIST, owner, report)?;
    let reject_status = fields
        .take("rejectStatusCode")
        .map_or(Some(403), |field| value::status(field, 400, report));
    let fix = "Write for example `sourceRange: [192.0.2.0/24]`.";
    let ranges = value::required(fields.take("sourceRange"), owner, at, "sourceRange", fix, report)?;
    let ranges_at = ranges.node.position;
    let source_range = value::networks(ranges, report);
    if source_range.is_empty() {
        let rule = "`sourceRange` names at least one address or network.";
        report.error(ranges_at, "", rule, fix);
        return None;
    }
    Some(MiddlewareKind::IpAllowList(IpAllowList {
        source_range,
        reject_status: reject_status?,
    }))
}

const STREAMED: Support = Support::Ignored("bodies are streamed, not gathered.");

const BUFFERING: Schema = &[
    ("maxRequestBodyBytes", Support::Read),
    ("memRequestBodyBytes", STREAMED),
    ("maxResponseBodyBytes", STREAMED),
    ("memResponseBodyBytes", STREAMED),
    ("retryExpression", Support::Ignored("`retry` says when to try again.")),
];

pub(super) fn buffering(field: Field<'_>, owner: &str, report: &mut Report<'_>) -> Option<MiddlewareKind> {
    let mut fields = Fields::of(field.node, BUFFERING, owner, report)?;
    let most = fields
        .take("maxRequestBodyBytes")
        .map_or(Some(0), |field| value::whole(field, 0, report))?;
    Some(MiddlewareKind::Buffering(Buffering {
        request_body_bytes_max: Some(most).filter(|most| *most > 0),
    }))
}

const UPSTREAM_KEY: Schema = &[
    ("env", Support::Read),
    ("file", Support::Read),
    ("header", Support::Read),
];

pub(super) fn upstream_key(field: Field<'_>, owner: &str, report: &mut Report<'_>) -> Option<MiddlewareKind> {
    let at = field.position;
    let mut fields = Fields::of(field.node, UPSTREAM_KEY, owner, report)?;
    let header = match fields.take("header") {
        None => Some(AUTHORIZATION),
        Some(field) => field.text(report).and_then(|text| {
            let name = text.value();
            value::header_name(name, text.node.position, "`header`", report)
        }),
    };
    let env = fields.take("env").map(|field| env(field, report));
    let file = fields.take("file").map(|field| file(field, report));
    let source = match (env, file) {
        (Some(source), None) | (None, Some(source)) => source,
        (both, _) => {
            let many = if both.is_some() {
                "not both"
            } else {
                "where the key is read from"
            };
            let rule = format!("{owner} needs `env` or `file`, {many}.");
            let fix = "Write `env: NAME` or `file: /path`; the key itself does not belong into a mapping.";
            report.error(at, "", rule, fix);
            None
        }
    };
    Some(MiddlewareKind::UpstreamKey(Box::new(UpstreamKey {
        source: source?,
        header: header?,
    })))
}

/// Letters, digits and underscores: whoever writes the key itself here is told so, without its being shown.
fn env(field: Field<'_>, report: &mut Report<'_>) -> Option<KeySource> {
    let text = field.text(report)?;
    let name = text.value().trim();
    let valid = !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !valid {
        let rule = "`env` takes the name of an environment variable.";
        let shown = document::shown_scalar(name);
        report.error(
            text.node.position,
            shown,
            rule,
            "Write its name, without `$`; not the key.",
        );
        return None;
    }
    Some(KeySource::Env(name.into()))
}

fn file(field: Field<'_>, report: &mut Report<'_>) -> Option<KeySource> {
    let text = field.text(report)?;
    let path = Path::new(text.value());
    if !path.is_absolute() {
        let rule = "`file` takes the absolute path of a file that holds the key.";
        let shown = document::shown_scalar(text.value());
        report.error(
            text.node.position,
            shown,
            rule,
            "Write a path that begins with a slash; not the key.",
        );
        return None;
    }
    Some(KeySource::File(Arc::from(path)))
}

const CAPTURE: Schema = &[
    ("mode", Support::Read),
    ("loss", Support::Read),
    ("bodyBytesMax", Support::Read),
];

pub(super) fn capture(field: Field<'_>, owner: &str, report: &mut Report<'_>) -> Option<MiddlewareKind> {
    let mut fields = Fields::of(field.node, CAPTURE, owner, report)?;
    let modes = [
        ("full", CaptureMode::Full),
        ("metadata", CaptureMode::Metadata),
        ("off", CaptureMode::Off),
        // YAML's own word for it, where a program wrote the file.
        ("false", CaptureMode::Off),
    ];
    let losses = [("drop", CaptureLoss::Drop), ("refuse", CaptureLoss::Refuse)];
    let mode = fields
        .take("mode")
        .map_or(Some(CaptureMode::Full), |field| value::word(field, &modes, report));
    let loss = fields.take("loss").map(|field| value::word(field, &losses, report));
    let most = fields.take("bodyBytesMax").map(|field| value::whole(field, 0, report));
    Some(MiddlewareKind::Capture(Capture {
        mode: mode?,
        loss: match loss {
            None => None,
            Some(loss) => Some(loss?),
        },
        body_bytes_max: match most {
            None => None,
            Some(most) => Some(most?),
        },
    }))
}
