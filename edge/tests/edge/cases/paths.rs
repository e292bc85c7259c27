//! What rules match and what is forwarded come from the same bytes.

use crate::harness::origin::Origin;
use crate::harness::world::{World, mapping};

#[test]
fn targets_are_cleaned_once_for_rule_and_server() {
    let origin = Origin::answering("ok");
    let rule = "Key(`sk`) && PathPrefix(`/v1/`)";
    let world = World::start(&[("a.yml", &mapping("a", rule, std::slice::from_ref(&origin.url)))]);
    let cases = [
        ("/v1/models", "/v1/models"),
        ("/v1/%6dodels?x=%2F..&y", "/v1/models?x=%2F..&y"),
        ("//v1//models/", "/v1/models/"),
        ("/other/../v1/./models", "/v1/models"),
        ("/v1/models/a%2Fb", "/v1/models/a%2Fb"),
        ("http://elsewhere/v1/models", "/v1/models"),
    ];
    for (sent, forwarded) in cases {
        let answer = world.send(&format!(
            "GET {sent} HTTP/1.1\r\nHost: {}\r\nx-api-key: sk\r\n\r\n",
            host_for(sent)
        ));
        assert_eq!(answer.status, 200, "{sent}");
        let line = origin.seen().last().map(|seen| seen.line().to_owned());
        assert_eq!(line.as_deref(), Some(&*format!("GET {forwarded} HTTP/1.1")), "{sent}");
    }
}

fn host_for(target: &str) -> &'static str {
    if target.starts_with("http:") {
        "elsewhere"
    } else {
        "edge"
    }
}

#[test]
fn ambiguous_targets_are_refused() {
    let origin = Origin::answering("ok");
    let world = World::start(&[("a.yml", &mapping("a", "Key(`sk`)", std::slice::from_ref(&origin.url)))]);
    for target in [
        "/v1/models#frag",
        "/v1%2F..%2Fslots",
        "/v1/%5c..%5cslots",
        "/v1/%zz",
        "/v1/%00",
    ] {
        let answer = world.send(&format!("GET {target} HTTP/1.1\r\nHost: edge\r\nx-api-key: sk\r\n\r\n"));
        assert_eq!((answer.status, answer.code().as_str()), (400, "bad_path"), "{target}");
    }
    assert!(origin.seen().is_empty());
}

#[test]
fn server_wide_paths_open_only_where_a_rule_names_them() {
    let origin = Origin::answering("ok");
    let urls = std::slice::from_ref(&origin.url);
    let world = World::start(&[
        ("user.yml", &mapping("user", "Key(`sk-user`)", urls)),
        (
            "broad.yml",
            &mapping("broad", "Key(`sk-broad`) && PathPrefix(`/`)", urls),
        ),
        (
            "admin.yml",
            &mapping(
                "admin",
                "Key(`sk-admin`) && (PathPrefix(`/slots`) || Path(`/props`))",
                urls,
            ),
        ),
    ]);
    let status = |key: &str, target: &str| {
        world
            .send(&format!(
                "GET {target} HTTP/1.1\r\nHost: edge\r\nx-api-key: {key}\r\n\r\n"
            ))
            .status
    };
    for target in [
        "/slots",
        "/slots/0?action=erase",
        "/props",
        "/lora-adapters",
        "/models%2Fload",
        "/models/unload",
        "/api/pull",
        "/api/blobs/sha256:0",
        "/v1/stream/x",
        "/v1/../slots",
        "/%73lots",
    ] {
        assert_eq!(status("sk-user", target), 403, "{target}");
        assert_eq!(
            status("sk-broad", target),
            403,
            "{target}: a prefix of everything names nothing"
        );
    }
    assert_eq!(status("sk-user", "/api/chat"), 200);
    assert_eq!(status("sk-admin", "/slots"), 200);
    assert_eq!(status("sk-admin", "/props"), 200);
    assert_eq!(status("sk-admin", "/lora-adapters"), 404);
}
