//! A store in memory that does as the real one: an id is kept once. It can be told to fail, and it counts what came twice.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aggregator::ingest::{Sink, SinkError};
use aggregator::store::{NewExchange, Status};
use journal::Cursor;

#[derive(Default)]
pub(crate) struct Memory {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    rows: BTreeMap<[u8; 16], NewExchange>,
    marks: BTreeMap<String, Cursor>,
    commits: u32,
    fail_at: Option<(u32, Failing)>,
    /// Rows that were given although they had been committed. Those without an end may be: that nothing comes of them any
    /// more is no place in the journal.
    again: usize,
}

/// How a commit fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Failing {
    /// Nothing was kept.
    Before,
    /// All was kept, and nobody got to know.
    After,
}

impl Memory {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// The commit that comes so many from now fails.
    pub(crate) fn fail_in(&self, commits: u32, failing: Failing) {
        let mut kept = self.kept.lock().unwrap();
        kept.fail_at = Some((kept.commits + commits, failing));
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.kept.lock().unwrap().fail_at.is_none()
    }

    pub(crate) fn rows(&self) -> Vec<NewExchange> {
        self.kept.lock().unwrap().rows.values().cloned().collect()
    }

    pub(crate) fn row(&self, id: [u8; 16]) -> Option<NewExchange> {
        self.kept.lock().unwrap().rows.get(&id).cloned()
    }

    pub(crate) fn delete_all(&self) {
        self.kept.lock().unwrap().rows.clear();
    }

    pub(crate) fn given_again(&self) -> usize {
        self.kept.lock().unwrap().again
    }

    pub(crate) fn mark(&self, name: &str) -> Cursor {
        self.kept.lock().unwrap().marks.get(name).copied().unwrap_or_default()
    }
}

impl Sink for Memory {
    fn cursor(&self, mark: &str) -> Result<Option<Cursor>, SinkError> {
        Ok(self.kept.lock().unwrap().marks.get(mark).copied())
    }

    fn commit(&self, rows: &Arc<[NewExchange]>, mark: &str, cursor: Cursor) -> Result<(), SinkError> {
        let mut kept = self.kept.lock().unwrap();
        kept.commits += 1;
        let failing = kept
            .fail_at
            .filter(|(at, _)| *at <= kept.commits)
            .map(|(_, failing)| failing);
        if failing.is_some() {
            kept.fail_at = None;
        }
        if failing == Some(Failing::Before) {
            return Err("the disk is full".into());
        }
        let mut again = 0;
        for row in rows.iter() {
            match kept.rows.entry(*row.id.as_bytes()) {
                std::collections::btree_map::Entry::Occupied(_) => {
                    again += usize::from(row.answered.status != Status::Interrupted)
                }
                std::collections::btree_map::Entry::Vacant(place) => drop(place.insert(row.clone())),
            }
        }
        kept.again += again;
        kept.marks.insert(mark.to_owned(), cursor);
        match failing {
            Some(_) => Err("nobody knows".into()),
            None => Ok(()),
        }
    }
}
