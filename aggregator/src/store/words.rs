//! Names, each stored once and met by number.
//!
//! Bounded: a client can make names up (a model's, above all), so a file takes so many and the rest share one. The memory
//! of numbers is of committed ones only.

use std::collections::HashMap;

use rusqlite::{CachedStatement, Connection, OptionalExtension as _, Transaction};

/// Stands for no name.
pub(super) const NONE: i64 = 0;
/// All names beyond the bound.
pub(super) const OTHERS: &str = "(others)";

const WORDS_MAX: i64 = 100_000;
const REMEMBERED_MAX: usize = 10_000;
const CHARS_MAX: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Words {
    numbers: HashMap<String, i64>,
}

impl Words {
    /// The name's number; a new one's is made.
    pub(super) fn number(&mut self, transaction: &Transaction<'_>, name: Option<&str>) -> rusqlite::Result<i64> {
        let Some(name) = name.map(shortened).filter(|name| !name.is_empty()) else {
            return Ok(NONE);
        };
        if let Some(number) = self.numbers.get(name) {
            return Ok(*number);
        }
        let number = match find(transaction, name)? {
            Some(number) => number,
            None => added(transaction, name)?,
        };
        if self.numbers.len() >= REMEMBERED_MAX {
            self.numbers.clear();
        }
        self.numbers.insert(name.to_owned(), number);
        Ok(number)
    }

    /// After a transaction that failed: its numbers were never given.
    pub(super) fn forget(&mut self) {
        self.numbers.clear();
    }
}

/// The way back, for many rows: their names are few.
pub(super) struct Names<'c> {
    statement: CachedStatement<'c>,
    known: HashMap<i64, Option<String>>,
}

impl<'c> Names<'c> {
    pub(super) fn open(connection: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            statement: connection.prepare_cached("SELECT text FROM word WHERE id = ?1")?,
            known: HashMap::from([(NONE, None)]),
        })
    }

    pub(super) fn find(&mut self, number: i64) -> rusqlite::Result<Option<String>> {
        if let Some(name) = self.known.get(&number) {
            return Ok(name.clone());
        }
        let name: Option<String> = self.statement.query_row([number], |row| row.get(0)).optional()?;
        self.known.insert(number, name.clone());
        Ok(name)
    }
}

/// The number of a name as a filter has it; `None` where nothing stored has it.
pub(super) fn find(connection: &Connection, name: &str) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT id FROM word WHERE text = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    statement.query_row([shortened(name)], |row| row.get(0)).optional()
}

fn added(transaction: &Transaction<'_>, name: &str) -> rusqlite::Result<i64> {
    let last: i64 = transaction.query_row("SELECT coalesce(max(id), 0) FROM word", [], |row| row.get(0))?;
    if last >= WORDS_MAX && name != OTHERS {
        return match find(transaction, OTHERS)? {
            Some(number) => Ok(number),
            None => added(transaction, OTHERS),
        };
    }
    let sql = "INSERT INTO word (id, text) VALUES (?1, ?2)";
    transaction.prepare_cached(sql)?.execute((last + 1, name))?;
    Ok(last + 1)
}

pub(super) fn shortened(name: &str) -> &str {
    match name.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => &name[..end],
        None => name,
    }
}
