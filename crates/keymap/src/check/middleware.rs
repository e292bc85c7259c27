//! `http.middlewares.NAME`: none is acted on yet, so all that matters is what ignoring it would do.

use crate::mapping::{Middleware, MiddlewareKind};
use document::Named;
use document::{Fields, Schema, Support};
use document::{Report, shown_name};

/// What a request would miss without the middleware.
#[derive(Clone, Copy)]
enum Effect {
    /// It keeps requests out.
    Guards,
    /// It changes where they go: without it they reach another path.
    Redirects,
    Decorates,
}

/// Traefik's kinds, then Conclave's.
const KINDS: &[(&str, Effect)] = &[
    ("addPrefix", Effect::Redirects),
    ("basicAuth", Effect::Guards),
    ("buffering", Effect::Guards),
    ("chain", Effect::Guards),
    ("circuitBreaker", Effect::Guards),
    ("compress", Effect::Decorates),
    ("contentType", Effect::Decorates),
    ("digestAuth", Effect::Guards),
    ("encodedCharacters", Effect::Guards),
    ("errors", Effect::Decorates),
    ("forwardAuth", Effect::Guards),
    ("grpcWeb", Effect::Decorates),
    ("headers", Effect::Decorates),
    ("inFlightReq", Effect::Guards),
    ("ipAllowList", Effect::Guards),
    ("ipWhiteList", Effect::Guards),
    ("passTLSClientCert", Effect::Decorates),
    ("plugin", Effect::Guards),
    ("rateLimit", Effect::Guards),
    ("redirectRegex", Effect::Redirects),
    ("redirectScheme", Effect::Redirects),
    ("replacePath", Effect::Redirects),
    ("replacePathRegex", Effect::Redirects),
    ("retry", Effect::Decorates),
    ("stripPrefix", Effect::Redirects),
    ("stripPrefixRegex", Effect::Redirects),
    ("capture", Effect::Decorates),
    ("models", Effect::Guards),
    ("paths", Effect::Guards),
    ("tokenLimit", Effect::Guards),
    ("validity", Effect::Guards),
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
    let fields = Fields::of(node, FIELDS, &format!("middleware `{}`", shown_name(&name)), report)?;
    let kind = fields.into_kind(
        "middleware",
        &name,
        position,
        "Give each kind a middleware of its own.",
        report,
    )?;
    let effect = KINDS
        .iter()
        .find(|(name, _)| *name == kind.name)
        .map_or(Effect::Guards, |(_, effect)| *effect);
    let (consequence, unsupported) = match effect {
        Effect::Guards => (
            "it guards, so routers that use it refuse with 503",
            MiddlewareKind::UnsupportedGuard as fn(_) -> _,
        ),
        Effect::Redirects => (
            "without it requests would go to the wrong place, so routers that use it refuse with 503",
            MiddlewareKind::UnsupportedGuard as fn(_) -> _,
        ),
        Effect::Decorates => (
            "routers that use it work without it",
            MiddlewareKind::UnsupportedOther as fn(_) -> _,
        ),
    };
    let rule = format!("`{}` is not supported yet: {consequence}.", kind.name);
    report.warning(
        kind.position,
        kind.name,
        rule,
        "Take it out of the routers that are to work without it.",
    );
    Some(Middleware {
        name,
        kind: unsupported(kind.name.into()),
        position,
    })
}
