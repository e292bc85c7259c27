//! What the tests say in one word: a journal's records as numbers, all that a reader has to tell.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use journal::{Appended, Batch, Cause, Exchange, ExchangeId, Gap, Kind, Reader, Step, Writer};

/// What another thread does is waited for so long: a loaded machine is slow, a broken one never.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn wait_for(what: &str, is_so: impl Fn() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

pub(crate) fn exchange(number: u64) -> Exchange {
    let mut id = [0; 16];
    id[8..].copy_from_slice(&number.to_be_bytes());
    Exchange::new(ExchangeId(id))
}

/// A batch of one record that says `number` and is as long as asked, but long enough for that.
pub(crate) fn numbered(writer: &Writer, number: u64, bytes: usize) -> Batch {
    let mut payload = number.to_be_bytes().to_vec();
    payload.resize(bytes.max(8), number as u8);
    let mut batch = writer.batch();
    batch.push(&mut exchange(number), Kind::ResponseBytes, &payload);
    batch
}

pub(crate) fn append(writer: &Writer, number: u64) -> Appended {
    writer
        .append(&numbered(writer, number, 100))
        .expect("nothing is refused")
}

pub(crate) fn written(writer: &Writer, numbers: impl IntoIterator<Item = u64>) {
    for number in numbers {
        let appended = append(writer, number);
        assert!(matches!(appended, Appended::Written(_)), "{number}: {appended:?}");
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) numbers: Vec<u64>,
    pub(crate) gaps: Vec<Gap>,
}

impl Told {
    pub(crate) fn causes(&self) -> Vec<Cause> {
        self.gaps.iter().map(|gap| gap.cause).collect()
    }
}

/// All until the reader is idle.
pub(crate) fn read(reader: &mut Reader) -> Told {
    let mut told = Told::default();
    loop {
        match reader.next_step().expect("a readable journal") {
            Step::Record(record) => {
                told.numbers
                    .push(u64::from_be_bytes(*record.payload.first_chunk().expect("a number")));
            }
            Step::Gap(gap) => told.gaps.push(gap),
            Step::Idle => return told,
        }
    }
}

pub(crate) fn segments(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = entries
        .filter(|path| path.extension().is_some_and(|e| e == "segment"))
        .collect();
    paths.sort();
    paths
}

pub(crate) fn cut(path: &Path, bytes: u64) {
    File::options().write(true).open(path).unwrap().set_len(bytes).unwrap();
}
