//! Appends, reopenings, crashes, flipped bits and cuts in any order, against a model that knows every frame's place.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use journal::{Appended, Cursor, Gap, Kind, Options, Reader, SEGMENT_HEAD_BYTES, Step, SyncPolicy, Writer};
use proptest::prelude::*;

use crate::scenario::{cut, exchange, numbered, read, segments};

#[derive(Clone, Debug)]
enum Act {
    Append {
        payloads: Vec<usize>,
    },
    Reopen,
    /// The machine stops, and the newest segment has lost so many bytes of its end.
    Crash {
        lost_bytes: u64,
    },
    /// The reader goes on for so many steps, and is then begun anew from its cursor.
    Read {
        steps: usize,
    },
}

#[derive(Clone, Debug)]
enum Damage {
    Flip {
        segment: prop::sample::Index,
        byte: prop::sample::Index,
        bit: u8,
    },
    Cut {
        segment: prop::sample::Index,
        to: prop::sample::Index,
    },
}

fn append() -> impl Strategy<Value = Act> {
    prop::collection::vec(8..500usize, 1..5).prop_map(|payloads| Act::Append { payloads })
}

fn damage() -> impl Strategy<Value = Damage> {
    use prop::sample::Index;
    prop_oneof![
        8 => any::<(Index, Index)>().prop_flat_map(|(segment, byte)| (0..8u8).prop_map(move |bit| {
            Damage::Flip { segment, byte, bit }
        })),
        1 => any::<(Index, Index)>().prop_map(|(segment, to)| Damage::Cut { segment, to }),
    ]
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    segment: u64,
    offset: u64,
    end: u64,
    number: u64,
}

#[derive(Default)]
struct Model {
    frames: Vec<Frame>,
    next_number: u64,
}

fn open(folder: &Path, tray: bool) -> Writer {
    let stall_max = std::time::Duration::from_secs(20);
    let options = Options {
        sync: SyncPolicy::Never,
        segment_bytes_max: 2 << 10,
        stall_max,
        tray,
        ..Options::default()
    };
    Writer::open(folder, options).unwrap()
}

impl Model {
    fn append(&mut self, writer: &Writer, payloads: &[usize]) {
        let mut batch = writer.batch();
        let mut frames = Vec::new();
        for bytes in payloads {
            let number = self.next_number;
            self.next_number += 1;
            let mut payload = number.to_be_bytes().to_vec();
            payload.resize(*bytes, number as u8);
            let offset = batch.bytes() as u64;
            batch.push(&mut exchange(number), Kind::ResponseBytes, &payload);
            frames.push((offset, batch.bytes() as u64, number));
        }
        let Ok(Appended::Written(end)) = writer.append(&batch) else {
            panic!("the disk is fine")
        };
        let start = end.offset - batch.bytes() as u64;
        let place = |(offset, end_offset, number)| Frame {
            segment: end.segment,
            offset: start + offset,
            end: start + end_offset,
            number,
        };
        self.frames.extend(frames.into_iter().map(place));
    }

    fn numbers(&self) -> Vec<u64> {
        self.frames.iter().map(|frame| frame.number).collect()
    }

    /// What was cut off before anyone knew its length is forgotten; a frame of which some is left is not.
    fn crash(&mut self, folder: &Path, lost_bytes: u64) {
        let Some(path) = segments(folder).pop() else { return };
        let segment = number(&path);
        let left = fs::metadata(&path).unwrap().len().saturating_sub(lost_bytes);
        cut(&path, left);
        self.frames
            .retain(|frame| frame.segment != segment || frame.offset < left);
    }
}

fn number(path: &Path) -> u64 {
    path.file_stem().unwrap().to_str().unwrap().parse().unwrap()
}

/// Each segment's bytes.
fn contents(folder: &Path) -> BTreeMap<u64, Vec<u8>> {
    segments(folder)
        .iter()
        .map(|path| (number(path), fs::read(path).unwrap()))
        .collect()
}

fn apply(damages: &[Damage], folder: &Path) {
    let paths = segments(folder);
    for damage in damages.iter().filter(|_| !paths.is_empty()) {
        match damage {
            Damage::Flip { segment, byte, bit } => {
                let path = segment.get(&paths);
                let mut bytes = fs::read(path).unwrap();
                if !bytes.is_empty() {
                    let at = byte.index(bytes.len());
                    bytes[at] ^= 1 << bit;
                    fs::write(path, bytes).unwrap();
                }
            }
            Damage::Cut { segment, to } => {
                let path = segment.get(&paths);
                let bytes = fs::metadata(path).unwrap().len() as usize;
                cut(path, to.index(bytes + 1) as u64);
            }
        }
    }
}

/// Whether a head with this damage can still be read: one copy is whole, or the majority of each bit is right.
fn head_stands(now: &[u8], before: &[u8]) -> bool {
    let (Some(now), Some(before)) = (now.get(..SEGMENT_HEAD_BYTES), before.get(..SEGMENT_HEAD_BYTES)) else {
        return false;
    };
    let copy = SEGMENT_HEAD_BYTES / 3;
    let wrong = |i: usize| [0, 1, 2].map(|nth| now[nth * copy + i] ^ before[nth * copy + i]);
    let outvoted = |[a, b, c]: [u8; 3]| a & b | b & c | a & c;
    (0..3).any(|nth| (0..copy).all(|i| wrong(i)[nth] == 0)) || (0..copy).all(|i| outvoted(wrong(i)) == 0)
}

/// All there is, with the cursor behind each; the reader is begun anew after every `restart` steps.
fn read_all(folder: &Path, restart: usize) -> (Vec<(u64, Cursor)>, Vec<Gap>) {
    let (mut records, mut gaps) = (Vec::new(), Vec::new());
    let mut reader = Reader::open(folder, Cursor::BEGINNING);
    for step in 1.. {
        match reader.next_step().unwrap() {
            Step::Record(record) => {
                let number = u64::from_be_bytes(*record.payload.first_chunk().unwrap());
                records.push((number, reader.cursor()));
            }
            Step::Gap(gap) => gaps.push(gap),
            Step::Idle => break,
        }
        if step % restart == 0 {
            reader = Reader::open(folder, Cursor::from_bytes(reader.cursor().to_bytes()));
        }
    }
    (records, gaps)
}

/// No gap holds what is intact, or what another one holds.
fn check_extents(gaps: &[Gap], kept: &[Frame]) -> Result<(), TestCaseError> {
    for gap in gaps {
        let end = gap.offset + gap.length;
        let overlaps = |segment, from, to| segment == gap.segment && from < end && to > gap.offset;
        prop_assert!(gap.length > 0);
        prop_assert!(
            !kept
                .iter()
                .any(|frame| overlaps(frame.segment, frame.offset, frame.end)),
            "{gap}: {kept:?}"
        );
        let same = gaps
            .iter()
            .filter(|other| overlaps(other.segment, other.offset, other.offset + other.length));
        prop_assert_eq!(same.count(), 1, "{}", gap);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_reader_that_follows_gets_each_record_once_in_order_and_no_gap(
        acts in prop::collection::vec(
            prop_oneof![4 => append(), 1 => Just(Act::Reopen), 3 => (0..12usize).prop_map(|steps| Act::Read { steps })],
            1..40,
        ),
        tray in any::<bool>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let (mut model, mut told, mut cursor) = (Model::default(), Vec::new(), Cursor::BEGINNING);
        let mut writer = Some(open(folder.path(), tray));
        for act in acts.iter().chain([&Act::Read { steps: usize::MAX }]) {
            match act {
                Act::Append { payloads } => model.append(writer.as_ref().unwrap(), payloads),
                Act::Read { steps } => {
                    let mut reader = Reader::open(folder.path(), cursor);
                    for _ in 0..*steps {
                        match reader.next_step().unwrap() {
                            Step::Record(record) => told.push(u64::from_be_bytes(*record.payload.first_chunk().unwrap())),
                            Step::Gap(gap) => prop_assert!(false, "{gap}"),
                            Step::Idle => break,
                        }
                    }
                    prop_assert!(reader.cursor() >= cursor);
                    cursor = reader.cursor();
                    reader.remove_ingested(cursor).unwrap();
                }
                Act::Reopen | Act::Crash { .. } => {
                    writer = None; // Before the next is there: the lock.
                    writer.replace(open(folder.path(), tray));
                }
            }
        }
        prop_assert_eq!(told, model.numbers());
    }

    #[test]
    fn what_is_intact_is_read_once_in_order_and_what_is_not_is_located(
        acts in prop::collection::vec(
            prop_oneof![
                8 => append(),
                1 => Just(Act::Reopen),
                2 => (0..700u64).prop_map(|lost_bytes| Act::Crash { lost_bytes }),
            ],
            1..40,
        ),
        damages in prop::collection::vec(damage(), 0..12),
        restart in 1..20usize,
        tray in any::<bool>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut model = Model::default();
        let mut writer = Some(open(folder.path(), tray));
        for act in &acts {
            match act {
                Act::Append { payloads } => model.append(writer.as_ref().unwrap(), payloads),
                Act::Reopen | Act::Crash { .. } | Act::Read { .. } => {
                    writer = None;
                    if let Act::Crash { lost_bytes } = act {
                        model.crash(folder.path(), *lost_bytes);
                    }
                    writer.replace(open(folder.path(), tray));
                }
            }
        }
        // One more record, so that the segments that get damaged are all closed, and their lengths known.
        drop(writer.take());
        let before = contents(folder.path());
        let last = open(folder.path(), tray);
        last.append(&numbered(&last, u64::MAX, 8)).unwrap();
        let sentinel = segments(folder.path()).pop().unwrap();
        let aside = folder.path().join("aside");
        fs::rename(&sentinel, &aside).unwrap();
        apply(&damages, folder.path());
        let after = contents(folder.path());
        fs::rename(&aside, &sentinel).unwrap();

        let stands: BTreeMap<_, _> = before.iter().map(|(n, bytes)| (*n, head_stands(&after[n], bytes))).collect();
        let intact = |frame: &Frame| {
            let range = frame.offset as usize..frame.end as usize;
            let (now, then) = (after[&frame.segment].get(range.clone()), before[&frame.segment].get(range));
            stands[&frame.segment] && now.is_some() && now == then
        };
        let (kept, lost): (Vec<Frame>, Vec<Frame>) = model.frames.iter().partition(|frame| intact(frame));
        let (records, gaps) = read_all(folder.path(), restart);

        let numbers: Vec<_> = records.iter().map(|(number, _)| *number).collect();
        let expected: Vec<_> = kept.iter().map(|frame| frame.number).chain([u64::MAX]).collect();
        prop_assert_eq!(&numbers, &expected);
        for frame in lost {
            // How long a segment was stands in the next one's head; without that, only what is left can be told of.
            let next = stands.range(frame.segment + 1..).next().is_none_or(|(_, stands)| *stands);
            let known = if stands[&frame.segment] && next { &before } else { &after };
            let end = frame.end.min(known[&frame.segment].len() as u64);
            let within = |gap: &Gap| {
                gap.segment == frame.segment && gap.offset <= frame.offset && gap.offset + gap.length >= end
            };
            prop_assert!(end <= frame.offset || gaps.iter().any(within), "{frame:?} is in none of {gaps:?}");
        }
        check_extents(&gaps, &kept)?;
        // Any cursor is a place to go on from.
        for (at, (_, cursor)) in records.iter().enumerate().step_by(restart) {
            let rest = read(&mut Reader::open(folder.path(), *cursor)).numbers;
            prop_assert_eq!(&rest[..], &numbers[at + 1..]);
        }
    }
}
