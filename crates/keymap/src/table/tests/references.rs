//! Chains, services that name services, and transports: what a router gets, and what it gets when they change in
//! another file.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue};

use crate::mapping::{Destination, Mapping, MiddlewareKind, Service, ServiceKind};
use crate::table::{Compiler, Decision, Model, Request, Route, Table};
use crate::{Credential, check};
use document::Problem;

fn mapping(text: &str) -> Arc<Mapping> {
    let (mapping, problems) = check(Path::new("t.yml"), text);
    Arc::new(mapping.unwrap_or_else(|| panic!("{text}\n{problems:#?}")))
}

fn routers(names: &[(&str, &str, &str)]) -> Arc<Mapping> {
    let lines = names.iter().map(|(name, service, middlewares)| {
        format!("    {name}: {{rule: Key(`{name}`), service: {service}, middlewares: [{middlewares}]}}\n")
    });
    mapping(&format!("http:\n  routers:\n{}", lines.collect::<String>()))
}

fn services(lines: &str) -> Arc<Mapping> {
    mapping(&format!("http:\n  services:\n{lines}"))
}

fn middlewares(lines: &str) -> Arc<Mapping> {
    mapping(&format!("http:\n  middlewares:\n{lines}"))
}

fn route(table: &Table, key: &str) -> Arc<Route> {
    let value = HeaderValue::from_str(&format!("Bearer {key}")).expect("a value");
    let headers = HeaderMap::from_iter([(http::header::AUTHORIZATION, value)]);
    let credential = Credential::from_headers(&headers).expect("one");
    let decision = table.decide(&Request {
        credential: credential.as_ref(),
        method: "GET",
        host: "h",
        path: "/",
        query: None,
        headers: &headers,
        client_ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
        entry_point: None,
        model: Model::Unread,
    });
    match decision {
        Decision::Forward(route) | Decision::Broken(route) => route,
        other => panic!("{key}: {other:?}"),
    }
}

/// The prefixes that a router's middlewares add, in order; or what it is broken by.
fn prefixes(table: &Table, key: &str) -> Result<Vec<String>, String> {
    let route = route(table, key);
    if let Err(reason) = &route.destination {
        return Err(reason.to_string());
    }
    let prefix = |kind: &MiddlewareKind| match kind {
        MiddlewareKind::AddPrefix(add) => add.prefix.to_string(),
        other => panic!("{other:?}"),
    };
    Ok(route.middlewares.iter().map(|it| prefix(&it.kind)).collect())
}

/// A service with all below it, as text: `w(a[1] b[])`, a load balancer's servers by port.
fn shown(service: &Service) -> String {
    let inner = match &service.kind {
        ServiceKind::LoadBalancer(balancer) => {
            let ports: Vec<_> = balancer.servers.iter().map(|it| it.url.port.to_string()).collect();
            let transport = balancer.transport().map(|it| format!("@{}", it.insecure_skip_verify));
            return format!("{}[{}]{}", service.name, ports.join(" "), transport.unwrap_or_default());
        }
        _ => service
            .children()
            .map(|child| shown(child.service().expect("it is found"))),
    };
    format!("{}({})", service.name, inner.collect::<Vec<_>>().join(" "))
}

fn destination(table: &Table, key: &str) -> String {
    match &route(table, key).destination {
        Ok(Destination::Service(service)) => shown(service),
        Ok(other) => format!("{other:?}"),
        Err(reason) => reason.to_string(),
    }
}

fn rules(problems: &[Problem]) -> Vec<String> {
    let errors = problems.iter().filter(|it| it.severity == document::Severity::Error);
    errors
        .map(|it| format!("{} {}: {}", it.path.display(), it.position.line, it.value))
        .collect()
}

#[test]
fn chains_are_taken_apart_in_order_and_follow_changes_in_other_files() {
    let mut compiler = Compiler::new(None);
    compiler.set(
        "a.yml",
        Some(routers(&[
            ("r", "noop@internal", "one, both@file, two"),
            ("s", "noop@internal", "two"),
            ("t", "noop@internal", ""),
        ])),
    );
    let simple = "    one: {addPrefix: {prefix: /1}}\n    two: {addPrefix: {prefix: /2}}\n";
    compiler.set("b.yml", Some(middlewares(simple)));
    let (table, problems) = compiler.table();
    assert!(
        prefixes(&table, "r")
            .expect_err("broken")
            .contains("no file defines middleware both")
    );
    assert_eq!(rules(&problems), ["a.yml 3: both"]);

    compiler.set(
        "c.yml",
        Some(middlewares("    both: {chain: {middlewares: [two, inner]}}\n")),
    );
    compiler.set("d.yml", Some(middlewares("    inner: {chain: {middlewares: [one]}}\n")));
    let (table, problems) = compiler.table();
    assert_eq!(
        prefixes(&table, "r").as_deref(),
        Ok(["/1", "/2", "/1", "/2"].map(String::from).as_slice())
    );
    assert_eq!(rules(&problems), [""; 0]);
    let untouched = (route(&table, "s"), route(&table, "t"));

    // What a chain of a chain names is defined anew: the router has the new one, and nobody else is resolved again.
    compiler.set(
        "d.yml",
        Some(middlewares(
            "    inner: {chain: {middlewares: [three]}}\n    three: {addPrefix: {prefix: /3}}\n",
        )),
    );
    let (table, _) = compiler.table();
    assert_eq!(
        prefixes(&table, "r").as_deref(),
        Ok(["/1", "/2", "/3", "/2"].map(String::from).as_slice())
    );
    assert!(Arc::ptr_eq(&route(&table, "s"), &untouched.0) && Arc::ptr_eq(&route(&table, "t"), &untouched.1));

    compiler.set(
        "d.yml",
        Some(middlewares("    inner: {chain: {middlewares: [both]}}\n")),
    );
    let (table, problems) = compiler.table();
    let broken = prefixes(&table, "r").expect_err("it goes round");
    assert!(
        broken.contains("leads back to itself (both → inner → both)"),
        "{broken}"
    );
    assert!(broken.contains("through chain inner (d.yml:3)"), "{broken}");
    assert_eq!(rules(&problems), ["a.yml 3: both"]);

    compiler.set("d.yml", Some(middlewares("    inner: {addPrefix: {prefix: /4}}\n")));
    assert_eq!(
        prefixes(&compiler.table().0, "r").as_deref(),
        Ok(["/1", "/2", "/4", "/2"].map(String::from).as_slice())
    );
}

#[test]
fn a_chain_of_chains_is_bounded() {
    let mut lines = String::from("    c0: {addPrefix: {prefix: /x}}\n");
    for at in 1..40 {
        let below = at - 1;
        lines.push_str(&format!(
            "    c{at}: {{chain: {{middlewares: [c{below}, c{below}]}}}}\n"
        ));
    }
    let mut compiler = Compiler::new(None);
    compiler.set(
        "a.yml",
        Some(routers(&[
            ("fits", "noop@internal", "c6"),
            ("bursts", "noop@internal", "c39"),
        ])),
    );
    compiler.set("b.yml", Some(middlewares(&lines)));
    let (table, _) = compiler.table();
    assert_eq!(prefixes(&table, "fits").map(|all| all.len()), Ok(64));
    assert!(
        prefixes(&table, "bursts")
            .expect_err("too many")
            .contains("more than 64 middlewares")
    );
}

#[test]
fn services_of_services_are_found_and_follow_changes_in_other_files() {
    let mut compiler = Compiler::new(None);
    compiler.set(
        "a.yml",
        Some(routers(&[("r", "top", ""), ("q", "top", ""), ("plain", "one", "")])),
    );
    compiler.set(
        "b.yml",
        Some(services(
            "    top: {weighted: {services: [{name: fail, weight: 3}, {name: one@file}]}}\n    \
             fail: {failover: {service: one, fallback: two}}\n",
        )),
    );
    let one = |port: u16| {
        services(&format!(
            "    one: {{loadBalancer: {{servers: [{{url: 'http://a:{port}'}}]}}}}\n"
        ))
    };
    compiler.set("c.yml", Some(one(1)));
    let (table, problems) = compiler.table();
    let broken = destination(&table, "r");
    assert!(
        broken.contains("through service top (b.yml:3), through service fail (b.yml:4), no file defines service two"),
        "{broken}"
    );
    assert_eq!(rules(&problems), ["a.yml 3: two", "a.yml 4: two"]);
    assert_eq!(destination(&table, "plain"), "one[1]");

    compiler.set(
        "d.yml",
        Some(services("    two: {loadBalancer: {servers: [{url: 'http://a:2'}]}}\n")),
    );
    let (table, _) = compiler.table();
    assert_eq!(destination(&table, "r"), "top(fail(one[1] two[2]) one[1])");
    let shared = |table: &Table| match (&route(table, "r").destination, &route(table, "q").destination) {
        (Ok(Destination::Service(left)), Ok(Destination::Service(right))) => Arc::ptr_eq(left, right),
        _ => false,
    };
    assert!(
        shared(&table),
        "routers of one service share it, and what the edge hangs on it"
    );
    let plain = route(&table, "plain");

    compiler.set(
        "d.yml",
        Some(services("    two: {loadBalancer: {servers: [{url: 'http://a:22'}]}}\n")),
    );
    let (table, _) = compiler.table();
    assert_eq!(destination(&table, "q"), "top(fail(one[1] two[22]) one[1])");
    assert!(shared(&table) && Arc::ptr_eq(&route(&table, "plain"), &plain));

    compiler.set(
        "d.yml",
        Some(services(
            "    two: {mirroring: {service: one, mirrors: [{name: top, percent: 5}]}}\n",
        )),
    );
    let (table, problems) = compiler.table();
    assert!(destination(&table, "r").contains("leads back to itself (top → fail → two → top)"));
    assert_eq!(rules(&problems), ["a.yml 3: top", "a.yml 4: top"]);

    compiler.set(
        "d.yml",
        Some(services("    two: {highestRandomWeight: {services: [{name: one}]}}\n")),
    );
    compiler.set("c.yml", Some(one(11)));
    assert_eq!(
        destination(&compiler.table().0, "r"),
        "top(fail(one[11] two(one[11])) one[11])"
    );
}

#[test]
fn a_transport_that_changes_reaches_the_services_that_name_it() {
    let mut compiler = Compiler::new(None);
    compiler.set("a.yml", Some(routers(&[("r", "w", ""), ("s", "lb", "")])));
    compiler.set(
        "b.yml",
        Some(services(
            "    w: {weighted: {services: [{name: lb}]}}\n    \
             lb: {loadBalancer: {serversTransport: t@file, servers: [{url: 'https://a:1'}]}}\n",
        )),
    );
    assert!(destination(&compiler.table().0, "r").contains("no file defines serversTransport t"));
    for (skip, expected) in [("false", "w(lb[1]@false)"), ("true", "w(lb[1]@true)")] {
        let transport = format!("http:\n  serversTransports:\n    t: {{insecureSkipVerify: {skip}}}\n");
        compiler.set("c.yml", Some(mapping(&transport)));
        let (table, _) = compiler.table();
        assert_eq!(destination(&table, "r"), expected);
        assert_eq!(format!("w({})", destination(&table, "s")), expected);
    }
    compiler.set("c.yml", None);
    assert!(destination(&compiler.table().0, "s").contains("no file defines serversTransport t"));
}

#[test]
fn services_to_be_watched_are_those_that_usable_routers_lead_to() {
    let mut compiler = Compiler::new(None);
    let names = |compiler: &mut Compiler| -> Vec<String> {
        let (table, _) = compiler.table();
        table.watched().iter().map(|it| it.name.to_string()).collect()
    };
    let checked = "{loadBalancer: {healthCheck: {path: /health}, servers: [{url: 'http://a:1'}]}}";
    compiler.set(
        "a.yml",
        Some(services(&format!(
            "    direct: {checked}\n    unused: {checked}\n    plain: {{loadBalancer: {{servers: [{{url: 'http://a:1'}}]}}}}\n    \
             below: {{failover: {{service: plain, fallback: direct}}}}\n    \
             cached: {{loadBalancer: {{strategy: prefix, servers: [{{url: 'http://a:1'}}, {{url: 'http://b:1'}}]}}}}\n"
        ))),
    );
    compiler.set(
        "b.yml",
        Some(routers(&[
            ("r", "direct", ""),
            ("s", "plain", ""),
            ("broken", "direct", "nowhere"),
        ])),
    );
    assert_eq!(names(&mut compiler), ["direct"]);
    compiler.set("b.yml", Some(routers(&[("r", "below", ""), ("s", "cached", "")])));
    assert_eq!(names(&mut compiler), ["below", "cached"]);
    compiler.set(
        "a.yml",
        Some(services(
            "    below: {loadBalancer: {servers: [{url: 'http://a:1'}]}}\n",
        )),
    );
    assert_eq!(names(&mut compiler), [""; 0]);
}

#[test]
fn whose_origins_may_call_is_known_without_a_key() {
    let mut compiler = Compiler::new(None);
    let names = |compiler: &mut Compiler| -> Vec<String> {
        let (table, _) = compiler.table();
        table.cross_origins().iter().map(|it| it.name.to_string()).collect()
    };
    compiler.set(
        "a.yml",
        Some(routers(&[
            ("r", "noop@internal", "all"),
            ("broken", "nowhere", "other"),
        ])),
    );
    let cors = "{headers: {accessControlAllowOriginList: ['*']}}";
    compiler.set(
        "b.yml",
        Some(middlewares(&format!(
            "    all: {{chain: {{middlewares: [cors, plain]}}}}\n    cors: {cors}\n    other: {cors}\n    \
             plain: {{headers: {{customRequestHeaders: {{A: b}}}}}}\n    unused: {cors}\n"
        ))),
    );
    assert_eq!(
        names(&mut compiler),
        ["cors"],
        "a broken router's and an unused one's are not"
    );
    compiler.set(
        "a.yml",
        Some(routers(&[
            ("r", "noop@internal", "other"),
            ("s", "noop@internal", "other"),
        ])),
    );
    assert_eq!(names(&mut compiler), ["other"]);
    compiler.set("a.yml", Some(routers(&[("s", "noop@internal", "other")])));
    assert_eq!(names(&mut compiler), ["other"]);
    compiler.set("a.yml", None);
    assert_eq!(names(&mut compiler), [""; 0]);
}
