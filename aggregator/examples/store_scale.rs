//! A store with a million exchanges: what an exchange takes, how quickly they are stored, how long each query takes.
//!
//! `cargo run --release -p aggregator --example store_scale -- [EXCHANGES] [FOLDER]`, 1,000,000 in a temporary folder unless
//! told otherwise. A query's time is the longest of several runs, the first included; it is marked where it is over 50 ms.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aggregator::store::{
    Answered, Asked, Content, Filter, NewExchange, PageRequest, Span, Status, Store, StoreConfig, Timing, Tokens,
    UsageBy, UsageRequest,
};
use uuid::Uuid;

const BATCH: u64 = 500;
const RUNS: usize = 5;
const BOUND: Duration = Duration::from_millis(50);
/// 2026-01-01T00:00:00Z; the exchanges are spread over a year from there.
const BEGINNING_US: i64 = 1_767_225_600_000_000;
const YEAR_US: u64 = 365 * 86_400 * 1_000_000;
const WORDS: [&str; 16] = [
    "the", "model", "cache", "of", "a", "token", "and", "server", "answers", "in", "prefix", "to", "slot", "is",
    "layer", "context",
];

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let count: u64 = arguments.next().map_or(Ok(1_000_000), |count| count.parse())?;
    let temporary = tempfile::tempdir()?;
    let folder = arguments
        .next()
        .map_or_else(|| temporary.path().to_owned(), PathBuf::from);
    let config = StoreConfig::at(folder.join("responses.db"));
    let store = Store::open(config.clone())?;
    fill(&store, count).await?;
    let stats = store.stats().await?;
    drop(store);
    let bytes = std::fs::metadata(&config.path)?.len();
    let raw: u64 = stats.held.iter().map(|held| held.raw_bytes).sum();
    let stored: u64 = stats.held.iter().map(|held| held.stored_bytes).sum();
    println!(
        "{} bytes an exchange in the file; its bodies {} bytes, stored as {}",
        bytes / count,
        raw / count,
        stored / count
    );
    // Opened anew: SQLite's own memory is empty, the system's is not.
    queries(&Store::open(config)?, count).await
}

async fn fill(store: &Store, count: u64) -> Result<(), Failure> {
    let (began, mut made) = (Instant::now(), Duration::ZERO);
    for first in (0..count).step_by(usize::try_from(BATCH)?) {
        let making = Instant::now();
        let batch: Arc<[NewExchange]> = (first..count.min(first + BATCH))
            .map(|number| exchange(number, count))
            .collect();
        made += making.elapsed();
        store.commit(batch, None).await?;
    }
    let seconds = (began.elapsed() - made).as_secs_f64();
    println!(
        "{count} exchanges stored in {seconds:.1} s, {:.0} a second",
        count as f64 / seconds
    );
    Ok(())
}

/// splitmix64: the same exchanges every time.
fn mixed(number: u64) -> u64 {
    let mut bits = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

fn exchange(number: u64, count: u64) -> NewExchange {
    let chance = mixed(number);
    let words = |salt: u64, words: u64| {
        let word = |index| WORDS[(mixed(number ^ salt << 32 ^ index) % WORDS.len() as u64) as usize];
        (0..words).map(word).collect::<Vec<_>>().join(" ")
    };
    let (prompt, mut text) = (words(1, 40), words(2, 60));
    if number.is_multiple_of(count / 100 + 1) {
        text.push_str(" rareword");
    }
    let status = match chance % 100 {
        0..=94 => Status::Complete,
        95..=97 => Status::ClientGone,
        98 => Status::UpstreamFailed,
        _ => Status::Interrupted,
    };
    let request =
        format!("{{\"model\":\"m\",\"stream\":true,\"messages\":[{{\"role\":\"user\",\"content\":\"{prompt}\"}}]}}");
    let events = text.split(' ').map(|word| {
        format!(
            "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{word} \"}},\"finish_reason\":null}}]}}\n\n"
        )
    });
    let response: String = events.collect();
    NewExchange {
        id: Uuid::from_u64_pair(chance, number),
        started_at_us: BEGINNING_US + (number * (YEAR_US / count)) as i64,
        asked: Asked {
            key: Some(format!("key-{}", chance % 50)),
            service: Some("llama".to_owned()),
            model: Some("m".to_owned()),
            endpoint: "/v1/chat/completions".to_owned(),
            dialect: Some("openai".to_owned()),
            streamed: true,
            client: Some("10.0.0.1".to_owned()),
            request_id: Some(format!("{chance:016x}")),
            body_bytes: request.len() as u64,
        },
        answered: Answered {
            status,
            http_status: Some(200),
            finish_reason: Some("stop".to_owned()),
            backend: Some(format!("gpu-{}", (chance >> 8) % 8)),
            model: Some(format!("model-{}", (chance >> 16) % 10)),
            attempts: Some(1),
            body_bytes: response.len() as u64,
            ..Answered::default()
        },
        tokens: Tokens {
            input: Some(40),
            output: Some(60 + (chance >> 24) % 1000),
            ..Tokens::default()
        },
        timing: Timing {
            first_token_us: Some(200_000),
            duration_us: Some((chance >> 32) % 60_000_000),
            tokens_per_second: Some(30.0),
        },
        content: Content {
            request: Some(request.into()),
            response: Some(response.into()),
            text: Some(text),
            thinking: None,
            tool_calls: None,
            prompt: Some(prompt),
        },
        ..NewExchange::default()
    }
}

async fn queries(store: &Store, count: u64) -> Result<(), Failure> {
    for (name, filter) in filters() {
        let mut before = None;
        // The first page, and those after it: each is a request.
        for page in ["first page", "second page"] {
            let request = PageRequest { limit: 50, before };
            let (longest, found) = timed(async || store.list(filter.clone(), request).await).await?;
            told(&format!("list, {name}, {page}: {} found", found.items.len()), longest);
            match found.next {
                Some(next) => before = Some(next),
                None => break,
            }
        }
    }
    let request = PageRequest {
        limit: 1000,
        before: None,
    };
    told(
        "list of a thousand",
        timed(async || store.list(Filter::default(), request).await).await?.0,
    );
    let id = exchange(count / 2, count).id;
    told("one exchange", timed(async || store.show(id).await).await?.0);
    told("stats", timed(async || store.stats().await).await?.0);
    for by in [UsageBy::Key, UsageBy::Model, UsageBy::Backend, UsageBy::Day] {
        let request = UsageRequest {
            by,
            from_day: None,
            to_day: None,
            of: None,
            limit: 50,
            after: None,
        };
        let (longest, _) = timed(async || store.usage(request.clone()).await).await?;
        told(&format!("usage by {by:?}, a year"), longest);
    }
    let began = Instant::now();
    store.delete(id).await?;
    told("deletion of one", began.elapsed());
    Ok(())
}

fn filters() -> Vec<(&'static str, Filter)> {
    let some = |text: &str| Some(text.to_owned());
    let none = Filter::default;
    let rare = Span {
        from: Some(1_000_000),
        to: None,
    };
    vec![
        ("no filter", none()),
        (
            "a key",
            Filter {
                key: some("key-7"),
                ..none()
            },
        ),
        (
            "a model",
            Filter {
                model: some("model-3"),
                ..none()
            },
        ),
        (
            "a backend",
            Filter {
                backend: some("gpu-1"),
                ..none()
            },
        ),
        (
            "complete",
            Filter {
                status: Some(Status::Complete),
                ..none()
            },
        ),
        (
            "interrupted",
            Filter {
                status: Some(Status::Interrupted),
                ..none()
            },
        ),
        ("tokens that none has", Filter { tokens: rare, ..none() }),
        (
            "a duration that none has",
            Filter {
                duration_us: Span {
                    from: Some(100_000_000),
                    to: None,
                },
                ..none()
            },
        ),
        (
            "a key's tokens that none has",
            Filter {
                key: some("key-7"),
                tokens: rare,
                ..none()
            },
        ),
        (
            "a model's tokens that none has",
            Filter {
                model: some("model-3"),
                tokens: rare,
                ..none()
            },
        ),
        (
            "key, model, backend and status",
            Filter {
                key: some("key-7"),
                model: some("model-3"),
                backend: some("gpu-1"),
                status: Some(Status::Interrupted),
                ..none()
            },
        ),
        (
            "a day of last spring",
            Filter {
                started_us: Span {
                    from: Some(BEGINNING_US + 100 * 86_400_000_000),
                    to: Some(BEGINNING_US + 101 * 86_400_000_000),
                },
                ..none()
            },
        ),
        (
            "a common word",
            Filter {
                text: some("token"),
                ..none()
            },
        ),
        (
            "a rare word",
            Filter {
                text: some("rareword"),
                ..none()
            },
        ),
        (
            "a word that is nowhere",
            Filter {
                text: some("nowhere"),
                ..none()
            },
        ),
        (
            "three common words",
            Filter {
                text: some("token cache server"),
                ..none()
            },
        ),
        (
            "a phrase",
            Filter {
                text: some("\"the model cache of\""),
                ..none()
            },
        ),
        (
            "a common word of nobody's",
            Filter {
                text: some("token"),
                tokens: rare,
                ..none()
            },
        ),
    ]
}

async fn timed<T, E>(query: impl AsyncFn() -> Result<T, E>) -> Result<(Duration, T), E> {
    let mut longest = Duration::ZERO;
    let mut found = None;
    for _ in 0..RUNS {
        let began = Instant::now();
        found = Some(query().await?);
        longest = longest.max(began.elapsed());
    }
    match found {
        Some(found) => Ok((longest, found)),
        None => Ok((longest, query().await?)),
    }
}

fn told(what: &str, longest: Duration) {
    let mark = if longest > BOUND { "  OVER 50 ms" } else { "" };
    println!("{:>8.2} ms  {what}{mark}", longest.as_secs_f64() * 1_000.0);
}
