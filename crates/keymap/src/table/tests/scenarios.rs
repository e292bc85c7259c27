use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::attachment::Attachment;
use crate::key::KeyHash;
use crate::mapping::{LoadBalancer, Mapping, Middleware, MiddlewareKind, Router, Service, ServiceKind};
use crate::rule::Rule;
use crate::table::{Compiler, Decision, Model, Request, Table};
use crate::{Credential, Target};
use document::{Position, Problem, Severity};

/// A mapping file in a few words; `line` numbers count up, so that problems can be told apart.
#[derive(Default)]
pub(super) struct File(Mapping);

impl File {
    fn position(&self) -> Position {
        let defined = self.0.routers.len() + self.0.services.len() + self.0.middlewares.len();
        Position {
            line: u32::try_from(defined).expect("a small file") + 1,
            column: 1,
        }
    }

    pub(super) fn service(mut self, name: &str) -> Self {
        let service = Service {
            name: name.into(),
            kind: ServiceKind::LoadBalancer(LoadBalancer::plain(Box::default())),
            position: self.position(),
            attachment: Attachment::default(),
        };
        self.0.services.push(Arc::new(service));
        self
    }

    fn middleware(mut self, name: &str, kind: MiddlewareKind) -> Self {
        let position = self.position();
        let middleware = Arc::new(Middleware {
            name: name.into(),
            kind,
            position,
            attachment: Attachment::default(),
        });
        self.0.middlewares = self.0.middlewares.iter().cloned().chain([middleware]).collect();
        self
    }

    pub(super) fn router(self, name: &str, rule: &str, service: &str) -> Self {
        self.router_on(name, rule, service, 0, None, &[])
    }

    pub(super) fn router_on(
        mut self,
        name: &str,
        rule: &str,
        service: &str,
        priority: i64,
        entry_points: Option<&[&str]>,
        middlewares: &[&str],
    ) -> Self {
        let rule = Rule::parse(rule).unwrap_or_else(|errors| panic!("{rule}: {errors:?}"));
        let length = i64::try_from(rule.text_length()).expect("a short rule");
        let names = |names: &[&str]| -> Box<[Arc<str>]> { names.iter().map(|name| (*name).into()).collect() };
        let router = Router {
            name: name.into(),
            priority: if priority == 0 { length } else { priority },
            rule,
            service: service.into(),
            entry_points: entry_points.map(names),
            middlewares: names(middlewares),
            position: self.position(),
        };
        self.0.routers.push(Arc::new(router));
        self
    }

    pub(super) fn mapping(self) -> Arc<Mapping> {
        Arc::new(self.0)
    }
}

fn compiled(files: Vec<(&str, File)>) -> (Arc<Table>, Vec<Problem>) {
    let mut compiler = Compiler::new(Some(vec!["web".into(), "admin".into()]));
    for (name, file) in files {
        compiler.set(name, Some(file.mapping()));
    }
    compiler.table()
}

/// What a table says of `GET target` with header lines `name: value`, on entry point `web`.
fn decide(table: &Table, target: &str, lines: &[&str]) -> String {
    decide_model(table, target, lines, Model::Unread)
}

fn decide_model(table: &Table, target: &str, lines: &[&str], model: Model<'_>) -> String {
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(": ").expect("a header line");
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a header name");
        headers.append(name, HeaderValue::from_str(value).expect("a header value"));
    }
    let credential = Credential::from_headers(&headers).expect("one credential");
    let target = Target::parse(target.as_bytes()).expect("a target");
    let request = Request {
        credential: credential.as_ref(),
        method: "GET",
        host: "h",
        path: target.path(),
        query: target.query(),
        headers: &headers,
        client_ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
        entry_point: Some("web"),
        model,
    };
    shown(&table.decide(&request))
}

/// A decision as one word, with the router's name where it has one.
pub(super) fn shown(decision: &Decision) -> String {
    match decision {
        Decision::Forward(route) => format!("→ {}", route.router.name),
        Decision::Broken(route) => format!("broken {}", route.router.name),
        Decision::FileBroken => "file broken".into(),
        Decision::NeedsModel => "model?".into(),
        Decision::UnknownKey => "unknown".into(),
        Decision::NoRouter => "no router".into(),
        Decision::Keyless => "keyless".into(),
    }
}

#[test]
fn a_key_opens_its_routers_and_nothing_else() {
    let file = File::default()
        .service("s")
        .router("alice", "HeaderRegexp(`Authorization`, `^Bearer API_KEY-1$`)", "s")
        .router("bob", "Key(`b`) && PathPrefix(`/v1`)", "s")
        .router("team", "HeaderRegexp(`Authorization`, `^Bearer team-`)", "s")
        .router("carol", "Key(`c`) && Model(`m`)", "s")
        .router("carol-all", "Key(`c`)", "noop@internal")
        .router("models", "Path(`/v1/models`)", "aggregator@internal")
        .router_on("everything", "PathPrefix(`/public`)", "s", 1_000_000, None, &[]);
    let (table, problems) = compiled(vec![("a.yml", file)]);
    assert_eq!((table.keys(), table.routers(), problems), (3, 7, vec![]));
    for (target, lines, expected) in [
        ("/v1/models", &["authorization: Bearer API_KEY-1"][..], "→ alice"),
        ("/v1/models", &["x-api-key: API_KEY-1"], "→ alice"),
        ("/v1/models", &["authorization: bearer API_KEY-1"], "unknown"),
        ("/v1/models", &["authorization: Bearer API_KEY-10"], "unknown"),
        ("/v1/models", &[], "→ models"),
        ("/v1/chat", &["api-key: b"], "→ bob"),
        ("/slots", &["api-key: b"], "no router"),
        ("/public", &["api-key: b"], "no router"),
        ("/public", &["api-key: x"], "unknown"),
        ("/public", &[], "→ everything"),
        ("/", &["authorization: Bearer team-7"], "→ team"),
        ("/", &["authorization: bearer team-7"], "unknown"),
        ("/", &[], "keyless"),
        ("/", &["authorization: Bearer"], "keyless"),
        ("/v1/chat", &["x-goog-api-key: c"], "model?"),
    ] {
        assert_eq!(decide(&table, target, lines), expected, "{target} {lines:?}");
    }
    for (model, expected) in [
        (Some("m"), "→ carol"),
        (Some("n"), "→ carol-all"),
        (None, "→ carol-all"),
    ] {
        assert_eq!(
            decide_model(&table, "/", &["api-key: c"], Model::Read(model)),
            expected,
            "{model:?}"
        );
    }
}

#[test]
fn a_broken_router_refuses_its_key_in_its_place() {
    let guard = MiddlewareKind::UnsupportedGuard("basicAuth".into());
    let other = MiddlewareKind::UnsupportedOther("compress".into());
    let file = File::default()
        .service("s")
        .middleware("guard", guard)
        .middleware("other", other)
        .router(
            "next",
            "Key(`a`) || Key(`b`) || Key(`c`) || Key(`d`) || Key(`e`) || Key(`f`)",
            "s",
        )
        .router_on("missing", "Key(`a`)", "nowhere", 1000, None, &[])
        .router_on("foreign", "Key(`b`)", "s@docker", 1000, None, &[])
        .router_on("guarded", "Key(`c`)", "s", 1000, None, &["other", "guard"])
        .router_on("unguarded", "Key(`d`)", "s", 1000, None, &["gone"])
        .router_on("elsewhere", "Key(`e`)", "s", 1000, Some(&["nowhere", "neither"]), &[])
        .router_on(
            "fine",
            "Key(`f`)",
            "s@file",
            1000,
            Some(&["nowhere", "web"]),
            &["other@file"],
        )
        .router_on("public", "Path(`/public`)", "nowhere", 0, None, &[]);
    let (table, problems) = compiled(vec![("a.yml", file)]);
    for (key, expected) in [
        ("a", "broken missing"),
        ("b", "broken foreign"),
        ("c", "broken guarded"),
        ("d", "broken unguarded"),
        ("e", "broken elsewhere"),
        ("f", "→ fine"),
    ] {
        assert_eq!(decide(&table, "/", &[&format!("api-key: {key}")]), expected);
    }
    assert_eq!(decide(&table, "/public", &[]), "broken public");
    let found: Vec<_> = problems
        .iter()
        .map(|problem| (problem.position.line, problem.value.as_str()))
        .collect();
    let expected = [
        (5, "nowhere"),
        (6, "s@docker"),
        (7, "guard"),
        (8, "gone"),
        (9, "nowhere, neither"),
        (11, "nowhere"),
    ];
    assert_eq!(found, expected);
    assert!(
        problems
            .iter()
            .all(|problem| problem.severity == Severity::Error && !problem.fix.is_empty())
    );
}

#[test]
fn entry_points_keep_routers_apart_but_not_the_knowledge_of_a_key() {
    let file = File::default()
        .service("s")
        .router_on("admin", "Key(`a`)", "s", 0, Some(&["admin"]), &[])
        .router_on("web", "Key(`b`)", "s", 0, Some(&["admin", "web"]), &[]);
    let (table, _) = compiled(vec![("a.yml", file)]);
    assert_eq!(decide(&table, "/", &["api-key: a"]), "no router");
    assert_eq!(decide(&table, "/", &["api-key: b"]), "→ web");
}

#[test]
fn the_first_file_wins_a_name_and_a_later_one_takes_over() {
    let file = |key: &str, service: &str| {
        let rule = format!("Key(`{key}`)");
        File::default().service(service).router("r", &rule, service).mapping()
    };
    let mut compiler = Compiler::new(None);
    compiler.set("b.yml", Some(file("b", "s")));
    compiler.set("a.yml", Some(file("a", "s")));
    let (table, problems) = compiler.table();
    assert_eq!(
        [
            decide(&table, "/", &["api-key: a"]),
            decide(&table, "/", &["api-key: b"])
        ],
        ["→ r", "unknown"]
    );
    let values: Vec<_> = problems
        .iter()
        .map(|problem| (problem.path.to_str(), problem.value.as_str()))
        .collect();
    assert_eq!(values, [(Some("b.yml"), "s"), (Some("b.yml"), "r")]);
    assert!(
        problems
            .iter()
            .all(|problem| problem.severity == Severity::Warning && problem.rule.contains("a.yml"))
    );

    compiler.set("a.yml", None);
    let (later, problems) = compiler.table();
    assert_eq!(
        [
            decide(&later, "/", &["api-key: a"]),
            decide(&later, "/", &["api-key: b"])
        ],
        ["unknown", "→ r"]
    );
    assert_eq!(problems, []);
    // A table that is in use stays what it was.
    assert_eq!(decide(&table, "/", &["api-key: a"]), "→ r");
}

#[test]
fn a_service_that_comes_back_mends_its_routers() {
    let mut compiler = Compiler::new(None);
    compiler.set(
        "routers.yml",
        Some(File::default().router("r", "Key(`a`)", "s").mapping()),
    );
    let mut states = Vec::new();
    for services in [None, Some(File::default().service("s").mapping()), None] {
        compiler.set("services.yml", services);
        let (table, problems) = compiler.table();
        states.push((decide(&table, "/", &["api-key: a"]), problems.len()));
    }
    assert_eq!(
        states,
        [("broken r".into(), 1), ("→ r".into(), 0), ("broken r".into(), 1)]
    );
}

#[test]
fn keys_of_a_broken_file_are_refused_until_it_is_mended() {
    let refused = || vec![KeyHash::of(b"a"), KeyHash::of(b"a"), KeyHash::of(b"b")];
    let good = File::default()
        .service("s")
        .router("r", "Key(`b`) && Path(`/`)", "s")
        .mapping();
    let mut compiler = Compiler::new(None);
    compiler.set("good.yml", Some(good));
    compiler.set_refused("bad.yml", refused());
    compiler.set_refused("worse.yml", refused());
    let (table, _) = compiler.table();
    for (target, key, expected) in [
        ("/", "a", "file broken"),
        ("/", "b", "→ r"),
        ("/x", "b", "no router"),
        ("/", "c", "unknown"),
    ] {
        assert_eq!(decide(&table, target, &[&format!("api-key: {key}")]), expected, "{key}");
    }
    compiler.set_refused("bad.yml", vec![]);
    assert_eq!(decide(&compiler.table().0, "/", &["api-key: a"]), "file broken");
    compiler.set_refused("worse.yml", vec![]);
    assert_eq!(decide(&compiler.table().0, "/", &["api-key: a"]), "unknown");
}

#[test]
fn equal_priorities_go_by_name_and_are_reported_once() {
    let rule = "HeaderRegexp(`Authorization`, `^Bearer (CANARY-1|CANARY-2)$`)";
    let file = File::default()
        .service("s")
        .router("zoe", rule, "s")
        .router("adam", rule, "s")
        .router("paths-a", "Key(`p`) && Path(`/a`)", "s")
        .router("paths-b", "Key(`p`) && Path(`/b`)", "s")
        .router_on("point-a", "Key(`q`)", "s", 0, Some(&["web"]), &[])
        .router_on("point-b", "Key(`q`)", "s", 0, Some(&["admin"]), &[]);
    let mut compiler = Compiler::new(None);
    compiler.set("a.yml", Some(file.mapping()));
    let (table, problems) = compiler.table();
    assert_eq!(decide(&table, "/", &["api-key: CANARY-1"]), "→ adam");
    let [problem] = problems.as_slice() else {
        panic!("{problems:?}")
    };
    assert_eq!(
        (problem.severity, problem.value.as_str(), problem.position.line),
        (Severity::Warning, "zoe", 2)
    );
    assert!(problem.rule.contains("adam") && !format!("{problem:?}").contains("CANARY"));
    compiler.set(
        "a.yml",
        Some(File::default().service("s").router("zoe", rule, "s").mapping()),
    );
    assert_eq!(compiler.table().1, []);
}
