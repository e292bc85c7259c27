//! One batch into the tables, its roll-ups and its mark with it: one transaction.

use rusqlite::{Connection, OptionalExtension as _, Transaction, named_params};

use super::codec::Codec;
use super::error::StoreError;
use super::exchange::{Content, NewExchange};
use super::words::{self, Words};
use super::{Committed, Mark, rollup, schema, search};

/// Enough tries for 2^40 exchanges that began in one microsecond.
const TIES_MAX: u32 = 40;

/// What a transaction writes with.
pub(super) struct Inserter<'c> {
    pub(super) codec: &'c Codec,
    pub(super) words: &'c mut Words,
    pub(super) is_searchable: bool,
}

impl Inserter<'_> {
    /// All of it or nothing; names met in a transaction that failed are forgotten.
    pub(super) fn commit(
        &mut self,
        connection: &mut Connection,
        batch: &[NewExchange],
        mark: Option<&Mark>,
    ) -> Result<Committed, StoreError> {
        let outcome = self.try_commit(connection, batch, mark);
        if outcome.is_err() {
            self.words.forget();
        }
        outcome
    }

    fn try_commit(
        &mut self,
        connection: &mut Connection,
        batch: &[NewExchange],
        mark: Option<&Mark>,
    ) -> Result<Committed, StoreError> {
        let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let mut committed = Committed::default();
        for exchange in batch {
            match self.insert(&transaction, exchange)? {
                true => committed.stored += 1,
                false => committed.known += 1,
            }
        }
        if let Some(mark) = mark {
            schema::set_cursor(&transaction, &mark.journal, &mark.cursor)?;
        }
        transaction.commit()?;
        Ok(committed)
    }

    /// Whether it was new.
    fn insert(&mut self, transaction: &Transaction<'_>, exchange: &NewExchange) -> Result<bool, StoreError> {
        if is_known(transaction, exchange)? {
            return Ok(false);
        }
        let seq = free_seq(transaction, exchange)?;
        let names = Names {
            key: self.words.number(transaction, exchange.asked.key.as_deref())?,
            service: self.words.number(transaction, exchange.asked.service.as_deref())?,
            backend: self.words.number(transaction, exchange.answered.backend.as_deref())?,
            model: self.words.number(transaction, exchange.answered.model.as_deref())?,
        };
        insert_row(transaction, seq, exchange, &names)?;
        let stored_bytes = self.insert_body(transaction, seq, exchange)?;
        if self.is_searchable {
            search::add(transaction, seq, &exchange.content)?;
        }
        rollup::count_held(transaction, exchange, raw_bytes(&exchange.content), stored_bytes)?;
        rollup::count_usage(transaction, exchange, names, self.words)?;
        Ok(true)
    }

    /// The bytes that it takes.
    fn insert_body(&self, transaction: &Transaction<'_>, seq: i64, exchange: &NewExchange) -> Result<i64, StoreError> {
        let values = parts(&exchange.content).map(|(column, plain)| {
            plain
                .map(|plain| self.codec.encode(&exchange.id, column, plain))
                .transpose()
        });
        let [request, response, text, thinking, tool_calls] = values;
        let values = [request?, response?, text?, thinking?, tool_calls?];
        if values.iter().all(Option::is_none) {
            return Ok(0);
        }
        let [request, response, text, thinking, tool_calls] = &values;
        let sql = "INSERT INTO body (seq, raw_bytes, request, response, text, thinking, tool_calls)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let raw = raw_bytes(&exchange.content);
        let row = (seq, raw, request, response, text, thinking, tool_calls);
        transaction.prepare_cached(sql)?.execute(row)?;
        Ok(values.iter().flatten().map(|value| count(value.len() as u64)).sum())
    }
}

/// Whether it is there, or was and has been deleted: a journal that is read again must not bring it back.
fn is_known(transaction: &Transaction<'_>, exchange: &NewExchange) -> rusqlite::Result<bool> {
    for sql in [
        "SELECT 1 FROM exchange WHERE id = ?1",
        "SELECT 1 FROM gone WHERE id = ?1",
    ] {
        let mut known = transaction.prepare_cached(sql)?;
        if known.query_row([exchange.id], |_| Ok(())).optional()?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Numbers of names.
#[derive(Clone, Copy)]
pub(super) struct Names {
    pub(super) key: i64,
    pub(super) service: i64,
    pub(super) backend: i64,
    pub(super) model: i64,
}

/// Its place in the order: its start, and of those that began in the same microsecond the next free one.
fn free_seq(transaction: &Transaction<'_>, exchange: &NewExchange) -> Result<i64, StoreError> {
    let tie = i64::from(exchange.id.as_bytes()[15]);
    let mut seq = first_seq(exchange.started_at_us) + tie;
    let mut taken = transaction.prepare_cached("SELECT 1 FROM exchange WHERE seq = ?1")?;
    for attempt in 0..TIES_MAX {
        if taken.query_row([seq], |_| Ok(())).optional()?.is_none() {
            return Ok(seq);
        }
        seq += 1 << attempt;
    }
    Err(StoreError::Damaged("a moment in which too much began"))
}

/// Of all that began at this time or later.
pub(super) fn first_seq(started_at_us: i64) -> i64 {
    // Room for the tie-breaker, and for what is tried after it.
    const LAST_US: i64 = (i64::MAX >> 8) - (1 << 40);
    started_at_us.clamp(0, LAST_US) << 8
}

fn insert_row(transaction: &Transaction<'_>, seq: i64, exchange: &NewExchange, names: &Names) -> rusqlite::Result<()> {
    let NewExchange {
        asked,
        answered,
        tokens,
        timing,
        ..
    } = exchange;
    let flags = i64::from(asked.streamed)
        | i64::from(answered.is_request_cut) << 1
        | i64::from(answered.is_response_cut) << 2
        | i64::from(answered.is_lossy) << 3;
    transaction.prepare_cached(INSERT)?.execute(named_params! {
        ":seq": seq,
        ":id": exchange.id,
        ":parent": exchange.parent,
        ":started_at_us": exchange.started_at_us,
        ":plane": exchange.plane.to_sql(),
        ":key": names.key,
        ":service": names.service,
        ":backend": names.backend,
        ":model": names.model,
        ":model_asked": brief(&asked.model),
        ":endpoint": words::shortened(&asked.endpoint),
        ":dialect": brief(&asked.dialect),
        ":flags": flags,
        ":status": answered.status.to_sql(),
        ":refused": brief(&answered.refused),
        ":http_status": answered.http_status,
        ":error_code": brief(&answered.error_code),
        ":finish_reason": brief(&answered.finish_reason),
        ":embeddings": answered.embeddings.map(|embeddings| count(embeddings.count)),
        ":embedding_dimensions": answered.embeddings.map(|embeddings| count(embeddings.dimensions)),
        ":fallback": brief(&answered.fallback),
        ":attempts": answered.attempts,
        ":client": brief(&asked.client),
        ":request_id": brief(&asked.request_id),
        ":input_tokens": tokens.input.map(count),
        ":output_tokens": tokens.output.map(count),
        ":cached_tokens": tokens.cached.map(count),
        ":thinking_tokens": tokens.thinking.map(count),
        ":total_tokens": tokens.total().map(count),
        ":first_token_us": timing.first_token_us.map(count),
        ":duration_us": timing.duration_us.map(count),
        ":tokens_per_second": timing.tokens_per_second.filter(|rate| rate.is_finite()),
        ":request_bytes": count(asked.body_bytes),
        ":response_bytes": count(answered.body_bytes),
    })?;
    Ok(())
}

/// What is stored of the content, by column.
fn parts(content: &Content) -> [(&'static str, Option<&[u8]>); 5] {
    [
        ("request", content.request.as_deref()),
        ("response", content.response.as_deref()),
        ("text", content.text.as_deref().map(str::as_bytes)),
        ("thinking", content.thinking.as_deref().map(str::as_bytes)),
        ("tool_calls", content.tool_calls.as_deref().map(str::as_bytes)),
    ]
}

fn raw_bytes(content: &Content) -> i64 {
    let parts = parts(content);
    parts
        .iter()
        .filter_map(|(_, plain)| *plain)
        .map(|plain| count(plain.len() as u64))
        .sum()
}

/// What a client may have written at any length.
fn brief(text: &Option<String>) -> Option<&str> {
    text.as_deref().map(words::shortened)
}

pub(super) fn some_or_zero(number: Option<u64>) -> i64 {
    number.map_or(0, count)
}

/// SQLite's numbers are signed, and sums must not overflow: no honest figure is near this.
pub(super) fn count(number: u64) -> i64 {
    const MAX: u64 = 1 << 40;
    number.min(MAX) as i64
}

const INSERT: &str = "INSERT INTO exchange (
    seq, id, parent, started_at_us, plane, key, service, backend, model, model_asked, endpoint, dialect, flags, status,
    refused, http_status, error_code, finish_reason, fallback, attempts, client, request_id, input_tokens,
    output_tokens, cached_tokens, thinking_tokens, total_tokens, first_token_us, duration_us, tokens_per_second,
    request_bytes, response_bytes, embeddings, embedding_dimensions
) VALUES (
    :seq, :id, :parent, :started_at_us, :plane, :key, :service, :backend, :model, :model_asked, :endpoint, :dialect,
    :flags, :status, :refused, :http_status, :error_code, :finish_reason, :fallback, :attempts, :client, :request_id,
    :input_tokens, :output_tokens, :cached_tokens, :thinking_tokens, :total_tokens, :first_token_us, :duration_us,
    :tokens_per_second, :request_bytes, :response_bytes, :embeddings, :embedding_dimensions
)";
