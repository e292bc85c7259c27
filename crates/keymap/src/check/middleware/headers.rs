//! headers: what is set and removed, CORS, and the fixed headers that Traefik's other fields stand for.

use http::{HeaderName, HeaderValue};

use super::super::value;
use crate::mapping::{CrossOrigin, HeaderChange, Headers, MiddlewareKind};
use document::{Field, Fields, Report, Schema, Support};

const NO_REDIRECTS: Support = Support::Ignored("the edge does not redirect to TLS.");
const NO_STS: Support = Support::Ignored("no Strict-Transport-Security is sent; set it in customResponseHeaders.");

const HEADERS: Schema = &[
    ("customRequestHeaders", Support::Read),
    ("customResponseHeaders", Support::Read),
    ("accessControlAllowCredentials", Support::Read),
    ("accessControlAllowHeaders", Support::Read),
    ("accessControlAllowMethods", Support::Read),
    ("accessControlAllowOriginList", Support::Read),
    ("accessControlAllowOriginListRegex", Support::Read),
    ("accessControlExposeHeaders", Support::Read),
    ("accessControlMaxAge", Support::Read),
    ("addVaryHeader", Support::Read),
    ("frameDeny", Support::Read),
    ("customFrameOptionsValue", Support::Read),
    ("contentTypeNosniff", Support::Read),
    ("browserXssFilter", Support::Read),
    ("customBrowserXSSValue", Support::Read),
    ("contentSecurityPolicy", Support::Read),
    ("contentSecurityPolicyReportOnly", Support::Read),
    ("referrerPolicy", Support::Read),
    ("permissionsPolicy", Support::Read),
    (
        "allowedHosts",
        Support::Refused("Put Host(`…`) into the rules of the routers."),
    ),
    (
        "hostsProxyHeaders",
        Support::Ignored("headers that name another host are not believed."),
    ),
    ("sslRedirect", NO_REDIRECTS),
    ("sslTemporaryRedirect", NO_REDIRECTS),
    ("sslHost", NO_REDIRECTS),
    ("sslForceHost", NO_REDIRECTS),
    ("sslProxyHeaders", NO_REDIRECTS),
    ("stsSeconds", NO_STS),
    ("stsIncludeSubdomains", NO_STS),
    ("stsPreload", NO_STS),
    ("forceSTSHeader", NO_STS),
    ("publicKey", Support::Ignored("browsers no longer read key pins.")),
    ("featurePolicy", Support::Ignored("browsers read permissionsPolicy.")),
    ("isDevelopment", Support::Ignored("nothing depends on it.")),
];

pub(super) fn headers(field: Field<'_>, owner: &str, report: &mut Report<'_>) -> Option<MiddlewareKind> {
    let mut fields = Fields::of(field.node, HEADERS, owner, report)?;
    let mut changes = |name, report: &mut Report<'_>| {
        fields
            .take(name)
            .map(|field| value::header_changes(field, report))
            .unwrap_or_default()
    };
    let request = changes("customRequestHeaders", report);
    let custom = changes("customResponseHeaders", report);
    let mut response = fixed(&mut fields, report);
    response.retain(|fixed| custom.iter().all(|custom| custom.name != fixed.name));
    response.extend(custom);
    let cross_origin = cross_origin(&mut fields, report);
    Some(MiddlewareKind::Headers(Box::new(Headers {
        request: request.into(),
        response: response.into(),
        cross_origin,
    })))
}

/// Fields that stand for one response header with one value.
fn fixed(fields: &mut Fields<'_>, report: &mut Report<'_>) -> Vec<HeaderChange> {
    const SWITCHES: [(&str, &str, &str); 3] = [
        ("frameDeny", "x-frame-options", "DENY"),
        ("contentTypeNosniff", "x-content-type-options", "nosniff"),
        ("browserXssFilter", "x-xss-protection", "1; mode=block"),
    ];
    const TEXTS: [(&str, &str); 6] = [
        ("customFrameOptionsValue", "x-frame-options"),
        ("customBrowserXSSValue", "x-xss-protection"),
        ("contentSecurityPolicy", "content-security-policy"),
        ("contentSecurityPolicyReportOnly", "content-security-policy-report-only"),
        ("referrerPolicy", "referrer-policy"),
        ("permissionsPolicy", "permissions-policy"),
    ];
    let mut set: Vec<(&'static str, HeaderValue)> = Vec::new();
    for (field, name, text) in SWITCHES {
        if fields.take(field).and_then(|field| field.boolean(report)) == Some(true) {
            set.push((name, HeaderValue::from_static(text)));
        }
    }
    for (field, name) in TEXTS {
        let value = fields.take(field).and_then(|field| value::header_text(field, report));
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            // A value of one's own stands above the switch.
            set.retain(|(other, _)| *other != name);
            set.push((name, value));
        }
    }
    let change = |(name, value)| HeaderChange {
        name: HeaderName::from_static(name),
        value: Some(value),
    };
    set.into_iter().map(change).collect()
}

fn cross_origin(fields: &mut Fields<'_>, report: &mut Report<'_>) -> Option<CrossOrigin> {
    let mut switch = |name, report: &mut Report<'_>| {
        let field = fields.take(name);
        field.and_then(|field| field.boolean(report)).unwrap_or(false)
    };
    let (allow_credentials, vary) = (
        switch("accessControlAllowCredentials", report),
        switch("addVaryHeader", report),
    );
    let read = CrossOrigin {
        allow_credentials,
        vary,
        allow_headers: joined(fields.take("accessControlAllowHeaders"), report),
        allow_methods: joined(fields.take("accessControlAllowMethods"), report),
        expose_headers: joined(fields.take("accessControlExposeHeaders"), report),
        max_age_seconds: fields
            .take("accessControlMaxAge")
            .and_then(|field| field.integer(0, i64::MAX, report))
            .unwrap_or(0),
        allow_origins: origins(fields.take("accessControlAllowOriginList"), allow_credentials, report),
        allow_origin_patterns: fields
            .take("accessControlAllowOriginListRegex")
            .map(|field| value::items(field, report))
            .unwrap_or_default()
            .iter()
            .filter_map(|item| value::pattern(item, report))
            .collect(),
    };
    (read != CrossOrigin::default()).then_some(read)
}

/// Names of headers or methods, as one value.
fn joined(field: Option<Field<'_>>, report: &mut Report<'_>) -> Option<HeaderValue> {
    let field = field?;
    let name = field.name;
    let mut names: Vec<String> = Vec::new();
    for item in value::items(field, report) {
        let text = item.value().trim();
        if text != "*" && HeaderName::from_bytes(text.as_bytes()).is_err() {
            let rule = format!("Each of `{name}` is a name: letters, digits and !#$%&'*+-.^_`|~.");
            report.error(
                item.node.position,
                document::shown_scalar(text),
                rule,
                "Write the bare name.",
            );
            continue;
        }
        names.push(text.to_owned());
    }
    HeaderValue::from_str(&names.join(","))
        .ok()
        .filter(|joined| !joined.is_empty())
}

fn origins(field: Option<Field<'_>>, with_credentials: bool, report: &mut Report<'_>) -> Box<[std::sync::Arc<str>]> {
    let Some(field) = field else { return Box::default() };
    let mut origins = Vec::new();
    for item in value::items(field, report) {
        let origin = item.value().trim();
        let valid = origin == "*"
            || origin == "null"
            || origin.split_once("://").is_some_and(|(scheme, host)| {
                !scheme.is_empty() && !host.is_empty() && !host.contains('/') && HeaderValue::from_str(host).is_ok()
            });
        if !valid {
            let rule = "An origin is a scheme, a host and, where it is not the scheme's own, a port.";
            let fix = "Write for example https://chat.example, without a path, or `*` for any.";
            report.error(item.node.position, document::shown_scalar(origin), rule, fix);
            continue;
        }
        if origin == "*" && with_credentials {
            let rule = "Browsers do not send credentials where the answer allows `*`.";
            let fix =
                "List the origins, or take accessControlAllowCredentials out; an API key in a header needs neither.";
            report.warning(item.node.position, "*", rule, fix);
        }
        origins.push(origin.into());
    }
    origins.into()
}
