//! A page of the list, found within a budget.
//!
//! ```text
//!   newest ┤256├─ 512 ─├── 1,024 ──├──── 2,048 ────├ …   entries of the walked index, until the page is full, everything
//!                                                        was seen, or the budget is spent
//! ```
//!
//! A filter that few exchanges pass would walk through millions. So the walk goes in parts, and once the budget is spent
//! the page ends where the part did: short, perhaps empty, with a cursor that goes on from there. A part is a number of
//! entries and not a time: however unevenly exchanges came, and however cold the file, the last part costs little. Only a
//! search goes by time, twice as long each time, for words are looked up by span: its last part costs at most about what
//! all before it did.

use std::time::{Duration, Instant};

use rusqlite::types::Value;
use rusqlite::{CachedStatement, Connection, OptionalExtension as _, params_from_iter};

use super::error::StoreError;
use super::filter::{Filter, Query};
use super::row::{Row, Rows};

/// A minute, as the order counts.
const FIRST_WINDOW: i64 = 60_000_000 << 8;
/// Entries that are walked between two looks at the clock: from a disk some ten milliseconds, from memory one.
const PART_MAX: usize = 4096;

/// How far a walk goes before it leaves the rest to the next page.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    pub(super) budget: Duration,
    /// Entries of the first part.
    pub(super) first_part: usize,
}

impl Pace {
    /// A quarter of what a page may take: the last part and the reading of its rows come on top, and disks differ.
    const OF_PAGES: Self = Self {
        budget: Duration::from_millis(12),
        first_part: 256,
    };
}

/// Which part of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest {
    pub limit: usize,
    /// [`Page::next`] of the page before.
    pub before: Option<i64>,
}

/// A part of a list, and where the next one begins; `None` where this was the last.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T, C = i64> {
    pub items: Vec<T>,
    pub next: Option<C>,
}

pub(super) fn page(connection: &Connection, filter: &Filter, page: PageRequest) -> Result<Page<Row>, StoreError> {
    // One look at the file for all of it: each statement by itself would take and give back SQLite's locks.
    let snapshot = connection.unchecked_transaction()?;
    let found = find(connection, filter, page)?;
    let mut rows = Rows::open(connection)?;
    let items: Result<Vec<Option<Row>>, StoreError> = found.items.iter().map(|seq| rows.read(*seq)).collect();
    snapshot.finish()?;
    Ok(Page {
        items: items?.into_iter().flatten().collect(),
        next: found.next,
    })
}

/// The places in the order of what matches.
pub(super) fn find(connection: &Connection, filter: &Filter, page: PageRequest) -> Result<Page<i64>, StoreError> {
    find_at(connection, filter, page, Pace::OF_PAGES)
}

pub(super) fn find_at(
    connection: &Connection,
    filter: &Filter,
    page: PageRequest,
    pace: Pace,
) -> Result<Page<i64>, StoreError> {
    let nothing = Page {
        items: Vec::new(),
        next: None,
    };
    let Some(query) = filter.compile(connection)? else {
        return Ok(nothing);
    };
    let Some((oldest, newest)) = ends(connection)? else {
        return Ok(nothing);
    };
    let walk = Walk {
        floor: query.floor.max(oldest),
        ceiling: query
            .ceiling
            .min(newest.saturating_add(1))
            .min(page.before.unwrap_or(i64::MAX)),
        limit: page.limit,
    };
    walk.run(connection, &query, pace)
}

/// The first and the last place that is taken: the two ends of the table.
fn ends(connection: &Connection) -> Result<Option<(i64, i64)>, StoreError> {
    let mut oldest = connection.prepare_cached("SELECT min(seq) FROM exchange")?;
    let mut newest = connection.prepare_cached("SELECT max(seq) FROM exchange")?;
    let oldest: Option<i64> = oldest.query_row([], |row| row.get(0))?;
    let newest: Option<i64> = newest.query_row([], |row| row.get(0))?;
    Ok(oldest.zip(newest))
}

struct Walk {
    floor: i64,
    ceiling: i64,
    limit: usize,
}

impl Walk {
    fn run(&self, connection: &Connection, query: &Query, pace: Pace) -> Result<Page<i64>, StoreError> {
        let began = Instant::now();
        let mut statement = connection.prepare_cached(&query.sql())?;
        let mut parts = Parts::of(connection, query, pace)?;
        let (mut items, mut high) = (Vec::new(), self.ceiling);
        while high > self.floor {
            let low = parts.next(query, self.floor, high)?;
            // One more than is shown tells whether there is more.
            let wanted = self.limit + 1 - items.len();
            let span = [low, high, whole(wanted)].map(Value::Integer);
            let values = params_from_iter(query.values().iter().chain(&span));
            for seq in statement.query_map(values, |row| row.get(0))? {
                items.push(seq?);
            }
            if items.len() > self.limit {
                items.truncate(self.limit);
                let next = items.last().copied();
                return Ok(Page { items, next });
            }
            high = low;
            if began.elapsed() >= pace.budget && high > self.floor {
                return Ok(Page {
                    items,
                    next: Some(high),
                });
            }
        }
        Ok(Page { items, next: None })
    }
}

/// Where each part of a walk ends.
enum Parts<'c> {
    Entries { border: CachedStatement<'c>, count: usize },
    Windows { width: i64 },
}

impl<'c> Parts<'c> {
    fn of(connection: &'c Connection, query: &Query, pace: Pace) -> Result<Self, StoreError> {
        Ok(match query.border_sql() {
            Some(sql) => Self::Entries {
                border: connection.prepare_cached(&sql)?,
                count: pace.first_part,
            },
            None => Self::Windows { width: FIRST_WINDOW },
        })
    }

    /// The low end of the part below `high`.
    fn next(&mut self, query: &Query, floor: i64, high: i64) -> Result<i64, StoreError> {
        match self {
            Self::Windows { width } => {
                let low = high.saturating_sub(*width).max(floor);
                *width = width.saturating_mul(2);
                Ok(low)
            }
            Self::Entries { border, count } => {
                let span = [floor, high, whole(*count)].map(Value::Integer);
                let values = params_from_iter(query.lead_value().into_iter().chain(&span));
                *count = (*count * 2).min(PART_MAX);
                // The first entry that is not in the part; without one the part reaches the end.
                let beyond: Option<i64> = border.query_row(values, |row| row.get(0)).optional()?;
                Ok(beyond.map_or(floor, |seq| seq + 1))
            }
        }
    }
}

fn whole(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
