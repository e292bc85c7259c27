//! When what arrives. The clock is paused: it moves only when everyone waits for it, so times are exact.

use std::time::Duration;

use serde_json::{Value, json};
use sim::Sim;
use tokio::time::Instant;

use crate::client::{CHAT, Client, chat, post};

const MS: Duration = Duration::from_millis(1);

/// A message that makes a prompt of so many tokens; eight are the template's.
fn prompt_of(tokens: usize) -> String {
    vec!["word"; tokens - 8].join(" ")
}

/// The timer's grain is a millisecond.
fn about(time: Duration, expected_ms: u64) -> bool {
    let expected = Duration::from_millis(expected_ms);
    time >= expected && time <= expected + 3 * MS
}

#[tokio::test(start_paused = true)]
async fn the_head_comes_before_the_prefill_and_each_token_at_its_time() {
    let sim = Sim::builder()
        .prefill_rate(100.0)
        .decode_rate(20.0)
        .start("127.0.0.1:0")
        .await
        .unwrap();
    let begun = Instant::now();
    let body = chat(&prompt_of(200), json!({"stream": true, "max_tokens": 4}));
    let mut client = Client::post(&sim, CHAT, &body).await;
    assert_eq!(client.head().await.status, 200);
    assert!(about(begun.elapsed(), 0), "head after {:?}", begun.elapsed());
    for (at_ms, expected) in [(2000, "This"), (2050, " is"), (2100, " a"), (2150, " simulated")] {
        let chunk = client.chunk().await.expect("a token");
        assert!(about(begun.elapsed(), at_ms), "{expected} at {:?}", begun.elapsed());
        assert!(chunk.contains(&format!(r#""content":"{expected}""#)), "{chunk}");
        assert_eq!(
            chunk.contains(r#""role""#),
            at_ms == 2000,
            "the role comes with the first token"
        );
    }
    let last = client.chunk().await.expect("the finish");
    assert!(
        about(begun.elapsed(), 2150),
        "the finish comes with the last token, {:?}",
        begun.elapsed()
    );
    let event: Value = serde_json::from_str(last.trim().trim_start_matches("data: ")).unwrap();
    let timings = &event["timings"];
    assert_eq!(
        (&timings["prompt_n"], &timings["predicted_n"]),
        (&json!(200), &json!(4))
    );
    assert!(
        about(
            Duration::from_secs_f64(timings["prompt_ms"].as_f64().unwrap() / 1e3),
            2000
        ),
        "{timings}"
    );
    assert!(
        about(
            Duration::from_secs_f64(timings["predicted_ms"].as_f64().unwrap() / 1e3),
            150
        ),
        "{timings}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_unstreamed_answer_takes_as_long_and_comes_at_once() {
    let sim = Sim::builder()
        .prefill_rate(100.0)
        .token_interval(10 * MS)
        .start("127.0.0.1:0")
        .await
        .unwrap();
    let begun = Instant::now();
    let (_, body) = post(&sim, CHAT, &chat(&prompt_of(50), json!({"max_tokens": 11}))).await;
    assert!(about(begun.elapsed(), 600), "{:?}", begun.elapsed());
    assert_eq!(body["usage"]["completion_tokens"], 11);
}

#[tokio::test(start_paused = true)]
async fn progress_is_reported_after_each_batch() {
    let sim = Sim::builder()
        .prefill_rate(1000.0)
        .batch_tokens(100)
        .start("127.0.0.1:0")
        .await
        .unwrap();
    let begun = Instant::now();
    let body = chat(
        &prompt_of(250),
        json!({"stream": true, "return_progress": true, "max_tokens": 1}),
    );
    let mut client = Client::post(&sim, CHAT, &body).await;
    client.head().await;
    for (at_ms, processed) in [(0, 0), (100, 100), (200, 200), (250, 250)] {
        let chunk = client.chunk().await.expect("progress");
        assert!(about(begun.elapsed(), at_ms), "{processed} at {:?}", begun.elapsed());
        let event: Value = serde_json::from_str(chunk.trim().trim_start_matches("data: ")).unwrap();
        let progress = &event["prompt_progress"];
        assert_eq!(
            (&progress["total"], &progress["processed"]),
            (&json!(250), &json!(processed)),
            "{chunk}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn requests_beyond_the_slots_wait_in_order() {
    let sim = Sim::builder()
        .slots(1)
        .token_interval(10 * MS)
        .start("127.0.0.1:0")
        .await
        .unwrap();
    let begun = Instant::now();
    let mut clients = Vec::new();
    for at in 0..3_u64 {
        clients.push(
            Client::post(
                &sim,
                CHAT,
                &chat(&format!("q{at}"), json!({"stream": true, "max_tokens": 11})),
            )
            .await,
        );
        sim.wait_until(
            |s| s.slots_busy == 1 && s.requests_waiting == at,
            Duration::from_secs(1),
        )
        .await
        .unwrap();
    }
    for (client, at_ms) in clients.iter_mut().zip([0, 100, 200]) {
        // Even the head of a queued request waits for its slot.
        client.head().await;
        assert!(about(begun.elapsed(), at_ms), "a head at {:?}", begun.elapsed());
        client.events().await;
        assert!(about(begun.elapsed(), at_ms + 100), "an end at {:?}", begun.elapsed());
    }
    assert_eq!(sim.stats().generations_finished, 3);
}

#[tokio::test]
async fn a_thousand_streams_run_at_once() {
    const STREAMS: usize = 1000;
    let builder = Sim::builder().slots(STREAMS).token_interval(MS).answer_tokens(20);
    let sim = std::sync::Arc::new(builder.start("127.0.0.1:0").await.unwrap());
    let mut clients = tokio::task::JoinSet::new();
    for at in 0..STREAMS {
        let sim = std::sync::Arc::clone(&sim);
        clients.spawn(async move {
            let mut client = Client::post(&sim, CHAT, &chat(&format!("q{at}"), json!({"stream": true}))).await;
            client.head().await;
            client.events().await.len()
        });
    }
    let counts = clients.join_all().await;
    assert!(
        counts.iter().all(|count| *count == 23),
        "role, 20 tokens, finish, [DONE]"
    );
    let stats = sim.stats();
    assert_eq!((stats.generations_finished, stats.tokens_generated), (1000, 20_000));
    assert_eq!((stats.slots_busy, stats.requests_waiting), (0, 0));
}
