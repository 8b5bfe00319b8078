//! The `[collect]` settings: where data comes from and what its columns are.

use crate::paths::Paths;
use lepton_core::{ColumnKind, Digest};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Where data comes from. Either `dataset` or `path` is given; relative paths start at the project's folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CollectSettings {
    /// A dataset of the catalogue, for example `mnist`.
    pub dataset: Option<String>,
    /// A file or folder, a pattern (`data/*.csv`) or a list of files. A folder of idx files and a folder of pictures
    /// may hold all parts. Also the URL of a download (`https://`) or of an object (`s3://`, `gs://`, `az://`).
    pub path: Option<Paths>,
    /// The validation part, where it lies apart.
    pub valid: Option<Paths>,
    /// The test part, where it lies apart.
    pub test: Option<Paths>,
    /// The format, where the name of the file does not say it.
    pub format: Option<Format>,
    /// The column to predict; `label` for pictures and series.
    pub target: Option<String>,
    /// Kinds of columns, where they are not what the values look like.
    pub columns: BTreeMap<String, ColumnKind>,
    /// Columns to leave out.
    pub ignore: Vec<String>,
    /// Between the fields of a CSV, one ASCII character. Where nothing is set: a tab for `.tsv`, else the first of
    /// comma, semicolon, tab and bar that the header line has.
    pub delimiter: Option<char>,
    /// The encoding of a text file, by its label in the Encoding Standard (`latin1`); UTF-8 where nothing is set, or
    /// UTF-16 where a byte-order mark says so.
    pub encoding: Option<String>,
    /// The folder of the pictures of a COCO file, where it is neither the file's own nor COCO's.
    pub images: Option<PathBuf>,
    /// What becomes of the parts that a layout of pictures has.
    pub parts: PartsPolicy,
    /// What a picture does that cannot be read.
    pub unreadable: UnreadablePolicy,
    /// The SHA-256 of what `path` downloads, in hexadecimal digits.
    pub sha256: Option<Digest>,
    /// That of `valid`.
    pub valid_sha256: Option<Digest>,
    /// That of `test`.
    pub test_sha256: Option<Digest>,
    /// A database server, without a password: `postgres://user@host:port/name` or `mysql://user@host:port/name`.
    /// A SQLite file is a `path`.
    pub database: Option<String>,
    /// The rows of the database, as a SELECT.
    pub query: Option<String>,
    /// Those of the validation part.
    pub valid_query: Option<String>,
    /// Those of the test part.
    pub test_query: Option<String>,
    /// A whole table or view of the database, in place of `query`.
    pub table: Option<String>,
    /// The variable of the environment that holds the database's password.
    pub password_env: Option<String>,
    /// A PEM file with the certificates that a server may be vouched for by, in place of the built-in ones.
    pub tls_ca: Option<PathBuf>,
}

/// A format of source data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Pictures and labels as two idx files of unsigned bytes.
    Idx,
    /// A folder per class with PNG and JPEG files.
    ImageFolder,
    /// Delimited text with a header line, RFC 4180.
    Csv,
    /// One JSON object per line, or one array of objects.
    Jsonl,
    /// Apache Parquet.
    Parquet,
    /// Arrow IPC, as a file (Feather version 2) or as a stream.
    Arrow,
    /// COCO JSON: boxes, masks, key points.
    Coco,
    /// YOLO: a `data.yaml`, and a text file per picture.
    Yolo,
    /// Pascal VOC XML: boxes.
    Voc,
    /// MVTec: good pictures, and defective ones with masks.
    Mvtec,
    /// Labelled series in the `.ts` form of the UCR and UEA archives.
    Ts,
    /// Labelled series in the older form of the UCR archive: one series a line, its class first, tabs between.
    Ucr,
}

/// What becomes of the parts that a layout of pictures has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartsPolicy {
    /// They stay as the layout has them.
    #[default]
    Given,
    /// All pictures of MVTec are put together, for `[prepare]` to split: its own training part has no defects.
    Pooled,
}

/// What a picture does that cannot be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnreadablePolicy {
    /// It stops the run with an error that names the file.
    #[default]
    Refuse,
    /// It is left out and reported.
    Drop,
}
