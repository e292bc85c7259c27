//! Where exchanges are kept, a council is one exchange, and every question to a model is kept as a part of it.

use std::path::Path;

use aggregator::{AggregatorConfig, CaptureConfig};
use capture::{Entry, ExchangeId, Outcome, Plane};
use journal::{Cursor, Reader, Step};
use serde_json::{Value, json};

use super::{COUNCIL, member, question, says};
use crate::gateway::Stand;
use crate::oracle::{Oracle, Say};
use crate::service::quick;

#[derive(Default)]
struct Kept {
    id: Option<ExchangeId>,
    plane: Option<Plane>,
    parent: Option<ExchangeId>,
    request_id: String,
    request: Vec<u8>,
    response: Vec<u8>,
    outcome: String,
}

fn kept_in(journal: &Path) -> Vec<Kept> {
    let mut reader = Reader::open(capture::folder_of(journal, Plane::Aggregator), Cursor::BEGINNING);
    let mut all: Vec<Kept> = Vec::new();
    while let Step::Record(record) = reader.next_step().unwrap() {
        let at = all
            .iter()
            .position(|kept| kept.id == Some(record.exchange))
            .unwrap_or_else(|| {
                all.push(Kept {
                    id: Some(record.exchange),
                    ..Kept::default()
                });
                all.len() - 1
            });
        let kept = &mut all[at];
        match capture::decode(record.kind, record.payload).unwrap() {
            Entry::Begun(begun) => {
                (kept.plane, kept.parent) = (Some(begun.plane), begun.parent);
                kept.request_id = begun.request_id.to_owned();
            }
            Entry::RequestBytes(piece) => kept.request.extend_from_slice(piece.bytes),
            Entry::ResponseHead(_) => {}
            Entry::ResponseBytes(piece) => kept.response.extend_from_slice(piece.bytes),
            Entry::Ended(ended) => {
                kept.outcome = match ended.outcome {
                    Outcome::Refused(code) => format!("refused {code}"),
                    other => other.name().to_owned(),
                }
            }
        }
    }
    all
}

#[tokio::test]
async fn as_one_exchange_with_its_questions_as_parts() {
    let journal = tempfile::tempdir().unwrap();
    let good = Oracle::start("openai", "good", [says(&["Good", " answer"])]).await;
    let bad = Oracle::start("openai", "bad", [Say::Whole(500, "application/json", "{}".into())]).await;
    let config = AggregatorConfig {
        capture: Some(CaptureConfig {
            journal: journal.path().to_owned(),
            options: capture::Options::default(),
            terms: capture::Terms::default(),
        }),
        ..quick()
    };
    let lines = format!("{}{}", good.line("a", ""), bad.line("b", ""));
    let stand = Stand::with(&lines, "", config).await;
    let members = [member("one", "good"), member("two", "bad"), member("three", "good")];
    let request = json!({"model": "good", "members": members, "messages": question()});
    let answer = stand.ask(COUNCIL, request.to_string()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let id = answer.header("x-request-id").unwrap().to_owned();
    stand.service.stop().await;

    let kept = kept_in(journal.path());
    let (parents, parts): (Vec<&Kept>, Vec<&Kept>) =
        kept.iter().partition(|kept| kept.plane == Some(Plane::Aggregator));
    assert_eq!((parents.len(), parts.len()), (1, 4));
    let parent = parents[0];
    assert_eq!((&*parent.request_id, &*parent.outcome), (&*id, "complete"));
    assert_eq!(
        parent.response,
        answer.body.as_bytes(),
        "the parent's answer is what the client read"
    );
    assert!(
        parts
            .iter()
            .all(|part| part.parent == parent.id && part.plane == Some(Plane::Council))
    );
    for (part, outcome) in [
        ("r1m1", "complete"),
        ("r1m2", "refused upstream_failed"),
        ("r1m3", "complete"),
        ("s1", "complete"),
    ] {
        let kept = parts
            .iter()
            .find(|kept| kept.request_id == format!("{id}.{part}"))
            .unwrap();
        assert_eq!(kept.outcome, outcome, "{part}");
        let asked: Value = serde_json::from_slice(&kept.request).unwrap();
        assert!(asked["messages"].is_array(), "{part}");
        assert_eq!(kept.response.is_empty(), outcome != "complete", "{part}");
    }
}
