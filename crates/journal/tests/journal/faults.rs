//! Disks that are full, slow, or lie.

use std::io::ErrorKind::StorageFull;
use std::time::{Duration, Instant};

use crate::faulty::Faulty;
use crate::scenario::{PATIENCE, append, numbered, read, written};
use journal::{
    Appended, Cause, Cursor, FRAME_HEAD_BYTES, LossPolicy, Options, Reader, Reason, Refused, SEGMENT_HEAD_BYTES,
    SyncPolicy, Writer,
};

fn options() -> Options {
    Options {
        sync: SyncPolicy::Never,
        stall_max: PATIENCE,
        ..Options::default()
    }
}

fn refusing() -> Options {
    Options {
        loss: LossPolicy::Refuse,
        ..options()
    }
}

#[test]
fn a_full_disk_drops_and_marks_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (faulty, faults) = Faulty::new(folder.path());
    let writer = Writer::open_on(faulty, options()).unwrap();
    written(&writer, 0..10);
    faults.room(Some(70)); // A frame has 140 bytes: it is torn.
    for lost in 10..15 {
        assert_eq!(append(&writer, lost), Appended::Dropped(Reason::Disk(StorageFull)));
    }
    faults.room(None);
    let after = numbered(&writer, 15, 100);
    assert!(matches!(
        writer.append_within(&after, PATIENCE),
        Ok(Appended::Written(_))
    ));
    written(&writer, 16..20);

    let told = read(&mut Reader::open(folder.path(), Cursor::BEGINNING));
    assert_eq!(told.numbers, (0..10).chain(15..20).collect::<Vec<_>>());
    assert_eq!(
        told.causes(),
        [
            Cause::Torn,
            Cause::Dropped {
                records: 5,
                bytes: 5 * 140
            }
        ]
    );
    assert_eq!((told.gaps[0].offset, told.gaps[0].length), (144 + 10 * 140, 70));
    let statistics = writer.statistics();
    assert_eq!(
        (
            statistics.written_records,
            statistics.dropped_records,
            statistics.segments_begun
        ),
        (15, 5, 2)
    );
}

#[test]
fn a_full_disk_refuses_where_nothing_may_be_lost() {
    let folder = tempfile::tempdir().unwrap();
    let (faulty, faults) = Faulty::new(folder.path());
    let writer = Writer::open_on(faulty, refusing()).unwrap();
    written(&writer, 0..3);
    faults.room(Some(0));
    let refused = writer.append(&numbered(&writer, 3, 100));
    assert_eq!(
        refused,
        Err(Refused {
            reason: Reason::Disk(StorageFull)
        })
    );
    faults.room(None);
    let again = writer.append_within(&numbered(&writer, 3, 100), PATIENCE);
    assert!(matches!(again, Ok(Appended::Written(_))), "{again:?}");
    let told = read(&mut Reader::open(folder.path(), Cursor::BEGINNING));
    assert_eq!((told.numbers, told.gaps), (vec![0, 1, 2, 3], vec![]));
    assert_eq!(
        (writer.statistics().refused_records, writer.statistics().segments_begun),
        (1, 1)
    );
}

#[test]
fn a_disk_without_room_for_a_segments_head_leaves_no_files_behind() {
    let folder = tempfile::tempdir().unwrap();
    let (faulty, faults) = Faulty::new(folder.path());
    let writer = Writer::open_on(faulty, options()).unwrap();
    faults.room(Some(100));
    assert_eq!(append(&writer, 0), Appended::Dropped(Reason::Disk(StorageFull)));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    faults.room(None);
    drop(writer); // Its last act is the mark.
    let told = read(&mut Reader::open(folder.path(), Cursor::BEGINNING));
    let dropped = Cause::Dropped { records: 1, bytes: 140 };
    // The rest after a failure may not be over when the writer ends: then nothing was written at all.
    assert!(
        told.causes() == [dropped] || told == crate::scenario::Told::default(),
        "{told:?}"
    );
}

#[test]
fn writes_that_take_less_than_was_given_are_taken_up_again() {
    let folder = tempfile::tempdir().unwrap();
    let (faulty, faults) = Faulty::new(folder.path());
    faults.short_writes(7);
    let writer = Writer::open_on(faulty, options()).unwrap();
    written(&writer, 0..50);
    let told = read(&mut Reader::open(folder.path(), Cursor::BEGINNING));
    assert_eq!((told.numbers, told.gaps), ((0..50).collect(), vec![]));
}

#[test]
fn a_full_folder_is_a_bound_until_what_was_ingested_is_removed() {
    for (loss, lost) in [
        (LossPolicy::Drop, Ok(Appended::Dropped(Reason::Full))),
        (LossPolicy::Refuse, Err(Refused { reason: Reason::Full })),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let small = Options {
            loss,
            segment_bytes_max: 4 << 10,
            folder_bytes_max: 16 << 10,
            ..options()
        };
        let writer = Writer::open(folder.path(), small).unwrap();
        let mut numbers = 0..;
        let refused = numbers.by_ref().find_map(|number| {
            let result = writer.append(&numbered(&writer, number, 100));
            (!matches!(result, Ok(Appended::Written(_)))).then_some((number, result))
        });
        let (first_lost, result) = refused.expect("a bound");
        assert_eq!(result, lost);
        assert!(writer.statistics().folder_bytes <= 16 << 10);
        assert!(writer.statistics().folder_bytes > 15 << 10);

        let mut reader = Reader::open(folder.path(), Cursor::BEGINNING);
        assert_eq!(read(&mut reader).numbers, (0..first_lost).collect::<Vec<_>>());
        let removed = reader.remove_ingested(reader.cursor()).unwrap();
        assert!(removed.segments >= 3 && removed.bytes > 11 << 10, "{removed:?}");
        let again = writer.append_within(&numbered(&writer, 1000, 100), PATIENCE);
        assert!(matches!(again, Ok(Appended::Written(_))), "{again:?}");
        let told = read(&mut reader);
        assert_eq!(told.numbers, [1000]);
        let marked = told.causes() == [Cause::Dropped { records: 1, bytes: 140 }];
        assert_eq!(marked, loss == LossPolicy::Drop, "{told:?}");
    }
}

#[test]
fn a_stalled_disk_holds_one_thread_and_no_other() {
    for loss in [LossPolicy::Drop, LossPolicy::Refuse] {
        let folder = tempfile::tempdir().unwrap();
        let (faulty, faults) = Faulty::new(folder.path());
        let stall_max = Duration::from_millis(200);
        let writer = Writer::open_on(
            faulty,
            Options {
                loss,
                stall_max,
                ..options()
            },
        )
        .unwrap();
        written(&writer, 0..1);
        faults.stall(true);
        std::thread::scope(|scope| {
            let stuck = scope.spawn(|| append(&writer, 1));
            faults.wait_for_stalled(1);
            let (begun, batch) = (Instant::now(), numbered(&writer, 2, 100));
            for attempt in 0..1000 {
                let lost = match writer.append(&batch) {
                    Ok(Appended::Dropped(reason)) | Err(Refused { reason }) => Some(reason),
                    Ok(Appended::Written(_)) => None,
                };
                assert_eq!(lost, Some(Reason::Stalled), "{attempt}");
            }
            // One of them waits; a thousand waits of 200 ms would be 200 s.
            assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
            let patient = scope.spawn(|| writer.append_within(&numbered(&writer, 3, 100), PATIENCE));
            faults.stall(false);
            assert!(matches!(stuck.join().unwrap(), Appended::Written(_)));
            assert!(matches!(patient.join().unwrap(), Ok(Appended::Written(_))));
        });
        let dropped = writer.statistics().dropped_records;
        drop(writer);
        let told = read(&mut Reader::open(folder.path(), Cursor::BEGINNING));
        assert_eq!(told.numbers, [0, 1, 3]);
        match loss {
            LossPolicy::Drop => assert_eq!(
                told.causes(),
                [Cause::Dropped {
                    records: 1000,
                    bytes: 140_000
                }]
            ),
            LossPolicy::Refuse => assert_eq!((told.gaps, dropped), (vec![], 0)),
        }
    }
}

/// The pause proves nothing where it is too short, and never fails what is right.
#[test]
fn what_is_synced_is_not_synced_again_and_again() {
    let folder = tempfile::tempdir().unwrap();
    let (faulty, faults) = Faulty::new(folder.path());
    let sync = SyncPolicy::Interval(Duration::from_millis(1));
    let writer = Writer::open_on(faulty, Options { sync, ..options() }).unwrap();
    for count in 1..=2 {
        written(&writer, count..count + 1);
        faults.wait_for_syncs(|syncs| syncs.len() as u64 >= count);
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(faults.wait_for_syncs(|_| true), vec![(1, true); count as usize]);
    }
}

#[test]
fn after_a_failed_sync_its_file_is_never_used_again() {
    let folder = tempfile::tempdir().unwrap();
    let (faulty, faults) = Faulty::new(folder.path());
    let sync = SyncPolicy::Interval(Duration::from_millis(1));
    let writer = Writer::open_on(faulty, Options { sync, ..options() }).unwrap();
    written(&writer, 0..5);
    faults.wait_for_syncs(|syncs| syncs.contains(&(1, true)));
    faults.syncs_fail(true);
    written(&writer, 5..6);
    faults.wait_for_syncs(|syncs| syncs.contains(&(1, false)));
    faults.syncs_fail(false);
    written(&writer, 6..9);
    drop(writer);
    let syncs = faults.wait_for_syncs(|_| true);
    // Whichever file failed, no later entry is of that file.
    for (at, (file, fine)) in syncs.iter().enumerate() {
        let again = syncs[at + 1..].iter().any(|(later, _)| later == file);
        assert!(*fine || !again, "{syncs:?}");
    }
    assert!(syncs.last().is_some_and(|(file, fine)| *file > 1 && *fine), "{syncs:?}");
    assert!(faults.folder_syncs() >= 2);

    let told = read(&mut Reader::open(folder.path(), Cursor::BEGINNING));
    assert_eq!(told.numbers, (0..9).collect::<Vec<_>>());
    let first = told.gaps[0];
    assert_eq!(first.cause, Cause::Unsynced, "{told:?}");
    let fifth = 144 + 5 * 140;
    assert!(
        first.offset <= fifth && first.offset + first.length >= fifth + 140,
        "{first:?}"
    );
    assert!(
        first.offset + first.length <= 144 + 9 * 140,
        "no more than there was: {first:?}"
    );
}

#[test]
fn a_disk_that_never_syncs_is_not_filled_with_segments() {
    let folder = tempfile::tempdir().unwrap();
    let (faulty, faults) = Faulty::new(folder.path());
    faults.syncs_fail(true);
    let sync = SyncPolicy::Interval(Duration::from_millis(1));
    let writer = Writer::open_on(faulty, Options { sync, ..options() }).unwrap();
    let begun = Instant::now();
    written(&writer, 0..1);
    // Each failure is told in a new segment, whose sync fails too.
    faults.wait_for_syncs(|syncs| syncs.len() == 3);
    assert!(
        begun.elapsed() >= Duration::from_millis(250 + 500),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(writer.statistics().segments_begun, 3);
}

#[test]
fn always_waits_for_its_sync_and_says_where_there_was_none() {
    for (loss, unsynced) in [
        (LossPolicy::Drop, Ok(Appended::Dropped(Reason::Unsynced))),
        (
            LossPolicy::Refuse,
            Err(Refused {
                reason: Reason::Unsynced,
            }),
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (faulty, faults) = Faulty::new(folder.path());
        let sync = SyncPolicy::Always;
        let always_wait_max = PATIENCE;
        let writer = Writer::open_on(
            faulty,
            Options {
                sync,
                loss,
                always_wait_max,
                ..options()
            },
        )
        .unwrap();
        for number in 0..3 {
            let before = faults.wait_for_syncs(|_| true).len();
            written(&writer, [number]);
            assert!(
                faults.wait_for_syncs(|_| true).len() > before,
                "a sync came before the append's return"
            );
        }
        faults.syncs_fail(true);
        assert_eq!(writer.append(&numbered(&writer, 3, 100)), unsynced);
        faults.syncs_fail(false);
        written(&writer, [4]);
        assert_eq!(writer.statistics().unsynced_records, 1);
        let told = read(&mut Reader::open(folder.path(), Cursor::BEGINNING));
        assert_eq!(
            (told.numbers.as_slice(), told.causes()),
            (&[0, 1, 2, 3, 4][..], vec![Cause::Unsynced])
        );
    }
}

#[test]
fn always_is_shared_by_all_that_wait() {
    let folder = tempfile::tempdir().unwrap();
    let writer = Writer::open(
        folder.path(),
        Options {
            sync: SyncPolicy::Always,
            ..refusing()
        },
    )
    .unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let writer = &writer;
            scope.spawn(move || written(writer, thread * 20..(thread + 1) * 20));
        }
    });
    let mut numbers = read(&mut Reader::open(folder.path(), Cursor::BEGINNING)).numbers;
    numbers.sort_unstable();
    assert_eq!(numbers, (0..160).collect::<Vec<_>>());
    assert!(writer.statistics().syncs < 160, "{:?}", writer.statistics());
}

/// A reader may see a page while it is being written: what is wrong once and right a moment later was never damaged.
#[test]
fn what_was_misread_once_while_it_is_written_is_no_damage() {
    for (what, byte) in [("a frame's head", 3), ("a payload", FRAME_HEAD_BYTES as u64 + 50)] {
        let folder = tempfile::tempdir().unwrap();
        let (faulty, faults) = Faulty::new(folder.path());
        let writer = Writer::open_on(faulty.clone(), options()).unwrap();
        written(&writer, 0..3);
        let mut reader = Reader::open_on(faulty, Cursor::BEGINNING);
        faults.misread(SEGMENT_HEAD_BYTES as u64 + byte);
        let told = read(&mut reader);
        assert_eq!((told.numbers, told.gaps), (vec![0, 1, 2], vec![]), "{what}");
    }
}

/// A removal that is not synced may be undone by a loss of power; one of nothing costs no sync.
#[test]
fn what_is_removed_is_synced_and_nothing_else_is() {
    let folder = tempfile::tempdir().unwrap();
    let (faulty, faults) = Faulty::new(folder.path());
    let segment_bytes_max = 4 << 10;
    let small = Options {
        segment_bytes_max,
        ..options()
    };
    written(&Writer::open_on(faulty.clone(), small).unwrap(), 0..100);
    let mut reader = Reader::open_on(faulty, Cursor::BEGINNING);
    assert_eq!(read(&mut reader).numbers.len(), 100);
    for (committed, syncs) in [(Cursor::BEGINNING, 0), (reader.cursor(), 1), (reader.cursor(), 0)] {
        let before = faults.folder_syncs();
        let removed = reader.remove_ingested(committed).unwrap();
        assert_eq!(
            (faults.folder_syncs() - before, removed.segments > 0),
            (syncs, syncs > 0)
        );
    }
}

#[test]
fn what_is_refused_says_why() {
    for (reason, why) in [
        (Reason::Stalled, "its disk stalls"),
        (Reason::Full, "does the aggregator read it?"),
        (Reason::Disk(std::io::ErrorKind::ReadOnlyFilesystem), "read-only"),
        (Reason::Unsynced, "did not confirm"),
    ] {
        let text = Refused { reason }.to_string();
        assert!(text.contains("cannot take this one") && text.contains(why), "{text}");
    }
}

/// As every signal does that comes while a call waits.
#[test]
fn what_a_signal_interrupts_is_taken_up_again() {
    let folder = tempfile::tempdir().unwrap();
    let (faulty, faults) = Faulty::new(folder.path());
    let writer = Writer::open_on(faulty.clone(), options()).unwrap();
    faults.interrupt(3);
    written(&writer, 0..3);
    assert_eq!(faults.interruptions_left(), 0);
    let mut reader = Reader::open_on(faulty, Cursor::BEGINNING);
    faults.interrupt(3);
    assert_eq!(read(&mut reader).numbers, [0, 1, 2]);
    assert_eq!(faults.interruptions_left(), 0);
}
