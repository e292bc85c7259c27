//! What is handed in goes with the next write, in its order, and its caller learns what became of it.

use std::io::ErrorKind::StorageFull;
use std::time::Duration;

use journal::{Cause, Cursor, Fate, Options, Reader, Reason, SyncPolicy, Ticket, Writer};

use crate::faulty::Faulty;
use crate::scenario::{PATIENCE, Told, append, numbered, read, wait_for, written};

fn options() -> Options {
    Options {
        sync: SyncPolicy::Never,
        stall_max: PATIENCE,
        tray: false, // Through which nothing is handed in.
        ..Options::default()
    }
}

fn hand_in(writer: &Writer, number: u64) -> Ticket {
    writer.hand_in(&numbered(writer, number, 100)).expect("there is room")
}

fn told(folder: &std::path::Path) -> Told {
    read(&mut Reader::open(folder, Cursor::BEGINNING))
}

#[test]
fn it_is_written_before_what_is_appended_later_and_is_there_once_settled() {
    let folder = tempfile::tempdir().unwrap();
    let writer = Writer::open(folder.path(), options()).unwrap();
    let first = [0, 1].map(|number| hand_in(&writer, number));
    written(&writer, [2]);
    assert_eq!(first.map(|ticket| ticket.fate()), [Fate::Written; 2]);
    let last = hand_in(&writer, 3);
    assert_eq!(writer.settle(&last), Fate::Written);
    // A long batch goes behind it, though it is not copied to it.
    hand_in(&writer, 4);
    assert!(
        writer.hand_in(&numbered(&writer, 5, 60_000)).is_none(),
        "too long to copy"
    );
    writer.append(&numbered(&writer, 5, 60_000)).unwrap();
    assert_eq!(told(folder.path()).numbers, [0, 1, 2, 3, 4, 5]);
    assert_eq!(writer.statistics().written_records, 6);
}

#[test]
fn many_of_them_are_few_writes() {
    let folder = tempfile::tempdir().unwrap();
    let writer = Writer::open(folder.path(), options()).unwrap();
    let tickets: Vec<_> = (0..1000).map(|number| hand_in(&writer, number)).collect();
    for ticket in &tickets {
        assert_eq!(writer.settle(ticket), Fate::Written);
    }
    // One, and as many as the syncing thread found the time for.
    let writes = writer.statistics().writes;
    assert!(writes < 500, "{writes} writes");
    assert_eq!(told(folder.path()).numbers, (0..1000).collect::<Vec<_>>());
}

#[test]
fn what_nobody_settles_is_written_all_the_same() {
    for sync in [SyncPolicy::Never, SyncPolicy::Interval(Duration::from_secs(3600))] {
        let folder = tempfile::tempdir().unwrap();
        let writer = Writer::open(folder.path(), Options { sync, ..options() }).unwrap();
        let ticket = hand_in(&writer, 7);
        wait_for("the syncing thread", || ticket.fate() == Fate::Written);
        assert_eq!(told(folder.path()).numbers, [7]);
        let last = hand_in(&writer, 8);
        drop(writer);
        assert_eq!((last.fate(), told(folder.path()).numbers), (Fate::Written, vec![7, 8]));
    }
}

#[test]
fn a_full_disk_loses_all_that_waited_and_tells() {
    let folder = tempfile::tempdir().unwrap();
    let (faulty, faults) = Faulty::new(folder.path());
    let writer = Writer::open_on(faulty, options()).unwrap();
    written(&writer, [0]);
    faults.room(Some(0));
    let lost = [1, 2].map(|number| hand_in(&writer, number));
    let appended = append(&writer, 3);
    assert_eq!(appended, journal::Appended::Dropped(Reason::Disk(StorageFull)));
    for ticket in &lost {
        assert_eq!(writer.settle(ticket), Fate::Lost);
    }
    faults.room(None);
    let after = numbered(&writer, 4, 100);
    assert!(writer.append_within(&after, PATIENCE).is_ok());
    let told = told(folder.path());
    assert_eq!(told.numbers, [0, 4]);
    let dropped: u64 = told
        .causes()
        .iter()
        .map(|cause| match cause {
            Cause::Dropped { records, .. } => *records,
            other => panic!("{other:?}"),
        })
        .sum();
    assert_eq!((dropped, writer.statistics().dropped_records), (3, 3));
}

#[test]
fn a_stalled_disk_keeps_it_waiting_and_what_waits_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let (faulty, faults) = Faulty::new(folder.path());
    let stall_max = Duration::from_millis(200);
    let writer = Writer::open_on(faulty, Options { stall_max, ..options() }).unwrap();
    written(&writer, [0]);
    faults.stall(true);
    std::thread::scope(|scope| {
        scope.spawn(|| append(&writer, 1));
        faults.wait_for_stalled(1);
        let ticket = hand_in(&writer, 2);
        assert_eq!(writer.settle(&ticket), Fate::Waiting, "the disk holds another up");
        let more = (3..)
            .map_while(|number| writer.hand_in(&numbered(&writer, number, 1000)))
            .count();
        assert!((200..=300).contains(&more), "{more} of a thousand bytes each");
        faults.stall(false);
        wait_for("what waited", || writer.settle(&ticket) == Fate::Written);
    });
    assert_eq!(told(folder.path()).numbers[..3], [0, 1, 2]);
}

#[test]
fn what_is_to_be_confirmed_is_not_handed_in() {
    let folder = tempfile::tempdir().unwrap();
    let sync = SyncPolicy::Always;
    let writer = Writer::open(folder.path(), Options { sync, ..options() }).unwrap();
    assert!(writer.hand_in(&numbered(&writer, 0, 100)).is_none());
}
