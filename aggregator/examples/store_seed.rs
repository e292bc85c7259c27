//! Fills a response store from JSON Lines on standard input, for tests of what reads it.
//!
//! Each line: `{"id","started_at_us","key","model","backend","status","input_tokens","output_tokens","duration_us",
//! "endpoint","prompt","text","thinking","tool_calls","request","response","parent"}`, all but the first two optional.

use std::io::BufRead as _;
use std::sync::Arc;

use aggregator::store::{Answered, Asked, Content, NewExchange, Status, Store, StoreConfig, Timing, Tokens};
use serde_json::Value;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("give the database's path")?;
    let store = Store::open(StoreConfig::at(path))?;
    let mut batch = Vec::new();
    for line in std::io::stdin().lock().lines() {
        batch.push(exchange(&serde_json::from_str(&line?)?)?);
    }
    let committed = store.commit_blocking(Arc::from(batch), None)?;
    println!("{} stored, {} known", committed.stored, committed.known);
    Ok(())
}

fn exchange(line: &Value) -> Result<NewExchange, Box<dyn std::error::Error>> {
    let text = |name: &str| line.get(name).and_then(Value::as_str).map(str::to_owned);
    let number = |name: &str| line.get(name).and_then(Value::as_u64);
    let status = text("status").and_then(|name| Status::from_name(&name));
    Ok(NewExchange {
        id: text("id").ok_or("a line has no id")?.parse()?,
        parent: text("parent").map(|parent| parent.parse()).transpose()?,
        started_at_us: line
            .get("started_at_us")
            .and_then(Value::as_i64)
            .ok_or("a line has no start")?,
        asked: Asked {
            key: text("key"),
            model: text("model"),
            endpoint: text("endpoint").unwrap_or_else(|| "/v1/chat/completions".to_owned()),
            body_bytes: text("request").map_or(0, |body| body.len() as u64),
            ..Asked::default()
        },
        answered: Answered {
            status: status.unwrap_or_default(),
            http_status: Some(200),
            model: text("model"),
            backend: text("backend"),
            body_bytes: text("response").map_or(0, |body| body.len() as u64),
            ..Answered::default()
        },
        tokens: Tokens {
            input: number("input_tokens"),
            output: number("output_tokens"),
            ..Tokens::default()
        },
        timing: Timing {
            duration_us: number("duration_us"),
            ..Timing::default()
        },
        content: Content {
            request: text("request").map(Into::into),
            response: text("response").map(Into::into),
            text: text("text"),
            thinking: text("thinking"),
            tool_calls: text("tool_calls"),
            prompt: text("prompt"),
        },
        ..NewExchange::default()
    })
}
