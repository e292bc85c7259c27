//! Every dialect's clients ask a council by a model's name, and find it in their lists.

use serde_json::{Value, json};

use super::{CHAT, Room, question, says};
use crate::gateway::Answer;

async fn room() -> Room {
    Room::of(vec![("m", vec![says(&["An", " answer."])])], &[], "").await
}

/// The text and the thinking of an answer, by where each dialect has them; `None`: it has no place for thinking.
fn read(path: &str, answer: &Answer, stream: bool) -> (String, Option<String>) {
    let all = |events: &[Value], at: &str| {
        events
            .iter()
            .filter_map(|event| event.pointer(at)?.as_str())
            .collect::<String>()
    };
    let lines = || {
        answer
            .body
            .lines()
            .filter_map(|line| line.strip_prefix("data: "))
            .filter(|data| *data != "[DONE]")
    };
    let events: Vec<Value> = match (stream, path.starts_with("/api")) {
        (false, _) => vec![answer.json()],
        (true, true) => answer
            .body
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect(),
        (true, false) => lines().map(|data| serde_json::from_str(data).unwrap()).collect(),
    };
    let of = |content: &str, thinking: &str| (all(&events, content), Some(all(&events, thinking)));
    match (path, stream) {
        (CHAT, false) => (all(&events, "/choices/0/message/content"), None),
        (CHAT, true) => of("/choices/0/delta/content", "/choices/0/delta/reasoning_content"),
        ("/v1/completions", _) => (all(&events, "/choices/0/text"), None),
        ("/v1/messages", false) => (all(&events, "/content/0/text"), None),
        ("/v1/messages", true) => of("/delta/text", "/delta/thinking"),
        ("/v1/responses", false) => (all(&events, "/output/0/content/0/text"), None),
        ("/v1/responses", true) => {
            let texts = events
                .iter()
                .filter(|event| event["type"] == "response.output_text.delta");
            (texts.filter_map(|event| event["delta"].as_str()).collect(), None)
        }
        ("/api/chat", _) => (
            all(&events, "/message/content"),
            stream.then(|| all(&events, "/message/thinking")),
        ),
        _ => (all(&events, "/response"), stream.then(|| all(&events, "/thinking"))),
    }
}

#[tokio::test]
async fn every_endpoint_that_converses_streamed_and_not() {
    let room = room().await;
    for (path, extra) in [
        (CHAT, json!({"messages": question()})),
        ("/v1/completions", json!({"prompt": "What now?"})),
        ("/v1/messages", json!({"messages": question(), "max_tokens": 50})),
        ("/v1/responses", json!({"input": "What now?"})),
        ("/api/chat", json!({"messages": question()})),
        ("/api/generate", json!({"prompt": "What now?"})),
    ] {
        for stream in [false, true] {
            let mut body = extra.clone();
            body["model"] = "council/diverse-analysis:m".into();
            body["stream"] = stream.into();
            let answer = room.ask(path, &body).await;
            assert_eq!(
                (answer.status, answer.is_cut),
                (200, false),
                "{path} {stream}: {answer:?}"
            );
            let (text, thinking) = read(path, &answer, stream);
            assert_eq!(text, "An answer.", "{path} {stream}: {answer:?}");
            if let Some(thinking) = thinking {
                assert!(
                    thinking.contains("### practical-engineer (m)"),
                    "{path} {stream}: {thinking}"
                );
            }
            if !stream {
                assert_eq!(answer.json()["council"]["synthesis"]["status"], "synthesized", "{path}");
            }
        }
    }
}

#[tokio::test]
async fn ollamas_clients_may_load_a_council() {
    let room = room().await;
    for (body, reason) in [(json!({}), "load"), (json!({"keep_alive": 0}), "unload")] {
        let mut body = body;
        body["model"] = "council/debate:latest".into();
        let answer = room.ask("/api/chat", &body).await.json();
        assert_eq!(
            (&answer["done"], &answer["done_reason"]),
            (&json!(true), &json!(reason))
        );
    }
    assert!(room.models[0].heard().is_empty(), "nobody is asked");
}

#[tokio::test]
async fn councils_are_in_every_list_of_models() {
    let room = room().await;
    let service = &room.stand.service;
    let names = [
        "council/code-review",
        "council/debate",
        "council/diverse-analysis",
        "council/peer-review",
        "council/self-consistency",
    ];
    let all: Vec<&str> = names.iter().copied().chain(["m"]).collect();
    service.models_become(&all).await;
    let tags = service.get("/api/tags").await;
    let mut tagged: Vec<&str> = tags["models"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| model["name"].as_str().unwrap())
        .collect();
    tagged.sort_unstable();
    assert_eq!(tagged, all);
    for id in ["council/debate", "council/debate:m"] {
        let shown = service.get(&format!("/v1/models/{id}")).await;
        assert_eq!((&shown["id"], &shown["owned_by"]), (&json!(id), &json!("conclave")));
    }
    let shown = room.ask("/api/show", &json!({"model": "council/debate"})).await.json();
    assert_eq!(shown["capabilities"], json!(["completion"]));
    let anthropic = service
        .client
        .get(format!("http://{}/v1/models", service.addr))
        .header("anthropic-version", "2023-06-01");
    let anthropic: Value = anthropic.send().await.unwrap().json().await.unwrap();
    assert!(
        anthropic["data"]
            .as_array()
            .unwrap()
            .iter()
            .any(|model| model["id"] == "council/debate")
    );
}

#[tokio::test]
async fn councils_are_not_listed_where_the_file_says_so_and_sit_all_the_same() {
    let room = Room::of(vec![("m", vec![says(&["x"])])], &[], ", listed: false").await;
    assert_eq!(room.stand.service.models().await, ["m"]);
    let answer = room
        .ask(CHAT, &json!({"model": "council/debate", "messages": question()}))
        .await;
    assert_eq!(answer.status, 200);
}
