//! A writer and its readers, side by side and one after the other.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::scenario::{cut, exchange, numbered, read, segments, written};
use journal::{
    Appended, Cause, Cursor, Error, Exchange, ExchangeId, Kind, Options, PAYLOAD_BYTES_MAX, Reader, Step, SyncPolicy,
    Writer,
};

fn options() -> Options {
    // A crowded machine is no stalled disk.
    let stall_max = Duration::from_secs(20);
    Options {
        sync: SyncPolicy::Never,
        segment_bytes_max: 8 << 10,
        stall_max,
        ..Options::default()
    }
}

#[test]
fn readers_that_follow_four_threads_get_each_record_once_in_each_threads_order() {
    const EACH: u64 = 1000;
    let folder = tempfile::tempdir().unwrap();
    let writer = Writer::open(folder.path(), options()).unwrap();
    let done = AtomicBool::new(false);
    let follow = || {
        let mut reader = Reader::open(folder.path(), Cursor::BEGINNING);
        let mut numbers = Vec::new();
        loop {
            let last = done.load(Ordering::SeqCst);
            let told = read(&mut reader);
            assert_eq!(told.gaps, []);
            numbers.extend(told.numbers);
            if last {
                return numbers;
            }
            // Begun anew from what a consumer would have committed.
            reader = Reader::open(folder.path(), reader.cursor().to_string().parse().unwrap());
        }
    };
    std::thread::scope(|scope| {
        let readers = [scope.spawn(follow), scope.spawn(follow)];
        let writers: Vec<_> = (0..4u64)
            .map(|thread| {
                let writer = &writer;
                scope.spawn(move || {
                    for number in 0..EACH {
                        let bytes = (number as usize * 37) % 700;
                        let batch = numbered(writer, thread << 32 | number, bytes);
                        assert!(matches!(writer.append(&batch), Ok(Appended::Written(_))));
                    }
                })
            })
            .collect();
        writers.into_iter().for_each(|thread| thread.join().unwrap());
        done.store(true, Ordering::SeqCst);
        for reader in readers {
            let numbers = reader.join().unwrap();
            for thread in 0..4 {
                let of_thread: Vec<_> = numbers
                    .iter()
                    .filter(|n| *n >> 32 == thread)
                    .map(|n| n & 0xffff_ffff)
                    .collect();
                assert_eq!(of_thread, (0..EACH).collect::<Vec<_>>());
            }
        }
    });
    assert!(writer.statistics().segments_begun > 30);
}

#[test]
fn what_is_longer_than_a_frame_comes_in_parts_that_are_numbered() {
    let folder = tempfile::tempdir().unwrap();
    let writer = Writer::open(folder.path(), options()).unwrap();
    let body: Vec<u8> = (0..3 * PAYLOAD_BYTES_MAX + 5).map(|at| (at * 31 / 7) as u8).collect();
    let mut batch = writer.batch();
    let mut exchange = Exchange::new(ExchangeId([9; 16]));
    batch.push(&mut exchange, Kind::Begun, b"");
    batch.push(&mut exchange, Kind::RequestBytes, &body);
    batch.push(&mut exchange, Kind::Ended, b"complete");
    assert!(matches!(writer.append(&batch), Ok(Appended::Written(_))));

    let mut reader = Reader::open(folder.path(), Cursor::BEGINNING);
    let (mut kinds, mut sequences, mut read) = (Vec::new(), Vec::new(), Vec::new());
    while let Step::Record(record) = reader.next_step().unwrap() {
        assert_eq!(record.exchange, ExchangeId([9; 16]));
        kinds.push(record.kind);
        sequences.push(record.sequence);
        if record.kind == Kind::RequestBytes {
            read.extend_from_slice(record.payload);
        }
    }
    assert_eq!(read, body);
    assert_eq!(sequences, [0, 1, 2, 3, 4, 5]);
    assert_eq!((kinds[0], kinds[5]), (Kind::Begun, Kind::Ended));
}

#[test]
fn a_writer_that_is_given_nothing_makes_no_segment() {
    let folder = tempfile::tempdir().unwrap();
    drop(Writer::open(folder.path(), options()).unwrap());
    assert!(segments(folder.path()).is_empty());
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error_with_its_cause() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = Writer::open(file.join("journal"), options()).expect_err("there is a file in its way");
    let cause = std::error::Error::source(&error).and_then(|cause| cause.downcast_ref::<std::io::Error>());
    assert_eq!(
        cause.map(std::io::Error::kind),
        Some(std::io::ErrorKind::NotADirectory),
        "{error}"
    );
}

#[test]
fn a_second_writer_is_kept_out_until_the_first_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let writer = Writer::open(folder.path(), options()).unwrap();
    let error = Writer::open(folder.path(), options()).expect_err("locked");
    assert!(matches!(error, Error::Locked { .. }), "{error}");
    drop(writer);
    Writer::open(folder.path(), options()).expect("free again");
}

#[test]
fn a_reader_may_be_there_before_the_journal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("to/come");
    let mut reader = Reader::open(&path, Cursor::BEGINNING);
    assert!(reader.next_step().unwrap().is_idle());
    let writer = Writer::open(&path, options()).unwrap();
    assert!(reader.next_step().unwrap().is_idle());
    written(&writer, 0..3);
    assert!(reader.behind_bytes().unwrap() > 0);
    assert_eq!(read(&mut reader).numbers, [0, 1, 2]);
    assert_eq!(reader.behind_bytes().unwrap(), 0);
}

#[test]
fn a_torn_tail_is_told_when_the_next_writer_has_begun() {
    let folder = tempfile::tempdir().unwrap();
    let writer = Writer::open(folder.path(), options()).unwrap();
    written(&writer, 0..3);
    drop(writer);
    cut(&segments(folder.path())[0], 144 + 3 * 140 - 1);
    let mut reader = Reader::open(folder.path(), Cursor::BEGINNING);
    let told = read(&mut reader);
    assert_eq!((told.numbers, told.gaps), (vec![0, 1], vec![]));

    let writer = Writer::open(folder.path(), options()).unwrap();
    written(&writer, 3..5);
    let told = read(&mut reader);
    assert_eq!(told.numbers, [3, 4]);
    let [gap] = told.gaps[..] else { panic!("{told:?}") };
    assert_eq!((gap.offset, gap.length, gap.cause), (144 + 2 * 140, 139, Cause::Torn));
}

#[test]
fn what_is_cut_off_or_taken_away_later_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let writer = Writer::open(folder.path(), options()).unwrap();
    written(&writer, 0..400);
    let paths = segments(folder.path());
    assert!(paths.len() >= 6, "{}", paths.len());
    let lengths: Vec<_> = paths.iter().map(|path| fs::metadata(path).unwrap().len()).collect();
    let each = (lengths[0] - 144) / 140;
    cut(&paths[0], lengths[0] - 140); // Between two frames.
    cut(&paths[1], lengths[1] - 141); // Inside one.
    fs::remove_file(&paths[3]).unwrap();

    let told = read(&mut Reader::open(folder.path(), Cursor::BEGINNING));
    let gone = [each - 1..each, 2 * each - 2..2 * each, 3 * each..4 * each];
    let left = (0..400).filter(|number| !gone.iter().any(|gone| gone.contains(number)));
    assert_eq!(told.numbers, left.collect::<Vec<_>>());
    let gaps: Vec<_> = told
        .gaps
        .iter()
        .map(|gap| (gap.cause, gap.offset, gap.length))
        .collect();
    let expected = [
        (Cause::Shortened, lengths[0] - 140, 140),
        (Cause::Shortened, lengths[1] - 280, 280),
        (Cause::Missing, 0, lengths[3]),
    ];
    assert_eq!(gaps, expected);
}

#[test]
fn a_removed_segment_that_was_read_to_its_end_is_no_loss() {
    let folder = tempfile::tempdir().unwrap();
    let writer = Writer::open(folder.path(), options()).unwrap();
    written(&writer, 0..3);
    let mut reader = Reader::open(folder.path(), Cursor::BEGINNING);
    read(&mut reader);
    let committed = reader.cursor();
    drop(writer);
    let writer = Writer::open(folder.path(), options()).unwrap();
    written(&writer, 3..5);
    fs::remove_file(&segments(folder.path())[0]).unwrap();
    let told = read(&mut Reader::open(folder.path(), committed));
    assert_eq!((told.numbers, told.gaps), (vec![3, 4], vec![]));

    let halfway = Cursor {
        offset: committed.offset - 140,
        ..committed
    };
    let told = read(&mut Reader::open(folder.path(), halfway));
    assert_eq!((told.numbers.as_slice(), told.gaps[0].length), (&[3, 4][..], 140));
}

#[test]
fn only_what_is_committed_and_left_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let writer = Writer::open(folder.path(), options()).unwrap();
    written(&writer, 0..200);
    let all = segments(folder.path());
    let mut reader = Reader::open(folder.path(), Cursor::BEGINNING);
    let end = Cursor {
        segment: u64::MAX,
        offset: 0,
    };
    assert_eq!(reader.remove_ingested(end).unwrap().segments, 0, "nothing was read yet");
    read(&mut reader);
    assert_eq!(
        reader.remove_ingested(Cursor::BEGINNING).unwrap().segments,
        0,
        "nothing was committed yet"
    );
    assert_eq!(reader.remove_ingested(end).unwrap().segments, all.len() as u64 - 1);
    assert_eq!(segments(folder.path()), all[all.len() - 1..]);
    written(&writer, 200..201);
    assert_eq!(read(&mut reader).numbers, [200]);
    let begun_later = read(&mut Reader::open(folder.path(), Cursor::BEGINNING));
    assert_eq!(begun_later.numbers.last(), Some(&200));
    assert_eq!(
        begun_later.gaps,
        [],
        "what was removed before it began is none of its business"
    );
}

#[test]
fn an_exchanged_folder_is_an_error_that_says_so() {
    let folder = tempfile::tempdir().unwrap();
    written(&Writer::open(folder.path(), options()).unwrap(), 0..1);
    let cursor = Cursor {
        segment: u64::MAX,
        offset: 200,
    };
    let error = Reader::open(folder.path(), cursor)
        .next_step()
        .expect_err("beyond")
        .to_string();
    assert!(
        error.contains(&cursor.to_string()) && error.contains("exchanged"),
        "{error}"
    );
}

#[test]
fn modes_are_ours_alone_whatever_the_umask() {
    if let Some(path) = std::env::var_os("JOURNAL_TEST_FOLDER") {
        return written(&Writer::open(path, options()).unwrap(), 0..1);
    }
    let folder = tempfile::tempdir().unwrap();
    let open_before = folder.path().join("was-open");
    fs::create_dir(&open_before).unwrap();
    fs::set_permissions(&open_before, fs::Permissions::from_mode(0o777)).unwrap();
    for (umask, name) in [("0", "new"), ("0", "was-open"), ("077", "tight"), ("0277", "odd")] {
        let path = folder.path().join(name);
        let status = Command::new("sh")
            .args(["-c", "umask \"$1\"; shift; exec \"$@\"", "sh", umask])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "follow::modes_are_ours_alone_whatever_the_umask"])
            .env("JOURNAL_TEST_FOLDER", &path)
            .output()
            .unwrap();
        assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stdout));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o700, "umask {umask}");
        let files: Vec<_> = fs::read_dir(&path)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        assert_eq!(files.len(), 2);
        files
            .iter()
            .for_each(|file| assert_eq!(mode(file), 0o600, "{} under umask {umask}", file.display()));
    }
}

#[test]
fn nothing_shows_a_payload() {
    let folder = tempfile::tempdir().unwrap();
    let writer = Writer::open(folder.path(), options()).unwrap();
    let mut batch = writer.batch();
    batch.push(&mut exchange(1), Kind::RequestBytes, b"PROMPT");
    writer.append(&batch).unwrap();
    let mut reader = Reader::open(folder.path(), Cursor::BEGINNING);
    let step = format!("{:?}", reader.next_step().unwrap());
    let shown = format!("{batch:?} {writer:?} {step} {reader:?}");
    assert!(step.contains("payload_bytes: 6"), "{step}");
    assert!(!shown.contains("PROMPT") && !shown.contains("80, 82"), "{shown}");
}
