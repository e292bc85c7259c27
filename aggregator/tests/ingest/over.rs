//! How it is known that nothing more comes of an exchange.

use std::sync::Arc;
use std::time::Duration;

use aggregator::ingest::{Ingest, catch_up};
use aggregator::store::Status;

use crate::memory::Memory;
use crate::scene::{Ending, Scene, Talk, assert_right, id_of, write};

fn status(memory: &Memory, number: usize) -> Option<Status> {
    memory.row(id_of(number).0).map(|row| row.answered.status)
}

#[test]
fn while_its_writer_lives_an_exchange_stays_open_through_starts_of_ours() {
    let scene = Scene::new();
    let ledger = scene.writer();
    let memory = Memory::new();
    let mut talk = Talk::begin(&ledger, 0);
    for _ in 0..8 {
        talk.say();
        scene.catch_up(&memory);
        assert_eq!(status(&memory, 0), None);
    }
    talk.end(Ending::Complete);
    scene.catch_up(&memory);
    assert_right(&memory.row(id_of(0).0).expect("stored"), 0);
}

#[test]
fn once_its_writer_is_gone_it_was_interrupted() {
    let scene = Scene::new();
    let ledger = scene.writer();
    write(&ledger, 4..5);
    let memory = Memory::new();
    scene.catch_up(&memory);
    assert_eq!(status(&memory, 4), None, "its writer lives");
    let scene = scene.died();
    scene.catch_up(&memory);
    assert_right(&memory.row(id_of(4).0).expect("stored"), 4);
}

#[test]
fn the_next_writer_s_first_segment_says_that_the_one_before_is_gone() {
    let scene = Scene::new();
    write(&scene.writer(), 4..5);
    let scene = scene.died();
    let ledger = scene.writer();
    let mut talk = Talk::begin(&ledger, 5);
    talk.say();
    let memory = Memory::new();
    scene.catch_up(&memory);
    assert_eq!(
        (status(&memory, 4), status(&memory, 5)),
        (Some(Status::Interrupted), None)
    );
    (1..8).for_each(|_| talk.say());
    talk.end(Ending::Complete);
    scene.catch_up(&memory);
    assert_right(&memory.row(id_of(5).0).expect("stored"), 5);
    assert_right(&memory.row(id_of(4).0).expect("stored"), 4);
}

#[test]
fn silence_has_a_bound_though_the_writer_lives() {
    let scene = Scene::new();
    let ledger = scene.writer();
    let mut talk = Talk::begin(&ledger, 4);
    (0..3).for_each(|_| talk.say());
    let memory = Memory::new();
    let mut config = scene.config();
    config.holding.silence_max = Duration::ZERO;
    catch_up(&config, &memory).expect("nothing fails");
    let row = memory.row(id_of(4).0).expect("given up");
    assert_eq!(
        (row.answered.status, row.answered.is_lossy),
        (Status::Interrupted, true)
    );
    assert_eq!(row.content.text.as_deref(), Some("w0-é4 w1-é4 w2-é4 "));
    talk.end(Ending::Dies);
}

/// As the aggregator runs it: threads that follow a journal which is being written, and end when they are told to.
#[test]
fn threads_follow_a_journal_that_is_being_written() {
    let scene = Scene::new();
    let memory = Memory::new();
    let mut config = scene.config();
    config.pace.look_interval = Duration::from_millis(1);
    let ingest = Ingest::start(&config, &memory).expect("threads");
    let ledger = scene.writer();
    for number in (0..60).filter(|number| number % 5 != 4) {
        write(&ledger, number..number + 1);
    }
    let until = std::time::Instant::now() + Duration::from_secs(60);
    while memory.rows().len() < 48 {
        assert!(std::time::Instant::now() < until && !ingest.has_ended());
        std::thread::yield_now();
    }
    ingest.stop();
    assert_eq!(Arc::strong_count(&memory), 1, "the threads are gone");
    for number in (0..60).filter(|number| number % 5 != 4) {
        assert_right(&memory.row(id_of(number).0).expect("stored"), number);
    }
    assert_eq!(memory.given_again(), 0);
}
