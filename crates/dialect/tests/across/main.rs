//! Every dialect's fixtures through every other dialect, and what holds for all streams alike.

#[path = "../support/decoding.rs"]
mod decoding;
mod journey;
mod refusals;
mod requests;
mod responses;
mod size;
#[path = "../support/snapshot.rs"]
mod snapshot;
mod streams;
mod survival;

use dialect::Dialect;

fn folder(dialect: Dialect) -> String {
    dialect.name().to_ascii_lowercase()
}

/// `openai/request-agent.json` becomes `across/openai-request-agent.to-gemini`.
fn snapshot_name(fixture: &str, to: &str) -> String {
    let (stem, _) = fixture.rsplit_once('.').expect("a file's ending");
    format!("across/{}.to-{to}", stem.replace('/', "-"))
}
