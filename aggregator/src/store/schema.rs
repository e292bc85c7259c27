//! The tables, their versions, and how a connection is set up.
//!
//! `user_version` counts the migrations that a file has been through, `application_id` says whose file it is: another
//! program's is refused, council-router's own included, and so is a newer version's.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Transaction};

use super::config::StoreConfig;
use super::error::StoreError;
use super::place;
use super::seal::{BodyKey, Sealer};
use super::search;

/// "CNCL"
const APPLICATION_ID: i64 = 0x434e_434c;

/// Each brings a file from the version before to its own. A published one is never changed.
const MIGRATIONS: [&str; 2] = [include_str!("schema/1.sql"), include_str!("schema/2.sql")];

/// Who waits longer for another process has met one that hangs.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// The file beside the database shrinks back to this after a large transaction.
const WAL_BYTES_KEPT: i64 = 64 << 20;
/// In KiB, negative as SQLite wants it: the inner pages of every index of millions of rows.
const WRITER_CACHE: i64 = -64 * 1024;
const READER_CACHE: i64 = -16 * 1024;

const KEY_CHECK: &str = "key check";

/// The writer's connection, its file checked and brought to this version.
pub(super) fn open(config: &StoreConfig) -> Result<Connection, StoreError> {
    let refused = |rule: String, fix: &'static str| StoreError::Open {
        path: config.path.clone(),
        rule,
        fix,
    };
    if config.encryption.is_some() && config.full_text_search {
        let rule = "a search index holds in the clear what encryption hides, so both together are refused";
        return Err(refused(
            rule.to_owned(),
            "write `full_text_search: false`, or no `encryption_key_file`",
        ));
    }
    place::prepare(&config.path)?;
    let failed = |error: rusqlite::Error| match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase) => refused(
            "this is no SQLite database".to_owned(),
            "give another place: `response_storage.db_path`, --db-path",
        ),
        _ => refused(
            format!("it cannot be opened: {error}"),
            "let this user read and write it and its folder, and see that the disk is sound and has room",
        ),
    };
    let mut connection = Connection::open_with_flags(
        &config.path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )
    .map_err(failed)?;
    let version = checked_version(&connection).map_err(failed)?;
    let version = version.map_err(|(rule, fix)| refused(rule, fix))?;
    set_up_writer(&connection).map_err(failed)?;
    migrate(&mut connection, version).map_err(failed)?;
    check_key(&connection, config.encryption.as_ref())
        .map_err(failed)?
        .map_err(|(rule, fix)| refused(rule.to_owned(), fix))?;
    search::switch(&mut connection, config.full_text_search).map_err(failed)?;
    Ok(connection)
}

/// A connection that can only read.
pub(super) fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "query_only", true)?;
    set_up_both(&connection, READER_CACHE)?;
    Ok(connection)
}

pub(super) fn cursor(connection: &Connection, journal: &str) -> Result<Option<[u8; 16]>, StoreError> {
    let sql = "SELECT cursor FROM journal WHERE name = ?1";
    Ok(connection.query_row(sql, [journal], |row| row.get(0)).optional()?)
}

pub(super) fn set_cursor(transaction: &Transaction<'_>, journal: &str, cursor: &[u8; 16]) -> rusqlite::Result<()> {
    let sql = "INSERT INTO journal (name, cursor) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET cursor = ?2";
    transaction.prepare_cached(sql)?.execute((journal, cursor))?;
    Ok(())
}

type Refusal = (String, &'static str);

/// The file's version, or why it is not to be touched.
fn checked_version(connection: &Connection) -> rusqlite::Result<Result<usize, Refusal>> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (application, version) = (pragma("application_id")?, pragma("user_version")?);
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application == 0 && tables == 0 {
        return Ok(Ok(0));
    }
    if application != APPLICATION_ID {
        let rule = "this is another program's database, council-router's perhaps; it is left as it is".to_owned();
        return Ok(Err((
            rule,
            "move the file away, or give another place: `response_storage.db_path`, --db-path",
        )));
    }
    match usize::try_from(version) {
        Ok(version) if version <= MIGRATIONS.len() => Ok(Ok(version)),
        _ => {
            let known = MIGRATIONS.len();
            let rule = format!("it has format {version}, of a newer version; this one knows formats up to {known}");
            Ok(Err((rule, "run the newer version, or give another place: --db-path")))
        }
    }
}

fn set_up_writer(connection: &Connection) -> rusqlite::Result<()> {
    // Before the first table, else it has no effect: space that is freed can be given back in small steps.
    connection.pragma_update(None, "auto_vacuum", "incremental")?;
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    // Segments of the journal are removed once they are stored, so what was committed must be on the disk.
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "journal_size_limit", WAL_BYTES_KEPT)?;
    // What was deleted is overwritten, and not only forgotten.
    connection.pragma_update(None, "secure_delete", true)?;
    set_up_both(connection, WRITER_CACHE)
}

fn set_up_both(connection: &Connection, cache: i64) -> rusqlite::Result<()> {
    connection.pragma_update(None, "cache_size", cache)?;
    // Nothing of an exchange's goes into a file elsewhere.
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

fn migrate(connection: &mut Connection, version: usize) -> rusqlite::Result<()> {
    for (done, sql) in MIGRATIONS.iter().enumerate().skip(version) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", i64::try_from(done + 1).unwrap_or(i64::MAX))?;
        transaction.commit()?;
    }
    Ok(())
}

/// A file whose bodies were sealed is opened with the same key or not at all: else rows of two keys would mix in it.
fn check_key(
    connection: &Connection,
    key: Option<&BodyKey>,
) -> rusqlite::Result<Result<(), (&'static str, &'static str)>> {
    let sql = "SELECT value FROM meta WHERE name = ?1";
    let kept: Option<Vec<u8>> = connection.query_row(sql, [KEY_CHECK], |row| row.get(0)).optional()?;
    let sealer = key.map(Sealer::new);
    Ok(match (kept, sealer) {
        (None, None) => Ok(()),
        (Some(_), None) => Err((
            "its bodies are encrypted, and no key is given",
            "give the key: `response_storage.encryption_key_file`, --db-key-file",
        )),
        (Some(kept), Some(sealer)) => match sealer.open(KEY_CHECK.as_bytes(), &kept) {
            Some(_) => Ok(()),
            None => Err((
                "its bodies are encrypted with another key",
                "give the key that it was made with, or another place: --db-path",
            )),
        },
        (None, Some(sealer)) => {
            let Ok(check) = sealer.seal(KEY_CHECK.as_bytes(), b"conclave") else {
                return Ok(Err(("its key cannot be used", "make another one")));
            };
            connection.execute("INSERT INTO meta (name, value) VALUES (?1, ?2)", (KEY_CHECK, check))?;
            Ok(())
        }
    })
}
