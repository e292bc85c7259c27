//! A client that leaves ends every request that its council has made, whatever the council is doing.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{COUNCIL, Room, SSE, begins, member, question, says};
use crate::oracle::Say;

/// On a quiet machine it takes a millisecond.
const AT_ONCE: Duration = Duration::from_secs(2);

fn hangs() -> Say {
    Say::Hang(SSE, begins("Half"))
}

fn request(template: &str, models: [&str; 3], chair: &str, stream: bool) -> Value {
    let members = models
        .iter()
        .enumerate()
        .map(|(index, model)| member(&format!("m{index}"), model));
    json!({
        "model": "a", "template": template, "messages": question(), "stream": stream, "synthesizer": chair,
        "members": members.collect::<Vec<_>>(),
    })
}

#[tokio::test]
async fn in_each_phase() {
    let ranks = || says(&["RANKING: A > B > C"]);
    // The model that is waited for, how often it must be asked, and how often left.
    for (phase, template, models, asked) in [
        (
            "the prompts",
            "diverse-analysis",
            [vec![Say::Never], vec![Say::Never], vec![Say::Never]],
            1,
        ),
        (
            "the round",
            "diverse-analysis",
            [vec![hangs()], vec![hangs()], vec![hangs()]],
            1,
        ),
        (
            "the second round",
            "debate",
            [
                vec![says(&["x"]), hangs()],
                vec![says(&["x"]), hangs()],
                vec![says(&["x"]), hangs()],
            ],
            2,
        ),
        (
            "the review",
            "peer-review",
            [
                vec![says(&["x"]), hangs()],
                vec![says(&["x"]), hangs()],
                vec![says(&["x"]), hangs()],
            ],
            2,
        ),
        (
            "the synthesis",
            "peer-review",
            [
                vec![says(&["x"]), ranks()],
                vec![says(&["x"]), ranks()],
                vec![says(&["x"]), ranks()],
            ],
            2,
        ),
    ] {
        for stream in [true, false] {
            let [a, b, c] = models.clone();
            let room = Room::of(vec![("a", a), ("b", b), ("c", c), ("chair", vec![hangs()])], &[], "").await;
            let body = request(template, ["a", "b", "c"], "chair", stream).to_string();
            let asking = room.stand.post(COUNCIL, body).send();
            let waits_for = if phase == "the synthesis" { 3..4 } else { 0..3 };
            let mut asking = Box::pin(asking);
            let all_asked = async {
                for model in &room.models[waits_for.clone()] {
                    model
                        .heard_times(if phase == "the synthesis" { 1 } else { asked })
                        .await;
                }
            };
            // A stream's answer is read on, so that it moves on; its client leaves with it.
            let reading = async {
                let mut response = (&mut asking).await.unwrap();
                while response.chunk().await.unwrap().is_some() {}
            };
            tokio::time::timeout(Duration::from_secs(20), async {
                tokio::select! {
                    () = all_asked => {}
                    () = reading => panic!("{phase}: it ended"),
                }
            })
            .await
            .unwrap_or_else(|_| panic!("{phase}: nobody asked"));
            drop(asking);
            let left = Instant::now();
            for model in &room.models[waits_for] {
                model.left(1).await;
            }
            assert!(left.elapsed() < AT_ONCE, "{phase}: {:?}", left.elapsed());
            room.is_at_rest().await;
        }
    }
}
