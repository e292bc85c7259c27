//! A process that dies in the middle of commits: a child of this test, killed while it writes.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use super::*;

/// Tells the child where to write; only the child has it.
const PLACE: &str = "CONCLAVE_TEST_STORE";
const BATCH: u32 = 5;

/// Does nothing unless it is the child: then it commits until it is killed, and says each batch that was taken.
#[test]
fn child() {
    let Ok(path) = std::env::var(PLACE) else { return };
    let store = Store::open(StoreConfig::at(path)).expect("the store opens");
    let done = store
        .cursor("edge")
        .expect("a cursor")
        .map_or(0, |cursor| u32::from_be_bytes(cursor[..4].try_into().unwrap()));
    for number in done..done + 200 {
        let mut cursor = [0; 16];
        cursor[..4].copy_from_slice(&(number + 1).to_be_bytes());
        let journal = "edge".to_owned();
        // The last one of the batch before comes again, as after a replay.
        let numbers = (number * BATCH).saturating_sub(1)..(number + 1) * BATCH;
        store
            .commit_blocking(batch(numbers), Some(Mark { journal, cursor }))
            .expect("a commit");
        println!("\ncommitted {number}");
    }
}

#[tokio::test]
async fn whatever_dies_when_rows_roll_ups_and_cursor_agree() {
    let place = Place::new();
    let mut said = 0;
    for round in 0..12 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::tests::kill::child", "--nocapture"])
            .env(PLACE, place.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        let committed = lines.filter_map(|line| {
            line.strip_prefix("committed ")
                .and_then(|number| number.parse::<u32>().ok())
        });
        // Killed at another moment of a commit each time: the reader's pace is no clock.
        said = committed.take(3 + round).last().expect("the child commits");
        child.kill().unwrap();
        child.wait().unwrap();

        let store = place.open();
        let cursor = store.cursor("edge").unwrap().expect("a cursor");
        let done = u32::from_be_bytes(cursor[..4].try_into().unwrap());
        assert!(done > said, "what was said to be committed is: {done} > {said}");
        let found = numbers(&store, &Filter::default(), 1000).await;
        assert_eq!(found, (0..done * BATCH).rev().collect::<Vec<_>>());
        let stats = store.stats().await.unwrap();
        assert_eq!(
            stats.held.iter().map(|held| held.exchanges).sum::<u64>(),
            u64::from(done * BATCH)
        );
        drop(store);
        let connection = rusqlite::Connection::open(place.path()).unwrap();
        let counted: i64 = connection
            .query_row("SELECT sum(exchanges) FROM usage WHERE kind = 1", [], |row| row.get(0))
            .unwrap();
        assert_eq!(counted, i64::from(done * BATCH));
        let check: String = connection
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .unwrap();
        assert_eq!(check, "ok");
    }
    assert!(said > 50, "{said}");
}
