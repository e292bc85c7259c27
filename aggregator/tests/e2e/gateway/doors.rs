//! Who may come in, what is refused at the door, and what Ollama's and other clients ask beside conversations.

use serde_json::json;

use super::{ADMIN, Answer, Stand};
use crate::oracle::{Oracle, Say};
use crate::service::{mapping_file, quick};

const CHAT: &str = "/v1/chat/completions";

#[tokio::test]
async fn keys_are_demanded_where_they_are_configured_or_the_address_is_not_loopback() {
    let oracle = Oracle::start("openai", "m", [Say::json("{}")]).await;
    let everywhere = aggregator::AggregatorConfig {
        host: "0.0.0.0".to_owned(),
        ..quick()
    };
    for (server, config, open) in [
        ("", quick(), true),
        ("server: {auth: keys}", quick(), false),
        ("", everywhere.clone(), false),
        ("server: {auth: none}", everywhere, true),
    ] {
        let stand = Stand::with(&oracle.line("one", ""), server, config).await;
        // Its key is API_KEY-1.
        stand
            .service
            .replace_files(vec![mapping_file("m.yml", &["127.0.0.1:1".parse().unwrap()])]);
        let ask = |path, header: Option<(&'static str, &'static str)>| {
            let request = stand.post(
                path,
                r#"{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"x"}]}"#,
            );
            Answer::of(
                header
                    .into_iter()
                    .fold(request, |request, (name, value)| request.header(name, value)),
            )
        };
        for path in [CHAT, "/v1/messages", "/api/chat"] {
            for (header, admitted) in [
                (None, open),
                (Some(("authorization", "Bearer sk-canary-wrong")), open),
                (Some(("authorization", "Bearer API_KEY-1")), true),
                (Some(("x-api-key", "API_KEY-1")), true),
            ] {
                let answer = ask(path, header).await;
                assert_eq!(answer.status != 401, admitted, "{server} {path} {header:?} {answer:?}");
                assert!(answer.json()["error"].is_object() || answer.json()["error"].is_string() || admitted);
                assert!(!answer.body.contains("canary"));
            }
        }
        let refused = ask(CHAT, None).await;
        if !open {
            assert_eq!(refused.json()["error"]["code"], "invalid_api_key");
            assert_eq!(
                ask("/v1/messages", None).await.json()["error"]["type"],
                "authentication_error"
            );
        }
    }
}

#[tokio::test]
async fn a_big_body_passes_and_a_bigger_one_is_refused_before_it_is_read() {
    let oracle = Oracle::start("openai", "m", [Say::json("{}")]).await;
    let stand = Stand::of(&oracle).await;
    let body = format!(r#"{{"model":"m","x":"{}"}}"#, "x".repeat(20 << 20));
    let answer = stand.ask(CHAT, body.clone()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(oracle.last().body.len(), body.len());
    let mut stream = tokio::net::TcpStream::connect(stand.service.addr).await.unwrap();
    let head = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n",
        (256_u64 << 20) + 1
    );
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
}

#[tokio::test]
async fn ollama_s_clients_find_what_they_look_for() {
    let llama = Oracle::start("openai", "m", [Say::Whole(404, "text/plain", String::new())]).await;
    let shown = r#"{"model_info":{"general.architecture":"x"},"capabilities":["tools"],"details":{}}"#;
    let ollama = Oracle::start("ollama", "o:latest", [Say::json(shown)]).await;
    let stand = Stand::over(&format!("{}{}", llama.line("a", ""), ollama.line("b", "")), "").await;
    assert_eq!(stand.service.request("HEAD", "/").await.status(), 200);
    assert_eq!(stand.service.request("HEAD", "/api/tags").await.status(), 200);
    let names = |list: &serde_json::Value| -> Vec<String> {
        let models = list["models"].as_array().unwrap().iter();
        models.map(|model| model["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&stand.service.get("/api/tags").await), ["m", "o:latest"]);
    // Ollama says what it has loaded, and it has nothing; llama.cpp serves what it has.
    assert_eq!(names(&stand.service.get("/api/ps").await), ["m"]);
    assert!(
        stand.service.get("/api/version").await["version"]
            .as_str()
            .unwrap()
            .starts_with(char::is_numeric)
    );
    for (body, status, expected) in [
        (r#"{"model":"m"}"#, 200, json!(["completion"])),
        (r#"{"name":"o"}"#, 200, json!(["tools"])),
        (r#"{"model":"nobody"}"#, 404, json!(null)),
        ("{}", 400, json!(null)),
    ] {
        let answer = stand.ask("/api/show", body).await;
        assert_eq!(
            (answer.status, &answer.json()["capabilities"]),
            (status, &expected),
            "{body} {answer:?}"
        );
    }
}

#[tokio::test]
async fn models_are_managed_on_a_named_backend_with_the_admin_token_only() {
    let ollama = Oracle::start(
        "ollama",
        "o",
        [Say::Stream(
            "application/x-ndjson",
            vec!["{\"status\":\"success\"}\n".to_owned()],
        )],
    )
    .await;
    let other = Oracle::start("ollama", "p", [Say::json("{}")]).await;
    let stand = Stand::over(
        &format!(
            "{}{}",
            ollama.line("a", ", api_key: sk-canary-backend"),
            other.line("b", "")
        ),
        "",
    )
    .await;
    let body = r#"{"model":"new"}"#;
    for path in ["/api/pull", "/api/push", "/api/create", "/api/copy", "/api/delete"] {
        let answer = stand.ask(&format!("{path}?backend=a"), body).await;
        assert_eq!(answer.status, 401, "{path} {answer:?}");
        assert!(answer.json()["error"].as_str().unwrap().contains("admin token"));
    }
    assert!(ollama.heard().is_empty());
    let unnamed = Answer::of(stand.post("/api/pull", body).bearer_auth(ADMIN)).await;
    assert_eq!(unnamed.status, 400);
    let answer = Answer::of(stand.post("/api/pull?backend=a", body).bearer_auth(ADMIN)).await;
    assert_eq!((answer.status, &*answer.body), (200, "{\"status\":\"success\"}\n"));
    let heard = ollama.last();
    assert_eq!((&*heard.target, &heard.body[..]), ("/api/pull", body.as_bytes()));
    assert_eq!(heard.headers["authorization"], "Bearer sk-canary-backend");
    let answer = Answer::of(
        stand
            .post("/api/copy", body)
            .bearer_auth(ADMIN)
            .header("x-conclave-backend", "b"),
    )
    .await;
    assert_eq!(answer.status, 200);
    assert_eq!(other.heard().len(), 1);
}

#[tokio::test]
async fn three_dialects_list_their_models_at_one_path() {
    let oracle = Oracle::start("openai", "m", [Say::json("{}")]).await;
    let stand = Stand::of(&oracle).await;
    for (header, pointer, expected) in [
        ("anthropic-version", "/data/0/type", "model"),
        ("x-goog-api-key", "/models/0/name", "models/m"),
        ("x-other", "/object", "list"),
    ] {
        let url = format!("http://{}/v1/models", stand.service.addr);
        let answer = Answer::of(stand.service.client.get(url).header(header, "x")).await;
        assert_eq!(answer.json().pointer(pointer), Some(&json!(expected)), "{answer:?}");
    }
}

#[tokio::test]
async fn a_request_that_has_come_round_is_refused() {
    let oracle = Oracle::start("openai", "m", [Say::json("{}")]).await;
    let stand = Stand::of(&oracle).await;
    stand.ask(CHAT, r#"{"model":"m"}"#).await;
    // What it sends upstream is recognised when it comes back.
    let via = oracle.last().headers["via"].clone();
    for path in [CHAT, "/v1/messages", "/api/chat", "/api/pull"] {
        let answer = Answer::of(stand.post(path, r#"{"model":"m"}"#).header("via", via.clone())).await;
        assert_eq!(answer.status, 508, "{answer:?}");
    }
}

#[tokio::test]
async fn two_gateways_that_lead_to_each_other_do_not_go_round_for_ever() {
    let free = || {
        std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
    };
    let (one, two) = (free(), free());
    let to = |addr| format!("- {{name: other, type: openai, url: 'http://{addr}', models: [m]}}\n");
    let on = |addr: std::net::SocketAddr| aggregator::AggregatorConfig {
        port: addr.port(),
        ..quick()
    };
    let first = Stand::with(&to(two), "", on(one)).await;
    let _second = Stand::with(&to(one), "", on(two)).await;
    first.becomes("it answers", |list| list[0]["status"] == "up").await;
    let answer = first.ask(CHAT, r#"{"model":"m"}"#).await;
    assert_eq!(answer.status, 502, "{answer:?}");
    assert_eq!(answer.header("x-should-retry"), Some("false"));
}

#[tokio::test]
async fn a_conversation_goes_back_to_where_its_beginning_is_cached() {
    let one = Oracle::start("openai", "m", [Say::json("{}")]).await;
    let two = Oracle::start("openai", "m", [Say::json("{}")]).await;
    let stand = Stand::over(&format!("{}{}", one.line("one", ""), two.line("two", "")), "").await;
    // A choice between two needs both to be known.
    stand.service.models().await;
    let long = |name: &str| name.repeat(400);
    let ask = |turns: Vec<String>| {
        let messages: Vec<_> = turns
            .iter()
            .map(|text| json!({"role": "user", "content": text}))
            .collect();
        stand.ask(CHAT, json!({"model": "m", "messages": messages}).to_string())
    };
    for name in ["alpha", "beta", "gamma", "delta"] {
        let mut turns = vec![long(name)];
        let first = ask(turns.clone()).await;
        let home = first.header("x-conclave-backend").unwrap().to_owned();
        for turn in 0..3 {
            turns.push(format!("turn {turn}"));
            let next = ask(turns.clone()).await;
            assert_eq!(next.header("x-conclave-backend"), Some(&*home), "{name}");
        }
    }
    // A client that says which conversation it is need not repeat itself.
    let session = |text: &str| {
        let body = json!({"model": "m", "messages": [{"role": "user", "content": text}]});
        Answer::of(stand.post(CHAT, body.to_string()).header("x-session-id", "s"))
    };
    let home = session("a").await.header("x-conclave-backend").unwrap().to_owned();
    for text in ["b", "c", "d"] {
        assert_eq!(session(text).await.header("x-conclave-backend"), Some(&*home));
    }
}
