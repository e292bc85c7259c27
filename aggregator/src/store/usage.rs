//! What was used, by key, model, backend or day, from the roll-ups. Days are UTC's.

use std::fmt::Write as _;

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::error::StoreError;
use super::list::Page;
use super::{rollup, words};

/// What makes a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsageBy {
    Key,
    Model,
    Backend,
    Day,
}

impl UsageBy {
    fn kind(self) -> i64 {
        match self {
            Self::Key => rollup::BY_KEY,
            Self::Model => rollup::BY_MODEL,
            Self::Backend => rollup::BY_BACKEND,
            Self::Day => rollup::ALL,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRequest {
    pub by: UsageBy,
    /// Days since 1970, both included.
    pub from_day: Option<i64>,
    pub to_day: Option<i64>,
    /// Of days: only what this key, model or backend used.
    pub of: Option<(UsageBy, String)>,
    pub limit: usize,
    /// [`Page::next`] of the page before.
    pub after: Option<String>,
}

/// One group's sums. Tokens are of those exchanges that told them, which `counted` counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Usage {
    /// The key's, model's or backend's name, empty where there was none; or the day as days since 1970.
    pub group: String,
    pub exchanges: u64,
    pub complete: u64,
    pub client_gone: u64,
    pub upstream_failed: u64,
    pub interrupted: u64,
    pub refused: u64,
    pub counted: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub cached_tokens: u64,
    pub thinking_tokens: u64,
    pub request_bytes: u64,
    pub response_bytes: u64,
    pub duration_us: u64,
    /// Exchanges of which it is known when their first token came, and the sum of how long that took.
    pub first_tokens: u64,
    pub first_token_us: u64,
}

const SUMS: [&str; 16] = [
    "exchanges",
    "complete",
    "client_gone",
    "upstream_failed",
    "interrupted",
    "refused",
    "counted",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "thinking_tokens",
    "request_bytes",
    "response_bytes",
    "duration_us",
    "first_tokens",
    "first_token_us",
];

/// Names in their order; days the newest first.
pub(super) fn read(connection: &Connection, request: &UsageRequest) -> Result<Page<Usage, String>, StoreError> {
    let Some((sql, values)) = compile(connection, request)? else {
        return Ok(Page {
            items: Vec::new(),
            next: None,
        });
    };
    let mut statement = connection.prepare_cached(&sql)?;
    let found = statement.query_map(params_from_iter(values), read_group)?;
    let mut items: Vec<Usage> = found.collect::<Result<_, _>>()?;
    let is_more = items.len() > request.limit;
    items.truncate(request.limit);
    let next = items.last().filter(|_| is_more).map(|last| last.group.clone());
    Ok(Page { items, next })
}

/// The SQL is made of this file's constants; every value is bound. `None` where a name is asked for that is nowhere.
fn compile(connection: &Connection, request: &UsageRequest) -> Result<Option<(String, Vec<Value>)>, StoreError> {
    let of = match (request.by, &request.of) {
        (UsageBy::Day, Some((by, name))) => match words::find(connection, name)? {
            Some(number) => (by.kind(), Some(number)),
            None => return Ok(None),
        },
        (UsageBy::Day, None) => (rollup::ALL, Some(words::NONE)),
        (by, _) => (by.kind(), None),
    };
    let from = request.from_day.unwrap_or(i64::MIN);
    let to = request.to_day.unwrap_or(i64::MAX);
    let mut values = vec![of.0, from, to];
    let condition = if of.1.is_some() { " AND name = ?" } else { "" };
    values.extend(of.1);
    let mut values: Vec<Value> = values.into_iter().map(Value::Integer).collect();
    let (column, named, order) = match request.by {
        UsageBy::Day => ("day", DATED, "place DESC"),
        _ => ("name", NAMED, "name"),
    };
    let mut sql = format!("WITH sums AS (SELECT {column} AS place");
    for sum in SUMS {
        let _ = write!(sql, ", sum({sum}) AS {sum}");
    }
    // The rows lie in the order of kind and name: a walk through them is quicker than one through the index of days.
    let _ = write!(
        sql,
        " FROM usage NOT INDEXED WHERE kind = ? AND day >= ? AND day <= ?{condition} GROUP BY {column}), "
    );
    let _ = write!(sql, "named AS ({named}) SELECT name, {} FROM named", SUMS.join(", "));
    if let Some(after) = &request.after {
        match request.by {
            UsageBy::Day => {
                sql.push_str(" WHERE place < ?");
                values.push(Value::Integer(after.parse().unwrap_or(i64::MIN)));
            }
            _ => {
                sql.push_str(" WHERE name > ?");
                values.push(Value::Text(after.clone()));
            }
        }
    }
    let _ = write!(sql, " ORDER BY {order} LIMIT ?");
    values.push(Value::Integer(
        i64::try_from(request.limit.saturating_add(1)).unwrap_or(i64::MAX),
    ));
    Ok(Some((sql, values)))
}

const DATED: &str = "SELECT CAST(place AS TEXT) AS name, sums.* FROM sums";
const NAMED: &str = "SELECT coalesce(word.text, '') AS name, sums.* FROM sums LEFT JOIN word ON word.id = sums.place";

fn read_group(row: &rusqlite::Row<'_>) -> rusqlite::Result<Usage> {
    let number = |index| {
        row.get::<_, i64>(index)
            .map(|number| u64::try_from(number).unwrap_or(0))
    };
    Ok(Usage {
        group: row.get(0)?,
        exchanges: number(1)?,
        complete: number(2)?,
        client_gone: number(3)?,
        upstream_failed: number(4)?,
        interrupted: number(5)?,
        refused: number(6)?,
        counted: number(7)?,
        input_tokens: number(8)?,
        output_tokens: number(9)?,
        cached_tokens: number(10)?,
        thinking_tokens: number(11)?,
        request_bytes: number(12)?,
        response_bytes: number(13)?,
        duration_us: number(14)?,
        first_tokens: number(15)?,
        first_token_us: number(16)?,
    })
}
