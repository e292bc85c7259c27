//! What a request costs the heap, on the path that every request takes.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;

use allocation_counter::measure;
use http::{HeaderMap, HeaderName, HeaderValue};
use keymap::{Compiler, Credential, Decision, KeyHash, Model, Request, Table, Target, check};

/// Keys by themselves and with conditions, several routers for one key, and one router that is scanned.
const MAPPING: &str = "
http:
  routers:
    alice:
      rule: HeaderRegexp(`Authorization`, `^Bearer API_KEY-1$`)
      service: s
      entryPoints: [web]
    bob: { rule: Key(`b`), service: s }
    carol: { rule: 'Key(`c`) && PathPrefix(`/v1`) && Host(`gpu.example`) && Query(`q`)', service: s }
    carol-models: { rule: 'Key(`c`) && Path(`/v1/models`)', service: s }
    dora: { rule: 'Key(`d`) && Model(`m`)', service: s }
    guarded: { rule: Key(`e`), service: nowhere }
    open: { rule: Path(`/open`), service: s }
  services:
    s: { loadBalancer: { servers: [{ url: http://127.0.0.1:8011 }] } }
";

const SCANNED: &str = "
http:
  routers:
    team: { rule: 'HeaderRegexp(`Authorization`, `^Bearer team-`)', service: s }
";

/// Header lines, a path, and the decision that is expected.
type Case = (
    &'static [(&'static str, &'static str)],
    &'static str,
    fn(&Decision) -> bool,
);

const CASES: [Case; 14] = [
    (&[("authorization", "Bearer API_KEY-1")], "/v1/models", is_forward),
    (&[("x-api-key", "API_KEY-1")], "/v1/models", is_forward),
    (&[("authorization", "bearer API_KEY-1")], "/v1/models", is_unknown),
    (&[("authorization", "Bearer API_KEY-10")], "/v1/models", is_unknown),
    (&[("x-goog-api-key", "x"), ("x-api-key", "x")], "/v1/models", is_unknown),
    (&[("api-key", "b")], "/", is_forward),
    (&[("authorization", "Bearer c")], "/v1/chat", is_forward),
    (&[("authorization", "Bearer c")], "/v1/models", is_forward),
    (&[("authorization", "Bearer c")], "/slots", is_no_router),
    (&[("authorization", "Bearer d")], "/", is_model),
    (&[("authorization", "Bearer e")], "/", is_broken),
    (&[("authorization", "Bearer refused")], "/", is_file_broken),
    (&[], "/open", is_forward),
    (&[], "/", is_keyless),
];

fn is_forward(decision: &Decision) -> bool {
    matches!(decision, Decision::Forward(_))
}

fn is_unknown(decision: &Decision) -> bool {
    matches!(decision, Decision::UnknownKey)
}

fn is_no_router(decision: &Decision) -> bool {
    matches!(decision, Decision::NoRouter)
}

fn is_model(decision: &Decision) -> bool {
    matches!(decision, Decision::NeedsModel)
}

fn is_broken(decision: &Decision) -> bool {
    matches!(decision, Decision::Broken(_))
}

fn is_file_broken(decision: &Decision) -> bool {
    matches!(decision, Decision::FileBroken)
}

fn is_keyless(decision: &Decision) -> bool {
    matches!(decision, Decision::Keyless)
}

fn table(texts: &[&str]) -> Arc<Table> {
    let mut compiler = Compiler::new(Some(vec!["web".into(), "admin".into()]));
    for (at, text) in texts.iter().enumerate() {
        let name = format!("{at}.yml");
        let (mapping, problems) = check(Path::new(&name), text);
        compiler.set(&name, Some(Arc::new(mapping.unwrap_or_else(|| panic!("{problems:?}")))));
    }
    compiler.set_refused("bad.yml", vec![KeyHash::of(b"refused")]);
    compiler.table().0
}

fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
    let lines = lines.iter();
    lines
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect()
}

/// From the header lines to the decision.
fn decide(table: &Table, headers: &HeaderMap, path: &str) -> Decision {
    let credential = Credential::from_headers(headers).expect("one key");
    table.decide(&Request {
        credential: credential.as_ref(),
        method: "POST",
        host: "GPU.example",
        path,
        query: Some("q"),
        headers,
        client_ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
        entry_point: Some("web"),
        model: Model::Unread,
    })
}

#[test]
fn a_decision_takes_no_memory_from_the_heap() {
    for texts in [&[MAPPING][..], &[MAPPING, SCANNED]] {
        let table = table(texts);
        for (lines, path, expected) in CASES {
            let headers = headers(lines);
            // Patterns make their working memory when they first run.
            let first = decide(&table, &headers, path);
            assert!(expected(&first), "{lines:?} {path}: {first:?}");
            let used = measure(|| assert!(expected(&decide(&table, &headers, path))));
            assert_eq!(used.count_total, 0, "{lines:?} {path} {}", texts.len());
        }
    }
}

#[test]
fn a_clean_target_is_one_text() {
    for (raw, expected) in [
        ("/v1/chat/completions", 1),
        ("/v1/models?limit=10", 1),
        ("*", 1),
        ("http://gpu.example/v1/models?x", 2),
    ] {
        let used = measure(|| drop(Target::parse(raw.as_bytes()).expect("a target")));
        assert_eq!(used.count_total, expected, "{raw}");
    }
}
