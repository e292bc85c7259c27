//! Councils end to end: scripted models on one side, clients of every dialect on the other.

mod clients;
mod faults;
mod flow;
mod kept;
mod leaving;
mod refused;
mod templates;

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::gateway::{ADMIN, Answer, Stand};
use crate::oracle::{Oracle, Say};

pub(crate) const COUNCIL: &str = "/v1/council/chat";
pub(crate) const CHAT: &str = "/v1/chat/completions";
const SSE: &str = "text/event-stream";

/// An answer in OpenAI's stream: these pieces, 10 tokens read and one written for each.
pub(crate) fn answers(pieces: &[&str]) -> Vec<String> {
    let chunk = |delta: Value, finish: Value| {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
        format!(
            "data: {}\n\n",
            json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "x", "choices": [choice]})
        )
    };
    let usage = json!({"prompt_tokens": 10, "completion_tokens": pieces.len(), "total_tokens": 10 + pieces.len()});
    let mut all = vec![chunk(json!({"role": "assistant", "content": ""}), Value::Null)];
    all.extend(pieces.iter().map(|piece| chunk(json!({"content": piece}), Value::Null)));
    all.push(chunk(json!({}), json!("stop")));
    all.push(format!(
        "data: {}\n\n",
        json!({"id": "c", "object": "chat.completion.chunk", "choices": [], "usage": usage})
    ));
    all.push("data: [DONE]\n\n".to_owned());
    all
}

pub(crate) fn says(pieces: &[&str]) -> Say {
    Say::Stream(SSE, answers(pieces))
}

/// The beginning of such an answer.
pub(crate) fn begins(text: &str) -> Vec<String> {
    answers(&[text]).into_iter().take(2).collect()
}

/// A service over these models, each a backend of its own, with these templates.
pub(crate) struct Room {
    pub(crate) stand: Stand,
    pub(crate) models: Vec<Oracle>,
    pub(crate) templates: TempDir,
}

impl Room {
    pub(crate) async fn of(models: Vec<(&'static str, Vec<Say>)>, templates: &[(&str, &str)], settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in templates {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let mut oracles = Vec::new();
        let mut lines = String::new();
        for (model, says) in models {
            let oracle = Oracle::start("openai", model, says).await;
            lines.push_str(&oracle.line(&format!("of-{model}"), ""));
            oracles.push(oracle);
        }
        let more = format!("council: {{templates_dir: '{}'{settings}}}\n", folder.path().display());
        let stand = Stand::over(&lines, &more).await;
        let room = Self {
            stand,
            models: oracles,
            templates: folder,
        };
        room.has_templates(5 + templates.len()).await;
        room
    }

    /// Waits until there are so many.
    pub(crate) async fn has_templates(&self, count: usize) {
        self.template_becomes(|list| list.as_array().is_some_and(|list| list.len() == count))
            .await;
    }

    pub(crate) async fn template_becomes(&self, holds: impl Fn(&Value) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let list = self.admin("/admin/council/templates").await;
            if holds(&list["data"]) {
                return;
            }
            let names: Vec<&Value> = list["data"].as_array().unwrap().iter().map(|it| &it["name"]).collect();
            assert!(Instant::now() < deadline, "{names:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) async fn admin(&self, path: &str) -> Value {
        let url = format!("http://{}{path}", self.stand.service.addr);
        let asked = self
            .stand
            .service
            .client
            .get(url)
            .bearer_auth(ADMIN)
            .send()
            .await
            .unwrap();
        asked.json().await.unwrap()
    }

    /// Nobody works on anything of ours any more.
    pub(crate) async fn is_at_rest(&self) {
        let idle = |list: &Value| list.as_array().unwrap().iter().all(|backend| backend["in_flight"] == 0);
        self.stand.becomes("every backend at rest", idle).await;
    }

    pub(crate) async fn ask(&self, path: &str, body: &Value) -> Answer {
        self.stand.ask(path, body.to_string()).await
    }
}

/// A member that this model plays.
pub(crate) fn member(name: &str, model: &str) -> Value {
    json!({"name": name, "persona": format!("You are {name}."), "model": model})
}

pub(crate) fn question() -> Value {
    json!([{"role": "user", "content": "What now?"}])
}

/// The data of every event of an OpenAI stream, `[DONE]` aside.
pub(crate) fn chunks(answer: &Answer) -> Vec<Value> {
    let data = answer.body.lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter(|data| *data != "[DONE]")
        .map(|data| serde_json::from_str(data).unwrap())
        .collect()
}

/// One kind of text of an OpenAI stream, put together.
pub(crate) fn joined(chunks: &[Value], field: &str) -> String {
    chunks
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["delta"][field].as_str())
        .collect()
}

pub(crate) fn write(folder: &Path, name: &str, text: &str) {
    let hidden = folder.join(".unfinished");
    std::fs::write(&hidden, text).unwrap();
    std::fs::rename(hidden, folder.join(name)).unwrap();
}
