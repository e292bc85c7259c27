//! A process that is killed while it ingests into the real store: a child of this test.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use aggregator::ingest::{IngestConfig, Sink, SinkError, catch_up};
use aggregator::store::{Filter, NewExchange, PageRequest, Store, StoreConfig};
use journal::Cursor;

use crate::scene::{Scene, assert_right, id_of, write};

/// Tells the child where; only the child has it.
const JOURNAL: &str = "CONCLAVE_TEST_JOURNAL";
const STORE: &str = "CONCLAVE_TEST_STORE";
/// So many kills; the whole number is `CONCLAVE_TEST_KILLS=200`.
const KILLS: u32 = 30;
const EXCHANGES: usize = 400;

/// The store, saying before and after each commit that it is at it.
struct Saying(Store);

impl Sink for Saying {
    fn cursor(&self, mark: &str) -> Result<Option<Cursor>, SinkError> {
        Sink::cursor(&self.0, mark)
    }

    fn commit(&self, rows: &Arc<[NewExchange]>, mark: &str, cursor: Cursor) -> Result<(), SinkError> {
        writeln!(std::io::stdout().lock(), "\nat it")?;
        let outcome = Sink::commit(&self.0, rows, mark, cursor);
        writeln!(std::io::stdout().lock(), "\nat it")?;
        outcome
    }
}

/// Does nothing unless it is the child: then it ingests until all is ingested, or it is killed.
#[test]
fn child() {
    let (Some(journal), Some(store)) = (std::env::var_os(JOURNAL), std::env::var_os(STORE)) else {
        return;
    };
    let store = Store::open(StoreConfig::at(PathBuf::from(store))).expect("the store opens");
    let mut config = IngestConfig::of(PathBuf::from(journal));
    config.pace.batch_rows_max = 2;
    config.pace.resume_interval = std::time::Duration::ZERO;
    catch_up(&config, &Arc::new(Saying(store))).expect("nothing fails");
    println!("\nall of it");
}

#[tokio::test]
async fn killed_while_it_ingests_it_stores_the_same_rows_once() {
    let kills = std::env::var("CONCLAVE_TEST_KILLS").map_or(KILLS, |kills| kills.parse().expect("a number"));
    let scene = Scene::new();
    write(&scene.writer_of(16 << 10), 0..EXCHANGES);
    let scene = scene.died();
    let place = tempfile::tempdir().expect("a folder");
    let store = place.path().join("responses.db");
    let mut killed = 0;
    for round in 0..=kills {
        let mut child = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "kill::child", "--nocapture"])
            .env(JOURNAL, scene.path())
            .env(STORE, &store)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a child");
        // At another moment each time, before a commit, within one or after it; the last child is left alone.
        let mut commits = if round < kills { 1 + round * 7 % 12 } else { u32::MAX };
        let mut is_done = false;
        for line in BufReader::new(child.stdout.take().expect("its output"))
            .lines()
            .map_while(Result::ok)
        {
            is_done |= line == "all of it";
            commits = commits.saturating_sub(u32::from(line == "at it"));
            if commits == 0 && !is_done {
                (0..round * 500).for_each(|_| std::hint::spin_loop());
                child.kill().expect("it is ours");
                killed += 1;
                break;
            }
        }
        child.wait().expect("it ends");
        if is_done {
            break;
        }
    }
    assert!(
        killed >= kills.min(25),
        "the journal was ingested after {killed} kills already"
    );
    assert_stored(&Store::open(StoreConfig::at(store)).expect("the store opens")).await;
    assert!(scene.segments().len() <= 1 && scene.parked() == 0);
}

async fn assert_stored(store: &Store) {
    let mut found = 0;
    let mut before = None;
    loop {
        let page = store
            .list(Filter::default(), PageRequest { limit: 100, before })
            .await
            .expect("a page");
        found += page.items.len();
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(found, EXCHANGES);
    for number in 0..EXCHANGES {
        let stored = store
            .show(uuid::Uuid::from_bytes(id_of(number).0))
            .await
            .expect("readable");
        let stored = stored.unwrap_or_else(|| panic!("exchange {number} is missing"));
        let row = stored.row;
        let exchange = NewExchange {
            id: row.id,
            parent: row.parent,
            started_at_us: row.started_at_us,
            plane: row.plane,
            asked: row.asked,
            answered: row.answered,
            tokens: row.tokens,
            timing: row.timing,
            content: stored.content,
        };
        assert_right(&exchange, number);
    }
}
