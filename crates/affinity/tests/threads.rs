//! Many threads on one index: nothing is lost, nothing is torn, the bound holds.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use affinity::{Capacity, Held, Index, Trail};

const THREADS: u32 = 8;
const CONVERSATIONS: u32 = 40;

fn trail(index: &Index, thread: u32, conversation: u32, turns: u32) -> Trail {
    let mut trail = index.trail(&[b"model"]);
    trail.piece(b"system", b"one for all");
    for turn in 0..turns {
        let mut text = vec![b'x'; 700];
        text[..12].copy_from_slice(&[thread, conversation, turn].map(u32::to_le_bytes).concat());
        trail.piece(b"user", &text);
    }
    trail
}

/// Each thread's conversations grow on that thread's server, while all share their first piece.
#[test]
fn every_thread_finds_what_it_noted() {
    let index = Index::new(Capacity::default(), Instant::now());
    let barrier = Barrier::new(THREADS as usize);
    let talk = |thread: u32| {
        let server = index.enrol();
        barrier.wait();
        for turns in 1..6 {
            for conversation in 0..CONVERSATIONS {
                let now = Instant::now();
                let asked = trail(&index, thread, conversation, turns);
                let known = index.known(&asked, now).of(&server);
                if turns > 1 {
                    let before = trail(&index, thread, conversation, turns - 1).bytes();
                    assert_eq!((known.bytes, known.branches), (before, 0));
                }
                index.note(&asked, &server, now);
                assert_eq!(index.known(&asked, now).of(&server).bytes, asked.bytes());
            }
        }
        server
    };
    let servers: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || talk(thread))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("no panic"))
            .collect()
    });
    let known = index.known(&trail(&index, 0, 0, 0), Instant::now());
    assert!(
        servers.iter().all(|server| known.of(server).bytes == 11),
        "all hold what all were sent"
    );
}

/// Too small an index, servers that are forgotten meanwhile, and readers.
#[test]
fn a_small_index_under_contention_keeps_its_bound() {
    let bytes_max = 128 << 10;
    let age_max = Duration::from_secs(3600);
    let index = Index::new(Capacity { bytes_max, age_max }, Instant::now());
    let servers: Vec<_> = (0..THREADS).map(|_| index.enrol()).collect();
    let barrier = Barrier::new(THREADS as usize);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (index, servers, barrier) = (&index, &servers, &barrier);
            scope.spawn(move || {
                barrier.wait();
                for conversation in 0..400 {
                    let asked = trail(index, thread % 2, conversation, 4);
                    let server = &servers[(thread + conversation) as usize % servers.len()];
                    index.note(&asked, server, Instant::now());
                    let known = index.known(&asked, Instant::now());
                    assert!(servers.iter().all(|server| known.of(server).bytes <= asked.bytes()));
                    if conversation % 50 == 0 {
                        index.forget(server);
                    }
                    assert!(index.usage().bytes <= bytes_max);
                }
            });
        }
    });
    assert!(index.usage().evictions > 0);
    servers.iter().for_each(|server| index.forget(server));
    let known = index.known(&trail(&index, 0, 399, 4), Instant::now());
    assert!(servers.iter().all(|server| known.of(server) == Held::default()));
}
