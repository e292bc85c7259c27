//! What middlewares do to paths and headers, whom they stop, and what never reaches a server.

use std::io::Write as _;

use crate::harness::http::Answer;
use crate::harness::origin::{Origin, Seen};
use crate::harness::world::{World, wait_for};

const KEY: &str = "sk-client";

/// An edge whose key has these middlewares (name and YAML), in their order.
fn world(origin: &Origin, middlewares: &[(&str, &str)]) -> World {
    World::start(&[("a.yml", &mapping(origin, middlewares))])
}

fn mapping(origin: &Origin, middlewares: &[(&str, &str)]) -> String {
    let names: Vec<&str> = middlewares.iter().map(|(name, _)| *name).collect();
    let defined: String = middlewares
        .iter()
        .map(|(name, kind)| format!("    {name}: {kind}\n"))
        .collect();
    format!(
        "http:\n  routers:\n    a:\n      rule: Key(`{KEY}`)\n      service: s\n      middlewares: [{}]\n  services:\n    \
         s: {{loadBalancer: {{servers: [{{url: \"{}\"}}]}}}}\n  middlewares:\n{defined}",
        names.join(", "),
        origin.url
    )
}

fn get(target: &str, lines: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: edge\r\nx-api-key: {KEY}\r\n{lines}\r\n")
}

fn post(body: &str, lines: &str) -> String {
    let length = body.len();
    format!("POST /v1/x HTTP/1.1\r\nHost: edge\r\nx-api-key: {KEY}\r\nContent-Length: {length}\r\n{lines}\r\n{body}")
}

fn last(origin: &Origin) -> Seen {
    origin.seen().last().cloned().expect("a request came")
}

#[test]
fn paths_are_rewritten_in_order_and_the_server_is_told() {
    let strip = "{stripPrefix: {prefixes: [/gpu, /other]}}";
    let add = "{addPrefix: {prefix: /v1}}";
    let replace = "{replacePath: {path: /v1/chat}}";
    let regex = "{replacePathRegex: {regex: '^/api/(.*)$', replacement: '/v1/${1}'}}";
    let origin = Origin::answering("ok");
    type Case<'a> = (&'a [&'a str], &'a str, &'a str, Option<(&'a str, &'a str)>);
    let cases: [Case<'_>; 12] = [
        (
            &[strip],
            "/gpu/v1/x?q=1",
            "/v1/x?q=1",
            Some(("x-forwarded-prefix", "/gpu")),
        ),
        (&[strip], "/other", "/", Some(("x-forwarded-prefix", "/other"))),
        (&[strip], "/gpus/x", "/s/x", Some(("x-forwarded-prefix", "/gpu"))),
        (&[strip], "/v1/x", "/v1/x", None),
        (&[strip], "/%67pu/a%2Fb", "/a%2Fb", Some(("x-forwarded-prefix", "/gpu"))),
        (&[add], "/x?q", "/v1/x?q", None),
        (&[strip, add], "/gpu/x", "/v1/x", Some(("x-forwarded-prefix", "/gpu"))),
        (&[add, strip], "/gpu/x", "/v1/gpu/x", None),
        (
            &[replace],
            "/anything?q=1",
            "/v1/chat?q=1",
            Some(("x-replaced-path", "/anything")),
        ),
        (
            &[regex],
            "/api/chat",
            "/v1/chat",
            Some(("x-replaced-path", "/api/chat")),
        ),
        (&[regex], "/v2/chat", "/v2/chat", None),
        (&[strip], "/gpu../x", "/x", Some(("x-forwarded-prefix", "/gpu"))),
    ];
    for (kinds, sent, forwarded, told) in cases {
        let names = ["m1", "m2"];
        let middlewares: Vec<_> = names.into_iter().zip(kinds.iter().copied()).collect();
        let world = world(&origin, &middlewares);
        assert_eq!(world.send(&get(sent, "")).status, 200, "{kinds:?} {sent}");
        let seen = last(&origin);
        assert_eq!(seen.line(), format!("GET {forwarded} HTTP/1.1"), "{kinds:?} {sent}");
        if let Some((name, value)) = told {
            assert_eq!(seen.header(name), Some(value), "{kinds:?} {sent}");
        }
    }
}

#[test]
fn no_rewrite_and_no_servers_path_leads_to_what_a_key_does_not_open() {
    let strip = ("m", "{stripPrefix: {prefixes: [/gpu]}}");
    let replace = ("m", "{replacePath: {path: /slots}}");
    let regex = ("m", "{replacePathRegex: {regex: /x, replacement: ''}}");
    let add = ("m", "{addPrefix: {prefix: /models}}");
    let open = ("open", "{paths: {open: [/slots*]}}");
    let allow = ("allow", "{paths: {allow: [/v1/*, /props]}}");
    let all = ("all", "{paths: {allow: ['/*']}}");
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a str, u16);
    let cases: [Case<'_>; 14] = [
        (&[strip], "/gpu/slots", 403),
        (&[strip], "/gpu/%73lots", 403),
        (&[strip], "/slots", 403),
        (&[strip, open], "/gpu/slots/0", 200),
        (&[open], "/props", 403),
        (&[open], "/v1/models", 200),
        (&[replace], "/v1/x", 403),
        (&[regex], "/slo/xts", 403),
        (&[regex], "/x/slots", 403),
        (&[add], "/load", 403),
        (&[allow], "/v1/models", 200),
        (&[allow], "/api/chat", 403),
        (&[allow], "/props", 200),
        (&[all], "/props", 403),
    ];
    let origin = Origin::answering("ok");
    for (middlewares, target, status) in cases {
        let answer = world(&origin, middlewares).send(&get(target, ""));
        assert_eq!(answer.status, status, "{middlewares:?} {target} {}", answer.text());
        if answer.status == 403 {
            assert_eq!(answer.code(), "path_not_allowed");
        }
    }
    let based = mapping(&origin, &[]).replace(&origin.url, &format!("{}/models", origin.url));
    let based = based.replace("\"}", "\", preservePath: true}");
    let world = World::start(&[("a.yml", &based)]);
    assert_eq!(
        world.send(&get("/load", "")).status,
        403,
        "the server's own path counts"
    );
    assert_eq!(world.send(&get("/list", "")).status, 200);
    assert_eq!(last(&origin).line(), "GET /models/list HTTP/1.1");
}

#[test]
fn headers_are_set_and_taken_away_both_ways() {
    let origin = Origin::scripted(|_, stream| {
        stream
            .write_all(
                b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nServer: llama\r\nX-Powered-By: x\r\nVary: Accept\r\n\r\nok",
            )
            .is_ok()
    });
    let headers = "\n      headers:\n        customRequestHeaders: {X-Team: blue, X-Secret: '', X-Forwarded-Proto: https, Host: gpu}\n        \
                   customResponseHeaders: {server: edge, x-powered-by: '', X-Frame-Options: DENY}\n        contentTypeNosniff: true";
    let world = world(&origin, &[("h", headers)]);
    let answer = world.send(&get(
        "/v1/x",
        "X-Secret: s\r\nx-team: red\r\nX-Team: green\r\nConnection: x-team\r\n",
    ));
    assert_eq!(answer.status, 200);
    let seen = last(&origin);
    let count = |name: &str| {
        let lines = seen.head.lines().filter_map(|line| line.split_once(':'));
        lines.filter(|(found, _)| found.eq_ignore_ascii_case(name)).count()
    };
    assert_eq!(
        (
            seen.header("x-team"),
            seen.header("x-secret"),
            seen.header("x-forwarded-proto"),
            seen.header("host")
        ),
        (Some("blue"), None, Some("https"), Some("gpu"))
    );
    assert_eq!(
        (count("x-team"), count("host"), count("x-forwarded-proto")),
        (1, 1, 1),
        "{}",
        seen.head
    );
    assert_eq!(answer.header("server"), Some("edge"));
    assert_eq!(answer.header("x-powered-by"), None);
    assert_eq!(answer.header("x-frame-options"), Some("DENY"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("vary"), Some("Accept"));
    assert!(answer.header("x-request-id").is_some());
}

const CORS: &str = "\n      headers:\n        accessControlAllowOriginList: [https://chat.example]\n        \
                    accessControlAllowOriginListRegex: ['^https://[a-z]+\\.dev$']\n        accessControlAllowMethods: [GET, POST]\n        \
                    accessControlAllowHeaders: [authorization, content-type]\n        accessControlExposeHeaders: [x-request-id]\n        \
                    accessControlMaxAge: 600\n        addVaryHeader: true";

#[test]
fn a_browser_may_ask_without_the_key_and_is_answered_here() {
    let origin = Origin::answering("ok");
    let world = world(&origin, &[("cors", CORS)]);
    let ask = |from: &str, key: &str| {
        let lines = format!("Origin: {from}\r\nAccess-Control-Request-Method: POST\r\n{key}");
        world.send(&format!(
            "OPTIONS /v1/chat/completions HTTP/1.1\r\nHost: edge\r\n{lines}\r\n"
        ))
    };
    for (from, key) in [
        ("https://chat.example", String::new()),
        ("https://chat.example", format!("x-api-key: {KEY}\r\n")),
        ("https://team.dev", String::new()),
    ] {
        let answer = ask(from, &key);
        assert_eq!((answer.status, answer.text().as_str()), (200, ""), "{from}");
        let said = |name: &str| answer.header(name).unwrap_or_default().to_owned();
        assert_eq!(said("access-control-allow-origin"), from);
        assert_eq!(said("access-control-allow-methods"), "GET,POST");
        assert_eq!(said("access-control-allow-headers"), "authorization,content-type");
        assert_eq!(said("access-control-max-age"), "600");
        assert_eq!(said("vary"), "Origin");
    }
    assert_eq!(ask("https://evil.example", "").status, 401, "nobody allows it");
    assert_eq!(
        world
            .send("OPTIONS / HTTP/1.1\r\nHost: edge\r\nOrigin: https://chat.example\r\n\r\n")
            .status,
        401
    );
    assert!(origin.seen().is_empty(), "no server was asked");

    let answer = world.send(&get("/v1/x", "Origin: https://chat.example\r\n"));
    assert_eq!(
        answer.header("access-control-allow-origin"),
        Some("https://chat.example")
    );
    assert_eq!(answer.header("access-control-expose-headers"), Some("x-request-id"));
    assert_eq!(answer.header("vary"), Some("Origin"));
    let answer = world.send(&get("/v1/x", "Origin: https://evil.example\r\n"));
    assert_eq!(
        (answer.status, answer.header("access-control-allow-origin")),
        (200, None)
    );
    let refused = world.send(&get("/slots", "Origin: https://chat.example\r\n"));
    assert_eq!(
        refused.header("access-control-allow-origin"),
        Some("https://chat.example"),
        "a page can read why"
    );
}

#[test]
fn addresses_and_sizes_are_bounded() {
    let origin = Origin::answering("ok");
    let answer = |kind: &str, request: &str| -> Answer { world(&origin, &[("m", kind)]).send(request) };
    let elsewhere = "{ipAllowList: {sourceRange: [192.0.2.0/24, '2001:db8::/32']}}";
    let refused = answer(elsewhere, &get("/", "X-Forwarded-For: 192.0.2.1\r\n"));
    assert_eq!((refused.status, refused.code().as_str()), (403, "address_not_allowed"));
    let hidden = "{ipAllowList: {sourceRange: [192.0.2.0/24], rejectStatusCode: 404}}";
    assert_eq!(answer(hidden, &get("/", "")).status, 404);
    assert!(origin.seen().is_empty());
    assert_eq!(
        answer("{ipAllowList: {sourceRange: [127.0.0.0/8]}}", &get("/", "")).status,
        200
    );

    let small = "{buffering: {maxRequestBodyBytes: 4}}";
    assert_eq!(answer(small, &post("1234", "")).status, 200);
    let refused = answer(small, &post("12345", ""));
    assert_eq!((refused.status, refused.code().as_str()), (413, "request_too_large"));
    let chunked = format!(
        "POST /v1/x HTTP/1.1\r\nHost: edge\r\nx-api-key: {KEY}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n\r\n"
    );
    assert_eq!(answer(small, &chunked).status, 413, "whether it is announced or not");
}

#[test]
fn the_servers_key_takes_the_place_of_the_clients() {
    let origin = Origin::answering("ok");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("key");
    std::fs::write(&file, "sk-server-1\n").expect("written");
    let kind = format!("{{upstreamKey: {{file: {}}}}}", file.display());
    let from_file = world(&origin, &[("k", &kind)]);
    let asked = |world: &World, lines: &str| {
        let request = format!("GET /v1/x HTTP/1.1\r\nHost: edge\r\n{lines}\r\n");
        assert_eq!(world.send(&request).status, 200);
        let seen = last(&origin);
        assert!(
            !seen.head.contains(KEY),
            "the client's key went no further: {}",
            seen.head
        );
        seen
    };
    for line in [
        "x-api-key: sk-client\r\n",
        "Authorization: Bearer sk-client\r\n",
        "API-Key: sk-client\r\n",
    ] {
        let both = format!("{line}x-goog-api-key: sk-client\r\nConnection: authorization\r\n");
        let seen = asked(&from_file, &both);
        assert_eq!(seen.header("authorization"), Some("Bearer sk-server-1"), "{line}");
        assert_eq!((seen.header("x-api-key"), seen.header("api-key")), (None, None));
    }
    std::fs::write(&file, "sk-server-2\n").expect("written");
    let client = "x-api-key: sk-client\r\n";
    wait_for("the new key to be in use", || {
        asked(&from_file, client).header("authorization") == Some("Bearer sk-server-2")
    });

    // Set for whatever runs a test.
    let from_env = world(
        &origin,
        &[("k", "{upstreamKey: {env: CARGO_PKG_NAME, header: x-api-key}}")],
    );
    let seen = asked(&from_env, "Authorization: Bearer sk-client\r\n");
    assert_eq!(
        (seen.header("x-api-key"), seen.header("authorization")),
        (Some("edge"), None)
    );

    let before = origin.seen().len();
    for source in ["env: CONCLAVE_NOT_SET_ANYWHERE", "file: /nonexistent/key"] {
        let world = world(&origin, &[("k", &format!("{{upstreamKey: {{{source}}}}}"))]);
        let answer = world.send(&get("/v1/x", ""));
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (503, "no_upstream_key"),
            "{source}"
        );
    }
    assert_eq!(origin.seen().len(), before, "without a key of its own nothing is asked");
}

#[test]
fn a_middleware_redefined_in_another_file_counts_at_once() {
    let origin = Origin::answering("ok");
    let router = format!(
        "http:\n  routers:\n    a: {{rule: Key(`{KEY}`), service: s, middlewares: [both]}}\n  services:\n    s: {{loadBalancer: \
         {{servers: [{{url: \"{}\"}}]}}}}\n  middlewares:\n    both: {{chain: {{middlewares: [prefix]}}}}\n",
        origin.url
    );
    let add = |prefix: &str| format!("http:\n  middlewares:\n    prefix: {{addPrefix: {{prefix: {prefix}}}}}\n");
    let world = World::start(&[("a.yml", &router), ("b.yml", &add("/one"))]);
    world.send(&get("/x", ""));
    assert_eq!(last(&origin).line(), "GET /one/x HTTP/1.1");
    world.change(|folder| std::fs::write(folder.join("b.yml"), add("/two")).expect("written"));
    world.send(&get("/x", ""));
    assert_eq!(last(&origin).line(), "GET /two/x HTTP/1.1");
    world.change(|folder| std::fs::remove_file(folder.join("b.yml")).expect("removed"));
    assert_eq!(world.send(&get("/x", "")).code(), "router_broken");
}
