//! Any bytes as a journal's segments: the reader ends, tells each byte once, and never gives out what was not written.
#![no_main]

use std::fs;

use journal::{Cursor, Exchange, ExchangeId, Kind, Options, Reader, Step, Writer};
use libfuzzer_sys::fuzz_target;

/// What is changed of the bytes that a writer wrote; the rest of the input is what it wrote.
struct Damage {
    at: usize,
    xor: u8,
    cut: usize,
}

fuzz_target!(|input: &[u8]| {
    let [a, b, xor, c, d, payload @ ..] = input else {
        return;
    };
    let damage = Damage {
        at: usize::from(u16::from_le_bytes([*a, *b])),
        xor: *xor,
        cut: usize::from(u16::from_le_bytes([*c, *d])),
    };
    let folder = tempfile::tempdir().expect("a folder");
    let written: Vec<&[u8]> = payload.chunks(40).collect();
    write(folder.path(), &written);
    spoil(folder.path(), &damage);

    let mut reader = Reader::open(folder.path(), Cursor::BEGINNING);
    let mut place = reader.cursor();
    for _ in 0..10_000 {
        match reader.next_step().expect("files that are there can be read") {
            Step::Idle => return,
            Step::Record(record) => {
                let known = written.iter().any(|piece| *piece == record.payload);
                assert!(known || record.payload.is_empty(), "a record that nobody wrote");
            }
            Step::Gap(_) => {}
        }
        assert!(reader.cursor() > place, "a step that went nowhere");
        place = reader.cursor();
        assert_eq!(place.to_string().parse(), Ok(place));
    }
    panic!("the reader does not end");
});

fn write(folder: &std::path::Path, written: &[&[u8]]) {
    let writer = Writer::open(folder, Options::default()).expect("a journal");
    let mut exchange = Exchange::new(ExchangeId([7; 16]));
    let mut batch = writer.batch();
    for piece in written {
        batch.push(&mut exchange, Kind::RequestBytes, piece);
    }
    writer.append(&batch).expect("it is written");
}

fn spoil(folder: &std::path::Path, damage: &Damage) {
    let segments = fs::read_dir(folder).expect("a folder").flatten().map(|entry| entry.path());
    for path in segments.filter(|path| path.extension().is_some_and(|extension| extension == "segment")) {
        let mut bytes = fs::read(&path).expect("a segment");
        if let Some(byte) = bytes.get_mut(damage.at) {
            *byte ^= damage.xor;
        }
        bytes.truncate(bytes.len().saturating_sub(damage.cut));
        fs::write(path, bytes).expect("it is spoiled");
    }
}
