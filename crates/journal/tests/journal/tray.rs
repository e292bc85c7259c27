//! A segment whose last bytes lie in a tray reads as one that has them, whatever becomes of its writer and its disk.
//!
//! A disk that stalls keeps the tray full: then what is copied away is what a killed writer would leave.

use std::fs::{self, File};
use std::io::ErrorKind::StorageFull;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use journal::io::Trayed;
use journal::{
    Appended, Cause, Cursor, Error, FRAME_HEAD_BYTES, LossPolicy, Options, Reader, Reason, Refused, SEGMENT_HEAD_BYTES,
    SyncPolicy, Writer,
};
use tempfile::TempDir;

use crate::faulty::{Faults, Faulty};
use crate::scenario::{PATIENCE, Told, append, cut, exchange, numbered, read, segments, wait_for, written};

const FRAME: usize = FRAME_HEAD_BYTES + 100;
/// Where a tray's bytes begin.
const TRAY_HEAD: u64 = 4096;
const TRAY_BYTES: usize = 252 << 10;

fn options() -> Options {
    Options {
        sync: SyncPolicy::Never,
        stall_max: PATIENCE,
        ..Options::default()
    }
}

/// A writer with a tray, on a disk that fails when told to.
fn faulty(folder: &Path, options: Options) -> (Writer, Arc<Faults>) {
    let (disk, faults) = Faulty::new(folder);
    let trayed = Trayed::open(disk)
        .unwrap()
        .expect("a file system that is apt: build on ext4 or tmpfs");
    (Writer::open_on(Arc::new(trayed), options).unwrap(), faults)
}

/// Over when dropped: a test that fails must not leave its writer waiting.
struct Stalled<'a>(&'a Faults);

impl<'a> Stalled<'a> {
    fn begin(faults: &'a Faults) -> Self {
        faults.stall(true);
        Self(faults)
    }
}

impl Drop for Stalled<'_> {
    fn drop(&mut self) {
        self.0.stall(false);
    }
}

fn told(folder: &Path) -> Told {
    read(&mut Reader::open(folder, Cursor::BEGINNING))
}

fn tray(folder: &Path) -> PathBuf {
    folder.join("tray")
}

fn in_files(folder: &Path) -> u64 {
    let lengths = segments(folder)
        .into_iter()
        .map(|path| fs::metadata(path).unwrap().len());
    lengths.sum()
}

/// What a kill at this moment would leave: the tray first, for what has left it by then is in the segment.
fn as_killed(folder: &Path) -> TempDir {
    let left = tempfile::tempdir().unwrap();
    for path in [tray(folder)].into_iter().chain(segments(folder)) {
        fs::copy(&path, left.path().join(path.file_name().unwrap())).unwrap();
    }
    left
}

/// A folder whose newest segment has so many records in its tray and `filed` in its file, as a killed writer left it.
fn left_with(filed: u64, in_tray: u64) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (writer, faults) = faulty(folder.path(), options());
    if filed > 0 {
        written(&writer, 0..filed);
        wait_for("the syncing thread", || {
            in_files(folder.path()) == (SEGMENT_HEAD_BYTES + filed as usize * FRAME) as u64
        });
    }
    let _stalled = Stalled::begin(&faults);
    written(&writer, filed..filed + in_tray);
    as_killed(folder.path())
}

#[test]
fn a_reader_gets_what_lies_in_it_and_once_only() {
    let folder = tempfile::tempdir().unwrap();
    let (writer, faults) = faulty(folder.path(), options());
    let stalled = Stalled::begin(&faults);
    let mut reader = Reader::open(folder.path(), Cursor::BEGINNING);
    for round in 0..5 {
        written(&writer, round * 10..round * 10 + 10);
        assert_eq!(reader.behind_bytes().unwrap() as usize, 10 * FRAME);
        assert_eq!(
            read(&mut reader).numbers,
            (round * 10..round * 10 + 10).collect::<Vec<_>>()
        );
        assert_eq!(reader.behind_bytes().unwrap(), 0);
    }
    assert_eq!(in_files(folder.path()), 0, "none of it has reached the disk");
    drop(stalled);
    wait_for("the syncing thread", || {
        in_files(folder.path()) as usize == SEGMENT_HEAD_BYTES + 50 * FRAME
    });
    assert_eq!(read(&mut reader), Told::default(), "it was there before");
    written(&writer, 50..60);
    assert_eq!(read(&mut reader).numbers, (50..60).collect::<Vec<_>>());
    let mode = fs::metadata(tray(folder.path())).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    drop(writer);
    assert!(!tray(folder.path()).exists(), "who ends in order leaves none");
    let all = told(folder.path());
    assert_eq!((all.numbers, all.gaps), ((0..60).collect(), vec![]));
}

#[test]
fn what_a_killed_writer_left_is_read_and_taken_over() {
    for (filed, in_tray) in [(0, 1), (0, 40), (3, 0), (3, 40)] {
        for through_tray in [true, false] {
            let left = left_with(filed, in_tray);
            let mut reader = Reader::open(left.path(), Cursor::BEGINNING);
            let there = filed + in_tray;
            assert_eq!(read(&mut reader).numbers, (0..there).collect::<Vec<_>>(), "by nobody");
            let options = Options {
                tray: through_tray,
                ..options()
            };
            let writer = Writer::open(left.path(), options).unwrap();
            assert_eq!(tray(left.path()).exists(), through_tray);
            written(&writer, there..there + 3);
            let then = read(&mut reader);
            assert_eq!((then.numbers, then.gaps), ((there..there + 3).collect(), vec![]));
            drop(writer);
            let all = told(left.path());
            assert_eq!(
                (all.numbers, all.gaps),
                ((0..there + 3).collect(), vec![]),
                "{filed}, {in_tray}"
            );
        }
    }
}

#[test]
fn what_was_half_handed_over_is_taken_over_from_there() {
    for written_bytes in [0, 1, SEGMENT_HEAD_BYTES, SEGMENT_HEAD_BYTES + 7 * FRAME + 33] {
        let left = left_with(0, 20);
        let path = segments(left.path()).remove(0);
        let segment = File::options().write(true).open(path).unwrap();
        let mut bytes = vec![0; written_bytes];
        File::open(tray(left.path()))
            .unwrap()
            .read_exact_at(&mut bytes, TRAY_HEAD)
            .unwrap();
        segment.write_all_at(&bytes, 0).unwrap();
        assert_eq!(told(left.path()).numbers, (0..20).collect::<Vec<_>>());
        written(&Writer::open(left.path(), options()).unwrap(), 20..22);
        let all = told(left.path());
        assert_eq!((all.numbers, all.gaps), ((0..22).collect(), vec![]), "{written_bytes}");
    }
}

#[test]
fn a_flipped_bit_costs_its_record_at_most_and_is_located() {
    let left = left_with(2, 5);
    let path = tray(left.path());
    let bytes = fs::read(&path).unwrap();
    let file = File::options().write(true).open(&path).unwrap();
    let of_head = 0..3 * 32 * 8;
    let of_frames = TRAY_HEAD as usize * 8..(TRAY_HEAD as usize + 5 * FRAME) * 8;
    for bit in of_head.chain(of_frames) {
        let at = bit / 8;
        file.write_all_at(&[bytes[at] ^ 1 << (bit % 8)], at as u64).unwrap();
        let hit = at.checked_sub(TRAY_HEAD as usize).map(|at| 2 + (at / FRAME) as u64);
        let kept: Vec<_> = (0..7).filter(|number| Some(*number) != hit).collect();
        assert_eq!(told(left.path()).numbers, kept, "bit {bit}");
        let again = (bit % 61 == 0).then(|| as_killed(left.path()));
        file.write_all_at(&bytes[at..=at], at as u64).unwrap();
        // And what becomes of it once a writer has taken it over.
        let Some(again) = again else { continue };
        written(&Writer::open(again.path(), options()).unwrap(), 7..8);
        let all = told(again.path());
        assert_eq!(
            all.numbers,
            kept.iter().copied().chain([7]).collect::<Vec<_>>(),
            "bit {bit}"
        );
        assert_eq!(
            all.causes(),
            hit.map(|_| Cause::Damaged).into_iter().collect::<Vec<_>>(),
            "bit {bit}"
        );
        if let Some(hit) = hit {
            let place = (SEGMENT_HEAD_BYTES + hit as usize * FRAME) as u64;
            assert_eq!(
                (all.gaps[0].offset, all.gaps[0].length),
                (place, FRAME as u64),
                "bit {bit}"
            );
        }
    }
}

#[test]
fn what_is_no_tray_is_no_harm() {
    for contents in [&b""[..], b"CNCLVTRY", &[0xff; 300_000]] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(tray(folder.path()), contents).unwrap();
        let writer = Writer::open(folder.path(), options()).unwrap();
        written(&writer, 0..3);
        assert_eq!(told(folder.path()).numbers, [0, 1, 2]);
        drop(writer);
        assert_eq!(told(folder.path()).numbers, [0, 1, 2]);
    }
}

#[test]
fn what_lies_in_a_tray_that_cannot_be_gone_on_with_is_handed_over() {
    let left = left_with(5, 20);
    cut(&tray(left.path()), TRAY_HEAD + 20 * FRAME as u64);
    assert!(Trayed::open(Faulty::new(left.path()).0).unwrap().is_none());
    assert!(!tray(left.path()).exists());
    assert_eq!(told(left.path()).numbers, (0..25).collect::<Vec<_>>());
}

/// Without its power a machine may keep any part of what was not synced.
#[test]
fn a_tray_without_its_segment_is_left_alone() {
    let left = left_with(5, 20);
    cut(&segments(left.path())[0], (SEGMENT_HEAD_BYTES + 2 * FRAME) as u64);
    written(&Writer::open(left.path(), options()).unwrap(), 30..33);
    let all = told(left.path());
    assert_eq!(all.numbers, [0, 1, 30, 31, 32]);

    let left = left_with(5, 20);
    fs::remove_file(&segments(left.path())[0]).unwrap();
    written(&Writer::open(left.path(), options()).unwrap(), 30..33);
    assert_eq!(told(left.path()).numbers, [30, 31, 32]);
}

#[test]
fn a_full_disk_costs_nothing_that_was_taken_and_is_caught_up_with() {
    for (loss, lost) in [
        (LossPolicy::Drop, Ok(Appended::Dropped(Reason::Disk(StorageFull)))),
        (
            LossPolicy::Refuse,
            Err(Refused {
                reason: Reason::Disk(StorageFull),
            }),
        ),
    ] {
        for (sync, room) in [
            (SyncPolicy::Never, 0),
            (SyncPolicy::Interval(Duration::from_millis(1)), 1000),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let (writer, faults) = faulty(
                folder.path(),
                Options {
                    loss,
                    sync,
                    ..options()
                },
            );
            written(&writer, 0..10);
            faults.room(Some(room));
            let mut numbers = 10..;
            let refused = numbers.by_ref().find_map(|number| {
                let result = writer.append(&numbered(&writer, number, 100));
                (!matches!(result, Ok(Appended::Written(_)))).then_some((number, result))
            });
            let (first_lost, result) = refused.expect("a tray is not endless");
            assert_eq!(result, lost);
            assert!(first_lost as usize * FRAME > TRAY_BYTES - 40 * FRAME, "{first_lost}");
            let mut reader = Reader::open(folder.path(), Cursor::BEGINNING);
            assert_eq!(read(&mut reader).numbers, (0..first_lost).collect::<Vec<_>>());
            // Killed now, its successor has all of it too, as soon as there is room.
            let left = as_killed(folder.path());
            faults.room(None);
            let again = writer.append_within(&numbered(&writer, 100_000, 100), PATIENCE);
            assert!(matches!(again, Ok(Appended::Written(_))), "{again:?}");
            drop(writer);
            let then = read(&mut reader);
            assert_eq!(then.numbers, [100_000]);
            let marked = then.causes()
                == [Cause::Dropped {
                    records: 1,
                    bytes: FRAME as u64,
                }];
            assert_eq!(marked, loss == LossPolicy::Drop, "{then:?}");
            assert!(marked || then.gaps.is_empty(), "{then:?}");

            written(&Writer::open(left.path(), options()).unwrap(), [200_000]);
            let all = told(left.path());
            assert_eq!(
                (all.numbers, all.gaps),
                ((0..first_lost).chain([200_000]).collect(), vec![])
            );
        }
    }
}

#[test]
fn a_segment_that_cannot_get_the_rest_of_its_tray_is_not_followed_by_another() {
    let folder = tempfile::tempdir().unwrap();
    let small = Options {
        segment_bytes_max: 8 << 10,
        ..options()
    };
    let (writer, faults) = faulty(folder.path(), small);
    written(&writer, 0..5);
    faults.room(Some(300));
    let mut numbers = 5..;
    let first_lost = numbers
        .find(|number| !matches!(append(&writer, *number), Appended::Written(_)))
        .unwrap();
    assert_eq!(segments(folder.path()).len(), 1);
    faults.room(None);
    let again = writer.append_within(&numbered(&writer, 1000, 100), PATIENCE);
    assert!(matches!(again, Ok(Appended::Written(_))), "{again:?}");
    assert_eq!(segments(folder.path()).len(), 2);
    let all = told(folder.path());
    assert_eq!(all.numbers, (0..first_lost).chain([1000]).collect::<Vec<_>>());
    assert_eq!(
        all.causes(),
        [Cause::Dropped {
            records: 1,
            bytes: FRAME as u64
        }]
    );
}

#[test]
fn a_stalled_disk_holds_nobody_while_there_is_room_and_then_one() {
    let folder = tempfile::tempdir().unwrap();
    let stall_max = Duration::from_secs(1);
    let (writer, faults) = faulty(folder.path(), Options { stall_max, ..options() });
    let stalled = Stalled::begin(&faults);
    let fitting = ((TRAY_BYTES - SEGMENT_HEAD_BYTES) / FRAME) as u64;
    written(&writer, 0..fitting);
    faults.wait_for_stalled(1); // The syncing thread: nobody waited for it.
    std::thread::scope(|scope| {
        let (tell, hear) = std::sync::mpsc::channel();
        for thread in 0..5 {
            let (tell, writer) = (tell.clone(), &writer);
            scope.spawn(move || tell.send(append(writer, 10_000 + thread)).unwrap());
        }
        // One has the gate and is held up; the others are not, and neither is who comes later.
        for _ in 0..4 {
            assert_eq!(hear.recv_timeout(PATIENCE), Ok(Appended::Dropped(Reason::Stalled)));
        }
        assert_eq!(append(&writer, 20_000), Appended::Dropped(Reason::Stalled));
        drop(stalled);
        assert!(matches!(hear.recv_timeout(PATIENCE), Ok(Appended::Written(_))));
    });
    drop(writer);
    let all = told(folder.path());
    assert_eq!(all.numbers[..fitting as usize], (0..fitting).collect::<Vec<_>>());
    assert_eq!(all.numbers.len() as u64, fitting + 1);
    let bytes = 5 * FRAME as u64;
    assert_eq!(all.causes(), [Cause::Dropped { records: 5, bytes }]);
}

#[test]
fn what_comes_while_the_disk_takes_the_rest_stays_until_its_turn() {
    let folder = tempfile::tempdir().unwrap();
    let (writer, faults) = faulty(folder.path(), options());
    let stalled = Stalled::begin(&faults);
    written(&writer, 0..5);
    faults.wait_for_stalled(1); // The syncing thread, with what there was.
    written(&writer, 5..10);
    drop(stalled);
    drop(writer);
    assert_eq!(told(folder.path()).numbers, (0..10).collect::<Vec<_>>());
}

#[test]
fn what_a_signal_interrupts_is_handed_over_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (writer, faults) = faulty(folder.path(), options());
    written(&writer, 0..5);
    faults.interrupt(3);
    written(&writer, 5..10);
    drop(writer);
    assert_eq!(faults.interruptions_left(), 0);
    assert!(!tray(folder.path()).exists(), "all of it is in the segment");
    assert_eq!(told(folder.path()).numbers, (0..10).collect::<Vec<_>>());
}

#[test]
fn long_batches_and_short_writes_keep_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let (writer, faults) = faulty(folder.path(), options());
    faults.short_writes(1009);
    let lengths = [100, 60_000, 8, 31_000, 33_000, 64_000, 100];
    for number in 0..200u64 {
        let batch = numbered(&writer, number, lengths[number as usize % lengths.len()]);
        assert!(matches!(writer.append(&batch), Ok(Appended::Written(_))));
    }
    let live = told(folder.path());
    assert_eq!((live.numbers, live.gaps), ((0..200).collect(), vec![]));
    let mut long = writer.batch();
    long.push(
        &mut exchange(200),
        journal::Kind::RequestBytes,
        &200u64.to_be_bytes().repeat(50_000),
    );
    assert!(matches!(writer.append(&long), Ok(Appended::Written(_))));
    written(&writer, [201]);
    drop(writer);
    let all = told(folder.path());
    assert_eq!(
        (all.numbers[..201].to_vec(), all.numbers.last()),
        ((0..201).collect(), Some(&201))
    );
    assert_eq!(all.gaps, []);
}

#[test]
fn what_must_be_synced_at_once_goes_through_none() {
    let folder = tempfile::tempdir().unwrap();
    let sync = SyncPolicy::Always;
    let writer = Writer::open(folder.path(), Options { sync, ..options() }).unwrap();
    written(&writer, 0..3);
    assert!(!tray(folder.path()).exists());
    assert_eq!(in_files(folder.path()) as usize, SEGMENT_HEAD_BYTES + 3 * FRAME);
}

#[test]
fn what_is_synced_was_handed_over_before() {
    let folder = tempfile::tempdir().unwrap();
    let sync = SyncPolicy::Interval(Duration::from_millis(1));
    let (writer, faults) = faulty(folder.path(), Options { sync, ..options() });
    for number in 0..20 {
        written(&writer, [number]);
        let before = faults.wait_for_syncs(|_| true).len();
        // The one that was under way when it was appended says nothing of it; the one after that does.
        faults.wait_for_syncs(|syncs| syncs.len() > before);
        let wanted = (SEGMENT_HEAD_BYTES + (number as usize + 1) * FRAME) as u64;
        wait_for("its file", || in_files(folder.path()) == wanted);
    }
    faults.syncs_fail(true);
    written(&writer, [20]);
    faults.wait_for_syncs(|syncs| syncs.iter().any(|(_, fine)| !fine));
    faults.syncs_fail(false);
    written(&writer, 21..23);
    drop(writer);
    let all = told(folder.path());
    assert_eq!(
        (all.numbers.clone(), all.gaps[0].cause),
        ((0..23).collect(), Cause::Unsynced),
        "{all:?}"
    );
}

#[test]
fn nothing_of_what_passed_stays_behind_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let writer = Writer::open(folder.path(), options()).unwrap();
    for number in 0..3000 {
        written(&writer, [number]);
    }
    wait_for("the syncing thread", || {
        in_files(folder.path()) as usize == SEGMENT_HEAD_BYTES + 3000 * FRAME
    });
    wait_for("the tray's bytes", || {
        fs::read(tray(folder.path())).unwrap()[TRAY_HEAD as usize..]
            .iter()
            .all(|byte| *byte == 0)
    });
}

/// Records may lie in it: a reader that took it for none would pass them over.
#[test]
fn a_tray_that_cannot_be_read_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    written(&Writer::open(folder.path(), options()).unwrap(), 0..3);
    fs::create_dir(tray(folder.path())).unwrap();
    let mut reader = Reader::open(folder.path(), Cursor::BEGINNING);
    let error = std::iter::repeat_with(|| reader.next_step().err())
        .take(5)
        .flatten()
        .next();
    assert!(matches!(error, Some(Error::Io { .. })), "{error:?}");
}
