//! What `append` promised, after a `kill -9`.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::scenario::{numbered, read};
use journal::{Appended, Cursor, Options, Reader, Writer};

const ROUNDS: u64 = 20;

/// The child: two threads append and then print, for as long as they live.
#[test]
fn child() {
    let Some(folder) = std::env::var_os("JOURNAL_TEST_FOLDER") else {
        return;
    };
    let round: u64 = std::env::var("JOURNAL_TEST_ROUND").unwrap().parse().unwrap();
    // A crowded machine is no stalled disk.
    let stall_max = Duration::from_secs(20);
    let options = Options {
        segment_bytes_max: 64 << 10,
        stall_max,
        tray: std::env::var_os("JOURNAL_TEST_TRAY").is_some(),
        ..Options::default()
    };
    let writer = Writer::open(Path::new(&folder), options).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..2u64 {
            let writer = &writer;
            scope.spawn(move || {
                for count in 0.. {
                    let number = round << 32 | thread << 31 | count;
                    let appended = writer
                        .append(&numbered(writer, number, (count as usize * 97) % 3000))
                        .unwrap();
                    assert!(matches!(appended, Appended::Written(_)));
                    writeln!(std::io::stdout().lock(), "kept {number}").unwrap();
                }
            });
        }
    });
}

#[test]
fn what_was_acknowledged_is_there_after_a_kill() {
    kill_and_count(|_| false);
}

#[test]
fn what_was_acknowledged_through_a_tray_is_there_after_a_kill() {
    kill_and_count(|_| true);
}

#[test]
fn a_tray_that_a_killed_writer_left_is_taken_over_by_one_without() {
    kill_and_count(|round| round % 2 == 0);
}

fn kill_and_count(through_tray: impl Fn(u64) -> bool) {
    let folder = tempfile::tempdir().unwrap();
    let mut kept = BTreeSet::new();
    let mut reader = Reader::open(folder.path(), Cursor::BEGINNING);
    let mut found = Vec::new();
    for round in 0..ROUNDS {
        let mut command = Command::new(std::env::current_exe().unwrap());
        if through_tray(round) {
            command.env("JOURNAL_TEST_TRAY", "1");
        }
        let mut child = command
            .args(["--exact", "kill::child", "--nocapture"])
            .env("JOURNAL_TEST_FOLDER", folder.path())
            .env("JOURNAL_TEST_ROUND", round.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut wanted = 50 + round * 37;
        // All that was printed counts, also what is still in the pipe when the child is dead.
        while let Some(Ok(line)) = lines.next() {
            let Some(number) = line.strip_prefix("kept ").and_then(|number| number.parse::<u64>().ok()) else {
                continue;
            };
            kept.insert(number);
            wanted = wanted.saturating_sub(1);
            if wanted == 0 {
                child.kill().unwrap(); // SIGKILL. Again, while the pipe is emptied, is harmless.
            }
        }
        child.wait().unwrap();
        found.extend(read(&mut reader).numbers);
    }
    let distinct: BTreeSet<u64> = found.iter().copied().collect();
    assert_eq!(distinct.len(), found.len(), "each once");
    let lost: Vec<_> = kept.difference(&distinct).collect();
    assert!(lost.is_empty(), "{} of {} lost: {lost:?}", lost.len(), kept.len());
    assert!(kept.len() as u64 > ROUNDS * 50);
    // At most the append that each of two threads had under way was not acknowledged, or its line not printed.
    assert!(
        distinct.len() - kept.len() <= 2 * ROUNDS as usize,
        "{} and {}",
        distinct.len(),
        kept.len()
    );
}
