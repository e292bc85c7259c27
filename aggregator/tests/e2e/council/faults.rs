//! One member does this, and the synthesizers do that: an answer within the time that says what is missing, or a clear
//! error; and nothing is left working.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{COUNCIL, Room, SSE, begins, chunks, joined, member, question, says};
use crate::oracle::Say;

/// All cases wait at the same time, so this is how long they take; a loaded machine must answer them all within it.
const QUICK: &str = "quorum: 2\ndeadline: 5\nmembers: [{name: x}, {name: y}, {name: z}]\nsynthesizer: {deadline: 5}\n";

const DEADLINE: Duration = Duration::from_secs(5);

/// What goes wrong, and what is said of it.
const FAULTS: [(&str, &str); 7] = [
    ("good", ""),
    ("refuses", "failed (no"),
    ("never", "did not answer within 5 s"),
    ("hangs", "did not answer within 5 s"),
    ("errors", "failed (out of memory"),
    ("cut", "failed (the backend's answer ended before it was complete"),
    ("empty", "answered with nothing"),
];

fn models() -> Vec<(&'static str, Vec<Say>)> {
    let error = "data: {\"error\":{\"message\":\"out of memory\",\"type\":\"server_error\"}}\n\n".to_owned();
    let with_error = begins("Half").into_iter().chain([error]).collect();
    vec![
        ("good", vec![says(&["Good", " answer"])]),
        (
            "refuses",
            vec![Say::Whole(
                500,
                "application/json",
                r#"{"error":{"message":"no"}}"#.into(),
            )],
        ),
        ("never", vec![Say::Never]),
        ("hangs", vec![Say::Hang(SSE, begins("Half"))]),
        ("errors", vec![Say::Stream(SSE, with_error)]),
        ("cut", vec![Say::Cut(SSE, begins("Half"))]),
        ("empty", vec![says(&[])]),
        ("chair", vec![says(&["The", " synthesis"])]),
    ]
}

fn request(faulty: &[&str], chairs: &[&str], stream: bool) -> Value {
    let mut members = vec![member("steady", "good")];
    members.extend(
        faulty
            .iter()
            .enumerate()
            .map(|(index, model)| member(&format!("faulty-{index}"), model)),
    );
    if faulty.len() == 1 {
        members.push(member("other", "good"));
    }
    for member in &mut members {
        member["deadline"] = DEADLINE.as_secs().into();
    }
    json!({
        "model": "good", "template": "quick", "members": members, "messages": question(), "stream": stream,
        "synthesizer": {"model": chairs[0], "fallbacks": chairs[1..]},
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_fault_of_a_member_and_of_the_synthesizers() {
    let room = Arc::new(Room::of(models(), &[("quick.yaml", QUICK)], "").await);
    let mut cases = tokio::task::JoinSet::new();
    for (fault, told) in FAULTS {
        for chairs in [
            &["chair"][..],
            &["refuses", "chair"],
            &["hangs", "chair"],
            &["errors", "chair"],
            &["cut"],
            &["never"],
            &["empty"],
        ] {
            for stream in [false, true] {
                let room = Arc::clone(&room);
                cases.spawn(async move { one(&room, (fault, told), chairs, stream).await });
            }
        }
    }
    while let Some(case) = cases.join_next().await {
        case.unwrap();
    }
    room.is_at_rest().await;
}

async fn one(room: &Room, (fault, told): (&str, &str), chairs: &[&str], stream: bool) {
    let what = format!("{fault}, {chairs:?}, stream {stream}");
    let began = Instant::now();
    let answer = room.ask(COUNCIL, &request(&[fault], chairs, stream)).await;
    let most = DEADLINE * (1 + u32::try_from(chairs.len()).unwrap()) + Duration::from_secs(6);
    assert!(began.elapsed() < most, "{what}: {:?}", began.elapsed());
    assert_eq!((answer.status, answer.is_cut), (200, false), "{what}: {answer:?}");
    let content = match stream {
        false => answer.json()["choices"][0]["message"]["content"]
            .as_str()
            .unwrap()
            .to_owned(),
        true => {
            assert!(answer.body.ends_with("data: [DONE]\n\n"), "{what}");
            joined(&chunks(&answer), "content")
        }
    };
    let is_missing = fault != "good";
    assert_eq!(
        content.contains("2 of 3 members answered; missing: faulty-0"),
        is_missing,
        "{what}: {content}"
    );
    assert!(content.contains(told), "{what}: {content}");
    if chairs.last() == Some(&"chair") {
        assert!(content.contains("The synthesis"), "{what}: {content}");
        let torn = stream && matches!(chairs[0], "hangs" | "errors");
        assert_eq!(content.contains("Half"), torn, "{what}: {content}");
        assert_eq!(
            content.contains("broke off. Another one begins here"),
            torn,
            "{what}: {content}"
        );
        assert_eq!(
            content.contains("Another synthesizer stood in"),
            chairs.len() > 1,
            "{what}: {content}"
        );
    } else {
        assert!(content.contains("no synthesis could be written"), "{what}: {content}");
        assert!(
            content.contains("answer of one member, steady, alone") && content.contains("Good answer"),
            "{what}: {content}"
        );
    }
    if !stream {
        let council = &answer.json()["council"];
        assert_eq!(
            council["rounds"][0]["answers"].as_array().unwrap().len(),
            if is_missing { 2 } else { 3 },
            "{what}"
        );
        let status = if chairs.last() == Some(&"chair") {
            "synthesized"
        } else {
            "best_single"
        };
        assert_eq!(council["synthesis"]["status"], status, "{what}");
    }
}

#[tokio::test]
async fn without_a_quorum_there_is_a_clear_error_at_once() {
    let room = Room::of(models(), &[("quick.yaml", QUICK)], "").await;
    for (faulty, status, told) in [
        // The steady one may or may not have answered by the time that two have failed.
        (["refuses", "cut"], 502, "of 3 members answered in round 1, and 2 must"),
        (
            ["never", "hangs"],
            504,
            "faulty-0 did not answer within 5 s; faulty-1 did not answer within 5 s",
        ),
        (["errors", "refuses"], 502, "failed (out of memory)"),
    ] {
        let answer = room.ask(COUNCIL, &request(&faulty, &["chair"], false)).await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(
            answer.json()["error"]["message"].as_str().unwrap().contains(told),
            "{answer:?}"
        );
        assert_eq!(answer.header("x-should-retry"), Some("false"));
        // A stream has begun with what the steady one says, and is cut.
        let answer = room.ask(COUNCIL, &request(&faulty, &["chair"], true)).await;
        assert!(
            answer.is_cut && answer.body.contains("no quorum") && !answer.body.contains("[DONE]"),
            "{answer:?}"
        );
    }
    // Where nobody has said a word, the stream is refused with a status.
    let mut silent = request(&["refuses", "refuses"], &["chair"], true);
    silent["members"][0]["model"] = "refuses".into();
    let answer = room.ask(COUNCIL, &silent).await;
    assert_eq!((answer.status, answer.is_cut), (502, false), "{answer:?}");
    room.is_at_rest().await;
}

#[tokio::test]
async fn a_hung_member_is_not_waited_for_once_there_can_be_no_quorum() {
    let room = Room::of(
        models(),
        &[("slow.yaml", "quorum: 3\nmembers: [{name: x}, {name: y}, {name: z}]\n")],
        "",
    )
    .await;
    let mut request = request(&["refuses"], &["chair"], false);
    request["template"] = "slow".into();
    request["members"][2] = member("other", "never");
    // `quorum` is three, and an own list of members does not lower it.
    let began = Instant::now();
    let answer = room.ask(COUNCIL, &request).await;
    assert_eq!(answer.status, 502, "{answer:?}");
    assert!(answer.body.contains("other was not waited for"), "{answer:?}");
    assert!(began.elapsed() < Duration::from_secs(20));
    room.is_at_rest().await;
}

#[tokio::test]
async fn json_that_breaks_off_is_an_error_in_a_stream_and_another_answer_in_a_whole() {
    let room = Room::of(models(), &[("quick.yaml", QUICK)], "").await;
    let mut request = request(&["good"], &["errors", "chair"], true);
    request["response_format"] = json!({"type": "json_object"});
    let answer = room.ask(COUNCIL, &request).await;
    assert!(answer.is_cut && answer.body.contains("out of memory"), "{answer:?}");
    request["stream"] = false.into();
    request["members"][1]["model"] = "refuses".into();
    let answer = room.ask(COUNCIL, &request).await.json();
    assert_eq!(
        answer["choices"][0]["message"]["content"], "The synthesis",
        "not a word of ours stands in it"
    );
    assert_eq!(answer["council"]["missing"].as_array().unwrap().len(), 2);
}
