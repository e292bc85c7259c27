//! Each exchange once.

use aggregator::ingest::catch_up;
use aggregator::store::Status;

use crate::memory::{Failing, Memory};
use crate::scene::{Ending, Scene, Talk, assert_all_right, assert_right, id_of, write};

const MANY: usize = 120;

#[test]
fn every_exchange_is_one_row_and_its_segments_go() {
    let scene = Scene::new();
    write(&scene.writer(), 0..MANY);
    let scene = scene.died();
    assert!(scene.segments().len() > 10);
    let memory = Memory::new();
    let caught_up = scene.catch_up(&memory);
    assert_all_right(&memory, 0..MANY);
    assert_eq!((caught_up.gaps, caught_up.open, caught_up.stored), (0, 0, MANY as u64));
    assert!(scene.segments().len() <= 1, "{:?}", scene.segments());
    assert_eq!(scene.parked(), 0);
    scene.catch_up(&memory);
    assert_eq!((memory.rows().len(), memory.given_again()), (MANY, 0));
}

#[test]
fn a_kept_journal_is_read_once_too() {
    let scene = Scene::new();
    write(&scene.writer(), 0..20);
    let scene = scene.died();
    let segments = scene.segments();
    let memory = Memory::new();
    let mut config = scene.config();
    config.keep_journal = true;
    for _ in 0..3 {
        catch_up(&config, &memory).expect("nothing fails");
        assert_all_right(&memory, 0..20);
        assert_eq!((scene.segments(), memory.given_again()), (segments.clone(), 0));
    }
}

/// Whichever commit fails, applied or not, and whatever of it was told: the next start makes the same rows of it.
#[test]
fn whatever_commit_fails_the_rows_are_the_same() {
    for failing in [Failing::Before, Failing::After] {
        for nth in 1.. {
            let scene = Scene::new();
            let ledger = scene.writer();
            let mut long = Talk::begin(&ledger, 0);
            long.say();
            write(&ledger, 1..24);
            (1..8).for_each(|_| long.say());
            long.end(Ending::Complete);
            let scene = scene.died();
            let memory = Memory::new();
            memory.fail_in(nth, failing);
            let outcome = catch_up(&scene.config(), &memory);
            let has_failed = memory.has_failed();
            assert_eq!(outcome.is_err(), has_failed, "{outcome:?}");
            scene.catch_up(&memory);
            assert_all_right(&memory, 0..24);
            assert_eq!(memory.given_again(), 0, "{failing:?} the {nth}th");
            assert_eq!(scene.parked(), 0);
            if !has_failed {
                assert!(nth > 10, "there are more commits than {nth}");
                break;
            }
        }
    }
}

/// A stream of hours keeps no segments from going: it is parked, and comes back whole, also after a start.
#[test]
fn a_long_stream_is_parked_and_comes_back_whole() {
    for starts_anew in [false, true] {
        let scene = Scene::new();
        let ledger = scene.writer();
        let memory = Memory::new();
        let mut long = Talk::begin(&ledger, 0);
        let mut next = 1;
        for _ in 0..8 {
            long.say();
            write(&ledger, next..next + 10);
            next += 10;
            if starts_anew {
                scene.catch_up(&memory);
                assert!(scene.segments().len() <= 2, "{:?}", scene.segments());
                assert_eq!(memory.row(id_of(0).0).map(|row| row.id), None);
            }
        }
        assert_eq!(scene.parked() > 0, starts_anew);
        long.end(Ending::Complete);
        write(&ledger, next..next + 10);
        let scene = scene.died();
        scene.catch_up(&memory);
        assert_all_right(&memory, 0..next + 10);
        assert_eq!((scene.parked(), memory.given_again()), (0, 0));
    }
}

/// What a person deleted stays deleted, though the journal still holds it and is read again.
#[test]
fn a_replay_does_not_bring_back_what_was_deleted() {
    let scene = Scene::new();
    let ledger = scene.writer_of(64 << 20);
    let mut open = Talk::begin(&ledger, 0);
    open.say();
    for number in [1, 2, 3, 6, 7, 8] {
        write(&ledger, number..number + 1);
    }
    let memory = Memory::new();
    scene.catch_up(&memory);
    assert_eq!(memory.rows().len(), 6);
    assert!(
        memory.mark("edge.resume") < memory.mark("edge"),
        "one is open since the beginning"
    );
    memory.delete_all();
    (1..8).for_each(|_| open.say());
    open.end(Ending::Complete);
    scene.catch_up(&memory);
    assert_eq!(memory.rows().len(), 1);
    assert_right(&memory.row(id_of(0).0).expect("the one that was open"), 0);
}

/// Memory is bounded by parking; the bodies come back byte for byte.
#[test]
fn what_is_too_much_to_hold_is_parked() {
    let scene = Scene::new();
    let ledger = scene.writer_of(64 << 20);
    let mut open: Vec<Talk> = (0..5).map(|number| Talk::begin(&ledger, number * 5)).collect();
    open.iter_mut().for_each(|talk| (0..8).for_each(|_| talk.say()));
    let memory = Memory::new();
    let mut config = scene.config();
    config.holding.open_bytes_max = 4 << 10;
    catch_up(&config, &memory).expect("nothing fails");
    assert!(scene.parked() >= 3, "{}", scene.parked());
    open.into_iter().for_each(|talk| talk.end(Ending::Complete));
    catch_up(&config, &memory).expect("nothing fails");
    for number in [0, 5, 10, 15, 20] {
        assert_right(&memory.row(id_of(number).0).expect("stored"), number);
    }
    assert_eq!(scene.parked(), 0);
}

/// A body beyond the bound is stored cut, and marked.
#[test]
fn a_body_beyond_the_bound_is_cut_and_marked() {
    let scene = Scene::new();
    let ledger = scene.writer();
    write(&ledger, 0..1);
    let mut config = scene.config();
    config.holding.body_bytes_max = 200;
    let memory = Memory::new();
    catch_up(&config, &memory).expect("nothing fails");
    let row = memory.row(id_of(0).0).expect("stored");
    assert_eq!(
        (row.answered.status, row.answered.is_response_cut),
        (Status::Complete, true)
    );
    assert_eq!(row.content.response.map(|body| body.len()), Some(200));
    assert!(row.answered.body_bytes > 200, "what passed is counted all the same");
    assert_eq!(row.content.text.as_deref(), Some("w0-é0 w1-é0 "));
}
