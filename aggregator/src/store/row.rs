//! What is read back: an exchange's row, and with it what was asked and answered.

use rusqlite::types::FromSql;
use rusqlite::{CachedStatement, Connection, OptionalExtension as _};
use uuid::Uuid;

use super::codec::Codec;
use super::error::StoreError;
use super::exchange::{Answered, Asked, Content, Embeddings, Plane, Status, Timing, Tokens};
use super::words::Names;

/// An exchange as a list shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Its place in the order of lists.
    pub seq: i64,
    pub id: Uuid,
    pub parent: Option<Uuid>,
    pub started_at_us: i64,
    pub plane: Plane,
    pub asked: Asked,
    pub answered: Answered,
    pub tokens: Tokens,
    pub timing: Timing,
}

/// The same with its bodies, `prompt` aside: that is not stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    pub row: Row,
    pub content: Content,
}

/// Reads rows one after the other.
pub(super) struct Rows<'c> {
    statement: CachedStatement<'c>,
    names: Names<'c>,
}

impl<'c> Rows<'c> {
    pub(super) fn open(connection: &'c Connection) -> Result<Self, StoreError> {
        Ok(Self {
            statement: connection.prepare_cached(SELECT)?,
            names: Names::open(connection)?,
        })
    }

    /// `None` where it is not there any more.
    pub(super) fn read(&mut self, seq: i64) -> Result<Option<Row>, StoreError> {
        let names = &mut self.names;
        let row = self
            .statement
            .query_row([seq], |row| read_columns(Columns { row, names, next: 0 }))
            .optional()?;
        row.transpose()
    }
}

pub(super) fn stored(connection: &Connection, codec: &Codec, id: &Uuid) -> Result<Option<Stored>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT seq FROM exchange WHERE id = ?1")?;
    let Some(seq) = statement.query_row([id], |row| row.get(0)).optional()? else {
        return Ok(None);
    };
    let Some(row) = Rows::open(connection)?.read(seq)? else {
        return Ok(None);
    };
    let content = content(connection, codec, &row)?;
    Ok(Some(Stored { row, content }))
}

fn content(connection: &Connection, codec: &Codec, row: &Row) -> Result<Content, StoreError> {
    const COLUMNS: [&str; 5] = ["request", "response", "text", "thinking", "tool_calls"];
    let sql = "SELECT request, response, text, thinking, tool_calls FROM body WHERE seq = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([row.seq])?;
    let Some(found) = rows.next()? else {
        return Ok(Content::default());
    };
    let mut values: [Option<Vec<u8>>; 5] = Default::default();
    for (index, column) in COLUMNS.into_iter().enumerate() {
        let stored: Option<Vec<u8>> = found.get(index)?;
        values[index] = stored
            .map(|stored| codec.decode(&row.id, column, &stored))
            .transpose()?;
    }
    let [request, response, written, thinking, tool_calls] = values;
    Ok(Content {
        request: request.map(Into::into),
        response: response.map(Into::into),
        text: text("text", written)?,
        thinking: text("thinking", thinking)?,
        tool_calls: text("tool_calls", tool_calls)?,
        prompt: None,
    })
}

/// It was stored from a text, so it is one.
fn text(column: &'static str, bytes: Option<Vec<u8>>) -> Result<Option<String>, StoreError> {
    let text = bytes.map(String::from_utf8).transpose();
    text.map_err(|_| StoreError::Damaged(column))
}

/// A row's values in the order of the query: looking each up by its name would take longer than reading it.
struct Columns<'r, 's, 'c> {
    row: &'r rusqlite::Row<'s>,
    names: &'r mut Names<'c>,
    next: usize,
}

impl Columns<'_, '_, '_> {
    fn take<T: FromSql>(&mut self) -> rusqlite::Result<T> {
        self.next += 1;
        self.row.get(self.next - 1)
    }

    fn number(&mut self) -> rusqlite::Result<Option<u64>> {
        let number: Option<i64> = self.take()?;
        Ok(number.and_then(|number| u64::try_from(number).ok()))
    }

    fn name(&mut self) -> rusqlite::Result<Option<String>> {
        let number = self.take()?;
        self.names.find(number)
    }
}

const SELECT: &str = "SELECT
    seq, id, parent, started_at_us, plane, status, flags,
    key, service, model_asked, endpoint, dialect, client, request_id, request_bytes,
    refused, http_status, error_code, finish_reason, embeddings, embedding_dimensions, backend, model, fallback, attempts,
    response_bytes, input_tokens, output_tokens, cached_tokens, thinking_tokens, first_token_us, duration_us,
    tokens_per_second
FROM exchange WHERE seq = ?1";

type Checked<T> = Result<T, StoreError>;

/// In the order of [`SELECT`].
fn read_columns(mut columns: Columns<'_, '_, '_>) -> rusqlite::Result<Checked<Row>> {
    let (seq, id, parent) = (columns.take()?, columns.take()?, columns.take()?);
    let started_at_us = columns.take()?;
    let (plane, status) = (Plane::from_sql(columns.take()?), Status::from_sql(columns.take()?));
    let (Some(plane), Some(status)) = (plane, status) else {
        return Ok(Err(StoreError::Damaged("a plane or a status")));
    };
    let flags: i64 = columns.take()?;
    Ok(Ok(Row {
        seq,
        id,
        parent,
        started_at_us,
        plane,
        asked: read_asked(&mut columns, flags)?,
        answered: read_answered(&mut columns, flags, status)?,
        tokens: Tokens {
            input: columns.number()?,
            output: columns.number()?,
            cached: columns.number()?,
            thinking: columns.number()?,
        },
        timing: Timing {
            first_token_us: columns.number()?,
            duration_us: columns.number()?,
            tokens_per_second: columns.take()?,
        },
    }))
}

fn read_asked(columns: &mut Columns<'_, '_, '_>, flags: i64) -> rusqlite::Result<Asked> {
    Ok(Asked {
        key: columns.name()?,
        service: columns.name()?,
        model: columns.take()?,
        endpoint: columns.take()?,
        dialect: columns.take()?,
        client: columns.take()?,
        request_id: columns.take()?,
        body_bytes: columns.number()?.unwrap_or(0),
        streamed: flags & 1 != 0,
    })
}

fn read_answered(columns: &mut Columns<'_, '_, '_>, flags: i64, status: Status) -> rusqlite::Result<Answered> {
    Ok(Answered {
        status,
        refused: columns.take()?,
        http_status: columns.take()?,
        error_code: columns.take()?,
        finish_reason: columns.take()?,
        embeddings: columns
            .number()?
            .zip(columns.number()?)
            .map(|(count, dimensions)| Embeddings { count, dimensions }),
        backend: columns.name()?,
        model: columns.name()?,
        fallback: columns.take()?,
        attempts: columns.take()?,
        body_bytes: columns.number()?.unwrap_or(0),
        is_request_cut: flags & 2 != 0,
        is_response_cut: flags & 4 != 0,
        is_lossy: flags & 8 != 0,
    })
}
