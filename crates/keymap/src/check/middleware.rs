//! `http.middlewares.NAME`: of which kind it is, and where that is not acted on, what ignoring it would do.

mod guards;
mod headers;
mod limits;
mod paths;
mod resilience;

use crate::attachment::Attachment;
use crate::mapping::{Middleware, MiddlewareKind};
use document::{Field, Fields, Named, Report, Schema, Support, shown_name};

/// What a request would miss without the middleware.
#[derive(Clone, Copy)]
enum Effect {
    /// It keeps requests out.
    Guards,
    /// It changes where they go: without it they reach another path.
    Redirects,
    Decorates,
}

/// What is done with a middleware's fields.
#[derive(Clone, Copy)]
enum Known {
    ByName,
    ActedOn(Reader),
}

/// Reads the fields of one kind; `owner` names the middleware in messages.
type Reader = for<'t> fn(Field<'t>, &str, &mut Report<'_>) -> Option<MiddlewareKind>;

use Effect::{Decorates, Guards, Redirects};
use Known::{ActedOn, ByName};

/// Traefik's kinds, then Conclave's.
const KINDS: &[(&str, Effect, Known)] = &[
    ("addPrefix", Redirects, ActedOn(paths::add_prefix)),
    ("basicAuth", Guards, ByName),
    ("buffering", Guards, ActedOn(guards::buffering)),
    ("chain", Guards, ActedOn(guards::chain)),
    ("circuitBreaker", Guards, ActedOn(resilience::circuit_breaker)),
    ("compress", Decorates, ByName),
    ("contentType", Decorates, ByName),
    ("digestAuth", Guards, ByName),
    ("encodedCharacters", Guards, ByName),
    ("errors", Decorates, ByName),
    ("forwardAuth", Guards, ByName),
    ("grpcWeb", Decorates, ByName),
    ("headers", Decorates, ActedOn(headers::headers)),
    ("inFlightReq", Guards, ActedOn(limits::in_flight_req)),
    ("ipAllowList", Guards, ActedOn(guards::ip_allow_list)),
    ("ipWhiteList", Guards, ActedOn(guards::ip_allow_list)),
    ("passTLSClientCert", Decorates, ByName),
    ("plugin", Guards, ByName),
    ("rateLimit", Guards, ActedOn(limits::rate_limit)),
    ("redirectRegex", Redirects, ByName),
    ("redirectScheme", Redirects, ByName),
    ("replacePath", Redirects, ActedOn(paths::replace_path)),
    ("replacePathRegex", Redirects, ActedOn(paths::replace_path_regex)),
    ("retry", Decorates, ActedOn(resilience::retry)),
    ("stripPrefix", Redirects, ActedOn(paths::strip_prefix)),
    ("stripPrefixRegex", Redirects, ByName),
    ("capture", Decorates, ActedOn(guards::capture)),
    ("fairShare", Decorates, ActedOn(limits::fair_share)),
    ("models", Guards, ActedOn(limits::models)),
    ("paths", Guards, ActedOn(paths::paths)),
    ("tokenLimit", Guards, ActedOn(limits::token_limit)),
    ("upstreamKey", Guards, ActedOn(guards::upstream_key)),
    ("validity", Guards, ActedOn(limits::validity)),
];

/// [`KINDS`] as fields.
static SCHEMA: [(&str, Support); KINDS.len()] = {
    let mut schema = [("", Support::Read); KINDS.len()];
    let mut index = 0;
    while index < KINDS.len() {
        schema[index].0 = KINDS[index].0;
        index += 1;
    }
    schema
};

pub(super) fn check(named: Named<'_>, report: &mut Report<'_>) -> Option<Middleware> {
    const FIELDS: Schema = &SCHEMA;
    let Named { name, position, node } = named;
    let owner = format!("middleware `{}`", shown_name(&name));
    let fields = Fields::of(node, FIELDS, &owner, report)?;
    let kind = fields.into_kind(
        "middleware",
        &name,
        position,
        "Give each kind a middleware of its own.",
        report,
    )?;
    let (kind_name, effect, known) = *KINDS.iter().find(|(name, ..)| *name == kind.name)?;
    let (at, owner) = (kind.position, format!("`{kind_name}` of {owner}"));
    let kind = match known {
        ActedOn(read) => read(kind, &owner, report)?,
        ByName => unsupported(kind_name, effect, at, report),
    };
    Some(Middleware {
        name,
        kind,
        position,
        attachment: Attachment::default(),
    })
}

fn unsupported(kind: &str, effect: Effect, at: document::Position, report: &mut Report<'_>) -> MiddlewareKind {
    let (consequence, unsupported) = match effect {
        Guards => (
            "it guards, so routers that use it refuse with 503",
            MiddlewareKind::UnsupportedGuard as fn(_) -> _,
        ),
        Redirects => (
            "without it requests would go to the wrong place, so routers that use it refuse with 503",
            MiddlewareKind::UnsupportedGuard as fn(_) -> _,
        ),
        Decorates => (
            "routers that use it work without it",
            MiddlewareKind::UnsupportedOther as fn(_) -> _,
        ),
    };
    let rule = format!("`{kind}` is not supported yet: {consequence}.");
    let fix = "Take it out of the routers that are to work without it.";
    report.warning(at, kind, rule, fix);
    unsupported(kind.into())
}

/// The first middleware of a file, read whether or not it is acted on.
#[cfg(test)]
pub(super) fn read_anyway(text: &str) -> Option<MiddlewareKind> {
    let root = document::parse(text).ok()?;
    let mut report = Report::new(std::path::Path::new("t.yml"), text);
    let mut fields = Fields::of(root, super::TOP, "a file", &mut report)?;
    let mut http = Fields::of(fields.take("http")?.node, super::HTTP, "`http`", &mut report)?;
    let middlewares = document::named(http.take("middlewares")?.node, "middleware", &mut report);
    let fields = Fields::of(middlewares.into_iter().next()?.node, &SCHEMA, "m", &mut report)?;
    let kind = fields.into_kind("middleware", "m", document::Position::default(), "", &mut report)?;
    match KINDS.iter().find(|(name, ..)| *name == kind.name)? {
        (.., ActedOn(read)) => read(kind, "m", &mut report),
        (.., ByName) => None,
    }
}
