//! Who is let in, and what those are told who are not.

use crate::harness::origin::Origin;
use crate::harness::world::{World, mapping};

const RULE: &str = "HeaderRegexp(`Authorization`, `^Bearer API_KEY-1$`)";

fn get(headers: &str) -> String {
    format!("GET /v1/models HTTP/1.1\r\nHost: edge\r\n{headers}\r\n")
}

#[test]
fn one_key_opens_its_server_whichever_header_brings_it() {
    let origin = Origin::answering("mine");
    let world = World::start(&[("a.yml", &mapping("a", RULE, std::slice::from_ref(&origin.url)))]);
    for header in [
        "Authorization: Bearer API_KEY-1",
        "x-api-key: API_KEY-1",
        "api-key: API_KEY-1",
        "X-Goog-Api-Key: API_KEY-1",
    ] {
        let answer = world.send(&get(&format!("{header}\r\n")));
        assert_eq!((answer.status, answer.text().as_str()), (200, "mine"), "{header}");
    }
    let name = origin.seen()[3].header("x-goog-api-key").map(str::to_owned);
    assert_eq!(name.as_deref(), Some("API_KEY-1"), "what is forwarded is what came");
    assert_eq!(origin.seen()[3].header("authorization"), None);
}

#[test]
fn refusals_are_openai_shaped_and_the_connection_stays_usable() {
    let origin = Origin::answering("mine");
    let world = World::start(&[
        ("a.yml", &mapping("a", RULE, std::slice::from_ref(&origin.url))),
        (
            "b.yml",
            &mapping(
                "b",
                "KeySha256(`18519d64d0d18b0e84e43301547425933dc0394576666e8da1ef1790fb64ca9f`) && Path(`/only`)",
                std::slice::from_ref(&origin.url),
            ),
        ),
        (
            "broken.yml",
            "http:\n  routers:\n    broken:\n      rule: Key(`sk-broken`)\n      service: nowhere\n",
        ),
        (
            "refused.yml",
            "http:\n  routers:\n    refused:\n      rule: Key(`sk-refused`) &&\n      service: nowhere\n",
        ),
    ]);
    let cases = [
        ("", 401, "invalid_api_key"),
        ("Authorization: Bearer wrong\r\n", 401, "invalid_api_key"),
        ("Authorization: Basic QVBJX0tFWS0xOg==\r\n", 401, "invalid_api_key"),
        (
            "Authorization: Bearer API_KEY-1\r\nx-api-key: other\r\n",
            400,
            "conflicting_api_keys",
        ),
        (
            "Authorization: Bearer API_KEY-1\r\nAuthorization: Bearer other\r\n",
            400,
            "conflicting_api_keys",
        ),
        ("x-api-key: sk-b\r\n", 404, "no_route"),
        ("x-api-key: sk-broken\r\n", 503, "router_broken"),
        ("x-api-key: sk-refused\r\n", 503, "mapping_broken"),
    ];
    let mut connection = world.connect();
    for (headers, status, code) in cases {
        let request =
            format!("POST /v1/chat/completions HTTP/1.1\r\nHost: edge\r\nContent-Length: 2\r\n{headers}\r\n{{}}");
        let answer = connection.exchange(request.as_bytes());
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{headers}");
        assert!(answer.header("x-request-id").is_some());
        assert_eq!(answer.header("www-authenticate").is_some(), status == 401);
        assert!(
            !answer.text().contains("API_KEY") && !answer.text().contains("sk-"),
            "no key in an answer"
        );
    }
    assert!(origin.seen().is_empty(), "nothing reached the server");
    let answer = connection.exchange(get("Authorization: Bearer API_KEY-1\r\n").as_bytes());
    assert_eq!(answer.status, 200);
}

#[test]
fn a_key_in_the_query_is_no_credential() {
    let origin = Origin::answering("mine");
    let world = World::start(&[("a.yml", &mapping("a", RULE, std::slice::from_ref(&origin.url)))]);
    let answer = world.send("GET /v1/chat?key=API_KEY-1&api_key=API_KEY-1 HTTP/1.1\r\nHost: edge\r\n\r\n");
    assert_eq!(answer.status, 401);
}

#[test]
fn an_unknown_key_never_falls_to_a_keyless_router() {
    let origin = Origin::answering("open");
    let open = mapping("open", "PathPrefix(`/`)", std::slice::from_ref(&origin.url))
        .replace("service:", "priority: 9000\n      service:");
    let world = World::start(&[
        (
            "a.yml",
            &mapping("a", "Key(`sk-a`) && Path(`/mine`)", std::slice::from_ref(&origin.url)),
        ),
        ("open.yml", &open),
    ]);
    assert_eq!(
        world.send(&get("")).status,
        200,
        "without a key the keyless router serves"
    );
    assert_eq!(world.send(&get("x-api-key: unknown\r\n")).status, 401);
    assert_eq!(world.send(&get("x-api-key: sk-a\r\n")).status, 404);
}
