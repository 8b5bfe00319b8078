-- Schema 1. AUTOINCREMENT sequences give the order of writing, which no clock decides.
CREATE TABLE runs (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    id       TEXT NOT NULL UNIQUE,
    name     TEXT NOT NULL,
    project  TEXT NOT NULL,
    command  TEXT NOT NULL,
    spec     TEXT NOT NULL,
    status   TEXT NOT NULL,
    session  TEXT NOT NULL,
    pid      INTEGER NOT NULL,
    started  TEXT NOT NULL,
    ended    TEXT,
    result   TEXT,
    error    TEXT
) STRICT;

CREATE TABLE run_stages (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    run      TEXT NOT NULL REFERENCES runs (id),
    stage    TEXT NOT NULL,
    status   TEXT NOT NULL,
    seconds  REAL NOT NULL,
    cached   INTEGER NOT NULL,
    key      TEXT,
    summary  TEXT NOT NULL,
    UNIQUE (run, stage)
) STRICT;

CREATE TABLE cached_stages (
    key     TEXT PRIMARY KEY,
    stage   TEXT NOT NULL,
    output  TEXT NOT NULL,
    seconds REAL NOT NULL,
    created TEXT NOT NULL
) STRICT;

CREATE TABLE cached_blobs (
    key      TEXT NOT NULL REFERENCES cached_stages (key) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    digest   TEXT NOT NULL,
    bytes    INTEGER NOT NULL,
    PRIMARY KEY (key, position)
) STRICT;

CREATE TABLE datasets (
    name         TEXT NOT NULL,
    digest       TEXT NOT NULL,
    manifest     TEXT NOT NULL,
    created      TEXT NOT NULL,
    registration INTEGER NOT NULL,
    PRIMARY KEY (name, digest)
) STRICT;

CREATE TABLE models (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    name     TEXT NOT NULL,
    version  INTEGER NOT NULL,
    manifest TEXT NOT NULL,
    created  TEXT NOT NULL,
    run      TEXT,
    UNIQUE (name, version),
    UNIQUE (name, manifest)
) STRICT;

CREATE TABLE observations (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    model    TEXT NOT NULL,
    version  INTEGER NOT NULL,
    started  TEXT NOT NULL,
    ended    TEXT NOT NULL,
    body     TEXT NOT NULL
) STRICT;

CREATE INDEX observations_by_model ON observations (model, version, sequence);
