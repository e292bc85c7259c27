//! Removing exchanges. What they counted for in `usage` stays: what was used was used. What `held` counts goes with them.
//!
//! Their ids are remembered for a while: after a crash a journal is read again from some place before, and what was deleted
//! must neither come back nor be counted again.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OptionalExtension as _, Transaction};
use uuid::Uuid;

use super::error::StoreError;
use super::filter::Filter;
use super::list::{self, PageRequest};
use super::search;

/// Removed in one transaction: some tens of milliseconds, during which nothing else is written.
pub(super) const STEP: usize = 200;

/// Longer than an exchange takes and an aggregator stands still.
const REMEMBERED: Duration = Duration::from_secs(30 * 86_400);

/// What one step did, and where the next one begins; `None` where nothing is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DeleteStep {
    pub(super) deleted: u64,
    pub(super) next: Option<i64>,
}

pub(super) fn one(connection: &mut Connection, id: &Uuid, is_searchable: bool) -> Result<bool, StoreError> {
    let sql = "SELECT seq FROM exchange WHERE id = ?1";
    let seq: Option<i64> = connection.query_row(sql, [id], |row| row.get(0)).optional()?;
    let Some(seq) = seq else { return Ok(false) };
    all(connection, &[seq], is_searchable)?;
    Ok(true)
}

pub(super) fn some(
    connection: &mut Connection,
    filter: &Filter,
    before: Option<i64>,
    is_searchable: bool,
) -> Result<DeleteStep, StoreError> {
    let found = list::find(connection, filter, PageRequest { limit: STEP, before })?;
    all(connection, &found.items, is_searchable)?;
    Ok(DeleteStep {
        deleted: found.items.len() as u64,
        next: found.next,
    })
}

/// In one transaction.
pub(super) fn all(connection: &mut Connection, places: &[i64], is_searchable: bool) -> Result<(), StoreError> {
    if places.is_empty() {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    for seq in places {
        remove(&transaction, *seq, is_searchable)?;
    }
    transaction.commit()?;
    Ok(())
}

fn remove(transaction: &Transaction<'_>, seq: i64, is_searchable: bool) -> rusqlite::Result<()> {
    // The lengths of values stand in the row's head: the values themselves are not read.
    let sql = "UPDATE held SET
            exchanges = held.exchanges - 1,
            input_tokens = held.input_tokens - coalesce(gone.input_tokens, 0),
            output_tokens = held.output_tokens - coalesce(gone.output_tokens, 0),
            raw_bytes = held.raw_bytes - gone.raw_bytes,
            stored_bytes = held.stored_bytes - gone.stored_bytes
        FROM (
            SELECT exchange.status, exchange.input_tokens, exchange.output_tokens,
                coalesce(body.raw_bytes, 0) AS raw_bytes,
                coalesce(length(body.request), 0) + coalesce(length(body.response), 0) + coalesce(length(body.text), 0)
                    + coalesce(length(body.thinking), 0) + coalesce(length(body.tool_calls), 0) AS stored_bytes
            FROM exchange LEFT JOIN body ON body.seq = exchange.seq
            WHERE exchange.seq = ?1
        ) AS gone
        WHERE held.status = gone.status";
    transaction.prepare_cached(sql)?.execute([seq])?;
    if is_searchable {
        search::remove(transaction, seq)?;
    }
    let sql = "INSERT OR IGNORE INTO gone (id, at_us) SELECT id, ?2 FROM exchange WHERE seq = ?1";
    transaction
        .prepare_cached(sql)?
        .execute((seq, now_us(Duration::ZERO)))?;
    transaction
        .prepare_cached("DELETE FROM body WHERE seq = ?1")?
        .execute([seq])?;
    transaction
        .prepare_cached("DELETE FROM exchange WHERE seq = ?1")?
        .execute([seq])?;
    Ok(())
}

/// Forgets some of the ids that no journal can bring again; whether there may be more.
pub(super) fn forget(connection: &Connection) -> Result<bool, StoreError> {
    let sql = "DELETE FROM gone WHERE id IN (SELECT id FROM gone WHERE at_us < ?1 ORDER BY at_us LIMIT ?2)";
    let limit = i64::try_from(STEP).unwrap_or(i64::MAX);
    let forgotten = connection.prepare_cached(sql)?.execute((now_us(REMEMBERED), limit))?;
    Ok(forgotten == STEP)
}

/// In microseconds since 1970: so long ago.
pub(super) fn now_us(ago: Duration) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.saturating_sub(ago).as_micros()).unwrap_or(i64::MAX)
}
