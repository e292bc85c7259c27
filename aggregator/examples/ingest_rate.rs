//! How many exchanges a second go from a journal into the store, and what each takes on the disk.
//!
//! `cargo run --release -p aggregator --example ingest_rate [EXCHANGES [WORDS [FOLDER]]]`

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aggregator::ingest::{IngestConfig, catch_up};
use aggregator::store::{Store, StoreConfig};
use capture::{Begun, End, Ledger, Options, Outcome, Plane, Recorder, ResponseHead, Terms, folder_of, new_id};

const WORDS: [&str; 16] = [
    " the", " a", " sea", " wide", " blue", " under", " and", " sky", " ship", " went", " far", " salt", " wind",
    " of", " to", " home",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let exchanges: usize = arguments.next().map_or(Ok(10_000), |text| text.parse())?;
    let words: usize = arguments.next().map_or(Ok(100), |text| text.parse())?;
    let folder = arguments
        .next()
        .map_or_else(std::env::temp_dir, Into::into)
        .join("ingest-rate");
    let _there_may_be_none = std::fs::remove_dir_all(&folder);
    let journal = folder.join("journal");
    write(&journal, exchanges, words)?;
    let journal_bytes = size(&journal)?;
    for full_text_search in [false, true] {
        let store = folder.join(format!("store-{full_text_search}")).join("responses.db");
        measure(&journal, &store, full_text_search, exchanges, journal_bytes)?;
    }
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

fn measure(
    journal: &Path,
    store: &Path,
    search: bool,
    exchanges: usize,
    journal_bytes: u64,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut config = IngestConfig::of(journal);
    config.keep_journal = true;
    let opened = Store::open(StoreConfig {
        full_text_search: search,
        ..StoreConfig::at(store)
    })?;
    let begun = Instant::now();
    let caught_up = catch_up(&config, &Arc::new(opened))?;
    let seconds = begun.elapsed().as_secs_f64();
    assert_eq!(caught_up.stored, exchanges as u64);
    let folder = store.parent().unwrap_or(store);
    println!(
        "search {search:<5}  {:>7.0} exchanges/s  {:>6.1} MiB/s of journal  {:>6} bytes an exchange in the journal, {:>6} in the store",
        exchanges as f64 / seconds,
        journal_bytes as f64 / seconds / f64::from(1 << 20),
        journal_bytes / exchanges as u64,
        size(folder)? / exchanges as u64,
    );
    Ok(())
}

/// Streams of so many words, as the edge would have written them.
fn write(journal: &Path, exchanges: usize, words: usize) -> Result<(), Box<dyn std::error::Error>> {
    let options = Options {
        folder_bytes_max: u64::MAX,
        stall_max: Duration::from_secs(60),
        ..Options::default()
    };
    let ledger = Ledger::open(&folder_of(journal, Plane::Edge), options)?;
    for number in 0..exchanges {
        let at = 1_700_000_000_000_000 + number as u64 * 1_000;
        let begun = Begun {
            router: Some("alice"),
            ..Begun::new(Plane::Edge, at, "request", "POST", "/v1/chat/completions")
        };
        let mut recorder = Recorder::begin(&ledger, new_id(), &begun, Terms::default(), Instant::now());
        let asked = format!(
            r#"{{"model":"tiny","stream":true,"messages":[{{"role":"user","content":"Tell story {number}."}}]}}"#
        );
        recorder.request_bytes(asked.as_bytes());
        recorder.flush()?;
        recorder.response_head(&ResponseHead {
            status: 200,
            content_type: Some("text/event-stream"),
            ..ResponseHead::default()
        });
        for index in 0..words {
            let word = WORDS[(number * 7 + index * index) % WORDS.len()];
            recorder.response_bytes(format!("data: {{\"choices\":[{{\"finish_reason\":null,\"index\":0,\"delta\":{{\"content\":\"{word}\"}}}}],\"created\":1795000000,\"id\":\"chatcmpl-{number}\",\"model\":\"tiny\",\"system_fingerprint\":\"b1-x\",\"object\":\"chat.completion.chunk\"}}\n\n").as_bytes());
            recorder.flush()?;
        }
        recorder.response_bytes(b"data: {\"choices\":[{\"finish_reason\":\"stop\",\"index\":0,\"delta\":{}}],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":100}}\n\ndata: [DONE]\n\n");
        recorder.end(&End {
            status: Some(200),
            attempts: 1,
            ..End::of(Outcome::Complete)
        });
        recorder.flush()?;
    }
    Ok(())
}

fn size(folder: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        bytes += match entry.file_type()?.is_dir() {
            true => size(&entry.path())?,
            false => entry.metadata()?.len(),
        };
    }
    Ok(bytes)
}
