//! What each shape of council asks of whom, and what its client reads.

use serde_json::{Value, json};

use super::{CHAT, COUNCIL, Room, chunks, joined, member, question, says};

fn messages(heard: &crate::oracle::Heard) -> Vec<Value> {
    let body: Value = serde_json::from_slice(&heard.body).unwrap();
    body["messages"].as_array().unwrap().clone()
}

fn last_text(heard: &crate::oracle::Heard) -> String {
    messages(heard).last().unwrap()["content"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_analysis_by_one_model_with_the_originals_request() {
    let room = Room::of(vec![("m", vec![says(&["An", " answer."])])], &[], "").await;
    let answer = room.ask(COUNCIL, &json!({"model": "m", "messages": question()})).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let body = answer.json();
    assert_eq!(body["object"], "chat.completion");
    assert_eq!(
        body["choices"][0]["message"]["content"], "An answer.",
        "all is well, and nothing is added"
    );
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    // Four calls, each told of 10 + 2 tokens.
    assert_eq!(body["usage"]["prompt_tokens"], 40);
    assert_eq!(body["usage"]["completion_tokens"], 8);
    let nameless = room
        .ask(COUNCIL, &json!({"messages": question(), "template": "debate"}))
        .await
        .json();
    assert_eq!(
        (
            &nameless["council"]["template"],
            &nameless["council"]["synthesis"]["model"]
        ),
        (&json!("debate"), &json!("m"))
    );
    let council = &body["council"];
    assert_eq!(council["template"], "diverse-analysis");
    assert_eq!(council["synthesis"], json!({"status": "synthesized", "model": "m"}));
    assert_eq!(council["missing"], json!([]));
    assert_eq!(council["rounds"][0]["answers"][2]["member"], "practical-engineer");
    assert_eq!(council["rounds"][0]["answers"][2]["text"], "An answer.");

    let heard = room.models[0].heard();
    assert_eq!(heard.len(), 4 + 5);
    let heard = &heard[..4];
    // Members share every byte before their personas.
    let texts: Vec<String> = heard[..3].iter().map(last_text).collect();
    let shared = texts[0].find("Your part, ").unwrap();
    assert!(
        texts.iter().all(|text| text[..shared] == texts[0][..shared]),
        "{texts:?}"
    );
    // Each request has an id of its own, made from the client's.
    let ids: Vec<&str> = heard
        .iter()
        .map(|it| it.headers["x-request-id"].to_str().unwrap())
        .collect();
    let id = answer.header("x-request-id").unwrap();
    let mut expected: Vec<String> = ["r1m1", "r1m2", "r1m3", "s1"]
        .iter()
        .map(|part| format!("{id}.{part}"))
        .collect();
    let mut found: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_stream_shows_the_deliberation_as_thinking_and_the_synthesis_as_content() {
    let room = Room::of(vec![("m", vec![says(&["An", " answer."])])], &[], "").await;
    let request = json!({"model": "council/debate", "messages": question(), "stream": true,
                         "stream_options": {"include_usage": true, "include_council": true}});
    let answer = room.ask(CHAT, &request).await;
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    assert!(answer.body.ends_with("data: [DONE]\n\n"));
    let chunks = chunks(&answer);
    assert!(
        chunks
            .iter()
            .all(|chunk| chunk["model"] == "council/debate" && chunk["id"] == chunks[0]["id"])
    );
    assert_eq!(joined(&chunks, "content"), "An answer.");
    let thinking = joined(&chunks, "reasoning_content");
    for announced in [
        "Council debate: proponent, opponent; 2 rounds.",
        "### Round 1: proponent (m)",
        "### Round 2: opponent (m)",
    ] {
        assert!(thinking.contains(announced), "{thinking}");
    }
    assert_eq!(thinking.matches("An answer.").count(), 4, "{thinking}");
    let usage = chunks.iter().rev().find(|chunk| chunk["usage"].is_object()).unwrap();
    assert_eq!(usage["usage"]["total_tokens"], 60);

    let events: Vec<&Value> = chunks
        .iter()
        .map(|chunk| &chunk["council"])
        .filter(|event| event.is_object())
        .collect();
    let stages: Vec<&str> = events.iter().map(|event| event["stage"].as_str().unwrap()).collect();
    assert_eq!(
        stages,
        [
            "opened",
            "round",
            "member",
            "member",
            "round",
            "member",
            "member",
            "synthesis",
            "synthesis",
            "closed"
        ]
    );
    let second = events
        .iter()
        .find(|event| event["stage"] == "member" && event["round"] == 2)
        .unwrap();
    assert_eq!(
        (&second["text"], &second["status"]),
        (&json!("An answer."), &json!("answered"))
    );
    assert_eq!(second["usage"]["total_tokens"], 12);
    assert_eq!(
        events.last().unwrap()["rounds"][1]["answers"].as_array().unwrap().len(),
        2
    );

    // In the second round each is shown the first.
    let second_round = last_text(&room.models[0].heard()[2]);
    assert!(
        second_round.contains("| round 1 | proponent >>>\nAn answer.\n<<<"),
        "{second_round}"
    );
    // Who does not ask for structure gets none.
    let plain = json!({"model": "council/debate:m", "messages": question(), "stream": true});
    let plain = room.ask(CHAT, &plain).await;
    assert!(
        !plain.body.contains("\"council\":{") && !plain.body.contains("\"usage\":{"),
        "{plain:?}"
    );
}

#[tokio::test]
async fn what_a_member_is_shown_is_the_templates_choice() {
    let template = |context: &str| {
        format!(
            "shape: debate\ncontext: {context}\nrounds: 2\nmembers:\n  - {{name: a, persona: A., model: ma}}\n  - {{name: b, persona: B., model: mb}}\nsynthesizer: {{model: ma}}\n"
        )
    };
    for (context, own, others) in [
        ("none", false, false),
        ("own", true, false),
        ("opponents", false, true),
        ("all", true, true),
    ] {
        let models = vec![("ma", vec![says(&["Said by a."])]), ("mb", vec![says(&["Said by b."])])];
        let room = Room::of(models, &[("t.yaml", &template(context))], "").await;
        let answer = room
            .ask(CHAT, &json!({"model": "council/t", "messages": question()}))
            .await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let second = last_text(&room.models[1].heard()[1]);
        assert_eq!(
            (second.contains("Said by b."), second.contains("Said by a.")),
            (own, others),
            "{context}: {second}"
        );
    }
}

#[tokio::test]
async fn a_review_ranks_without_names_and_its_chairman_is_told() {
    let reviewer = |answer: &'static str, ranking: &'static str| vec![says(&[answer]), says(&[ranking])];
    let room = Room::of(
        vec![
            ("a", reviewer("Alpha.", "RANKING: B > A > C")),
            ("b", reviewer("Beta.", "Ranking: B, A, C")),
            ("c", reviewer("Gamma.", "I cannot say.")),
            ("chair", vec![says(&["Done."])]),
        ],
        &[],
        "",
    )
    .await;
    let members = [member("one", "a"), member("two", "b"), member("three", "c")];
    let request = json!({"model": "a", "template": "peer-review", "members": members, "synthesizer": "chair", "messages": question()});
    let body = room.ask(COUNCIL, &request).await.json();
    let content = body["choices"][0]["message"]["content"].as_str().unwrap();
    assert!(
        content.starts_with("Done.") && content.contains("Reviews missing: three gave no ranking that can be read"),
        "{content}"
    );
    let asked = last_text(&room.models[3].last());
    assert!(
        asked.contains("Ranking by 2 reviewers, the best first: B (mean position 1.00), A (mean position 2.00), C"),
        "{asked}"
    );
    assert_eq!(body["council"]["ranking"][0]["label"], "B");
    assert_eq!(
        body["council"]["reviews"],
        json!([{"by": "one", "order": ["B", "A", "C"]}, {"by": "two", "order": ["B", "A", "C"]}])
    );
    let reviewed: Vec<String> = room.models[..3].iter().map(|model| last_text(&model.last())).collect();
    assert!(
        reviewed.windows(2).all(|pair| pair[0] == pair[1]),
        "reviewers read the same"
    );
    assert!(
        !reviewed[0].contains("| one") && !reviewed[0].contains("You are one"),
        "{reviewed:?}"
    );
}

#[tokio::test]
async fn a_vote_whose_judge_fails_is_answered_by_the_majority() {
    let refuses = crate::oracle::Say::Whole(500, "application/json", "{}".into());
    let voters = |answer: &'static str| vec![says(&[answer])];
    let room = Room::of(
        vec![
            ("a", voters("Hm.\nANSWER: 41")),
            ("b", voters("So:\nANSWER: 42")),
            ("c", voters("Thus\n**Answer:** 42.0")),
            ("chair", vec![refuses]),
        ],
        &[],
        "",
    )
    .await;
    let members = [member("one", "a"), member("two", "b"), member("three", "c")];
    let request = json!({"model": "a", "template": "self-consistency", "members": members, "synthesizer": "chair", "messages": question()});
    let body = room.ask(COUNCIL, &request).await.json();
    let content = body["choices"][0]["message"]["content"].as_str().unwrap();
    assert!(
        content.contains("answer of one member, two, alone") && content.contains("ANSWER: 42"),
        "{content}"
    );
    assert_eq!(
        body["council"]["tally"]["groups"][0]["members"],
        json!(["two", "three"])
    );
}

#[tokio::test]
async fn what_the_client_tunes_reaches_whom_it_is_for() {
    let room = Room::of(vec![("m", vec![says(&["x"])])], &[], "").await;
    let request = json!({"model": "council/self-consistency", "messages": question(), "seed": 7, "max_tokens": 33,
                         "stop": "END", "top_p": 0.5, "response_format": {"type": "json_object"}});
    assert_eq!(room.ask(CHAT, &request).await.status, 200);
    let bodies: Vec<Value> = room.models[0]
        .heard()
        .iter()
        .map(|it| serde_json::from_slice(&it.body).unwrap())
        .collect();
    let (members, judge) = bodies.split_at(5);
    let mut seeds: Vec<i64> = members.iter().map(|body| body["seed"].as_i64().unwrap()).collect();
    seeds.sort_unstable();
    assert_eq!(seeds, [7, 8, 9, 10, 11], "samples of one seed would be one sample");
    for body in members {
        assert_eq!(
            (&body["temperature"], &body["top_p"], &body["max_tokens"]),
            (&json!(0.8), &json!(0.5), &json!(256))
        );
        assert!(
            body.get("stop").is_none() && body.get("response_format").is_none(),
            "{body}"
        );
        assert_eq!(body["stream"], true);
    }
    let judge = &judge[0];
    assert_eq!(
        (&judge["temperature"], &judge["max_tokens"], &judge["stop"]),
        (&json!(0.0), &json!(33), &json!(["END"]))
    );
    assert_eq!(judge["response_format"]["type"], "json_object");
}
