//! What a query asks for, and the SQL that finds it.
//!
//! The SQL is put together from the constants of this file alone; every value is bound. Each query names the index that
//! it walks, so that SQLite cannot choose a slower way when its statistics change. All of them walk in the list's order,
//! so that a page is found without sorting.

use rusqlite::Connection;
use rusqlite::types::Value;
use uuid::Uuid;

use super::error::StoreError;
use super::exchange::Status;
use super::{insert, search, words};

/// What is left out is not filtered by.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Filter {
    /// A router's name.
    pub key: Option<String>,
    pub model: Option<String>,
    pub backend: Option<String>,
    pub status: Option<Status>,
    pub parent: Option<Uuid>,
    /// Of the start, in microseconds since 1970: from this on, and before that.
    pub started_us: Span<i64>,
    /// Input and output together, both ends included. Exchanges that told none are in no such span.
    pub tokens: Span<u64>,
    pub duration_us: Span<u64>,
    /// Words of prompt, text or thinking, all of which must be there.
    pub text: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span<T> {
    pub from: Option<T>,
    pub to: Option<T>,
}

impl Filter {
    /// Whether it lets everything through.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a store can answer it.
    pub(super) fn check(&self, is_searchable: bool) -> Result<(), StoreError> {
        match self.text.is_some() && !is_searchable {
            true => Err(StoreError::SearchOff),
            false => Ok(()),
        }
    }

    /// The query for it; `None` where nothing can match.
    pub(super) fn compile(&self, connection: &Connection) -> Result<Option<Query>, StoreError> {
        let mut query = Query::default();
        if let Some(text) = &self.text {
            let Some(text) = search::query(text) else {
                return Ok(None);
            };
            query.way = Way::Search;
            query.and("search MATCH ?", Value::Text(text));
        }
        for (name, way, condition) in [
            (&self.key, Way::Key, "key = ?"),
            (&self.model, Way::Model, "model = ?"),
            (&self.backend, Way::Backend, "backend = ?"),
        ] {
            if let Some(name) = name {
                let Some(number) = words::find(connection, name)? else {
                    return Ok(None);
                };
                query.by(way, condition, Value::Integer(number));
            }
        }
        if let Some(parent) = self.parent {
            query.by(Way::Parent, "parent = ?", Value::Blob(parent.as_bytes().to_vec()));
        }
        match self.status {
            Some(Status::Complete) => query.and("status = ?", Value::Integer(Status::Complete.to_sql())),
            // The index on statuses holds what is not complete, and SQLite wants to see that this is.
            Some(status) => query.by(
                Way::Status,
                "status <> 0 AND status = ?",
                Value::Integer(status.to_sql()),
            ),
            None => {}
        }
        for (bound, condition) in [
            (self.tokens.from, "total_tokens >= ?"),
            (self.tokens.to, "total_tokens <= ?"),
            (self.duration_us.from, "duration_us >= ?"),
            (self.duration_us.to, "duration_us <= ?"),
        ] {
            if let Some(bound) = bound {
                query.and(condition, Value::Integer(i64::try_from(bound).unwrap_or(i64::MAX)));
            }
        }
        query.floor = self.started_us.from.map_or(0, insert::first_seq);
        query.ceiling = self.started_us.to.map_or(i64::MAX, insert::first_seq);
        Ok(Some(query))
    }
}

/// Which index is walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
enum Way {
    #[default]
    Time,
    Status,
    Backend,
    Model,
    Key,
    Parent,
    Search,
}

/// A filter as SQL: conditions and the values that belong to them, in order.
#[derive(Debug, Clone, Default)]
pub(super) struct Query {
    way: Way,
    /// What the walked index begins with, where it begins with anything but the order.
    lead: Option<(&'static str, Value)>,
    conditions: Vec<&'static str>,
    values: Vec<Value>,
    /// The span of the order that is looked through: from this on, and before that.
    pub(super) floor: i64,
    pub(super) ceiling: i64,
}

impl Query {
    fn and(&mut self, condition: &'static str, value: Value) {
        self.conditions.push(condition);
        self.values.push(value);
    }

    /// A condition that has an index; of several the way that is likely to be the narrowest is walked.
    fn by(&mut self, way: Way, condition: &'static str, value: Value) {
        if way > self.way {
            self.way = way;
            self.lead = Some((condition, value.clone()));
        }
        self.and(condition, value);
    }

    /// Gives the `seq` of what matches, the newest first: of the filter's values, then the span's two ends and a limit.
    pub(super) fn sql(&self) -> String {
        let (from, seq) = self.walked();
        let conditions: String = self
            .conditions
            .iter()
            .map(|condition| format!("{condition} AND "))
            .collect();
        format!("SELECT {seq} FROM {from} WHERE {conditions}{seq} >= ? AND {seq} < ? ORDER BY {seq} DESC LIMIT ?")
    }

    pub(super) fn values(&self) -> &[Value] {
        &self.values
    }

    /// Gives the `seq` that so many entries of the walked index lie above of, whatever else the filter asks: of the lead's
    /// value, then the span's two ends and the number. None for a search, whose index is not counted through.
    pub(super) fn border_sql(&self) -> Option<String> {
        let (from, seq) = self.walked();
        let lead = self
            .lead
            .as_ref()
            .map_or(String::new(), |(lead, _)| format!("{lead} AND "));
        (self.way != Way::Search).then(|| {
            format!(
                "SELECT {seq} FROM {from} WHERE {lead}{seq} >= ? AND {seq} < ? ORDER BY {seq} DESC LIMIT 1 OFFSET ?"
            )
        })
    }

    pub(super) fn lead_value(&self) -> Option<&Value> {
        self.lead.as_ref().map(|(_, value)| value)
    }

    fn walked(&self) -> (&'static str, &'static str) {
        match self.way {
            Way::Time => ("exchange INDEXED BY exchange_by_time", "seq"),
            Way::Status => ("exchange INDEXED BY exchange_by_status", "seq"),
            Way::Backend => ("exchange INDEXED BY exchange_by_backend", "seq"),
            Way::Model => ("exchange INDEXED BY exchange_by_model", "seq"),
            Way::Key => ("exchange INDEXED BY exchange_by_key", "seq"),
            Way::Parent => ("exchange INDEXED BY exchange_by_parent", "seq"),
            // A cross join is never reordered: the index of words leads.
            Way::Search if self.conditions.len() > 1 => (
                "search CROSS JOIN exchange ON exchange.seq = search.rowid",
                "search.rowid",
            ),
            Way::Search => ("search", "search.rowid"),
        }
    }
}
