//! Every kind of middleware and of service: what it becomes, what is said of each mistake, and that nothing of it is
//! shown that may be a key.

use std::time::Duration;

use super::{check_text, services};
use crate::mapping::{
    Buffering, Capture, CaptureLoss, CaptureMode, CountedTokens, FairShare, InFlightReq, KeySource, Mapping,
    MiddlewareKind, RateLimit, Retry, ServiceKind, Strategy, TokenLimit,
};
use document::{Position, Severity};

fn middleware(kind: &str) -> String {
    format!("http:\n  middlewares:\n    m: {{{kind}}}\n")
}

fn balancer(fields: &str) -> String {
    services(&format!("      loadBalancer: {{{fields}}}\n"))
}

fn transport(fields: &str) -> String {
    format!("http:\n  serversTransports:\n    t: {{{fields}}}\n")
}

fn checked(text: &str) -> Mapping {
    let (mapping, problems) = check_text(text);
    mapping.unwrap_or_else(|| panic!("{text}{problems:#?}"))
}

/// The kind, whether or not it is acted on.
fn read(kind: &str) -> MiddlewareKind {
    super::super::middleware::read_anyway(&middleware(kind)).unwrap_or_else(|| panic!("{kind}"))
}

#[test]
fn defaults_are_traefiks() {
    let second = Duration::from_secs(1);
    let cases = [
        (
            "rateLimit: {}",
            MiddlewareKind::RateLimit(RateLimit {
                average: 0,
                period: second,
                burst: 1,
            }),
        ),
        (
            "rateLimit: {average: 60, period: 1m, burst: 10}",
            MiddlewareKind::RateLimit(RateLimit {
                average: 60,
                period: 60 * second,
                burst: 10,
            }),
        ),
        (
            "inFlightReq: {amount: 4}",
            MiddlewareKind::InFlightReq(InFlightReq { amount: 4 }),
        ),
        (
            "fairShare: {weight: 3}",
            MiddlewareKind::FairShare(FairShare { weight: 3 }),
        ),
        (
            "tokenLimit: {amount: 5}",
            MiddlewareKind::TokenLimit(TokenLimit {
                amount: 5,
                period: 86_400 * second,
                count: CountedTokens::Total,
            }),
        ),
        (
            "retry: {attempts: 3}",
            MiddlewareKind::Retry(Retry {
                attempts: 3,
                initial_interval: Duration::ZERO,
            }),
        ),
        (
            "buffering: {}",
            MiddlewareKind::Buffering(Buffering {
                request_body_bytes_max: None,
            }),
        ),
        (
            "buffering: {maxRequestBodyBytes: \"2000\"}",
            MiddlewareKind::Buffering(Buffering {
                request_body_bytes_max: Some(2000),
            }),
        ),
        (
            "capture: {mode: off, loss: refuse}",
            MiddlewareKind::Capture(Capture {
                mode: CaptureMode::Off,
                loss: Some(CaptureLoss::Refuse),
                body_bytes_max: None,
            }),
        ),
        (
            "chain: {middlewares: [a@file, b]}",
            MiddlewareKind::Chain(["a".into(), "b".into()].into()),
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(read(text), expected, "{text}");
    }
    let MiddlewareKind::CircuitBreaker(breaker) = read("circuitBreaker: {expression: NetworkErrorRatio() > 0.3}")
    else {
        panic!()
    };
    assert_eq!(
        (
            breaker.check_period,
            breaker.fallback_duration,
            breaker.recovery_duration,
            breaker.response_status
        ),
        (second / 10, 10 * second, 10 * second, 503)
    );
    let MiddlewareKind::UpstreamKey(key) = read("upstreamKey: {env: GPU_KEY}") else {
        panic!()
    };
    assert_eq!(
        (&key.source, key.header.as_str()),
        (&KeySource::Env("GPU_KEY".into()), "authorization")
    );
    let MiddlewareKind::Models(models) = read("models: {allow: [a], alias: {gpt-4o: a, b: c}}") else {
        panic!()
    };
    assert_eq!(
        (models.renamed("gpt-4o"), models.renamed("b"), models.renamed("x")),
        ("a", "c", "x")
    );
    assert!(models.allows("a") && !models.allows("gpt-4o"));
}

#[test]
fn services_take_traefiks_fields() {
    let text = "\
http:
  services:
    lb:
      loadBalancer:
        strategy: p2c
        servers: [{url: 'http://a'}]
        sticky: {cookie: {name: c, secure: true, sameSite: lax, maxAge: 60}}
        healthCheck: {path: '/health?x=1', port: 9000, interval: 10s, headers: {X-A: b}, status: 204}
        passiveHealthCheck: {failureWindow: 30s, maxFailedAttempts: 3}
        serversTransport: t@file
    w: {weighted: {services: [{name: lb, weight: 3}, {name: other@file}], healthCheck: {}}}
    m: {mirroring: {service: lb, mirrors: [{name: w, percent: 10}], mirrorBody: false, maxBodySize: 1000}}
    f: {failover: {service: lb, fallback: w}}
    h: {highestRandomWeight: {services: [{name: lb}]}}
  serversTransports:
    t: {insecureSkipVerify: true, serverName: gpu, rootCAs: [/ca.pem], maxIdleConnsPerHost: 7, forwardingTimeouts: {dialTimeout: 1s, responseHeaderTimeout: 0}}
";
    let mapping = checked(text);
    let service = |name: &str| {
        mapping
            .services
            .iter()
            .find(|it| *it.name == *name)
            .expect("it is there")
    };
    let ServiceKind::LoadBalancer(lb) = &service("lb").kind else {
        panic!()
    };
    assert_eq!(lb.strategy, Strategy::P2c);
    let cookie = lb.sticky().expect("a cookie");
    assert_eq!(
        (
            cookie.name.as_deref(),
            cookie.secure,
            cookie.http_only,
            cookie.max_age_seconds,
            &*cookie.path
        ),
        (Some("c"), true, false, Some(60), "/")
    );
    let health = lb.health_check().expect("a check");
    assert_eq!(
        (health.interval, health.unhealthy_interval, health.timeout),
        (Duration::from_secs(10), Duration::from_secs(10), Duration::from_secs(5))
    );
    assert_eq!(
        (&*health.path, health.port, health.status, health.follow_redirects),
        ("/health?x=1", Some(9000), Some(204), true)
    );
    assert_eq!(lb.passive().expect("one").max_failed_attempts, 3);
    assert_eq!(&*service("lb").transport_name().expect("one").name, "t");
    let children = |name: &str| -> Vec<String> { service(name).children().map(|it| it.name.to_string()).collect() };
    assert_eq!(children("w"), ["lb", "other"]);
    assert_eq!(children("m"), ["lb", "w"]);
    assert_eq!(children("f"), ["lb", "w"]);
    assert_eq!(children("h"), ["lb"]);
    let ServiceKind::Mirroring(mirroring) = &service("m").kind else {
        panic!()
    };
    assert_eq!(
        (
            mirroring.mirror_body,
            mirroring.body_bytes_max,
            mirroring.mirrors[0].percent
        ),
        (false, Some(1000), 10)
    );
    let t = &mapping.transports[0];
    assert_eq!(
        (
            t.insecure_skip_verify,
            t.server_name.as_deref(),
            t.max_idle_conns_per_host
        ),
        (true, Some("gpu"), Some(7))
    );
    assert_eq!(
        (t.timeouts.dial, t.timeouts.response_header),
        (Some(Duration::from_secs(1)), None)
    );
}

/// A million plain services must not pay for what few set.
#[test]
fn a_plain_service_and_a_plain_middleware_are_small() {
    use crate::mapping::{LoadBalancer, Middleware, Service};
    assert!(size_of::<LoadBalancer>() <= 32, "{}", size_of::<LoadBalancer>());
    assert!(size_of::<Service>() <= 88, "{}", size_of::<Service>());
    assert!(size_of::<Middleware>() <= 120, "{}", size_of::<Middleware>());
}

/// One mistake, at the sign §; its severity, and words of its value, rule and fix.
type Case = (String, Severity, &'static str, &'static str, &'static str);

#[rustfmt::skip]
fn mistakes() -> Vec<Case> {
    use Severity::{Error, Warning};
    let m = middleware;
    vec![
        (m("rateLimit: {§averag: 1}"), Error, "averag", "no such field", "`average`"),
        (m("rateLimit: {average: §-1}"), Error, "-1", "from 0", "bounds"),
        (m("rateLimit: {period: §0}"), Error, "0", "longer than nothing", ""),
        (m("rateLimit: {period: §1 day}"), Error, "a text of 5", "duration", "units"),
        (m("rateLimit: {burst: §0}"), Error, "0", "from 1", ""),
        (m("rateLimit: {§sourceCriterion: {}}"), Warning, "sourceCriterion", "router as a whole", ""),
        (m("§inFlightReq: {}"), Error, "", "needs `amount`", "amount: 4"),
        (m("inFlightReq: {amount: §0}"), Error, "0", "from 1", ""),
        (m("§fairShare: {}"), Error, "", "needs `weight`", "weight: 3"),
        (m("fairShare: {weight: §0}"), Error, "0", "from 1", ""),
        (m("fairShare: {weight: §1001}"), Error, "1001", "to 1000", ""),
        (m("§tokenLimit: {}"), Error, "", "needs `amount`", ""),
        (m("tokenLimit: {amount: 1, count: §both}"), Error, "a text of 4", "few words", "`input`"),
        (m("§validity: {}"), Error, "", "`notBefore` or `notAfter`", ""),
        (m("validity: {notBefore: §2026-13-01}"), Error, "2026-13-01", "RFC 3339", "2026-11-01"),
        (m("validity: {notBefore: 2026-12-01, notAfter: §2026-11-30}"), Error, "", "later than", "Mend"),
        (m("§models: {}"), Error, "", "`allow` or `alias`", ""),
        (m("models: {allow: §[]}"), Error, "", "at least one", ""),
        (m("models: {alias: {a: §[b]}}"), Error, "a list", "single value", ""),
        (m("models: {alias: {§a: ''}}"), Error, "", "from a name", ""),
        (m("capture: {mode: §some}"), Error, "a text of 4", "few words", "`metadata`"),
        (m("§retry: {}"), Error, "", "needs `attempts`", ""),
        (m("retry: {attempts: §0}"), Error, "0", "from 1", ""),
        (m("§circuitBreaker: {}"), Error, "", "needs `expression`", ""),
        (m("circuitBreaker: {expression: §NetworkErrorRate() > 1}"), Error, "", "no function", "NetworkErrorRatio"),
        (m("circuitBreaker: {expression: NetworkErrorRatio() > §x}"), Error, "", "number must stand", ""),
        (m("circuitBreaker: {expression: NetworkErrorRatio() > 1, responseCode: §200}"), Error, "200", "from 400", ""),
        (m("§stripPrefix: {}"), Error, "", "needs `prefixes`", ""),
        (m("stripPrefix: {prefixes: [§gpu]}"), Error, "a text of 3", "begins with a slash", "/v1"),
        (m("stripPrefix: {prefixes: [§'/a?b']}"), Error, "a text of 4", "no `?`", ""),
        (m("addPrefix: {prefix: §'/%zz'}"), Error, "a text of 4", "broken escape", ""),
        (m("§replacePath: {}"), Error, "", "needs `path`", ""),
        (m("replacePathRegex: {regex: §'(', replacement: x}"), Error, "a text of 1", "RE2", ""),
        (m("§replacePathRegex: {regex: a}"), Error, "", "needs `replacement`", "$1"),
        (m("§paths: {}"), Error, "", "at least one path", ""),
        (m("paths: {allow: [§v1]}"), Error, "a text of 2", "begins with a slash", "`*`"),
        (m("paths: {allow: [§'/*/x']}"), Error, "a text of 4", "at its end only", ""),
        (m("§ipAllowList: {}"), Error, "", "needs `sourceRange`", ""),
        (m("ipAllowList: {sourceRange: §[]}"), Error, "", "at least one address", ""),
        (m("ipAllowList: {sourceRange: [§10.0.0.0/33]}"), Error, "a text of 11", "address/length", "192.0.2.0/24"),
        (m("ipAllowList: {sourceRange: [::1], §ipStrategy: {depth: 1}}"), Error, "ipStrategy", "something else", "believed"),
        (m("buffering: {§maxResponseBodyBytes: 1}"), Warning, "maxResponseBodyBytes", "streamed", ""),
        (m("§chain: {}"), Error, "", "needs `middlewares`", ""),
        (m("§upstreamKey: {}"), Error, "", "`env` or `file`", "mapping"),
        (m("§upstreamKey: {env: A, file: /b}"), Error, "", "not both", ""),
        (m("upstreamKey: {env: §sk-secret}"), Error, "a text of 9", "environment variable", "not the key"),
        (m("upstreamKey: {file: §sk-secret}"), Error, "a text of 9", "absolute path", "not the key"),
        (m("upstreamKey: {env: A, header: §Content-Length}"), Error, "content-length", "frames messages", ""),
        (m("headers: {customRequestHeaders: {§'a b': c}}"), Error, "a text of 3", "header's name", "colon"),
        (m("headers: {customRequestHeaders: {§Transfer-Encoding: x}}"), Error, "transfer-encoding", "frames messages", ""),
        (m("headers: {customResponseHeaders: {a: §\"b\\nc\"}}"), Error, "a text of 3", "control characters", ""),
        (m("headers: {customResponseHeaders: {x-a: b, §X-A: c}}"), Error, "a text of 3", "capitals", "Remove"),
        (m("headers: {accessControlAllowOriginList: [§chat.example]}"), Error, "a text of 12", "a scheme, a host", "https://"),
        (m("headers: {accessControlAllowOriginList: [§'*'], accessControlAllowCredentials: true}"), Warning, "*", "credentials", ""),
        (m("headers: {accessControlAllowOriginListRegex: [§'(?=x)']}"), Error, "a text of 5", "RE2", ""),
        (m("headers: {accessControlMaxAge: §1h}"), Error, "a text of 2", "whole number", ""),
        (m("headers: {§allowedHosts: [a]}"), Error, "allowedHosts", "something else", "Host("),
        (m("headers: {§sslRedirect: true}"), Warning, "sslRedirect", "redirect", ""),

        (balancer("strategy: §random"), Error, "a text of 6", "few words", "`p2c`"),
        (balancer("§healthCheck: {}"), Error, "", "needs `path`", "/health"),
        (balancer("healthCheck: {path: §health}"), Error, "a text of 6", "begins with a slash", ""),
        (balancer("healthCheck: {path: /h, interval: §0s}"), Error, "0", "longer than nothing", ""),
        (balancer("healthCheck: {path: /h, mode: §grpc}"), Error, "a text of 4", "few words", "`http`"),
        (balancer("healthCheck: {path: /h, port: §0}"), Error, "0", "from 1", ""),
        (balancer("sticky: {cookie: {name: §'a b'}}"), Error, "a text of 3", "cookie's name", ""),
        (balancer("sticky: {cookie: {path: §'/;x'}}"), Error, "a text of 3", "without `;`", ""),
        (services("      §weighted: {}\n"), Error, "", "needs `services`", "- name"),
        (services("      weighted: {services: [§{weight: 1}]}\n"), Error, "", "needs `name`", "http.services"),
        (services("      weighted: {services: §{a: b}}\n"), Error, "a map", "takes a list", ""),
        (services("      §failover: {service: a}\n"), Error, "", "needs `fallback`", ""),
        (services("      mirroring: {service: a, mirrors: [{name: b, percent: §101}]}\n"), Error, "101", "from 0 to 100", ""),
        (transport("forwardingTimeouts: {dialTimeout: §soon}"), Error, "a text of 4", "duration", ""),
        (transport("§peerCertURI: x"), Error, "peerCertURI", "something else", "serverName"),
    ]
}

#[test]
fn every_mistake_is_found_where_it_stands() {
    for (marked, severity, value, rule, fix) in mistakes() {
        let (before, after) = marked.split_once('§').expect("a place");
        let place = |text: &str| u32::try_from(text.chars().count() + 1).expect("a short line");
        let at = Position {
            line: u32::try_from(before.matches('\n').count() + 1).expect("a short file"),
            column: place(before.rsplit('\n').next().unwrap_or_default()),
        };
        let (mapping, problems) = check_text(&[before, after].concat());
        let found = problems.iter().find(|it| it.severity == severity && it.position == at);
        let found = found.unwrap_or_else(|| panic!("nothing found in\n{marked}{problems:#?}"));
        assert!(found.value.contains(value), "{marked}{found}");
        assert!(found.rule.contains(rule) && found.fix.contains(fix), "{marked}{found}");
        assert_eq!(mapping.is_some(), severity == Severity::Warning, "{marked}");
    }
}

/// Whatever field a key gets into, neither a problem nor the mapping's own text shows it.
#[test]
fn no_kind_shows_a_key() {
    const CANARY: &str = "sk-canary-4711";
    for kind in [
        "upstreamKey: {env: KEY}",
        "upstreamKey: {file: KEY, header: KEY KEY}",
        "headers: {customRequestHeaders: {Authorization: Bearer KEY}}",
        "headers: {customRequestHeaders: {'KEY KEY': x}}",
        "headers: {customResponseHeaders: {x: \"KEY\\n\"}}",
        "headers: {accessControlAllowOriginList: [KEY]}",
        "ipAllowList: {sourceRange: [KEY]}",
        "stripPrefix: {prefixes: [KEY]}",
        "paths: {allow: [KEY]}",
        "replacePathRegex: {regex: '(KEY', replacement: x}",
        "circuitBreaker: {expression: KEY}",
        "validity: {notBefore: KEY}",
        "rateLimit: {average: KEY, period: KEY, burst: KEY}",
        "tokenLimit: {amount: KEY, count: KEY}",
        "capture: {mode: KEY}",
    ] {
        let (mapping, problems) = check_text(&middleware(&kind.replace("KEY", CANARY)));
        assert!(
            !format!("{problems:?}{mapping:?}").contains("canary"),
            "{kind}\n{problems:?}"
        );
    }
}
