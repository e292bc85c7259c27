//! What is in the store now, from running sums: nothing is counted when it is asked for.

use rusqlite::Connection;

use super::error::StoreError;
use super::exchange::Status;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoreStats {
    /// By status, those of which there are any.
    pub held: Vec<Held>,
    pub oldest_us: Option<i64>,
    pub newest_us: Option<i64>,
    /// The database's file, what is free in it included; the log beside it is not.
    pub file_bytes: u64,
    pub free_bytes: u64,
}

/// Of one status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    pub status: Status,
    pub exchanges: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
    /// Of all bodies, before they were compressed and after.
    pub raw_bytes: u64,
    pub stored_bytes: u64,
}

pub(super) fn read(connection: &Connection) -> Result<StoreStats, StoreError> {
    let mut stats = StoreStats::default();
    let sql = "SELECT status, exchanges, input_tokens, output_tokens, raw_bytes, stored_bytes FROM held
               WHERE exchanges > 0 ORDER BY status";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let number = |index| {
            row.get::<_, i64>(index)
                .map(|number| u64::try_from(number).unwrap_or(0))
        };
        stats.held.push(Held {
            status: Status::from_sql(row.get(0)?).ok_or(StoreError::Damaged("a status"))?,
            exchanges: number(1)?,
            input_tokens: number(2)?,
            output_tokens: number(3)?,
            raw_bytes: number(4)?,
            stored_bytes: number(5)?,
        });
    }
    let start = |sql| -> rusqlite::Result<Option<i64>> {
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query([])?;
        rows.next()?.map(|row| row.get(0)).transpose()
    };
    stats.oldest_us = start("SELECT started_at_us FROM exchange ORDER BY seq LIMIT 1")?;
    stats.newest_us = start("SELECT started_at_us FROM exchange ORDER BY seq DESC LIMIT 1")?;
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let page_bytes = pragma("page_size")?;
    let bytes = |pages: i64| u64::try_from(pages.saturating_mul(page_bytes)).unwrap_or(0);
    stats.file_bytes = bytes(pragma("page_count")?);
    stats.free_bytes = bytes(pragma("freelist_count")?);
    Ok(stats)
}
