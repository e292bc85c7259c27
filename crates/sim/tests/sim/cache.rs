//! The prefix cache: what a conversation's next turn costs, and which slot it gets.

use serde_json::{Value, json};
use sim::Sim;

use crate::client::{CHAT, chat, post};

fn cached(body: &Value) -> (u64, u64) {
    let timings = &body["timings"];
    let cached = timings["cache_n"].as_u64().unwrap();
    assert_eq!(body["usage"]["prompt_tokens_details"]["cached_tokens"], cached);
    assert_eq!(
        body["usage"]["prompt_tokens"],
        cached + timings["prompt_n"].as_u64().unwrap()
    );
    (cached, timings["prompt_n"].as_u64().unwrap())
}

#[tokio::test]
async fn the_next_turn_finds_all_of_the_last_one() {
    let sim = Sim::builder().slots(2).start("127.0.0.1:0").await.unwrap();
    let mut request = chat("tell me of harbours", json!({}));
    let (_, first) = post(&sim, CHAT, &request).await;
    let (none, prompt) = cached(&first);
    assert_eq!(none, 0);
    let made = first["usage"]["completion_tokens"].as_u64().unwrap();

    let answer = first["choices"][0]["message"].clone();
    request["messages"]
        .as_array_mut()
        .unwrap()
        .extend([answer, json!({"role": "user", "content": "more"})]);
    let (_, second) = post(&sim, CHAT, &request).await;
    let (found, evaluated) = cached(&second);
    assert_eq!(found, prompt + made, "the prompt and every token of the answer");
    // <|im_end|> \n <|im_start|> user \n more <|im_end|> \n <|im_start|> assistant \n
    assert_eq!(evaluated, 11);
    // The same again: all is there, and one token is evaluated nevertheless.
    assert_eq!(cached(&post(&sim, CHAT, &request).await.1).1, 1);
    let stats = sim.stats();
    assert_eq!(stats.prompt_tokens_cached, found + found + evaluated - 1);
}

#[tokio::test]
async fn as_many_conversations_stay_cached_as_there_are_slots() {
    let long = |name: &str| chat(&format!("{name} {}", "and so on ".repeat(30)), json!({"max_tokens": 1}));
    for (slots, hit) in [(2, true), (1, false)] {
        let sim = Sim::builder().slots(slots).start("127.0.0.1:0").await.unwrap();
        for name in ["anna", "bert"] {
            post(&sim, CHAT, &long(name)).await;
        }
        for name in ["anna", "bert"] {
            let (found, evaluated) = cached(&post(&sim, CHAT, &long(name)).await.1);
            assert_eq!(
                evaluated == 1,
                hit,
                "{slots} slots, {name}: {found} cached, {evaluated} evaluated"
            );
        }
    }
}
