//! Raw nodes → checked types; every problem of a file at once.
//!
//! It decides what a file's fields mean and what ignoring one would do. A mapping comes out only where nothing is an
//! error, so whoever holds a [`Mapping`] never asks again. No problem quotes what may be a key (see `document`).

mod middleware;
mod router;
mod server_url;
mod service;
pub mod static_file;
mod transport;
mod value;

use std::path::Path;
use std::sync::Arc;

pub use server_url::UrlRefusal;

use crate::mapping::Mapping;
use document::{Field, Fields, Named, Node, Problem, Report, Support, named};

/// The top of a file, as Traefik has it.
const TOP: &[(&str, Support)] = &[
    ("http", Support::Read),
    (
        "tcp",
        Support::Ignored("Conclave carries HTTP only; these TCP routers do not exist here."),
    ),
    (
        "udp",
        Support::Ignored("Conclave carries HTTP only; these UDP routers do not exist here."),
    ),
    (
        "tls",
        Support::Ignored("certificates are named where the edge is started, by --tls-cert and --tls-key."),
    ),
];

const HTTP: &[(&str, Support)] = &[
    ("routers", Support::Read),
    ("services", Support::Read),
    ("middlewares", Support::Read),
    ("serversTransports", Support::Read),
];

/// Checks one file's text. The mapping is there where no problem is an error; warnings may come with it.
pub fn check(path: &Path, text: &str) -> (Option<Mapping>, Vec<Problem>) {
    let mut report = Report::new(path, text);
    let mapping = match document::parse(text) {
        Ok(root) => file(root, &mut report).unwrap_or_default(),
        Err(fault) => {
            report.error(fault.position, fault.value, fault.rule, fault.fix);
            Mapping::default()
        }
    };
    let (passed, problems) = report.finish();
    (passed.then_some(mapping), problems)
}

fn file(root: Node<'_>, report: &mut Report<'_>) -> Option<Mapping> {
    let http = Fields::of(root, TOP, "a mapping file", report)?.take("http")?;
    let mut http = Fields::of(http.node, HTTP, "`http`", report)?;
    Some(Mapping {
        routers: section(http.take("routers"), "router", report, router::check),
        services: section(http.take("services"), "service", report, service::check),
        middlewares: section(http.take("middlewares"), "middleware", report, middleware::check).into(),
        transports: section(
            http.take("serversTransports"),
            "serversTransport",
            report,
            transport::check,
        )
        .into(),
    })
}

/// The named things of one section; those with an error are left out, and with them the file.
fn section<'t, T>(
    field: Option<Field<'t>>,
    kind: &'static str,
    report: &mut Report<'_>,
    check: impl Fn(Named<'t>, &mut Report<'_>) -> Option<T>,
) -> Vec<Arc<T>> {
    let Some(field) = field else { return Vec::new() };
    let named = named(field.node, kind, report);
    let checked = named.into_iter().filter_map(|named| check(named, report));
    let mut all: Vec<_> = checked.map(Arc::new).collect();
    all.shrink_to_fit();
    all
}

/// A name without this provider's suffix. Another provider's stays, and the table reports it.
fn local_name(name: &Arc<str>) -> Arc<str> {
    name.strip_suffix("@file").map_or_else(|| name.clone(), Arc::from)
}

/// The names of a list, each without this provider's suffix.
fn local_names(field: Field<'_>, report: &mut Report<'_>) -> Box<[Arc<str>]> {
    field.names(report).iter().map(local_name).collect()
}

#[cfg(test)]
mod tests;
