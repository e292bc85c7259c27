//! Sums that are kept with every exchange, in its transaction: what is there now, and what was used.

use rusqlite::{OptionalExtension as _, Transaction, named_params};

use super::exchange::{NewExchange, Status};
use super::insert::{Names, count, some_or_zero};
use super::words::{self, Words};

/// Microseconds of a day.
const DAY_US: i64 = 86_400_000_000;
/// Models that a day's usage tells apart; later ones share a name. Keys and backends are the operator's, but a client may
/// make model names up.
const MODELS_A_DAY_MAX: i64 = 10_000;

/// What `usage.kind` says.
pub(super) const ALL: i64 = 0;
pub(super) const BY_KEY: i64 = 1;
pub(super) const BY_MODEL: i64 = 2;
pub(super) const BY_BACKEND: i64 = 3;

/// In the sums of what is there; `delete` takes it out again.
pub(super) fn count_held(
    transaction: &Transaction<'_>,
    exchange: &NewExchange,
    raw_bytes: i64,
    stored_bytes: i64,
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO held (status, exchanges, input_tokens, output_tokens, raw_bytes, stored_bytes)
               VALUES (?1, 1, ?2, ?3, ?4, ?5)
               ON CONFLICT (status) DO UPDATE SET
                   exchanges = exchanges + 1,
                   input_tokens = input_tokens + excluded.input_tokens,
                   output_tokens = output_tokens + excluded.output_tokens,
                   raw_bytes = raw_bytes + excluded.raw_bytes,
                   stored_bytes = stored_bytes + excluded.stored_bytes";
    transaction.prepare_cached(sql)?.execute((
        exchange.answered.status.to_sql(),
        some_or_zero(exchange.tokens.input),
        some_or_zero(exchange.tokens.output),
        raw_bytes,
        stored_bytes,
    ))?;
    Ok(())
}

/// In the sums that outlive it. What was made for another exchange (a council's calls, the aggregator's part of a keyed
/// request) is work of a model and of a server; nobody asked for it a second time.
pub(super) fn count_usage(
    transaction: &Transaction<'_>,
    exchange: &NewExchange,
    mut names: Names,
    words: &mut Words,
) -> rusqlite::Result<()> {
    let day = exchange.started_at_us.div_euclid(DAY_US);
    if is_one_model_too_many(transaction, names.model, day)? {
        names.model = words.number(transaction, Some(words::OTHERS))?;
    }
    if exchange.parent.is_none() {
        add(transaction, exchange, ALL, words::NONE, day)?;
        add(transaction, exchange, BY_KEY, names.key, day)?;
    }
    add(transaction, exchange, BY_MODEL, names.model, day)?;
    add(transaction, exchange, BY_BACKEND, names.backend, day)
}

fn is_one_model_too_many(transaction: &Transaction<'_>, model: i64, day: i64) -> rusqlite::Result<bool> {
    let mut there = transaction.prepare_cached("SELECT 1 FROM usage WHERE kind = ?1 AND name = ?2 AND day = ?3")?;
    if there
        .query_row((BY_MODEL, model, day), |_| Ok(()))
        .optional()?
        .is_some()
    {
        return Ok(false);
    }
    let mut models = transaction.prepare_cached("SELECT count(*) FROM usage WHERE kind = ?1 AND day = ?2")?;
    let models: i64 = models.query_row((BY_MODEL, day), |row| row.get(0))?;
    Ok(models >= MODELS_A_DAY_MAX)
}

fn add(transaction: &Transaction<'_>, exchange: &NewExchange, kind: i64, name: i64, day: i64) -> rusqlite::Result<()> {
    let is = |status| i64::from(exchange.answered.status == status);
    let tokens = exchange.tokens;
    let first_token = exchange.timing.first_token_us;
    transaction.prepare_cached(COUNT_USAGE)?.execute(named_params! {
        ":kind": kind,
        ":name": name,
        ":day": day,
        ":complete": is(Status::Complete),
        ":client_gone": is(Status::ClientGone),
        ":upstream_failed": is(Status::UpstreamFailed),
        ":interrupted": is(Status::Interrupted),
        ":refused": i64::from(exchange.answered.refused.is_some()),
        ":counted": i64::from(tokens.total().is_some()),
        ":input_tokens": some_or_zero(tokens.input),
        ":output_tokens": some_or_zero(tokens.output),
        ":cached_tokens": some_or_zero(tokens.cached),
        ":thinking_tokens": some_or_zero(tokens.thinking),
        ":request_bytes": count(exchange.asked.body_bytes),
        ":response_bytes": count(exchange.answered.body_bytes),
        ":duration_us": some_or_zero(exchange.timing.duration_us),
        ":first_tokens": i64::from(first_token.is_some()),
        ":first_token_us": some_or_zero(first_token),
    })?;
    Ok(())
}

const COUNT_USAGE: &str = "INSERT INTO usage (
    kind, name, day, exchanges, complete, client_gone, upstream_failed, interrupted, refused, counted,
    input_tokens, output_tokens, cached_tokens, thinking_tokens, request_bytes, response_bytes, duration_us,
    first_tokens, first_token_us
) VALUES (
    :kind, :name, :day, 1, :complete, :client_gone, :upstream_failed, :interrupted, :refused, :counted,
    :input_tokens, :output_tokens, :cached_tokens, :thinking_tokens, :request_bytes, :response_bytes, :duration_us,
    :first_tokens, :first_token_us
) ON CONFLICT (kind, name, day) DO UPDATE SET
    exchanges = exchanges + 1,
    complete = complete + excluded.complete,
    client_gone = client_gone + excluded.client_gone,
    upstream_failed = upstream_failed + excluded.upstream_failed,
    interrupted = interrupted + excluded.interrupted,
    refused = refused + excluded.refused,
    counted = counted + excluded.counted,
    input_tokens = input_tokens + excluded.input_tokens,
    output_tokens = output_tokens + excluded.output_tokens,
    cached_tokens = cached_tokens + excluded.cached_tokens,
    thinking_tokens = thinking_tokens + excluded.thinking_tokens,
    request_bytes = request_bytes + excluded.request_bytes,
    response_bytes = response_bytes + excluded.response_bytes,
    duration_us = duration_us + excluded.duration_us,
    first_tokens = first_tokens + excluded.first_tokens,
    first_token_us = first_token_us + excluded.first_token_us";
