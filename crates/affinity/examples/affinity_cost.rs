//! What one request costs the index: `cargo run --release -p affinity --example affinity_cost`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use affinity::{Candidate, Capacity, Index, Policy, Trail};

const REQUESTS: u32 = 2000;
const SERVERS: usize = 16;

/// A system prompt of 4 KiB that all share, and turns of 500 bytes.
fn fingerprint(index: &Index, conversation: u32, turns: u32) -> Trail {
    let mut trail = index.trail(&[b"router", b"model"]);
    trail.piece(b"system", &[b's'; 4096]);
    let mut text = [b'x'; 500];
    text[..4].copy_from_slice(&conversation.to_le_bytes());
    (0..turns).for_each(|_| trail.piece(b"user", &text));
    trail
}

fn timed<T>(what: &str, mut each: impl FnMut(u32) -> T) -> Vec<T> {
    let begun = Instant::now();
    let results = (0..REQUESTS).map(|request| black_box(each(request))).collect();
    let spent = begun.elapsed() / REQUESTS;
    println!("  {what:<12} {:>9} ns", spent.as_nanos());
    results
}

fn main() {
    for turns in [1, 8, 32, 128, 512] {
        let now = Instant::now();
        let index = Index::new(Capacity::default(), now);
        let servers: Vec<_> = (0..SERVERS).map(|_| index.enrol()).collect();
        let sample = fingerprint(&index, 0, turns);
        println!("{turns} turns: {} bytes, {} points", sample.bytes(), sample.len());
        let trails = timed("fingerprint", |conversation| fingerprint(&index, conversation, turns));
        timed("note", |at| {
            index.note(&trails[at as usize], &servers[at as usize % SERVERS], now)
        });
        let known = timed("lookup", |at| index.known(&trails[at as usize], now));
        timed("note again", |at| {
            index.note(&trails[at as usize], &servers[at as usize % SERVERS], now)
        });
        timed("choice", |at| {
            let candidate = |server| Candidate {
                in_flight: 1,
                slots: Some(4),
                weight: 1,
                held: known[at as usize].of(server),
            };
            let candidates: Vec<_> = servers.iter().map(candidate).collect();
            Policy::default().choose(&candidates, u64::from(at))
        });
        let usage = index.usage();
        println!(
            "  {} entries, {} bytes each",
            usage.entries,
            usage.bytes / usage.entries.max(1)
        );
    }
    contended();
}

/// Two threads on one model and one system prompt: what the locks cost where they are shared most.
fn contended() {
    let now = Instant::now();
    let index = Index::new(Capacity::default(), now);
    let server = index.enrol();
    for threads in [1, 2] {
        let begun = Instant::now();
        std::thread::scope(|scope| {
            for thread in 0..threads {
                let (index, server) = (&index, &server);
                scope.spawn(move || {
                    let trail = fingerprint(index, thread, 8);
                    for _ in 0..20_000 {
                        black_box(index.known(&trail, now));
                        index.note(&trail, server, now);
                    }
                });
            }
        });
        let spent: Duration = begun.elapsed() / 20_000;
        println!(
            "{threads} threads, lookup and note of {} points: {} ns each",
            16,
            spent.as_nanos()
        );
    }
}
