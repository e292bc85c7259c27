//! What is kept no longer goes, a small step at a time, and the disk gets its space back.
//!
//! A step takes some tens of milliseconds, so that no commit waits longer. Files shrink from their end: SQLite moves the
//! last pages into free ones and cuts, which is what `auto_vacuum = incremental` is for.

use std::time::Duration;

use rusqlite::Connection;

use super::config::Retention;
use super::error::StoreError;
use super::insert::first_seq;
use super::{delete, schema};

/// Pages given back in one step: 4 MiB.
const PAGES_A_STEP: i64 = 1024;
/// Free pages that are kept, for what comes next.
const FREE_PAGES_KEPT: i64 = 256;

pub(super) struct House {
    retention: Retention,
    is_searchable: bool,
}

impl House {
    pub(super) fn new(retention: Retention, is_searchable: bool) -> Self {
        Self {
            retention,
            is_searchable,
        }
    }

    /// One step; whether there is more to do.
    pub(super) fn step(&self, connection: &mut Connection) -> Result<bool, StoreError> {
        if self.remove_old(connection)? || self.remove_beyond(connection)? || delete::forget(connection)? {
            return Ok(true);
        }
        give_back(connection)
    }

    fn remove_old(&self, connection: &mut Connection) -> Result<bool, StoreError> {
        let Some(age_max) = self.retention.age_max else {
            return Ok(false);
        };
        self.remove_before(connection, first_seq(delete::now_us(age_max)))
    }

    fn remove_beyond(&self, connection: &mut Connection) -> Result<bool, StoreError> {
        let Some(bytes_max) = self.retention.bytes_max else {
            return Ok(false);
        };
        let Space {
            pages,
            free,
            page_bytes,
        } = Space::of(connection)?;
        let used = (pages - free).saturating_mul(page_bytes);
        if u64::try_from(used).unwrap_or(0) <= bytes_max {
            return Ok(false);
        }
        self.remove_before(connection, i64::MAX)
    }

    /// Of what is before this place the oldest; whether there was any.
    fn remove_before(&self, connection: &mut Connection, before: i64) -> Result<bool, StoreError> {
        let places: Vec<i64> = {
            let sql = "SELECT seq FROM exchange WHERE seq < ?1 ORDER BY seq LIMIT ?2";
            let mut oldest = connection.prepare_cached(sql)?;
            let limit = i64::try_from(delete::STEP).unwrap_or(i64::MAX);
            let places = oldest.query_map([before, limit], |row| row.get(0))?;
            places.collect::<Result<_, _>>()?
        };
        delete::all(connection, &places, self.is_searchable)?;
        Ok(!places.is_empty())
    }
}

/// Whether there is more to give.
fn give_back(connection: &Connection) -> Result<bool, StoreError> {
    let free = Space::of(connection)?.free;
    if free <= FREE_PAGES_KEPT {
        empty_log(connection)?;
        return Ok(false);
    }
    let pages = (free - FREE_PAGES_KEPT).min(PAGES_A_STEP);
    // A number of ours: a pragma takes no bound values. Each row of it is one page that was given back.
    let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    Ok(free - pages > FREE_PAGES_KEPT)
}

/// What was deleted stands in the log beside the database until that begins anew. A reader that is in the way is not
/// waited for: there is a next time.
fn empty_log(connection: &Connection) -> Result<(), StoreError> {
    connection.busy_timeout(Duration::ZERO)?;
    let emptied = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    connection.busy_timeout(schema::BUSY_TIMEOUT)?;
    Ok(emptied?)
}

/// The database's file, in pages.
struct Space {
    pages: i64,
    free: i64,
    page_bytes: i64,
}

impl Space {
    fn of(connection: &Connection) -> Result<Self, StoreError> {
        let pragma = |name| connection.pragma_query_value(None, name, |row| row.get(0));
        Ok(Self {
            pages: pragma("page_count")?,
            free: pragma("freelist_count")?,
            page_bytes: pragma("page_size")?,
        })
    }
}
