//! What no council sits for: told before anything is spent.

use serde_json::json;

use super::{CHAT, COUNCIL, Room, member, question, says};

#[tokio::test]
async fn before_anybody_is_asked() {
    let room = Room::of(
        vec![("a", vec![says(&["x"])]), ("b", vec![says(&["x"])])],
        &[],
        ", tokens_max: 19000",
    )
    .await;
    let twice = [member("one", "a"), member("one", "b")];
    let many: Vec<_> = (0..17).map(|index| member(&format!("m{index}"), "a")).collect();
    for (path, change, status, told) in [
        (
            COUNCIL,
            json!({"template": "nothing"}),
            400,
            "there is no council of this name",
        ),
        (
            CHAT,
            json!({"model": "council/nothing"}),
            404,
            "No backend serves this model",
        ),
        (
            CHAT,
            json!({"model": "council/debate"}),
            400,
            "several models are served",
        ),
        (COUNCIL, json!({"rounds": 6}), 400, "rounds: must be from 1 to 5"),
        (
            COUNCIL,
            json!({"rounds": 2, "template": "peer-review"}),
            400,
            "rounds: must be from 1 to 1",
        ),
        (COUNCIL, json!({"rounds": "two"}), 400, "rounds: must be a whole number"),
        (COUNCIL, json!({"rounds": 5}), 400, "may write 19456 tokens"),
        (COUNCIL, json!({"members": []}), 400, "must hold 1 to 16"),
        (COUNCIL, json!({"members": many}), 400, "must hold 1 to 16"),
        (COUNCIL, json!({"members": twice}), 400, "found a name twice"),
        (
            COUNCIL,
            json!({"members": ["nobody"]}),
            400,
            "members[0]: must be a member of the template diverse-analysis",
        ),
        (
            COUNCIL,
            json!({"members": [{"name": "x"}]}),
            400,
            "members[0].persona: is required",
        ),
        (
            COUNCIL,
            json!({"members": [{"name": "x y", "persona": "p"}]}),
            400,
            "members[0].name: must be letters",
        ),
        (
            COUNCIL,
            json!({"members": [{"name": "x", "persona": "p", "weight": 0}]}),
            400,
            "members[0].weight: must be from 0.01",
        ),
        (
            COUNCIL,
            json!({"members": [{"name": "x", "persona": "p", "wieght": 1}]}),
            400,
            "members[0].wieght: is no field",
        ),
        (
            COUNCIL,
            json!({"members": [{"name": "x", "persona": "p", "model": "council/debate"}]}),
            400,
            "members[0].model: must be a model",
        ),
        (
            COUNCIL,
            json!({"synthesizer": 5}),
            400,
            "synthesizer: must be an object",
        ),
        (
            COUNCIL,
            json!({"synthesizer": {"model": "council/debate"}}),
            400,
            "synthesizer.model: must be a model",
        ),
        (
            COUNCIL,
            json!({"tools": [{"type": "function", "function": {"name": "f"}}]}),
            400,
            "tools: a council calls no tools",
        ),
        (COUNCIL, json!({"n": 2}), 400, "n: a council gives one answer"),
        (COUNCIL, json!({"logprobs": true}), 400, "logprobs: a council's answer"),
        (
            COUNCIL,
            json!({"mirostat": 1}),
            400,
            "mirostat: is nothing that a council could pass on",
        ),
        (COUNCIL, json!({"messages": []}), 400, "messages: must not be empty"),
        (
            COUNCIL,
            json!({"messages": [{"role": "system", "content": "x"}]}),
            400,
            "messages: must hold a question",
        ),
    ] {
        for stream in [false, true] {
            let mut body = json!({"model": "a", "messages": question(), "stream": stream});
            body.as_object_mut()
                .unwrap()
                .extend(change.as_object().unwrap().clone());
            let answer = room.ask(path, &body).await;
            assert_eq!(answer.status, status, "{change}: {answer:?}");
            assert!(
                answer.json()["error"]["message"].as_str().unwrap().contains(told),
                "{change}: {answer:?}"
            );
        }
    }
    assert!(
        room.models.iter().all(|model| model.heard().is_empty()),
        "nothing was spent"
    );
}

#[tokio::test]
async fn in_the_dialect_of_whoever_asks() {
    let room = Room::of(vec![("a", vec![says(&["x"])]), ("b", vec![says(&["x"])])], &[], "").await;
    for (path, at) in [
        (CHAT, "/error/code"),
        ("/v1/messages", "/error/type"),
        ("/api/chat", "/error"),
    ] {
        let answer = room
            .ask(
                path,
                &json!({"model": "council/debate", "messages": question(), "max_tokens": 5}),
            )
            .await;
        assert_eq!(answer.status, 400, "{answer:?}");
        assert!(answer.json().pointer(at).is_some(), "{path}: {answer:?}");
    }
}

#[tokio::test]
async fn a_model_nobody_serves_is_every_members_failure_and_keeps_its_status() {
    let room = Room::of(vec![("a", vec![says(&["x"])])], &[], "").await;
    let answer = room
        .ask(CHAT, &json!({"model": "council/debate:nobody", "messages": question()}))
        .await;
    assert_eq!(answer.status, 404, "{answer:?}");
    assert!(answer.body.contains("No backend serves this model"), "{answer:?}");
}

#[tokio::test]
async fn the_default_model_is_the_files() {
    let room = Room::of(
        vec![("a", vec![says(&["x"])]), ("b", vec![says(&["x"])])],
        &[],
        ", default_model: b",
    )
    .await;
    let answer = room
        .ask(CHAT, &json!({"model": "council/debate", "messages": question()}))
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!((room.models[0].heard().len(), room.models[1].heard().len()), (0, 5));
}
