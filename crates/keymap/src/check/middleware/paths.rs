//! stripPrefix, addPrefix, replacePath, replacePathRegex, paths.

use std::sync::Arc;

use super::super::value;
use crate::mapping::{AddPrefix, MiddlewareKind, PathPattern, Paths, ReplacePath, ReplacePathRegex, StripPrefix};
use document::{Field, Fields, Report, Schema, Support, shown_scalar};

const STRIP_PREFIX: Schema = &[
    ("prefixes", Support::Read),
    (
        "forceSlash",
        Support::Ignored("what is left always begins with a slash."),
    ),
];

pub(super) fn strip_prefix(field: Field<'_>, owner: &str, report: &mut Report<'_>) -> Option<MiddlewareKind> {
    let at = field.position;
    let mut fields = Fields::of(field.node, STRIP_PREFIX, owner, report)?;
    let fix = "Write for example `prefixes: [/gpu-1]`.";
    let list = value::required(fields.take("prefixes"), owner, at, "prefixes", fix, report)?;
    let list_at = list.node.position;
    let items = value::items(list, report);
    let given = items.len();
    let prefixes: Box<[Arc<str>]> = items
        .iter()
        .filter_map(|item| value::path(item, "Each of `prefixes`", report))
        .collect();
    if given == 0 {
        report.error(list_at, "", "`prefixes` names at least one.", fix);
    }
    (!prefixes.is_empty()).then(|| MiddlewareKind::StripPrefix(StripPrefix { prefixes }))
}

const ADD_PREFIX: Schema = &[("prefix", Support::Read)];

pub(super) fn add_prefix(field: Field<'_>, owner: &str, report: &mut Report<'_>) -> Option<MiddlewareKind> {
    let at = field.position;
    let mut fields = Fields::of(field.node, ADD_PREFIX, owner, report)?;
    let fix = "Write for example `prefix: /v1`.";
    let field = value::required(fields.take("prefix"), owner, at, "prefix", fix, report)?;
    let text = field.text(report)?;
    let prefix = value::path(&text, "`prefix`", report)?;
    Some(MiddlewareKind::AddPrefix(AddPrefix {
        prefix: prefix.trim_end_matches('/').into(),
    }))
}

const REPLACE_PATH: Schema = &[("path", Support::Read)];

pub(super) fn replace_path(field: Field<'_>, owner: &str, report: &mut Report<'_>) -> Option<MiddlewareKind> {
    let at = field.position;
    let mut fields = Fields::of(field.node, REPLACE_PATH, owner, report)?;
    let fix = "Write for example `path: /v1/chat/completions`.";
    let field = value::required(fields.take("path"), owner, at, "path", fix, report)?;
    let text = field.text(report)?;
    let path = value::path(&text, "`path`", report)?;
    Some(MiddlewareKind::ReplacePath(ReplacePath { path }))
}

const REPLACE_PATH_REGEX: Schema = &[("regex", Support::Read), ("replacement", Support::Read)];

pub(super) fn replace_path_regex(field: Field<'_>, owner: &str, report: &mut Report<'_>) -> Option<MiddlewareKind> {
    let at = field.position;
    let mut fields = Fields::of(field.node, REPLACE_PATH_REGEX, owner, report)?;
    let (regex, replacement) = (fields.take("regex"), fields.take("replacement"));
    let fix = "Write for example `regex: ^/api/(.*)` and `replacement: /v1/$1`.";
    let regex = value::required(regex, owner, at, "regex", fix, report)
        .and_then(|field| field.text(report))
        .and_then(|text| value::pattern_with_groups(&text, report));
    let replacement =
        value::required(replacement, owner, at, "replacement", fix, report).and_then(|field| field.text(report))?;
    Some(MiddlewareKind::ReplacePathRegex(Box::new(ReplacePathRegex {
        regex: regex?,
        replacement: replacement.value().trim().into(),
    })))
}

const PATHS: Schema = &[("allow", Support::Read), ("open", Support::Read)];

pub(super) fn paths(field: Field<'_>, owner: &str, report: &mut Report<'_>) -> Option<MiddlewareKind> {
    let at = field.position;
    let mut fields = Fields::of(field.node, PATHS, owner, report)?;
    let (allow, open) = (fields.take("allow"), fields.take("open"));
    let none = allow.is_none() && open.is_none();
    let allow = allow.map(|field| (field.node.position, patterns(field, report)));
    let open = open.map(|field| patterns(field, report)).unwrap_or_default();
    let empty = allow.as_ref().filter(|(_, patterns)| patterns.is_empty());
    if none || empty.is_some() {
        let at = empty.map_or(at, |(at, _)| *at);
        let rule = format!("{owner} names at least one path in `allow` or `open`.");
        report.error(
            at,
            "",
            rule,
            "Write for example `allow: [/v1/chat/completions, /v1/models*]`.",
        );
        return None;
    }
    Some(MiddlewareKind::Paths(Paths {
        allow: allow.map(|(_, patterns)| patterns),
        open,
    }))
}

fn patterns(field: Field<'_>, report: &mut Report<'_>) -> Box<[PathPattern]> {
    let name = field.name;
    let items = value::items(field, report).into_iter();
    let read = items.filter_map(|item| {
        let pattern = PathPattern::parse(item.value());
        if pattern.is_none() {
            let rule = format!("Each of `{name}` begins with a slash, and has a `*` at its end only.");
            let fix = "Write a path, or a beginning with a `*` after it.";
            report.error(item.node.position, shown_scalar(item.value()), rule, fix);
        }
        pattern
    });
    read.collect()
}
