//! `http.routers.NAME`.

use std::sync::Arc;

use super::{local_name, local_names};
use crate::mapping::Router;
use crate::rule::Rule;
use document::Named;
use document::Position;
use document::{Field, Fields, Schema, Support};
use document::{Report, shown_name};

const ROUTER: Schema = &[
    ("rule", Support::Read),
    ("service", Support::Read),
    ("priority", Support::Read),
    ("entryPoints", Support::Read),
    ("middlewares", Support::Read),
    ("ruleSyntax", Support::Read),
    (
        "tls",
        Support::Ignored("the router answers on every entry point it names, with TLS or without."),
    ),
    ("observability", Support::Ignored("the edge's own settings apply.")),
    (
        "parentRefs",
        Support::Refused("Write the parents' rules and middlewares into this router."),
    ),
];

pub(super) fn check(named: Named<'_>, report: &mut Report<'_>) -> Option<Router> {
    let Named { name, position, node } = named;
    let mut fields = Fields::of(node, ROUTER, &format!("router `{}`", shown_name(&name)), report)?;
    if let Some(syntax) = fields.take("ruleSyntax") {
        rule_syntax(syntax, report);
    }
    let priority = fields
        .take("priority")
        .and_then(|field| field.integer(i64::MIN, i64::MAX, report));
    let entry_points = fields
        .take("entryPoints")
        .map(|field| field.names(report))
        .filter(|names| !names.is_empty());
    let middlewares = fields
        .take("middlewares")
        .map(|field| local_names(field, report))
        .unwrap_or_default();
    let service =
        required(fields.take("service"), &name, position, "service", report).map(|field| service(field, report));
    let rule = required(fields.take("rule"), &name, position, "rule", report).map(|field| rule(field, report));
    let (rule, service) = (rule??, service??);
    Some(Router {
        name,
        priority: match priority {
            None | Some(0) => i64::try_from(rule.text_length()).unwrap_or(i64::MAX),
            Some(priority) => priority,
        },
        rule,
        service,
        entry_points,
        middlewares,
        position,
    })
}

fn required<'t>(
    field: Option<Field<'t>>,
    router: &str,
    position: Position,
    what: &str,
    report: &mut Report<'_>,
) -> Option<Field<'t>> {
    if field.is_none() {
        let fix = match what {
            "rule" => "Add `rule:`, for example Key(`…`).",
            _ => "Add `service:` with the name of one of `http.services`.",
        };
        report.error(position, shown_name(router), format!("A router needs a {what}."), fix);
    }
    field
}

fn service(field: Field<'_>, report: &mut Report<'_>) -> Option<Arc<str>> {
    let text = field.text(report)?;
    if text.value().trim().is_empty() {
        let fix = "Write the name of one of `http.services`.";
        report.error(text.node.position, "an empty text", "A router needs a service.", fix);
        return None;
    }
    Some(local_name(&report.name(text.value().trim())))
}

fn rule(field: Field<'_>, report: &mut Report<'_>) -> Option<Rule> {
    let text = field.text(report)?;
    match Rule::parse(text.value()) {
        Ok(rule) => Some(rule),
        Err(errors) => {
            for error in errors {
                report.error(
                    text.node.locate(report.text(), error.offset),
                    error.value,
                    error.rule,
                    error.fix,
                );
            }
            None
        }
    }
}

fn rule_syntax(field: Field<'_>, report: &mut Report<'_>) {
    let Some(text) = field.text(report) else { return };
    if !matches!(text.value(), "" | "v3" | "default") {
        let fix = "Write the rule in Traefik's v3 language and remove `ruleSyntax`.";
        report.error(
            text.node.position,
            document::shown_scalar(text.value()),
            "Rules are read in v3 syntax only.",
            fix,
        );
    }
}
