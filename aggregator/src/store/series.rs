//! What happened when: sums of exchanges in equal parts of a span, by key and by backend, from the rows themselves.
//!
//! The roll-ups know days; a plot of an hour needs minutes. So the rows of each part are summed, the newest part first,
//! within a budget: what it does not reach is said to be missing, never shown as nothing.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension as _};

use super::error::StoreError;
use super::{insert, rollup};

/// For a whole span; the part in which it runs out is finished.
const BUDGET: Duration = Duration::from_millis(250);
/// Rows summed at one time: a part of more ends there, and is the oldest that is shown.
const ROWS_MAX: i64 = 200_000;
const PARTS_MAX: usize = 120;

/// A span that ends before `to_us`, in so many parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeRequest {
    pub from_us: i64,
    pub step_us: i64,
    /// At most 120.
    pub parts: usize,
}

/// Sums of one name in one part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sums {
    pub requests: u64,
    /// That failed, broke off, or were refused.
    pub errors: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub first_token_us: u64,
    pub first_tokens: u64,
}

impl Sums {
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.errors += other.errors;
        self.input_tokens += other.input_tokens;
        self.output_tokens += other.output_tokens;
        self.first_token_us += other.first_token_us;
        self.first_tokens += other.first_tokens;
    }
}

/// By name; where there was none, the name is empty. Every list is as long as there are parts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TimeSeries {
    /// What clients asked; not what a council, or an edge in front, asked for them once more.
    pub by_key: BTreeMap<String, Vec<Sums>>,
    /// All that backends were asked.
    pub by_backend: BTreeMap<String, Vec<Sums>>,
    /// Parts at the beginning that were not reached.
    pub missing: usize,
}

pub(super) fn read(connection: &Connection, request: &TimeRequest) -> Result<TimeSeries, StoreError> {
    let parts = request.parts.min(PARTS_MAX);
    let (mut keys, mut backends) = (Folded::new(parts), Folded::new(parts));
    let (began, mut missing) = (Instant::now(), 0);
    for part in (0..parts).rev() {
        let from = request.from_us + request.step_us * i64::try_from(part).unwrap_or(0);
        let seen = sum(connection, from, from + request.step_us, |group| {
            if group.is_asked_by_client {
                keys.add(part, group.key, &group.sums);
            }
            // Without a backend: refused before one was asked.
            if group.backend != 0 || group.is_asked_by_client {
                backends.add(part, group.backend, &group.sums);
            }
        })?;
        if began.elapsed() >= BUDGET || seen >= ROWS_MAX {
            missing = part;
            break;
        }
    }
    Ok(TimeSeries {
        by_key: keys.named(connection)?,
        by_backend: backends.named(connection)?,
        missing,
    })
}

/// The same by whole UTC days, from the roll-ups: they outlive what was deleted, and count a council's own calls too.
pub(super) fn days(connection: &Connection, first_day: i64, parts: usize) -> Result<TimeSeries, StoreError> {
    let parts = parts.min(PARTS_MAX);
    Ok(TimeSeries {
        by_key: days_of(connection, rollup::BY_KEY, first_day, parts)?,
        by_backend: days_of(connection, rollup::BY_BACKEND, first_day, parts)?,
        missing: 0,
    })
}

const DAYS_SQL: &str =
    "SELECT name, day, exchanges, upstream_failed + interrupted + refused, input_tokens, output_tokens,
    first_token_us, first_tokens
FROM usage WHERE kind = ?1 AND day >= ?2 AND day < ?3";

fn days_of(
    connection: &Connection,
    kind: i64,
    first_day: i64,
    parts: usize,
) -> Result<BTreeMap<String, Vec<Sums>>, StoreError> {
    let mut folded = Folded::new(parts);
    let mut statement = connection.prepare_cached(DAYS_SQL)?;
    let end = first_day.saturating_add(i64::try_from(parts).unwrap_or(0));
    let mut rows = statement.query((kind, first_day, end))?;
    while let Some(row) = rows.next()? {
        let number = |index| {
            row.get::<_, i64>(index)
                .map(|number| u64::try_from(number).unwrap_or(0))
        };
        let part = usize::try_from(row.get::<_, i64>(1)? - first_day).unwrap_or(usize::MAX);
        let sums = Sums {
            requests: number(2)?,
            errors: number(3)?,
            input_tokens: number(4)?,
            output_tokens: number(5)?,
            first_token_us: number(6)?,
            first_tokens: number(7)?,
        };
        folded.add(part, row.get(0)?, &sums);
    }
    folded.named(connection)
}

struct Group {
    key: i64,
    backend: i64,
    is_asked_by_client: bool,
    sums: Sums,
}

const SQL: &str = "SELECT key, backend, parent IS NULL, count(*),
    sum(status IN (2, 3) OR refused IS NOT NULL OR coalesce(http_status, 0) >= 500),
    sum(coalesce(input_tokens, 0)), sum(coalesce(output_tokens, 0)),
    sum(coalesce(first_token_us, 0)), count(first_token_us)
FROM (SELECT * FROM exchange NOT INDEXED WHERE seq >= ?1 AND seq < ?2 LIMIT ?3)
GROUP BY 1, 2, 3";

/// How many rows there were.
fn sum(connection: &Connection, from_us: i64, to_us: i64, mut each: impl FnMut(&Group)) -> Result<i64, StoreError> {
    let mut statement = connection.prepare_cached(SQL)?;
    let mut rows = statement.query((insert::first_seq(from_us), insert::first_seq(to_us), ROWS_MAX))?;
    let mut seen: i64 = 0;
    while let Some(row) = rows.next()? {
        let number = |index| {
            row.get::<_, i64>(index)
                .map(|number| u64::try_from(number).unwrap_or(0))
        };
        seen += row.get::<_, i64>(3)?;
        each(&Group {
            key: row.get(0)?,
            backend: row.get(1)?,
            is_asked_by_client: row.get(2)?,
            sums: Sums {
                requests: number(3)?,
                errors: number(4)?,
                input_tokens: number(5)?,
                output_tokens: number(6)?,
                first_token_us: number(7)?,
                first_tokens: number(8)?,
            },
        });
    }
    Ok(seen)
}

/// Sums by the number of a name.
struct Folded {
    parts: usize,
    by_word: HashMap<i64, Vec<Sums>>,
}

impl Folded {
    fn new(parts: usize) -> Self {
        Self {
            parts,
            by_word: HashMap::new(),
        }
    }

    fn add(&mut self, part: usize, word: i64, sums: &Sums) {
        let all = self
            .by_word
            .entry(word)
            .or_insert_with(|| vec![Sums::default(); self.parts]);
        if let Some(at) = all.get_mut(part) {
            at.add(sums);
        }
    }

    fn named(self, connection: &Connection) -> Result<BTreeMap<String, Vec<Sums>>, StoreError> {
        let mut statement = connection.prepare_cached("SELECT text FROM word WHERE id = ?1")?;
        let named = self.by_word.into_iter().map(|(word, sums)| {
            let name: Option<String> = statement.query_row([word], |row| row.get(0)).optional()?;
            Ok((name.unwrap_or_default(), sums))
        });
        named.collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::{Answered, Asked, NewExchange, Status, Store, StoreConfig, Timing, Tokens};
    use super::*;
    use uuid::Uuid;

    const MINUTE: i64 = 60_000_000;

    fn exchange(number: u128, minute: i64, key: &str, backend: &str, status: Status) -> NewExchange {
        NewExchange {
            id: Uuid::from_u128(number),
            started_at_us: 1_000 * MINUTE + minute * MINUTE,
            asked: Asked {
                key: Some(key.to_owned()),
                ..Asked::default()
            },
            answered: Answered {
                backend: Some(backend.to_owned()),
                status,
                ..Answered::default()
            },
            tokens: Tokens {
                output: Some(10),
                ..Tokens::default()
            },
            timing: Timing {
                first_token_us: Some(500),
                ..Timing::default()
            },
            ..NewExchange::default()
        }
    }

    #[tokio::test]
    async fn parts_hold_what_began_in_them_and_a_part_of_an_exchange_counts_for_its_backend_alone() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(StoreConfig::at(folder.path().join("r.db"))).unwrap();
        let mut child = exchange(5, 2, "alice", "gpu-2", Status::Complete);
        child.parent = Some(Uuid::from_u128(3));
        let batch = vec![
            exchange(1, -1, "alice", "gpu-1", Status::Complete),
            exchange(2, 0, "alice", "gpu-1", Status::Complete),
            exchange(3, 2, "alice", "gpu-1", Status::UpstreamFailed),
            exchange(4, 2, "bob", "gpu-1", Status::ClientGone),
            child,
            exchange(6, 3, "alice", "gpu-1", Status::Complete),
        ];
        store.commit(Arc::from(batch), None).await.unwrap();
        let request = TimeRequest {
            from_us: 1_000 * MINUTE,
            step_us: MINUTE,
            parts: 3,
        };
        let series = store.series(request).await.unwrap();
        let requests = |sums: &[Sums]| sums.iter().map(|sums| sums.requests).collect::<Vec<_>>();
        assert_eq!(series.missing, 0);
        assert_eq!(requests(&series.by_key["alice"]), [1, 0, 1]);
        assert_eq!(requests(&series.by_key["bob"]), [0, 0, 1]);
        assert_eq!(requests(&series.by_backend["gpu-1"]), [1, 0, 2]);
        assert_eq!(requests(&series.by_backend["gpu-2"]), [0, 0, 1]);
        let failed = series.by_key["alice"][2];
        assert_eq!(
            (failed.errors, failed.output_tokens, failed.first_token_us),
            (1, 10, 500)
        );
        assert_eq!(series.by_key["bob"][2].errors, 0, "a client that left is no error");
    }
}
