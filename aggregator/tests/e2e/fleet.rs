//! Backends of `config.yaml`: what is listed of them, how they are shown, and what a change of the file does.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use aggregator::{AggregatorConfig, ConfigSource};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::backend::{Answer, Backend};
use crate::provider::Provider;
use crate::service::{Running, mapping_file, quick};

/// A configuration in a folder of its own.
struct Configuration {
    folder: TempDir,
}

impl Configuration {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let configuration = Self { folder };
        configuration.write(text);
        configuration
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("config.yaml")
    }

    fn write(&self, text: &str) {
        // Their lists are compared whole, and councils have tests of their own.
        let text = format!("{text}\ncouncil: {{listed: false}}\n");
        std::fs::write(self.path(), text).unwrap();
    }

    /// The file that a service follows, looked at often.
    fn applied(&self) -> AggregatorConfig {
        let (source, _) = ConfigSource::load(&self.path()).unwrap();
        AggregatorConfig {
            file: Some(source.looking_every(Duration::from_millis(20))),
            ..quick()
        }
    }
}

const QUICK: &str = "routing: {heartbeat_interval: 0.1}\nadmin: {auth: {token: sk-canary-admin}}\n";

/// Lines of one backend.
fn backend(name: &str, kind: &str, addr: std::net::SocketAddr, more: &str) -> String {
    format!("- {{name: {name}, type: {kind}, url: 'http://{addr}'{more}}}\n")
}

async fn admin(service: &Running) -> Value {
    let url = format!("http://{}/admin/backends", service.addr);
    let request = service.client.get(url).bearer_auth("sk-canary-admin");
    request.send().await.unwrap().json().await.unwrap()
}

/// Looks at the service until this holds.
async fn becomes(service: &Running, what: &str, holds: impl Fn(&Value, &Value) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let (health, backends) = (service.get("/health").await, admin(service).await);
        if holds(&health, &backends) {
            return;
        }
        assert!(Instant::now() < deadline, "{what}: {health} {backends}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn four_kinds_of_backends_and_a_mapped_one_are_one_list() {
    let ollama = Provider::ollama(&["llama3:latest", "shared"], &["shared"]).await;
    let claude = Provider::anthropic("claude-x", "sk-canary-a").await;
    let gemini = Provider::gemini("gemini-x", "sk-canary-g").await;
    let openai = Provider::start(
        &[("/v1/models", r#"{"data":[{"id":"org/model"},{"id":"shared"}]}"#)],
        None,
    )
    .await;
    let mapped = Backend::serving("mapped").await;
    let text = format!(
        "{QUICK}backends:\n{}{}{}{}",
        backend("o", "ollama", ollama.addr, ", priority: 2"),
        backend(
            "a",
            "anthropic",
            claude.addr,
            ", api_key: sk-canary-a, anthropic_version: 2024-01-01"
        ),
        backend("g", "gemini", gemini.addr, ", api_key: sk-canary-g"),
        backend("p", "openai", openai.addr, ", headers: {X-Team: blue}"),
    );
    let configuration = Configuration::new(&text);
    let service = Running::start(
        configuration.applied(),
        vec![mapping_file("m.yml", &[mapped.addr, openai.addr])],
    )
    .await;
    let all = ["claude-x", "gemini-x", "llama3:latest", "mapped", "org/model", "shared"];
    assert_eq!(service.models().await, all, "the first look sees everyone");

    let (_, headers) = &claude.asked()[0];
    assert_eq!(
        (&headers["x-api-key"], &headers["anthropic-version"]),
        (&"sk-canary-a".parse().unwrap(), &"2024-01-01".parse().unwrap())
    );
    assert!(
        gemini.asked().iter().all(|(target, _)| !target.contains("canary")),
        "a key is never in a URL"
    );
    assert_eq!(openai.asked()[0].1["x-team"], "blue");

    let shared = service.get("/v1/models/shared").await;
    assert_eq!(
        shared,
        json!({"id": "shared", "object": "model", "backends": [
            {"name": "p", "type": "openai", "model": "shared", "healthy": true, "loaded": true, "priority": 1},
            {"name": "o", "type": "ollama", "model": "shared", "healthy": true, "loaded": true, "priority": 2},
        ]})
    );
    for (id, name, model, loaded) in [
        ("org/model", "p", "org/model", true),
        ("p/org/model", "p", "org/model", true),
        ("llama3", "o", "llama3:latest", false),
        ("o/shared", "o", "shared", true),
        (
            &*format!("{}/mapped", mapped.addr),
            &*mapped.addr.to_string(),
            "mapped",
            true,
        ),
    ] {
        let shown = service.get(&format!("/v1/models/{id}")).await;
        assert_eq!(shown["id"], id);
        assert_eq!(shown["backends"].as_array().unwrap().len(), 1, "{id}");
        let one = &shown["backends"][0];
        assert_eq!(
            (&one["name"], &one["model"], &one["loaded"]),
            (&json!(name), &json!(model), &json!(loaded)),
            "{id}"
        );
    }
    let unknown = service.request("GET", "/v1/models/org/other").await;
    assert_eq!(unknown.status(), 404);
    assert_eq!(
        unknown.json::<Value>().await.unwrap()["error"]["code"],
        "model_not_found"
    );
    service.stop().await;
}

#[tokio::test]
async fn the_pages_say_how_each_backend_is_and_show_no_key() {
    let ollama = Provider::ollama(&["m"], &[]).await;
    let locked = Provider::anthropic("claude-x", "sk-right").await;
    let text = format!(
        "{QUICK}backends:\n{}{}",
        backend("one", "ollama", ollama.addr, ""),
        backend(
            "two",
            "anthropic",
            locked.addr,
            ", api_key: sk-canary-wrong, models: [claude-x]"
        )
    );
    let configuration = Configuration::new(&text);
    let service = Running::start(configuration.applied(), Vec::new()).await;
    assert_eq!(service.models().await, ["m"]);
    let health = service.get("/health").await;
    assert_eq!(health["configuration"], "loaded");
    assert_eq!(health["backends"]["known"], 2);
    assert_eq!(health["backends"]["each"]["one"]["healthy"], true);
    assert_eq!(
        health["backends"]["each"]["two"],
        json!({"type": "anthropic", "healthy": false, "status": "down", "models": 1, "in_flight": 0})
    );
    let info = service.get("/").await;
    assert_eq!(
        (&info["name"], &info["strategy"]),
        (&json!("conclave"), &json!("smart"))
    );

    for (token, status) in [
        (None, 401),
        (Some("wrong"), 401),
        (Some(""), 401),
        (Some("sk-canary-admin"), 200),
    ] {
        let request = service.client.get(format!("http://{}/admin/backends", service.addr));
        let request = token.iter().fold(request, |request, token| request.bearer_auth(token));
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), status, "{token:?}");
        assert_eq!(response.headers().contains_key("www-authenticate"), status == 401);
    }
    let backends = admin(&service).await;
    assert_eq!(backends["data"][0]["models"], json!([{"id": "m", "loaded": false}]));
    assert_eq!(backends["data"][1]["source"], "config");
    assert!(backends["data"][1]["cause"].as_str().unwrap().contains("401"));
    assert_eq!(backends["next_cursor"], Value::Null);
    for page in [health, info, backends] {
        assert!(!page.to_string().contains("canary"), "{page}");
    }
    service.stop().await;
}

#[tokio::test]
async fn admin_is_closed_without_a_token_and_says_so() {
    let configuration = Configuration::new("admin: {auth: {type: bearer, token: '${CONCLAVE_TEST_NEVER_SET}'}}\n");
    let service = Running::start(configuration.applied(), Vec::new()).await;
    let response = service.request("GET", "/admin/backends").await;
    assert_eq!(response.status(), 403);
    let error = response.json::<Value>().await.unwrap();
    assert!(
        error["error"]["message"]
            .as_str()
            .unwrap()
            .contains("no token is configured"),
        "{error}"
    );
    configuration.write("admin: {auth: {type: none}}\n");
    let deadline = Instant::now() + Duration::from_secs(20);
    while service.request("GET", "/admin/backends").await.status() != 200 {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    service.stop().await;
}

#[tokio::test]
async fn admin_lists_in_pages() {
    let text: String = (0..5)
        .map(|index| backend(&format!("b{index}"), "openai", "127.0.0.1:9".parse().unwrap(), ""))
        .collect();
    let configuration = Configuration::new(&format!("admin: {{auth: {{type: none}}}}\nbackends:\n{text}"));
    let service = Running::start(configuration.applied(), Vec::new()).await;
    service.models().await;
    let mut names = Vec::new();
    let mut path = "/admin/backends?limit=2".to_owned();
    loop {
        let page = service.get(&path).await;
        names.extend(
            page["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|backend| backend["name"].as_str().unwrap().to_owned()),
        );
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/admin/backends?limit=2&cursor={cursor}");
    }
    assert_eq!(names, ["b0", "b1", "b2", "b3", "b4"]);
    for bad in ["limit=x", "colour=red"] {
        assert_eq!(
            service.request("GET", &format!("/admin/backends?{bad}")).await.status(),
            400
        );
    }
    service.stop().await;
}

#[tokio::test]
async fn a_changed_file_is_followed_and_a_broken_one_changes_nothing() {
    let (one, two) = (
        Provider::ollama(&["one"], &[]).await,
        Provider::ollama(&["two"], &[]).await,
    );
    let configuration = Configuration::new(&format!("{QUICK}backends:\n{}", backend("a", "ollama", one.addr, "")));
    let service = Running::start(configuration.applied(), Vec::new()).await;
    assert_eq!(service.models().await, ["one"]);
    configuration.write(&format!(
        "{QUICK}backends:\n{}{}",
        backend("a", "ollama", one.addr, ""),
        backend("b", "ollama", two.addr, "")
    ));
    service.models_become(&["one", "two"]).await;
    for broken in [
        "backends: [\n",
        "backends: 7\n",
        &format!("{QUICK}backends:\n- {{name: a}}\n"),
    ] {
        configuration.write(broken);
        becomes(&service, "it is noticed", |health, _| {
            health["configuration"] == "kept_last_good"
        })
        .await;
        assert_eq!(service.models().await, ["one", "two"], "{broken}");
        configuration.write(&format!(
            "{QUICK}backends:\n{}{}# {broken:?}\n",
            backend("a", "ollama", one.addr, ""),
            backend("b", "ollama", two.addr, "")
        ));
        becomes(&service, "it is mended", |health, _| {
            health["configuration"] == "loaded"
        })
        .await;
    }
    std::fs::remove_file(configuration.path()).unwrap();
    becomes(&service, "it is missed", |health, _| {
        health["configuration"] == "kept_last_good"
    })
    .await;
    assert_eq!(service.models().await, ["one", "two"]);
    configuration.write(&format!(
        "{QUICK}backends:\n{}",
        backend("b", "ollama", two.addr, ", priority: 5")
    ));
    service.models_become(&["two"]).await;
    becomes(&service, "it has its new priority", |_, backends| {
        backends["data"][0]["priority"] == 5
    })
    .await;
    service.stop().await;
}

#[tokio::test]
async fn one_that_dies_hangs_or_lies_affects_nobody_else() {
    let good = Provider::ollama(&["good"], &["good"]).await;
    let mortal = Provider::ollama(&["mortal"], &[]).await;
    let mute = Backend::start(Answer::Never).await;
    let thief = Provider::ollama(&["stolen"], &[]).await;
    let away = Backend::start(Answer::Redirect(format!("http://{}/api/tags", thief.addr))).await;
    let text = format!(
        "{QUICK}backends:\n{}{}{}{}",
        backend("good", "ollama", good.addr, ""),
        backend("mortal", "ollama", mortal.addr, ""),
        backend("mute", "openai", mute.addr, ""),
        backend("away", "openai", away.addr, ", api_key: sk-canary"),
    );
    let mut config = Configuration::new(&text).applied();
    config.backends.configured_timeout = Duration::from_millis(300);
    let service = Running::start(config, Vec::new()).await;
    assert_eq!(service.models().await, ["good", "mortal"]);
    assert!(thief.asked().is_empty(), "redirects are not followed");

    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..50 {
        let started = Instant::now();
        service.models().await;
        times.push(started.elapsed());
    }
    times.sort();
    assert!(
        times[25] < Duration::from_millis(50),
        "the list comes from memory: {:?}",
        times[25]
    );

    let addr = mortal.kill().await;
    becomes(&service, "its death is noticed", |health, _| {
        health["backends"]["each"]["mortal"]["status"] == "down"
    })
    .await;
    assert_eq!(service.models().await, ["good"]);
    let shown = service.get("/v1/models/mortal").await;
    assert_eq!(
        shown["backends"][0]["healthy"], false,
        "it is known to be missing, not unknown"
    );
    let _reborn = Provider::on(addr, &[("/api/tags", r#"{"models":[{"name":"mortal"}]}"#)], None).await;
    service.models_become(&["good", "mortal"]).await;
    service.stop().await;
}

#[tokio::test]
async fn what_is_loaded_and_how_busy_it_is_is_read_from_each_kind() {
    let busy = r#"[{"id":0,"is_processing":true,"prompt":"canary"},{"id":1,"is_processing":true},{"id":2,"is_processing":false}]"#;
    let list = r#"{"data":[{"id":"a","owned_by":"llamacpp","status":{"value":"loaded"}},{"id":"b","status":{"value":"unloaded"}}]}"#;
    let llama = Provider::start(&[("/v1/models", list), ("/slots", busy)], None).await;
    let metrics = "llamacpp:requests_processing 3\nllamacpp:requests_deferred 1\n";
    let metered = Provider::start(
        &[
            ("/v1/models", r#"{"data":[{"id":"c","owned_by":"llamacpp"}]}"#),
            ("/metrics", metrics),
            ("/props", r#"{"total_slots":8}"#),
        ],
        None,
    )
    .await;
    let vllm = Provider::start(
        &[
            ("/v1/models", r#"{"data":[{"id":"d","owned_by":"vllm"}]}"#),
            ("/metrics", "vllm:num_requests_running{m=\"d\"} 5.0\n"),
        ],
        None,
    )
    .await;
    let silent = Provider::start(&[("/v1/models", r#"{"data":[{"id":"e"}]}"#)], None).await;
    let text = format!(
        "{QUICK}backends:\n{}{}{}{}",
        backend("1", "openai", llama.addr, ""),
        backend("2", "openai", metered.addr, ""),
        backend("3", "openai", vllm.addr, ""),
        backend("4", "openai", silent.addr, ""),
    );
    let configuration = Configuration::new(&text);
    let service = Running::start(configuration.applied(), Vec::new()).await;
    becomes(&service, "all are read", |_, backends| {
        let read = |index: usize| (&backends["data"][index]["slots"], &backends["data"][index]["busy"]);
        read(0) == (&json!(3), &json!(2))
            && read(1) == (&json!(8), &json!(4))
            && read(2) == (&json!(null), &json!(5))
            && read(3) == (&json!(null), &json!(0))
    })
    .await;
    assert_eq!(
        admin(&service).await["data"][0]["models"],
        json!([{"id": "a", "loaded": true}, {"id": "b", "loaded": false}])
    );
    assert!(
        silent.asked().iter().all(|(target, _)| target == "/v1/models"),
        "who tells nothing is not asked"
    );
    llama.set(
        "/v1/models",
        r#"{"data":[{"id":"a","owned_by":"llamacpp"},{"id":"b","status":{"value":"loaded"}}]}"#,
    );
    becomes(&service, "b is loaded", |_, backends| {
        backends["data"][0]["models"][1]["loaded"] == true
    })
    .await;
    service.stop().await;
}

#[tokio::test]
async fn a_provider_without_a_list_serves_the_models_it_is_said_to_serve() {
    let listless = Provider::start(&[], Some(("authorization", "Bearer sk-canary"))).await;
    let text = format!(
        "{QUICK}backends:\n{}",
        backend(
            "x",
            "openai",
            listless.addr,
            ", models: [one, org/two], api_key: sk-canary"
        )
    );
    let configuration = Configuration::new(&text);
    let service = Running::start(configuration.applied(), Vec::new()).await;
    assert_eq!(service.models().await, ["one", "org/two"]);
    assert_eq!(service.get("/v1/models/org/two").await["owned_by"], "x");
    service.stop().await;
}
