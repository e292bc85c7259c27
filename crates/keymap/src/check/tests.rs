//! Files and what is said of them.

mod kinds;

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::mapping::{MiddlewareKind, Service, ServiceKind, StripPrefix, UrlScheme};
use document::{Position, Severity};

const GOOD: &str = "\
http:
  routers:
    alice:
      rule: \"HeaderRegexp(`Authorization`, `^Bearer API_KEY-1$`)\"
      service: llama@file
      entryPoints: [web]
      middlewares:
        - shout@file
        - other@docker
    list:
      Rule: Path(`/v1/models`)
      SERVICE: aggregator@internal
      priority: \"7\"
      entrypoints: web, websecure
  services:
    llama:
      loadBalancer:
        servers:
          - url: http://127.0.0.1:8011
          - { url: \"https://[::1]/base/\", weight: 3, preservePath: true }
        passHostHeader: false
    empty:
      loadBalancer: {}
  middlewares:
    shout:
      compress: {}
    wall:
      basicAuth: { users: [] }
    strip:
      stripPrefix: { prefixes: [/api] }
";

fn check_text(text: &str) -> (Option<Mapping>, Vec<Problem>) {
    check(Path::new("a.yml"), text)
}

fn routers(body: &str) -> String {
    format!("http:\n  routers:\n    r:\n      rule: Path(`/a`)\n      service: s\n{body}")
}

fn services(body: &str) -> String {
    format!("http:\n  services:\n    s:\n{body}")
}

fn servers(body: &str) -> String {
    services(&format!("      loadBalancer:\n        servers:\n{body}"))
}

#[test]
fn a_good_file_becomes_a_mapping() {
    let (mapping, problems) = check_text(GOOD);
    let mapping = mapping.expect("it checks");
    assert!(
        problems.iter().all(|problem| problem.severity == Severity::Warning),
        "{problems:#?}"
    );

    let [alice, list] = &*mapping.routers else { panic!() };
    assert_eq!((&*alice.name, &*alice.service), ("alice", "llama"));
    assert_eq!(alice.priority, 51, "the rule's length");
    assert_eq!(
        alice.middlewares.iter().map(|name| &**name).collect::<Vec<_>>(),
        ["shout", "other@docker"]
    );
    assert_eq!((&*list.service, list.priority), ("aggregator@internal", 7));
    assert_eq!(list.entry_points.as_deref().unwrap().len(), 2);
    assert_eq!(list.position, Position { line: 10, column: 5 });

    let [llama, empty] = &*mapping.services else { panic!() };
    let passes_host = |service: &Service| match &service.kind {
        ServiceKind::LoadBalancer(balancer) => balancer.pass_host_header,
        _ => panic!(),
    };
    assert!(!passes_host(llama) && passes_host(empty) && empty.servers().is_empty());
    let [plain, full] = llama.servers() else { panic!() };
    assert_eq!(
        (plain.url.scheme, &*plain.url.host, plain.url.port, plain.weight),
        (UrlScheme::Http, "127.0.0.1", 8011, 1)
    );
    assert_eq!(
        (full.url.scheme, &*full.url.host, full.url.port),
        (UrlScheme::Https, "::1", 443)
    );
    assert_eq!((full.weight, full.preserve_path, &*full.url.path), (3, true, "/base"));

    let kinds: Vec<_> = mapping
        .middlewares
        .iter()
        .map(|middleware| middleware.kind.clone())
        .collect();
    assert_eq!(
        kinds,
        [
            MiddlewareKind::UnsupportedOther("compress".into()),
            MiddlewareKind::UnsupportedGuard("basicAuth".into()),
            MiddlewareKind::StripPrefix(StripPrefix {
                prefixes: ["/api".into()].into()
            }),
        ]
    );
}

#[test]
fn empty_files_are_empty_mappings() {
    for text in [
        "",
        "\n",
        "# nothing\n",
        "---\n",
        "{}",
        "http:",
        "http: {}",
        "http:\n  routers:\n",
        "http: {routers: {}}",
    ] {
        let (mapping, problems) = check_text(text);
        assert!(mapping.is_some_and(|mapping| mapping.routers.is_empty()), "{text:?}");
        assert_eq!(problems, [], "{text:?}");
    }
}

/// One mistake, its severity, where it stands, and words of its value, rule and fix.
type Case = (String, Severity, (u32, u32), &'static str, &'static str, &'static str);

#[rustfmt::skip]
fn mistakes() -> Vec<Case> {
    use Severity::{Error, Warning};
    let s = str::to_owned;
    let http = |body: &str| format!("http:\n{body}");
    let router = |fields: &str| format!("http:\n  routers:\n    r: {fields}\n");
    let middleware = |kinds: &str| format!("http:\n  middlewares:\n    m: {kinds}\n");
    vec![
        (s("htpp:\n"), Error, (1, 1), "htpp", "no such field", "`http`"),
        (s("x9-common: 1\n"), Error, (1, 1), "a text of 9", "no such field", "Use one of"),
        (s("http: 5\n"), Error, (1, 7), "5", "must be a map", "indented"),
        (s("- http\n"), Error, (1, 1), "a list", "must be a map", "indented"),
        (s("tcp: {}\n"), Warning, (1, 1), "tcp", "HTTP only", "Remove"),
        (s("tls: {}\n"), Warning, (1, 1), "tls", "certificates", "Remove"),
        (http("  routes: {}\n"), Error, (2, 3), "routes", "no such field", "`routers`"),
        (http("  routers: [a]\n"), Error, (2, 12), "a list", "must be a map", ""),
        (http("\trouters: {}\n"), Error, (2, 2), "", "tabs", "spaces"),
        (http("  routers: {{ .Env }}\n"), Error, (2, 13), "", "", "Go templates"),

        (router("Path(`/a`)"), Error, (3, 8), "a text of 10", "must be a map", ""),
        (router("{rule: Path(`/a`)}"), Error, (3, 5), "r", "needs a service", "Add"),
        (router("{service: s}"), Error, (3, 5), "r", "needs a rule", "Add"),
        (router("{rule: '', service: s}"), Error, (3, 16), "", "", ""),
        (router("{rule: 'Path(`/a`) && Nope(`x`)', service: s}"), Error, (3, 30), "Nope", "", ""),
        (router("\n      service: s\n      rule: >-\n        Path(`/a`)\n        && Nope(`x`)"), Error, (7, 12), "Nope", "", ""),
        (routers("    r: {}\n"), Error, (6, 5), "r", "line 3 already", "Rename"),
        (routers("      Service: t\n"), Error, (6, 7), "service", "line 5 already", "Rename"),
        (routers("      rulle: x\n"), Error, (6, 7), "rulle", "no such field", "`rule`"),
        (routers("      priority: high\n"), Error, (6, 17), "a text of 4", "whole number", "digits"),
        (routers("      priority: 1.5\n"), Error, (6, 17), "1.5", "whole number", "digits"),
        (routers("      priority: [1]\n"), Error, (6, 17), "a list", "single value", ""),
        (routers("      entryPoints: {a: b}\n"), Error, (6, 20), "a map", "single value", ""),
        (routers("      middlewares:\n        - [a]\n"), Error, (7, 11), "a list", "single value", ""),
        (routers("      middlewares: [a, '']\n"), Error, (6, 24), "", "is a name", "remove"),
        (routers("      tls: {}\n"), Warning, (6, 7), "tls", "no effect", ""),
        (routers("      observability: {}\n"), Warning, (6, 7), "observability", "no effect", ""),
        (routers("      parentRefs: [p]\n"), Error, (6, 7), "parentRefs", "something else", "parents'"),
        (routers("      ruleSyntax: v2\n"), Error, (6, 19), "a text of 2", "v3", "remove"),

        (services("      {}\n"), Error, (3, 5), "s", "has 0", "loadBalancer"),
        (services("      loadBalancer: {}\n      weighted: {}\n"), Error, (3, 5), "s", "has 2", "loadBalancer"),
        (services("      loadbalancer: {server: []}\n"), Error, (4, 22), "server", "no such field", "`servers`"),
        (services("      loadBalancer: {passHostHeader: maybe}\n"), Error, (4, 38), "a text of 5", "true", ""),
        (services("      loadBalancer: {servers: 'http://a'}\n"), Error, (4, 31), "a text of 8", "takes a list", "- url"),

        (servers("          - weight: 1\n"), Error, (6, 13), "", "needs a `url`", "- url"),
        (servers("          - {url: 'http://a', weight: -1}\n"), Error, (6, 39), "-1", "from 0", ""),
        (servers("          - url: 127.0.0.1:80\n"), Error, (6, 18), "", "begins with its scheme", "http://"),
        (servers("          - url: ftp://a\n"), Error, (6, 18), "", "https or h2c", ""),
        (servers("          - url: http://:80\n"), Error, (6, 18), "", "needs a host", ""),
        (servers("          - url: http://a:99999\n"), Error, (6, 18), "", "1 to 65535", ""),
        (servers("          - url: http://a:+80\n"), Error, (6, 18), "", "1 to 65535", ""),
        (servers("          - url: http://u:p@a\n"), Error, (6, 18), "", "no user", "`@`"),
        (servers("          - url: http://a/?k=v\n"), Error, (6, 18), "a", "ends with its path", "`?`"),
        (servers("          - url: http://::1:80\n"), Error, (6, 18), "", "between `[`", ""),
        (servers("          - url: http://a/base\n"), Warning, (6, 18), "", "preservePath", ""),

        (middleware("{}"), Error, (3, 5), "m", "has 0", ""),
        (middleware("{headers: {}, retry: {}}"), Error, (3, 5), "m", "has 2", ""),
        (middleware("{header: {}}"), Error, (3, 9), "header", "no such field", "`headers`"),
        (middleware("{ratelimit: {}}"), Warning, (3, 9), "rateLimit", "limits nothing", "average"),
        (middleware("{stripPrefixRegex: {}}"), Warning, (3, 9), "stripPrefixRegex", "wrong place", ""),
    ]
}

#[test]
fn every_mistake_is_found_where_it_stands() {
    for (text, severity, (line, column), value, rule, fix) in mistakes() {
        let (mapping, problems) = check_text(&text);
        let found = problems.iter().find(|problem| problem.severity == severity);
        let found = found.unwrap_or_else(|| panic!("nothing found in\n{text}{problems:#?}"));
        assert_eq!(found.position, Position { line, column }, "{text}{found}");
        assert!(found.value.contains(value), "{text}{found}");
        assert!(found.rule.contains(rule) && found.fix.contains(fix), "{text}{found}");
        assert_eq!(mapping.is_some(), severity == Severity::Warning, "{text}");
    }
}

#[test]
fn all_mistakes_of_a_file_are_reported_in_the_order_of_their_lines() {
    let text = "\
http:
  routers:
    a:
      rule: Nope(`x`)
      priorty: 5
    b:
      rule: Path(`/b`)
  services:
    s:
      loadBalancer:
        servers:
          - url: 127.0.0.1
          - url: http://a:0
          - weight: x
            url: http://b
";
    let (mapping, problems) = check_text(text);
    assert!(mapping.is_none());
    let lines: Vec<_> = problems.iter().map(|problem| problem.position.line).collect();
    assert_eq!(lines, [3, 4, 5, 6, 12, 13, 14], "{problems:#?}");
}

#[test]
fn the_number_of_problems_is_bounded() {
    let mut text = String::from("http:\n  routers:\n");
    for i in 0..5_000 {
        writeln!(text, "    r{i}: {{}}").unwrap();
    }
    let (_, problems) = check_text(&text);
    assert_eq!(problems.len(), 1_001);
    assert!(
        problems.last().unwrap().rule.starts_with("9000 more"),
        "{}",
        problems.last().unwrap()
    );
}

#[test]
fn one_mistake_in_an_anchor_is_one_problem() {
    let text = "http:\n  services:\n    a:\n      loadBalancer: &lb {servers: [{url: nowhere}]}\n    b:\n      loadBalancer: *lb\n";
    let (_, problems) = check_text(text);
    let scheme: Vec<_> = problems
        .iter()
        .filter(|problem| problem.rule.contains("scheme"))
        .collect();
    assert_eq!(scheme.len(), 1, "{problems:#?}");
}

const CANARY: &str = "sk-canary-4711";

/// Wherever in a file a key ends up, nothing that is printed quotes it.
#[test]
fn no_problem_shows_a_key() {
    let mut texts: Vec<String> = [
        "http:\n  routers:\n    a:\n      rule: Key(`KEY`\n      service: s\n",
        "http:\n  routers:\n    a:\n      rule: \"Key(`KEY`)\n      service: s\n",
        "http:\n  routers:\n    a:\n      rule: Kee(`KEY`)\n      service: s\n",
        "http:\n  routers:\n    a:\n      rule: 'KEY'\n      service: s\n",
        "http:\n  routers:\n    a:\n      rule: Header(`Authorization`, \"Bearer \\KEY\")\n      service: s\n",
        "http:\n  routers:\n    a:\n      rule: [Key(`KEY`)]\n      service: s\n",
        "http:\n  routers:\n    a:\n      KEY: x\n",
        "http:\n  routers:\n    rule: Key(`KEY`)\n    service: KEY\n",
        "http:\n  routers:\n    a:\n      priority: KEY\n      ruleSyntax: KEY\n      entryPoints: [[KEY]]\n",
        "http:\n  routers:\n    a: KEY\n",
        "http: KEY\n",
        "KEY\n",
        "KEY: 1\n",
        "\tKEY\n",
        "http:\n  services:\n    s:\n      KEY: {}\n",
        "http:\n  services:\n    s:\n      loadBalancer:\n        passHostHeader: KEY\n        servers: KEY\n",
        "a: *KEY\n",
        "a: !KEY @\n",
        "a: &KEY [*KEY]\n",
        "a: \"KEY\n",
        "a: [KEY\n",
        "a: KEY: KEY\n",
        "%KEY\n",
        "KEY: KEY: KEY",
        "? {KEY: KEY}\n",
        "<<: KEY\n",
        "http:\n  middlewares:\n    m:\n      KEY: {}\n",
    ]
    .map(|text| text.replace("KEY", CANARY))
    .into();
    for url in [
        "KEY",
        "KEY://a",
        "http://KEY@a",
        "http://u:KEY@a",
        "http://a/?k=KEY",
        "http://a/#KEY",
        "http://a:KEY",
        "http://[KEY]",
        "http://a /KEY",
        "http://a/KEY",
    ] {
        texts.push(servers(&format!("          - url: '{}'\n", url.replace("KEY", CANARY))));
    }
    for text in &texts {
        let (_, problems) = check_text(text);
        assert_ne!(problems, [], "{text}");
        for problem in &problems {
            assert!(!format!("{problem}{problem:?}").contains("canary"), "{text}{problem}");
        }
    }
}

#[test]
fn fifty_thousand_routers_are_not_quadratic() {
    let mut text = String::from("http:\n  routers:\n");
    for i in 0..50_000 {
        writeln!(text, "    r{i}: {{rule: 'Path(`/{i}`)', service: s}}").unwrap();
    }
    let began = std::time::Instant::now();
    assert_eq!(check_text(&text).0.unwrap().routers.len(), 50_000);
    // Quadratic would be many minutes; this leaves room for a debug build on a busy machine.
    assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_checked_without_a_panic(text in "(?s).{0,200}") {
        check_text(&text);
    }

    #[test]
    fn yaml_like_text_is_checked_without_a_panic(text in "(http|routers|rule|url|[-:{}\\[\\]&*<>|'\"`\n #!%?,@]| {1,4}|[a-z]){0,60}") {
        check_text(&text);
    }

    #[test]
    fn a_mutated_mapping_is_checked_without_a_panic_and_positions_are_within_it(
        edits in prop::collection::vec((0..GOOD.len(), 0..12_usize, "[-a:{}\\[\\]&*<|'\"`\n\t #,(]{0,3}"), 1..6),
    ) {
        let mut text = GOOD.to_owned();
        for (at, length, with) in edits {
            let at = at.min(text.len());
            text.replace_range(at..(at + length).min(text.len()), &with);
        }
        let (mapping, problems) = check_text(&text);
        prop_assert_eq!(mapping.is_none(), problems.iter().any(|problem| problem.severity == Severity::Error));
        let lines = u32::try_from(text.lines().count()).unwrap();
        for problem in problems {
            prop_assert!(problem.position.line <= lines + 1, "{}\n{}", text, problem);
        }
    }
}
