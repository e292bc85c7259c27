//! A client that goes away frees its slot: when, and what stays behind.

use std::time::Duration;

use serde_json::json;
use sim::Sim;
use tokio::time::Instant;

use crate::client::{CHAT, Client, PATIENCE, chat, get};

const ENDLESS: &str = "ignore_eos";

#[tokio::test(start_paused = true)]
async fn a_stream_stops_at_once_and_its_slot_goes_to_the_next() {
    let sim = Sim::builder()
        .slots(1)
        .decode_rate(10.0)
        .start("127.0.0.1:0")
        .await
        .unwrap();
    let mut client = Client::post(&sim, CHAT, &chat("one", json!({"stream": true, ENDLESS: true}))).await;
    client.head().await;
    for _ in 0..3 {
        client.chunk().await.expect("a token");
    }
    let mut next = Client::post(&sim, CHAT, &chat("two", json!({"stream": true, "max_tokens": 1}))).await;
    sim.wait_until(|stats| stats.requests_waiting == 1, PATIENCE)
        .await
        .unwrap();
    let left = Instant::now();
    drop(client);
    assert_eq!(next.head().await.status, 200);
    assert!(
        left.elapsed() < Duration::from_millis(5),
        "freed after {:?}",
        left.elapsed()
    );
    next.events().await;
    let stats = sim.stats();
    assert_eq!((stats.generations_cancelled, stats.generations_finished), (1, 1));
    assert!(stats.tokens_generated <= 5, "{stats:?}");
}

#[tokio::test(start_paused = true)]
async fn an_unstreamed_answer_stops_at_the_next_poll() {
    for (poll_ms, freed_ms) in [(1000, 1000), (0, 300)] {
        let builder = Sim::builder()
            .decode_rate(10.0)
            .unstreamed_poll(Duration::from_millis(poll_ms));
        let sim = builder.start("127.0.0.1:0").await.unwrap();
        let begun = Instant::now();
        let client = Client::post(&sim, CHAT, &chat("one", json!({ENDLESS: true}))).await;
        sim.wait_until(|stats| stats.tokens_generated == 4, PATIENCE)
            .await
            .unwrap();
        drop(client);
        sim.wait_until(|stats| stats.slots_busy == 0, PATIENCE).await.unwrap();
        let freed = begun.elapsed();
        let expected = Duration::from_millis(freed_ms);
        assert!(
            freed >= expected && freed <= expected + Duration::from_millis(5),
            "{poll_ms}: {freed:?}"
        );
        assert_eq!(sim.stats().generations_cancelled, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_prefill_is_left_only_after_its_batch() {
    let sim = Sim::builder()
        .prefill_rate(100.0)
        .batch_tokens(150)
        .start("127.0.0.1:0")
        .await
        .unwrap();
    let words = "word ".repeat(1000);
    let begun = Instant::now();
    let mut client = Client::post(&sim, CHAT, &chat(&words, json!({"stream": true, "max_tokens": 1}))).await;
    client.head().await;
    drop(client);
    sim.wait_until(|stats| stats.slots_busy == 0, PATIENCE).await.unwrap();
    let freed = begun.elapsed();
    assert!(
        freed >= Duration::from_millis(1500) && freed <= Duration::from_millis(1510),
        "{freed:?}"
    );
    // What was evaluated stays in the cache.
    let body = chat(&words, json!({"max_tokens": 1}));
    let (_, again) = crate::client::post(&sim, CHAT, &body).await;
    assert_eq!(again["timings"]["cache_n"], 150);
}

#[tokio::test]
async fn a_waiting_request_leaves_the_queue() {
    let sim = Sim::builder()
        .slots(1)
        .decode_rate(100.0)
        .start("127.0.0.1:0")
        .await
        .unwrap();
    let mut running = Client::post(&sim, CHAT, &chat("one", json!({"stream": true, ENDLESS: true}))).await;
    running.head().await;
    let waiting = Client::post(&sim, CHAT, &chat("two", json!({"stream": true}))).await;
    sim.wait_until(|stats| stats.requests_waiting == 1, PATIENCE)
        .await
        .unwrap();
    let (busy, slots) = get(&sim, "/slots").await;
    assert_eq!((busy.status, &slots[0]["is_processing"]), (200, &json!(true)));
    assert!(slots[0]["params"]["stream"].as_bool().unwrap());
    let (full, error) = get(&sim, "/slots?fail_on_no_slot=1").await;
    assert_eq!(
        (full.status, &error["error"]["type"]),
        (503, &json!("unavailable_error"))
    );
    drop(waiting);
    let stats = sim
        .wait_until(|stats| stats.requests_waiting == 0, PATIENCE)
        .await
        .unwrap();
    assert_eq!(stats.generations_started, 1);
    drop(running);
    sim.wait_until(|stats| stats.slots_busy == 0 && stats.requests_in_flight == 0, PATIENCE)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_named_conversation_goes_on_without_its_client() {
    let sim = Sim::builder().decode_rate(1000.0).start("127.0.0.1:0").await.unwrap();
    let mut client = Client::connect(&sim).await;
    let body = chat("one", json!({"stream": true, ENDLESS: true, "max_tokens": 200})).to_string();
    client
        .send("POST", CHAT, &[("X-Conversation-Id", "c1")], body.as_bytes())
        .await;
    client.head().await;
    drop(client);
    let stats = sim
        .wait_until(|stats| stats.generations_finished == 1, PATIENCE)
        .await
        .unwrap();
    assert_eq!((stats.tokens_generated, stats.generations_cancelled), (200, 0));
}
