//! Full-text search: an FTS5 index over prompt, text and thinking, without a copy of them.
//!
//! What people type is never FTS5's query language: each word, or each phrase in double quotes, becomes one quoted
//! string, and all of them must be there. No `*` for any ending: FTS5 would gather every such word's exchanges before it
//! gave the first, and no page could be bounded.

use rusqlite::{Connection, OptionalExtension as _, Transaction};

use super::exchange::Content;

/// Words of one query: each costs a walk through the index.
const TERMS_MAX: usize = 16;

const CREATE: &str = "CREATE VIRTUAL TABLE search USING fts5 (
    prompt, text, thinking,
    content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 2'
)";

/// Makes the index or removes it. What was stored while it was off is not found later.
pub(super) fn switch(connection: &mut Connection, wanted: bool) -> rusqlite::Result<()> {
    let sql = "SELECT 1 FROM sqlite_schema WHERE name = 'search' AND type = 'table'";
    let is_there = connection.query_row(sql, [], |_| Ok(())).optional()?.is_some();
    match (is_there, wanted) {
        (false, true) => connection.execute_batch(CREATE),
        (true, false) => connection.execute_batch("DROP TABLE search"),
        _ => Ok(()),
    }
}

pub(super) fn add(transaction: &Transaction<'_>, seq: i64, content: &Content) -> rusqlite::Result<()> {
    let Content {
        prompt, text, thinking, ..
    } = content;
    if prompt.is_none() && text.is_none() && thinking.is_none() {
        return Ok(());
    }
    let sql = "INSERT INTO search (rowid, prompt, text, thinking) VALUES (?1, ?2, ?3, ?4)";
    transaction
        .prepare_cached(sql)?
        .execute((seq, prompt, text, thinking))?;
    Ok(())
}

pub(super) fn remove(transaction: &Transaction<'_>, seq: i64) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("DELETE FROM search WHERE rowid = ?1")?
        .execute([seq])?;
    Ok(())
}

/// FTS5's query for what somebody typed; `None` where there is no word in it.
pub(super) fn query(typed: &str) -> Option<String> {
    let mut terms = Vec::new();
    for (index, part) in typed.split('"').enumerate() {
        let is_phrase = index % 2 == 1;
        match is_phrase {
            true => terms.extend(term(part)),
            false => terms.extend(part.split_whitespace().filter_map(term)),
        }
    }
    terms.truncate(TERMS_MAX);
    (!terms.is_empty()).then(|| terms.join(" "))
}

fn term(words: &str) -> Option<String> {
    // NUL would end the query; what has no letter in it would be an empty phrase, which matches nothing.
    let words = words.replace('\0', " ");
    words.chars().any(char::is_alphanumeric).then(|| format!("\"{words}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_becomes_quoted_strings_and_nothing_else() {
        for (typed, expected) in [
            ("", None),
            ("  \" \" - * ", None),
            ("kv cache", Some("\"kv\" \"cache\"")),
            ("\"kv cache\" slots", Some("\"kv cache\" \"slots\"")),
            ("ca* OR NOT", Some("\"ca*\" \"OR\" \"NOT\"")),
            ("text:x NEAR(a b)", Some("\"text:x\" \"NEAR(a\" \"b)\"")),
            ("open \"never closed", Some("\"open\" \"never closed\"")),
            (
                "a'; DROP TABLE exchange; --",
                Some("\"a';\" \"DROP\" \"TABLE\" \"exchange;\""),
            ),
            ("nul\0byte", Some("\"nul byte\"")),
        ] {
            assert_eq!(query(typed).as_deref(), expected, "{typed:?}");
        }
        assert_eq!(query(&"a ".repeat(1000)).map(|query| query.len()), Some(16 * 4 - 1));
    }
}
