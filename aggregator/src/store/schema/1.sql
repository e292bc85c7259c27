-- Values that belong to this file as a whole.
CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- How far each journal has been stored.
CREATE TABLE journal (
    name   TEXT PRIMARY KEY,
    cursor BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Names of keys, services, backends and models, each once. 0 stands for none.
CREATE TABLE word (
    id   INTEGER PRIMARY KEY,
    text TEXT NOT NULL UNIQUE
) STRICT;

-- seq: the start in microseconds, times 256, plus a tie-breaker: key, order and page cursor in one.
CREATE TABLE exchange (
    seq               INTEGER PRIMARY KEY,
    id                BLOB    NOT NULL,
    parent            BLOB,
    started_at_us     INTEGER NOT NULL,
    plane             INTEGER NOT NULL,
    key               INTEGER NOT NULL,
    service           INTEGER NOT NULL,
    backend           INTEGER NOT NULL,
    model             INTEGER NOT NULL,
    model_asked       TEXT,
    endpoint          TEXT    NOT NULL,
    dialect           TEXT,
    -- 1 streamed, 2 request cut, 4 response cut, 8 lossy
    flags             INTEGER NOT NULL,
    status            INTEGER NOT NULL,
    refused           TEXT,
    http_status       INTEGER,
    error_code        TEXT,
    finish_reason     TEXT,
    fallback          TEXT,
    attempts          INTEGER,
    client            TEXT,
    request_id        TEXT,
    input_tokens      INTEGER,
    output_tokens     INTEGER,
    cached_tokens     INTEGER,
    thinking_tokens   INTEGER,
    total_tokens      INTEGER,
    first_token_us    INTEGER,
    duration_us       INTEGER,
    tokens_per_second REAL,
    request_bytes     INTEGER NOT NULL,
    response_bytes    INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX exchange_by_id ON exchange (id);
CREATE INDEX exchange_by_parent ON exchange (parent, seq) WHERE parent IS NOT NULL;

-- Each holds all that filters look at, so that a page is found without touching the rows that are not on it.
CREATE INDEX exchange_by_time ON exchange (seq, status, key, model, backend, total_tokens, duration_us);
CREATE INDEX exchange_by_key ON exchange (key, seq, status, model, backend, total_tokens, duration_us);
CREATE INDEX exchange_by_model ON exchange (model, seq, status, key, backend, total_tokens, duration_us);
CREATE INDEX exchange_by_backend ON exchange (backend, seq, status, key, model, total_tokens, duration_us);
-- What did not go well is rare.
CREATE INDEX exchange_by_status ON exchange (status, seq, key, model, backend, total_tokens, duration_us)
    WHERE status <> 0;

CREATE TABLE body (
    seq        INTEGER PRIMARY KEY,
    raw_bytes  INTEGER NOT NULL,
    request    BLOB,
    response   BLOB,
    text       BLOB,
    thinking   BLOB,
    tool_calls BLOB
) STRICT;

-- Ids of what was deleted, for as long as a journal may bring it again.
CREATE TABLE gone (
    id    BLOB PRIMARY KEY,
    at_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX gone_by_time ON gone (at_us);

-- What there was, by UTC day; it outlives the exchanges. kind: 0 all of them, 1 by key, 2 by model, 3 by backend.
CREATE TABLE usage (
    kind              INTEGER NOT NULL,
    name              INTEGER NOT NULL,
    day               INTEGER NOT NULL,
    exchanges         INTEGER NOT NULL,
    complete          INTEGER NOT NULL,
    client_gone       INTEGER NOT NULL,
    upstream_failed   INTEGER NOT NULL,
    interrupted       INTEGER NOT NULL,
    refused           INTEGER NOT NULL,
    -- Those that told their tokens at all.
    counted           INTEGER NOT NULL,
    input_tokens      INTEGER NOT NULL,
    output_tokens     INTEGER NOT NULL,
    cached_tokens     INTEGER NOT NULL,
    thinking_tokens   INTEGER NOT NULL,
    request_bytes     INTEGER NOT NULL,
    response_bytes    INTEGER NOT NULL,
    duration_us       INTEGER NOT NULL,
    -- Those of which it is known when the first token came.
    first_tokens      INTEGER NOT NULL,
    first_token_us    INTEGER NOT NULL,
    PRIMARY KEY (kind, name, day)
) STRICT, WITHOUT ROWID;
CREATE INDEX usage_by_day ON usage (kind, day);

-- What is in the file now, by status.
CREATE TABLE held (
    status        INTEGER PRIMARY KEY,
    exchanges     INTEGER NOT NULL,
    input_tokens  INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    raw_bytes     INTEGER NOT NULL,
    stored_bytes  INTEGER NOT NULL
) STRICT;
