//! The store on real files: what is committed, found, removed and refused.

mod faults;
mod kill;
mod open;
mod plans;
mod queries;
mod rollups;

use std::path::Path;

use bytes::Bytes;
use tempfile::TempDir;

use super::*;

/// 2026-11-22T00:00:00Z
const MIDNIGHT_US: i64 = 1_795_305_600_000_000;
const MINUTE_US: i64 = 60_000_000;

/// A store in a folder of its own.
pub(super) struct Place {
    folder: TempDir,
    pub(super) config: StoreConfig,
}

impl Place {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let config = StoreConfig::at(folder.path().join("data/responses.db"));
        Self { folder, config }
    }

    pub(super) fn path(&self) -> &Path {
        &self.config.path
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn open(&self) -> Store {
        Store::open(self.config.clone()).expect("the store opens")
    }
}

/// The exchange of a number: started so many minutes after midnight, and otherwise told apart by it.
pub(super) fn exchange(number: u32) -> NewExchange {
    NewExchange {
        id: Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + u128::from(number)),
        started_at_us: MIDNIGHT_US + i64::from(number) * MINUTE_US,
        asked: Asked {
            key: Some(["alice", "bob"][number as usize % 2].to_owned()),
            service: Some("llama".to_owned()),
            model: Some("gpt-4o".to_owned()),
            endpoint: "/v1/chat/completions".to_owned(),
            dialect: Some("openai".to_owned()),
            streamed: true,
            client: Some("127.0.0.1".to_owned()),
            request_id: Some(format!("request-{number}")),
            body_bytes: 100,
        },
        answered: Answered {
            status: Status::ALL[number as usize % 4],
            http_status: Some(200),
            finish_reason: Some("stop".to_owned()),
            backend: Some(format!("gpu-{}", number % 3)),
            model: Some(["tiny", "mistral", "heavy"][number as usize % 3].to_owned()),
            attempts: Some(1),
            body_bytes: 1000,
            ..Answered::default()
        },
        tokens: Tokens {
            input: Some(u64::from(number)),
            output: Some(10),
            cached: None,
            thinking: None,
        },
        timing: Timing {
            first_token_us: Some(1000),
            duration_us: Some(u64::from(number) * 1000),
            tokens_per_second: Some(12.5),
        },
        content: Content {
            request: Some(Bytes::from(format!(
                r#"{{"model":"gpt-4o","messages":[{{"role":"user","content":"question {number}"}}]}}"#
            ))),
            response: Some(Bytes::from(format!("data: answer {number}\n\n").repeat(8))),
            text: Some(format!("answer {number} of the canary")),
            thinking: None,
            tool_calls: None,
            prompt: Some(format!("question {number}")),
        },
        ..NewExchange::default()
    }
}

pub(super) fn batch(numbers: impl IntoIterator<Item = u32>) -> Arc<[NewExchange]> {
    numbers.into_iter().map(exchange).collect()
}

pub(super) fn mark(cursor: u8) -> Option<Mark> {
    Some(Mark {
        journal: "edge".to_owned(),
        cursor: [cursor; 16],
    })
}

/// All that the filter lets through, by number, the newest first; page after page.
pub(super) async fn numbers(store: &Store, filter: &Filter, limit: usize) -> Vec<u32> {
    let (mut found, mut before) = (Vec::new(), None);
    loop {
        let page = store
            .list(filter.clone(), PageRequest { limit, before })
            .await
            .expect("a page");
        assert!(page.items.len() <= limit);
        found.extend(page.items.iter().map(number));
        match page.next {
            Some(next) => before = Some(next),
            None => return found,
        }
    }
}

pub(super) fn number(row: &Row) -> u32 {
    let number = row
        .asked
        .request_id
        .as_deref()
        .and_then(|id| id.strip_prefix("request-"));
    number.and_then(|number| number.parse().ok()).expect("a number")
}
