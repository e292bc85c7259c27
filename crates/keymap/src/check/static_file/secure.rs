//! What of the static file concerns TLS: entry points that have it, that lead to it, and who issues their certificates.

use std::sync::Arc;

use document::{Field, Fields, Named, Position, Report, Schema, Support, Value, named, shown_name, text};

use super::StaticEntryPoint;

/// A `certificatesResolver` with ACME. Its certificates are kept where the edge keeps what it remembers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StaticAcme {
    pub email: Option<String>,
    /// `caServer`
    pub directory: Option<String>,
    /// `httpChallenge`; else names are proven over TLS.
    pub http_challenge: bool,
}

/// `http.redirections.entryPoint`: requests are told to come with TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StaticRedirect {
    pub to_port: u16,
    pub permanent: bool,
}

/// What an entry point's `http` says.
#[derive(Debug, Default)]
pub(super) struct Secure {
    pub(super) tls: bool,
    pub(super) redirect: Option<Redirection>,
    resolver: Option<(Arc<str>, Position)>,
    domains: Vec<Vec<String>>,
}

/// Before it is known where other entry points listen.
#[derive(Debug)]
pub(super) struct Redirection {
    to: String,
    position: Position,
    permanent: bool,
}

const OWN_SETTINGS: Support = Support::Ignored("the edge's own settings apply.");

const HTTP: Schema = &[
    ("tls", Support::Read),
    ("redirections", Support::Read),
    (
        "middlewares",
        Support::Ignored("only routers have middlewares; name them there."),
    ),
    ("encodeQuerySemicolons", OWN_SETTINGS),
    ("encodedCharacters", OWN_SETTINGS),
    ("sanitizePath", OWN_SETTINGS),
    ("maxHeaderBytes", OWN_SETTINGS),
];

const TLS: Schema = &[
    ("options", OWN_SETTINGS),
    ("certResolver", Support::Read),
    ("domains", Support::Read),
];

const DOMAIN: Schema = &[("main", Support::Read), ("sans", Support::Read)];

const REDIRECTIONS: Schema = &[("entryPoint", Support::Read)];

const REDIRECTION: Schema = &[
    ("to", Support::Read),
    ("scheme", Support::Read),
    ("permanent", Support::Read),
    (
        "priority",
        Support::Ignored("nothing else is served by an entry point that redirects."),
    ),
];

const RESOLVER: Schema = &[
    ("acme", Support::Read),
    (
        "tailscale",
        Support::Refused("Use `acme`, or give --tls-cert and --tls-key."),
    ),
];

const ACME: Schema = &[
    ("email", Support::Read),
    ("caServer", Support::Read),
    ("httpChallenge", Support::Read),
    ("tlsChallenge", Support::Read),
    (
        "dnsChallenge",
        Support::Refused(
            "Use `httpChallenge` or `tlsChallenge`; or let another ACME client write the files of --tls-cert.",
        ),
    ),
    (
        "storage",
        Support::Ignored("account and certificates are kept in the folder of --state, and the file is not taken over."),
    ),
    ("eab", Support::Refused("Give --acme-eab-id and --acme-eab-key-file.")),
    ("caCertificates", Support::Ignored("give --acme-ca.")),
    ("caSystemCertPool", OWN_SETTINGS),
    ("caServerName", OWN_SETTINGS),
    (
        "preferredChain",
        Support::Ignored("the authority's first chain is taken."),
    ),
    ("keyType", Support::Ignored("keys are of ECDSA, P-256.")),
    (
        "certificatesDuration",
        Support::Ignored("a certificate is renewed with a third of its life left."),
    ),
    ("profile", OWN_SETTINGS),
    ("emailAddresses", OWN_SETTINGS),
    ("disableCommonName", OWN_SETTINGS),
    ("clientTimeout", OWN_SETTINGS),
    ("clientResponseHeaderTimeout", OWN_SETTINGS),
    ("httpTimeout", OWN_SETTINGS),
    ("certificateTimeout", OWN_SETTINGS),
];

const HTTP_CHALLENGE: Schema = &[
    (
        "entryPoint",
        Support::Ignored("every entry point without TLS answers the authority."),
    ),
    ("delay", OWN_SETTINGS),
];

const TLS_CHALLENGE: Schema = &[("delay", OWN_SETTINGS)];

/// `http` of an entry point; `tls` may be empty, as in Traefik.
pub(super) fn http(field: Field<'_>, report: &mut Report<'_>) -> Secure {
    let mut secure = Secure::default();
    let Some(mut http) = Fields::of(field.node, HTTP, "an entry point's `http`", report) else {
        return secure;
    };
    secure.redirect = http.take("redirections").and_then(|field| redirection(field, report));
    let Some(tls) = http.take("tls") else {
        return secure;
    };
    let Some(mut tls) = Fields::of(tls.node, TLS, "an entry point's `tls`", report) else {
        return secure;
    };
    secure.tls = true;
    secure.resolver = tls.take("certResolver").and_then(|field| {
        let position = field.position;
        Some((field.text(report)?.value().into(), position))
    });
    if let Some(field) = tls.take("domains") {
        secure.domains = domains(field, report);
    }
    secure
}

fn redirection(field: Field<'_>, report: &mut Report<'_>) -> Option<Redirection> {
    let mut outer = Fields::of(field.node, REDIRECTIONS, "`redirections`", report)?;
    let field = outer.take("entryPoint")?;
    let position = field.position;
    let mut fields = Fields::of(field.node, REDIRECTION, "`redirections.entryPoint`", report)?;
    let permanent = fields.take("permanent").and_then(|field| field.boolean(report));
    if let Some(scheme) = fields.take("scheme") {
        let position = scheme.position;
        if scheme.text(report)?.value() != "https" {
            let rule = "Clients are redirected to https alone.";
            report.error(position, "scheme", rule, "Write `scheme: https`, or remove it.");
        }
    }
    let Some(to) = fields.take("to") else {
        let rule = "A redirection says where to.";
        report.error(position, "entryPoint", rule, "Add `to: websecure`, or `to: \":443\"`.");
        return None;
    };
    let position = to.node.position;
    Some(Redirection {
        to: to.text(report)?.value().to_owned(),
        position,
        permanent: permanent.unwrap_or(true),
    })
}

fn domains(field: Field<'_>, report: &mut Report<'_>) -> Vec<Vec<String>> {
    let position = field.position;
    let Value::List(items) = field.node.value else {
        let rule = "`domains` is a list of `main` and `sans`.";
        report.error(position, "domains", rule, "Write `- main: a.example` below it.");
        return Vec::new();
    };
    let mut all = Vec::new();
    for item in items {
        let position = item.position;
        let Some(mut fields) = Fields::of(item, DOMAIN, "an entry of `domains`", report) else {
            continue;
        };
        let main = fields
            .take("main")
            .and_then(|field| Some(field.text(report)?.value().to_owned()));
        let Some(main) = main.filter(|main| !main.is_empty()) else {
            report.error(
                position,
                "",
                "An entry of `domains` has a main name.",
                "Add `main: a.example`.",
            );
            continue;
        };
        let mut names = vec![main];
        if let Some(sans) = fields.take("sans") {
            names.extend(sans.names(report).iter().map(|name| name.to_string()));
        }
        all.push(names);
    }
    all
}

/// Where each redirection leads, now that all entry points are known.
pub(super) fn resolve(
    entry_points: &mut [StaticEntryPoint],
    redirections: Vec<Option<Redirection>>,
    report: &mut Report<'_>,
) {
    for (index, redirection) in redirections.into_iter().enumerate() {
        let Some(Redirection {
            to,
            position,
            permanent,
        }) = redirection
        else {
            continue;
        };
        let named = entry_points.iter().find(|entry| *entry.name == *to);
        let to_port = match named {
            Some(entry) if entry.tls => Some(entry.address.port()),
            Some(_) => {
                let rule = "The entry point that clients are sent to must have TLS.";
                let fix = "Add `http: {tls: {}}` to it.";
                report.error(position, shown_name(&to), rule, fix);
                continue;
            }
            None => to.strip_prefix(':').and_then(|port| port.parse().ok()),
        };
        match to_port {
            Some(to_port) => entry_points[index].redirect = Some(StaticRedirect { to_port, permanent }),
            None => {
                let rule = "A redirection leads to an entry point of this file, or to a port.";
                report.error(
                    position,
                    shown_name(&to),
                    rule,
                    "Write an entry point's name, or `:443`.",
                );
            }
        }
    }
}

/// The one resolver that entry points name, and the names it is asked for.
pub(super) fn acme(
    resolvers: Option<Field<'_>>,
    secures: &mut [Secure],
    report: &mut Report<'_>,
) -> (Option<StaticAcme>, Vec<Vec<String>>) {
    let resolvers = resolvers.map(|field| named(field.node, "certificatesResolver", report));
    let mut found: Option<(Arc<str>, StaticAcme)> = None;
    let mut certificates = Vec::new();
    let mut resolvers = resolvers.unwrap_or_default();
    for secure in secures.iter_mut() {
        let Some((name, position)) = secure.resolver.take() else {
            if let Some(domains) = secure.domains.first() {
                let rule = "`domains` are ordered by a `certResolver`, and this entry point has none.";
                report.warning(
                    Position::default(),
                    shown_name(&domains[0]),
                    rule,
                    "Add `certResolver`.",
                );
            }
            continue;
        };
        match &found {
            Some((known, _)) if *known == name => {}
            Some(_) => {
                let rule = "All entry points have one `certResolver`.";
                report.error(position, shown_name(&name), rule, "Name the same one everywhere.");
            }
            None => match resolvers.iter().position(|resolver| resolver.name == name) {
                Some(index) => {
                    let read = resolver(resolvers.swap_remove(index), report);
                    found = read.map(|acme| (name, acme));
                }
                None => {
                    let rule = "A `certResolver` is one of `certificatesResolvers`.";
                    report.error(
                        position,
                        shown_name(&name),
                        rule,
                        "Correct the name, or add the resolver.",
                    );
                }
            },
        }
        certificates.append(&mut secure.domains);
    }
    for unused in resolvers {
        let rule = "This resolver is not used: no entry point's `http.tls` names it.";
        let fix = "Write `certResolver` and `domains` there, or give --acme-domain.";
        report.warning(unused.position, shown_name(&unused.name), rule, fix);
    }
    (found.map(|(_, acme)| acme), certificates)
}

fn resolver(named: Named<'_>, report: &mut Report<'_>) -> Option<StaticAcme> {
    let owner = format!("resolver `{}`", shown_name(&named.name));
    let mut fields = Fields::of(named.node, RESOLVER, &owner, report)?;
    let Some(field) = fields.take("acme") else {
        let rule = "A resolver has `acme`.";
        report.error(
            named.position,
            shown_name(&named.name),
            rule,
            "Add `acme: {tlsChallenge: {}}`.",
        );
        return None;
    };
    let position = field.position;
    let mut acme = Fields::of(field.node, ACME, "`acme`", report)?;
    let http = acme.take("httpChallenge");
    let tls = acme.take("tlsChallenge");
    if http.is_none() && tls.is_none() {
        let rule = "`acme` says how names are proven.";
        report.error(position, "acme", rule, "Add `tlsChallenge: {}` or `httpChallenge: {}`.");
    }
    // Where both are there Traefik takes the second, and so do we.
    let http_challenge = http.is_some() && tls.is_none();
    if let Some(http) = http {
        Fields::of(http.node, HTTP_CHALLENGE, "`httpChallenge`", report);
    }
    if let Some(tls) = tls {
        Fields::of(tls.node, TLS_CHALLENGE, "`tlsChallenge`", report);
    }
    let mut plain = |name| {
        let field = acme.take(name)?;
        let found = text(field.node, name, report)?;
        Some(found.value().to_owned()).filter(|found| !found.is_empty())
    };
    Some(StaticAcme {
        email: plain("email"),
        directory: plain("caServer"),
        http_challenge,
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::read_text;
    use super::*;

    /// Traefik's own example, as far as it concerns TLS.
    const WHOLE: &str = "
entryPoints:
  web:
    address: \":80\"
    http: {redirections: {entryPoint: {to: websecure, scheme: https, permanent: true}}}
  websecure:
    address: \":443\"
    http:
      tls:
        certResolver: le
        domains:
          - main: a.example
            sans: [www.a.example]
          - main: b.example
certificatesResolvers:
  le:
    acme:
      email: me@a.example
      storage: /letsencrypt/acme.json
      caServer: https://ca.example/dir
      httpChallenge: {entryPoint: web}
";

    #[test]
    fn traefiks_usual_file_is_understood() {
        let (file, problems) = read_text(WHOLE);
        let file = file.unwrap_or_else(|| panic!("{problems:?}"));
        let redirect = StaticRedirect {
            to_port: 443,
            permanent: true,
        };
        assert_eq!(
            (file.entry_points[0].redirect, file.entry_points[1].redirect),
            (Some(redirect), None)
        );
        assert!(file.entry_points[1].tls);
        assert_eq!(
            file.certificates,
            [vec!["a.example", "www.a.example"], vec!["b.example"]]
        );
        let acme = StaticAcme {
            email: Some("me@a.example".to_owned()),
            directory: Some("https://ca.example/dir".to_owned()),
            http_challenge: true,
        };
        assert_eq!(file.acme, Some(acme));
        assert_eq!(
            problems.len(),
            2,
            "the storage and the challenge's entry point: {problems:?}"
        );
    }

    #[test]
    fn what_cannot_be_is_located() {
        for (from, to, value) in [
            ("to: websecure", "to: web", "web"),
            ("to: websecure", "to: nowhere", "nowhere"),
            ("to: websecure, ", "", "entryPoint"),
            ("scheme: https", "scheme: http", "scheme"),
            ("certResolver: le", "certResolver: other", "other"),
            ("httpChallenge: {entryPoint: web}", "dnsChallenge: {}", "dnsChallenge"),
            ("httpChallenge: {entryPoint: web}", "keyType: EC256", "acme"),
            ("main: b.example", "sans: b.example", ""),
        ] {
            let (file, problems) = read_text(&WHOLE.replace(from, to));
            assert!(file.is_none(), "{to}: {problems:?}");
            let errors = problems.iter().filter(|it| it.severity == document::Severity::Error);
            let values: Vec<_> = errors.map(|it| it.value.to_string()).collect();
            assert!(values.iter().any(|found| found.contains(value)), "{to}: {values:?}");
        }
        let port = WHOLE.replace("to: websecure", "to: \":8443\"");
        let redirect = read_text(&port).0.expect("good").entry_points[0].redirect;
        assert_eq!(redirect.expect("there").to_port, 8443);
    }
}
