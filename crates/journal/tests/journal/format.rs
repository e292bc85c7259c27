//! The bytes themselves, as the crate's documentation draws them: written by hand, read by the reader, and the reverse.

use std::fs;
use std::path::Path;

use journal::{Cause, Cursor, Error, ExchangeId, Kind, Options, Reader, Step, Writer};

use crate::scenario::{exchange, segments};

const SALT: u32 = 0x1234_5678;
const MARKER: [u8; 4] = [0x81, 0x92, 0xa3, 0xb4];

fn head(version: u32, number: u64) -> Vec<u8> {
    let mut copy = b"CNCLVJNL".to_vec();
    copy.extend(version.to_le_bytes());
    copy.extend(MARKER);
    copy.extend(SALT.to_le_bytes());
    copy.extend(number.to_le_bytes());
    copy.extend([0; 16]); // There was none before.
    copy.extend(crc32c::crc32c(&copy).to_le_bytes());
    copy.repeat(3)
}

fn frame(kind: u8, sequence: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = MARKER.to_vec();
    frame.extend((payload.len() as u32).to_le_bytes());
    frame.extend([kind, 0, 0, 0]);
    frame.extend(sequence.to_le_bytes());
    frame.extend([0xee; 16]);
    frame.extend(crc32c::crc32c_append(SALT, payload).to_le_bytes());
    frame.extend(crc32c::crc32c_append(SALT, &frame).to_le_bytes());
    frame.extend(payload);
    frame
}

fn put(folder: &Path, bytes: &[Vec<u8>]) {
    fs::write(folder.join("00000000000000000007.segment"), bytes.concat()).unwrap();
}

#[test]
fn a_journal_written_by_hand_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let dropped = [&[1][..], &5u64.to_le_bytes(), &600u64.to_le_bytes(), &[0; 8]].concat();
    put(
        folder.path(),
        &[
            head(1, 7),
            frame(1, 0, b"begun"),
            frame(99, 1, b"to come"),
            frame(240, 0, &dropped),
            frame(5, 2, b""),
        ],
    );
    let mut reader = Reader::open(folder.path(), Cursor::BEGINNING);
    let mut told = Vec::new();
    loop {
        match reader.next_step().unwrap() {
            Step::Record(record) => {
                assert_eq!(record.exchange, ExchangeId([0xee; 16]));
                told.push(format!(
                    "{:?} {} {:?}",
                    record.kind,
                    record.sequence,
                    record.payload.len()
                ));
            }
            Step::Gap(gap) => {
                assert_eq!(gap.cause, Cause::Dropped { records: 5, bytes: 600 });
                told.push("dropped".to_owned());
            }
            Step::Idle => break,
        }
    }
    assert_eq!(told, ["Begun 0 5", "dropped", "Ended 2 0"]);
    assert_eq!(reader.skipped_records(), 1);
    assert_eq!(
        reader.cursor(),
        Cursor {
            segment: 7,
            offset: 144 + 45 + 47 + 65 + 40
        }
    );
}

#[test]
fn what_a_writer_writes_is_what_is_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let writer = Writer::open(folder.path(), Options::default()).unwrap();
    let mut batch = writer.batch();
    let mut exchange = exchange(3);
    batch.push(&mut exchange, Kind::RequestBytes, b"{}");
    writer.append(&batch).unwrap();
    drop(writer); // The file has all of it by then, in either form.
    let path = segments(folder.path()).pop().unwrap();
    let bytes = fs::read(&path).unwrap();
    let number = u64::from_le_bytes(*bytes[20..].first_chunk().unwrap());
    assert_eq!(
        path.file_name().unwrap().to_str().unwrap(),
        format!("{number:020}.segment")
    );
    assert_eq!(
        (&bytes[..12], &bytes[..48]),
        (&b"CNCLVJNL\x01\0\0\0"[..], &bytes[96..144])
    );
    assert_eq!(bytes[12..16], bytes[144..148], "the marker");
    assert_eq!(bytes[148..160], [2, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(bytes[160..176], exchange.id().0);
    assert_eq!(bytes[184..], *b"{}");
}

#[test]
fn a_version_that_is_not_known_is_an_error_that_says_so() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), &[head(2, 7), frame(1, 0, b"begun")]);
    let mut reader = Reader::open(folder.path(), Cursor::BEGINNING);
    for _ in 0..2 {
        let error = reader.next_step().expect_err("version 2");
        assert!(matches!(error, Error::Version { found: 2, .. }), "{error}");
        assert!(error.to_string().contains("version 2"), "{error}");
    }
}

#[test]
fn a_file_under_another_segments_name_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), &[head(1, 6), frame(1, 0, b"begun")]);
    let mut reader = Reader::open(folder.path(), Cursor::BEGINNING);
    assert_eq!(reader.next_step().unwrap(), Step::Idle);
}
