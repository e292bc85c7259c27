//! Each single bit of a journal, flipped; and bytes that pretend to be frames.

use std::fs;

use journal::{Cause, Cursor, FRAME_HEAD_BYTES, Kind, Options, Reader, SEGMENT_HEAD_BYTES, SyncPolicy, Writer};

use crate::scenario::{Told, exchange, read, segments, written};

const FRAME: usize = FRAME_HEAD_BYTES + 100;

fn options() -> Options {
    let stall_max = std::time::Duration::from_secs(20);
    Options {
        sync: SyncPolicy::Never,
        segment_bytes_max: 1 << 20,
        stall_max,
        tray: false, // What it does to a tray is in `tray.rs`.
        ..Options::default()
    }
}

#[test]
fn any_one_flipped_bit_costs_its_record_at_most_and_is_located() {
    let folder = tempfile::tempdir().unwrap();
    for writer in 0..2 {
        written(
            &Writer::open(folder.path(), options()).unwrap(),
            writer * 5..writer * 5 + 5,
        );
    }
    for (nth, path) in segments(folder.path()).iter().enumerate() {
        let bytes = fs::read(path).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut hurt = bytes.clone();
            hurt[bit / 8] ^= 1 << (bit % 8);
            fs::write(path, hurt).unwrap();
            let Told { numbers, gaps } = read(&mut Reader::open(folder.path(), Cursor::BEGINNING));
            let Some(in_frames) = (bit / 8).checked_sub(SEGMENT_HEAD_BYTES) else {
                assert_eq!((numbers.len(), gaps.len()), (10, 0), "bit {bit} of the head");
                continue;
            };
            let hit = in_frames / FRAME;
            let lost = (nth * 5 + hit) as u64;
            assert_eq!(
                numbers,
                (0..10).filter(|number| *number != lost).collect::<Vec<_>>(),
                "bit {bit}"
            );
            // At a live segment's end a damaged head cannot be told from one that is yet to come.
            let told_later = nth == 1 && hit == 4 && in_frames % FRAME < FRAME_HEAD_BYTES;
            assert_eq!(gaps.len(), usize::from(!told_later), "bit {bit}: {gaps:?}");
            for gap in gaps {
                let place = (SEGMENT_HEAD_BYTES + hit * FRAME) as u64;
                assert_eq!(
                    (gap.cause, gap.offset, gap.length),
                    (Cause::Damaged, place, FRAME as u64),
                    "bit {bit}"
                );
                let of_payload = in_frames % FRAME >= FRAME_HEAD_BYTES;
                assert_eq!(gap.exchange, of_payload.then_some(exchange(lost).id()), "bit {bit}");
            }
        }
        fs::write(path, bytes).unwrap();
    }
}

#[test]
fn frames_of_another_journal_in_a_payload_are_not_taken_for_records() {
    let (other, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    written(&Writer::open(other.path(), options()).unwrap(), 100..110);
    let foreign = fs::read(&segments(other.path())[0]).unwrap();
    let writer = Writer::open(folder.path(), options()).unwrap();
    written(&writer, 0..1);
    let mut batch = writer.batch();
    batch.push(&mut exchange(1), Kind::RequestBytes, &foreign);
    writer.append(&batch).unwrap();
    written(&writer, 2..3);
    let path = &segments(folder.path())[0];
    let mut bytes = fs::read(path).unwrap();
    bytes[SEGMENT_HEAD_BYTES + FRAME + 20] ^= 1; // The head before the foreign bytes: a reader must search them.
    fs::write(path, bytes).unwrap();
    let told = read(&mut Reader::open(folder.path(), Cursor::BEGINNING));
    assert_eq!(told.numbers, [0, 2]);
    assert_eq!(told.gaps[0].length, (FRAME_HEAD_BYTES + foreign.len()) as u64);
}

#[test]
fn a_segment_without_a_head_is_told_as_a_whole_and_the_next_is_read() {
    let folder = tempfile::tempdir().unwrap();
    for writer in 0..3 {
        written(
            &Writer::open(folder.path(), options()).unwrap(),
            writer * 5..writer * 5 + 5,
        );
    }
    let path = &segments(folder.path())[1];
    let mut bytes = fs::read(path).unwrap();
    bytes[..SEGMENT_HEAD_BYTES].fill(0);
    let length = bytes.len() as u64;
    fs::write(path, bytes).unwrap();
    let told = read(&mut Reader::open(folder.path(), Cursor::BEGINNING));
    assert_eq!(told.numbers, (0..5).chain(10..15).collect::<Vec<_>>());
    let [gap] = told.gaps[..] else { panic!("{told:?}") };
    assert_eq!((gap.cause, gap.offset, gap.length), (Cause::Head, 0, length));
}

#[test]
fn damage_in_the_segment_that_is_being_written_does_not_hold_up_what_follows() {
    let folder = tempfile::tempdir().unwrap();
    let writer = Writer::open(folder.path(), options()).unwrap();
    written(&writer, 0..3);
    let path = &segments(folder.path())[0];
    let mut bytes = fs::read(path).unwrap();
    bytes[SEGMENT_HEAD_BYTES + 2 * FRAME + 5] ^= 0x40; // The last one's length.
    fs::write(path, bytes).unwrap();
    let mut reader = Reader::open(folder.path(), Cursor::BEGINNING);
    assert_eq!(read(&mut reader).numbers, [0, 1]);
    written(&writer, 3..5);
    let told = read(&mut reader);
    assert_eq!(told.numbers, [3, 4]);
    assert_eq!((told.gaps.len(), told.gaps[0].length), (1, FRAME as u64));
}
