//! What is asked before any endpoint: the key, and whether the model is loaded.

use std::time::Duration;

use serde_json::{Value, json};
use sim::Sim;

use crate::client::{CHAT, Client, Head, chat, get, post};

async fn ask(sim: &Sim, path: &str, headers: &[(&str, &str)]) -> (Head, Value) {
    let mut client = Client::connect(sim).await;
    client.send("GET", path, headers, b"").await;
    client.answer().await
}

#[tokio::test]
async fn the_key_opens_in_three_ways_and_health_needs_none() {
    let sim = Sim::builder().api_key("sk-1").start("127.0.0.1:0").await.unwrap();
    let cases: [(&[(&str, &str)], u16); 11] = [
        (&[], 401),
        (&[("Authorization", "Bearer sk-1")], 200),
        (&[("Authorization", "sk-1")], 200),
        (&[("X-Api-Key", "sk-1")], 200),
        (&[("Authorization", "bearer sk-1")], 401),
        (&[("Authorization", "Bearer sk-12")], 401),
        (&[("Authorization", "Bearer no"), ("x-api-key", "sk-1")], 401),
        (&[("Authorization", ""), ("x-api-key", "sk-1")], 200),
        (&[("api-key", "sk-1")], 401),
        (&[("x-goog-api-key", "sk-1")], 401),
        (&[("x-api-key", "Bearer sk-1")], 200),
    ];
    for (headers, status) in cases {
        let (head, body) = ask(&sim, "/v1/models", headers).await;
        assert_eq!(head.status, status, "{headers:?}");
        if status == 401 {
            let error = json!({"message": "Invalid API Key", "type": "authentication_error", "code": 401});
            assert_eq!(body["error"], error);
        }
    }
    assert_eq!(get(&sim, "/health").await.0.status, 200);
    assert_eq!(get(&sim, "/v1/health").await.0.status, 200);
    assert_eq!(get(&sim, "/no/such/path").await.0.status, 401);
    assert!(!format!("{sim:?}").contains("sk-1"));
    assert!(!format!("{:?}", Sim::builder().api_key("sk-1")).contains("sk-1"));
}

#[tokio::test(start_paused = true)]
async fn a_loading_server_says_so_everywhere_until_it_is_loaded() {
    let sim = Sim::builder()
        .loading(Duration::from_secs(30))
        .start("127.0.0.1:0")
        .await
        .unwrap();
    let loading = json!({"error": {"message": "Loading model", "type": "unavailable_error", "code": 503}});
    for path in ["/health", "/v1/models", "/no/such/path"] {
        let (head, body) = get(&sim, path).await;
        assert_eq!((head.status, &body), (503, &loading), "{path}");
    }
    assert_eq!(post(&sim, CHAT, &chat("hi", json!({}))).await.0.status, 503);
    tokio::time::advance(Duration::from_secs(31)).await;
    assert_eq!(get(&sim, "/health").await.0.status, 200);
    assert_eq!(post(&sim, CHAT, &chat("hi", json!({}))).await.0.status, 200);
    sim.set_loading(true);
    assert_eq!(get(&sim, "/health").await.0.status, 503);
    sim.set_loading(false);
    assert_eq!(get(&sim, "/health").await.0.status, 200);
}
