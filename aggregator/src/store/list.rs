//! A page of the list, found within a budget.
//!
//! ```text
//!   newest ┤1 min├ 2 min ├── 4 min ──├────── 8 min ──────├ …  each window twice as long, until the page is full,
//!                                                             everything was seen, or the budget is spent
//! ```
//!
//! A filter that few exchanges pass would walk through millions. So the walk goes in windows, and once the budget is spent
//! the page ends where the window did: short, perhaps empty, with a cursor that goes on from there. The last window costs
//! at most about what all before it did, so a page costs at most about twice the budget.

use std::time::{Duration, Instant};

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::error::StoreError;
use super::filter::{Filter, Query};
use super::row::{self, Row};

/// Half of what a page may take, less what reading its rows takes.
const BUDGET: Duration = Duration::from_millis(12);
/// A minute, as the order counts.
const FIRST_WINDOW: i64 = 60_000_000 << 8;

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
    let found = find(connection, filter, page)?;
    let rows = found.items.iter().map(|seq| row::read(connection, *seq));
    // A row that was removed since it was found is left out.
    let items: Result<Vec<Option<Row>>, StoreError> = rows.collect();
    Ok(Page {
        items: items?.into_iter().flatten().collect(),
        next: found.next,
    })
}

/// The places in the order of what matches.
pub(super) fn find(connection: &Connection, filter: &Filter, page: PageRequest) -> Result<Page<i64>, StoreError> {
    find_within(connection, filter, page, BUDGET)
}

pub(super) fn find_within(
    connection: &Connection,
    filter: &Filter,
    page: PageRequest,
    budget: Duration,
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
    walk.run(connection, &query, budget)
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
    fn run(&self, connection: &Connection, query: &Query, budget: Duration) -> Result<Page<i64>, StoreError> {
        let began = Instant::now();
        let mut statement = connection.prepare_cached(&query.sql())?;
        let (mut items, mut high, mut width) = (Vec::new(), self.ceiling, FIRST_WINDOW);
        while high > self.floor {
            let low = high.saturating_sub(width).max(self.floor);
            // One more than is shown tells whether there is more.
            let wanted = self.limit + 1 - items.len();
            let span = [low, high, i64::try_from(wanted).unwrap_or(i64::MAX)].map(Value::Integer);
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
            width = width.saturating_mul(2);
            if began.elapsed() >= budget && high > self.floor {
                return Ok(Page {
                    items,
                    next: Some(high),
                });
            }
        }
        Ok(Page { items, next: None })
    }
}
