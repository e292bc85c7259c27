//! `config.yaml` as its users have it, and every mistake in it.

use std::path::Path;
use std::time::Duration;

use document::Severity;

use super::*;
use crate::backend::BackendKind;

/// The predecessor's own, from its documentation.
const COUNCIL_ROUTERS: &str = r#"
server:
  port: 11430
backends:
  - name: "local-ollama"
    type: ollama
    url: "http://localhost:11434"
    priority: 1
  - name: "gpu-server"
    type: ollama
    url: "http://192.168.1.100:11434"
    priority: 2
routing:
  strategy: smart
  prefer_loaded_model: true
  heartbeat_interval: 10
  fallbacks:
    "llama3.1:70b": ["llama3.1:8b", "qwen2.5:7b"]
response_storage:
  enabled: true
  compress: true
  db_path: ./data/responses.db
metrics:
  enabled: true
admin:
  auth:
    type: bearer
    token: ${ADMIN_TOKEN}
council:
  templates_dir: council_templates
"#;

fn lookup(name: &str) -> Option<String> {
    match name {
        "ADMIN_TOKEN" => Some("sk-canary-admin".to_owned()),
        "KEY" => Some("sk-canary-key".to_owned()),
        "TRICKY" => Some("a\"]\n#: - ${KEY}".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    }
}

fn check(text: &str) -> (Option<ConfigFile>, Vec<Problem>) {
    let outcome = ConfigFile::check(Path::new("config.yaml"), text, &lookup);
    assert!(!format!("{outcome:?}").contains("canary"), "{outcome:?}");
    outcome
}

fn good(text: &str) -> ConfigFile {
    let (file, problems) = check(text);
    assert!(problems.is_empty(), "{problems:#?}");
    file.expect("no problem")
}

fn one_backend(lines: &str) -> String {
    format!("backends:\n- name: b\n  type: openai\n  url: http://h:1\n{lines}")
}

#[test]
fn a_council_is_set_up_and_a_field_of_another_version_is_no_error() {
    let (file, problems) =
        check("council:\n  default_model: m\n  tokens_max: 5\n  listed: false\n  whatever: { else: 1 }\n");
    let council = file.expect("a warning only").council;
    assert_eq!(
        (council.default_model.as_deref(), council.tokens_max, council.is_listed),
        (Some("m"), 5, false)
    );
    assert_eq!(
        (problems.len(), problems[0].severity),
        (1, Severity::Warning),
        "{problems:#?}"
    );
    assert!(good("server: {port: 1}\n").council.is_listed, "where there is a file");
    assert!(!ConfigFile::without_file(&lookup).council.is_listed);
}

#[test]
fn the_predecessors_file_works_as_it_is() {
    let file = good(COUNCIL_ROUTERS);
    let backends: Vec<_> = file
        .backends
        .iter()
        .map(|spec| (&*spec.name, spec.kind, spec.url.as_str(), spec.priority))
        .collect();
    assert_eq!(
        backends,
        [
            ("local-ollama", BackendKind::Ollama, "http://localhost:11434", 1),
            ("gpu-server", BackendKind::Ollama, "http://192.168.1.100:11434", 2)
        ]
    );
    assert_eq!((file.server.port, file.server.host), (Some(11430), None));
    assert_eq!(file.routing.strategy, Strategy::Smart);
    assert_eq!(file.routing.heartbeat_interval, Duration::from_secs(10));
    assert_eq!(file.routing.fallbacks["llama3.1:70b"].len(), 2);
    assert!(file.admin.accepts(b"sk-canary-admin") && !file.admin.accepts(b"sk-canary") && !file.admin.accepts(b""));
    assert_eq!(
        file.council.templates_dir.as_deref(),
        Some(Path::new("council_templates"))
    );
    assert_eq!(file.response_storage, ResponseStorage::default());
}

#[test]
fn nothing_at_all_is_a_file_with_the_defaults() {
    for text in ["", "# nothing\n", "backends:\nrouting:\nadmin:\n", "backends: []\n"] {
        let file = good(text);
        assert_eq!(file.routing, Arc::default(), "{text}");
        assert!(file.metrics_enabled && file.response_storage.enabled);
        assert!(
            matches!(file.admin, AdminAuth::Bearer(_)),
            "the environment has a token"
        );
    }
}

#[test]
fn what_is_kept_and_for_how_long() {
    let storage = good(
        "response_storage:\n  db_path: /var/lib/r.db\n  compress: false\n  encryption_key_file: /etc/key\n  \
         full_text_search: false\n  retention: {days: 30, max_mib: 2048}\n",
    )
    .response_storage;
    assert_eq!(storage.db_path, Path::new("/var/lib/r.db"));
    assert_eq!(storage.encryption_key_file.as_deref(), Some(Path::new("/etc/key")));
    assert_eq!(
        (storage.enabled, storage.compress, storage.full_text_search),
        (true, false, Some(false))
    );
    assert_eq!(storage.retention.age_max, Some(Duration::from_secs(30 * 86_400)));
    assert_eq!(storage.retention.bytes_max, Some(2 << 30));
}

#[test]
fn admin_is_closed_without_a_token_and_open_only_when_told() {
    for (text, expected) in [
        ("admin: {auth: {type: bearer, token: '${NOT_SET}'}}", AdminAuth::Closed),
        ("admin: {auth: {token: '${EMPTY}'}}", AdminAuth::Closed),
        ("admin: {auth: {token: ''}}", AdminAuth::Closed),
        ("admin: {auth: {type: none}}", AdminAuth::Open),
        ("admin: {auth: {type: None, token: x}}", AdminAuth::Open),
    ] {
        let (file, problems) =
            ConfigFile::check(Path::new("c"), text, &|name| lookup(name).filter(|_| name == "EMPTY"));
        assert_eq!(
            (file.map(|file| file.admin), problems.len()),
            (Some(expected), 0),
            "{text}"
        );
    }
    let closed = ConfigFile::without_file(&|_| None);
    assert!(!closed.admin.accepts(b""));
}

#[test]
fn a_backends_key_goes_where_its_kind_wants_it_and_shows_nowhere() {
    for (kind, header, value) in [
        ("openai", "authorization", "Bearer sk-canary-key"),
        ("ollama", "authorization", "Bearer sk-canary-key"),
        ("anthropic", "x-api-key", "sk-canary-key"),
        ("gemini", "x-goog-api-key", "sk-canary-key"),
    ] {
        let text = format!(
            "backends: [{{name: b, type: {kind}, url: 'http://h:1', api_key: '${{KEY}}', headers: {{X-A: '1'}}}}]"
        );
        let file = good(&text);
        let headers = &file.backends[0].headers;
        assert_eq!(headers[header], value);
        assert!(headers[header].is_sensitive() && headers["x-a"].is_sensitive());
        assert_eq!(headers.contains_key("anthropic-version"), kind == "anthropic");
    }
    let (file, problems) = check(&one_backend("  api_key: ${EMPTY}\n"));
    assert!(file.is_some_and(|file| file.backends[0].headers.is_empty()));
    assert_eq!(problems[0].severity, Severity::Warning);
}

#[test]
fn the_version_at_the_end_of_an_address_is_ours_to_write() {
    for (kind, url, base) in [
        ("openai", "https://api.openai.com/v1", "https://api.openai.com"),
        ("openai", "http://h:1/litellm/v1/", "http://h:1/litellm"),
        ("openai", "http://h:1/api", "http://h:1/api"),
        ("OpenAI_compat", "http://h:1/v1", "http://h:1"),
        ("ollama", "http://h:1/api", "http://h:1"),
        ("gemini", "https://h/v1beta", "https://h"),
        ("anthropic", "https://h/v1", "https://h"),
    ] {
        let file = good(&format!("backends: [{{name: b, type: {kind}, url: '{url}'}}]"));
        assert_eq!(file.backends[0].url.as_str(), base);
    }
}

#[test]
fn a_variable_replaces_text_and_never_structure() {
    let file = good("council: {templates_dir: 'x-${TRICKY}-$${KEY}-$5'} # ${NOT_SET}\n");
    let folder = file.council.templates_dir.unwrap();
    assert_eq!(
        folder,
        Path::new("x-a\"]\n#: - ${KEY}-${KEY}-$5"),
        "once, and not again what it brings"
    );
    let file = good(
        "backends: [{name: b, type: openai, url: 'http://h:1', weight: \"${N}\"}]"
            .replace("${N}", "7")
            .as_str(),
    );
    assert_eq!(file.backends[0].weight, 7);
}

#[test]
fn every_mistake_is_told_at_its_place_with_its_rule_and_its_fix() {
    for (text, place, rule) in [
        (
            "council:\n  templates_dir: \"a ${NOT_SET} b\"\n".to_owned(),
            (2, 21),
            "`NOT_SET` is not set",
        ),
        (one_backend("  api_key: ${9}\n"), (5, 12), "a variable's name"),
        (one_backend("  api_key: ${KEY\n"), (5, 12), "a variable's name"),
        ("backends: {}\n".to_owned(), (1, 11), "takes a list"),
        (
            "backends:\n- {type: openai, url: 'http://h:1'}\n".to_owned(),
            (2, 3),
            "needs a `name`",
        ),
        (
            "backends:\n- {name: a, url: 'http://h:1'}\n".to_owned(),
            (2, 3),
            "needs a `type`",
        ),
        (
            "backends:\n- {name: a, type: openai}\n".to_owned(),
            (2, 3),
            "needs a `url`",
        ),
        (
            "backends:\n- {name: a/b, type: openai, url: 'http://h:1'}\n".to_owned(),
            (2, 10),
            "without a slash",
        ),
        (
            "backends:\n- {name: a, type: openal, url: 'http://h:1'}\n".to_owned(),
            (2, 19),
            "`type` is one of",
        ),
        (
            "backends:\n- {name: a, type: openai, url: 'ftp://h:1'}\n".to_owned(),
            (2, 32),
            "http, https or h2c",
        ),
        (
            "backends:\n- {name: a, type: openai, url: 'h2c://h:1'}\n".to_owned(),
            (2, 32),
            "speaks HTTP/1.1 to it",
        ),
        (
            "backends:\n- {name: a, type: openai, url: 'http://u:sk-canary@h'}\n".to_owned(),
            (2, 32),
            "no user",
        ),
        (
            one_backend("- name: b\n  type: ollama\n  url: http://h:2\n"),
            (5, 9),
            "line 2 has this one already",
        ),
        (one_backend("  priority: first\n"), (5, 13), "whole number"),
        (one_backend("  weight: 0\n"), (5, 11), "from 1 to 100"),
        (one_backend("  timeout: 10s\n"), (5, 12), "takes seconds"),
        (one_backend("  api_key: sk-canary é\n"), (5, 12), "visible ASCII"),
        (one_backend("  headers: {Host: x}\n"), (5, 13), "cannot be sent"),
        (one_backend("  models: {a: b}\n"), (5, 11), "single value"),
        (one_backend("  url: http://h:3\n"), (5, 3), "stand once"),
        ("routing: {strategy: random}\n".to_owned(), (1, 21), "`strategy` takes"),
        (
            "routing: {heartbeat_interval: 0}\n".to_owned(),
            (1, 31),
            "takes seconds",
        ),
        (
            "routing: {prefer_loaded_model: maybe}\n".to_owned(),
            (1, 32),
            "takes `true` or `false`",
        ),
        (
            "routing:\n  fallbacks:\n    a: [b]\n    b: [c, a]\n".to_owned(),
            (3, 5),
            "must not lead back",
        ),
        (
            "routing:\n  fallbacks: {a: a}\n".to_owned(),
            (2, 15),
            "must not lead back",
        ),
        ("server: {port: 70000}\n".to_owned(), (1, 16), "from 1 to 65535"),
        ("server: {auth: yes}\n".to_owned(), (1, 16), "`auth` takes"),
        ("admin: {auth: {type: basic}}\n".to_owned(), (1, 22), "`type` takes"),
        (
            "response_storage: {db_path: ''}\n".to_owned(),
            (1, 29),
            "must not be empty",
        ),
        (
            "response_storage: {retention: {days: 0}}\n".to_owned(),
            (1, 38),
            "`days` takes",
        ),
        (
            "response_storage: {full_text_search: maybe}\n".to_owned(),
            (1, 38),
            "`full_text_search` takes",
        ),
        ("metrics: 7\n".to_owned(), (1, 10), "map of fields"),
        ("- a\n".to_owned(), (1, 1), "map of fields"),
        ("backends: [\n".to_owned(), (1, 11), "Brackets"),
    ] {
        let (file, problems) = check(&text);
        assert!(file.is_none(), "{text}");
        let found: Vec<_> = problems
            .iter()
            .map(|problem| (problem.position.line, problem.position.column))
            .collect();
        assert!(
            problems.iter().any(|problem| problem.rule.contains(rule)),
            "{text}{problems:#?}"
        );
        assert!(found.contains(&place), "{text}{found:?}");
        assert!(problems.iter().all(|problem| !problem.fix.is_empty()));
    }
}

#[test]
fn all_mistakes_are_told_at_once() {
    let text = "server: {port: x}\nbackends:\n- {name: a, type: b, url: c}\n- {name: a}\nrouting:\n  strategy: d\n  fallbacks: {e: [e]}\nadmin: {auth: {type: f}}\n";
    let lines: std::collections::BTreeSet<u32> = check(text).1.iter().map(|problem| problem.position.line).collect();
    assert_eq!(lines, [1, 3, 4, 6, 7, 8].into());
}

#[test]
fn what_nobody_knows_is_a_warning_with_the_nearest_name() {
    let (file, problems) = check(
        "rooting: {}\nrouting: {strategi: smart}\nbackends: [{name: a, type: openai, url: 'http://h', prio: 1}]\n",
    );
    assert!(file.is_some(), "{problems:#?}");
    assert!(problems.iter().all(|problem| problem.severity == Severity::Warning));
    let fixes: Vec<&str> = problems.iter().map(|problem| problem.fix.as_str()).collect();
    assert_eq!(fixes.len(), 3);
    assert_eq!(fixes[..2], ["Did you mean `routing`?", "Did you mean `strategy`?"]);
}

#[test]
fn an_open_door_to_the_network_is_warned_of() {
    for (text, warnings) in [
        ("server: {host: 0.0.0.0, auth: none}", 1),
        ("server: {host: 10.0.0.1, auth: none}", 1),
        // Keys are asked for.
        ("server: {host: 0.0.0.0}", 0),
        ("server: {host: 0.0.0.0, auth: keys}", 0),
        ("server: {host: localhost}", 0),
        ("server: {host: '::1'}", 0),
    ] {
        let (file, problems) = check(text);
        assert_eq!((file.is_some(), problems.len()), (true, warnings), "{text}");
    }
}

#[test]
fn the_file_is_told_from_traefiks() {
    for (text, ours) in [
        (COUNCIL_ROUTERS, true),
        ("backends: [\n", true),
        ("routing: {}", true),
        ("entryPoints: {}\nmetrics: {}\n", false),
        ("providers: [\n", false),
        ("", false),
    ] {
        assert_eq!(ConfigFile::recognises(text), ours, "{text}");
    }
}

#[test]
fn the_documents_example_is_one() {
    let page = include_str!("../../../docs/AGGREGATOR.md");
    let example = page
        .split("```yaml\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .unwrap();
    let (file, problems) = ConfigFile::check(Path::new("config.yaml"), example, &|name| Some(name.to_owned()));
    assert!(problems.is_empty(), "{problems:#?}");
    assert_eq!(file.map(|file| file.backends.len()), Some(2));
}

#[test]
fn prices_are_a_backend_s_or_a_model_s() {
    let file = good(
        "backends:\n- {name: a, type: openai, url: 'http://a:1', input_price_per_million: 0.5, prices: {large: \
         {input_price_per_million: 2.5, output_price_per_million: 10}}}\n- {name: b, type: openai, url: 'http://b:1'}\n",
    );
    let usage = dialect::chat::Usage {
        input: Some(1_000_000),
        output: Some(1_000_000),
        ..Default::default()
    };
    let cost = |backend: usize, model| {
        file.backends[backend]
            .prices
            .cost(model, &usage)
            .map(|cost| cost.amount())
    };
    assert_eq!(
        (cost(0, "large"), cost(0, "small"), cost(1, "large")),
        (Some(12.5), Some(0.5), None)
    );
    for (field, rule) in [
        ("input_price_per_million: -1", "what a million tokens cost"),
        ("output_price_per_million: cheap", "what a million tokens cost"),
        ("prices: {m: {}}", "A price needs"),
        ("prices: {m: {price: 1}}", "price"),
    ] {
        let (_, problems) = check(&format!(
            "backends:\n- {{name: a, type: openai, url: 'http://a:1', {field}}}\n"
        ));
        assert!(
            problems
                .iter()
                .any(|problem| problem.rule.contains(rule) && problem.position.line == 2),
            "{field}: {problems:?}"
        );
    }
}
