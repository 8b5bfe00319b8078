-- Schema 2: chunks of dataset versions, rows that arrive one request after the other, and the tokens that may send them.
CREATE TABLE chunks (
    digest TEXT PRIMARY KEY,
    pack   TEXT NOT NULL,
    place  INTEGER NOT NULL,
    bytes  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE streams (
    dataset    TEXT PRIMARY KEY,
    schema     TEXT NOT NULL,
    segment    INTEGER NOT NULL,
    bytes      INTEGER NOT NULL,
    rows       INTEGER NOT NULL,
    sequence   INTEGER NOT NULL,
    total_rows INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE stream_segments (
    dataset TEXT NOT NULL REFERENCES streams (dataset),
    segment INTEGER NOT NULL,
    blob    TEXT NOT NULL,
    rows    INTEGER NOT NULL,
    PRIMARY KEY (dataset, segment)
) STRICT, WITHOUT ROWID;

CREATE TABLE stream_requests (
    dataset    TEXT NOT NULL REFERENCES streams (dataset),
    key        TEXT NOT NULL,
    body       TEXT NOT NULL,
    sequence   INTEGER NOT NULL,
    rows       INTEGER NOT NULL,
    total_rows INTEGER NOT NULL,
    PRIMARY KEY (dataset, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE data_tokens (
    id      TEXT PRIMARY KEY,
    dataset TEXT NOT NULL,
    secret  TEXT NOT NULL,
    created TEXT NOT NULL,
    revoked TEXT
) STRICT, WITHOUT ROWID;
