//! The one error type of the workspace: a code, a sentence, the place in the user's input and, where one
//! exists, what to do about it. The table in [`ErrorCode`] maps each code to an exit code and an HTTP status,
//! so that the command line and the server can never disagree.

use std::fmt;
use std::path::{Path, PathBuf};

/// Shorthand for results of this workspace.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of thing went wrong. Stable: scripts may match on [`ErrorCode::name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The command or request was not understood.
    Usage,
    /// A key or value of `lepton.toml` is wrong.
    Config,
    /// A named file, model, dataset, run or key does not exist.
    NotFound,
    /// Data could not be read: truncated, malformed, ragged, the wrong type.
    BadData,
    /// A single request or prediction input is wrong.
    BadInput,
    /// A tensor or picture has the wrong shape.
    Shape,
    /// A tensor has the wrong dtype.
    Dtype,
    /// The thing is valid but this build does not support it.
    Unsupported,
    /// A permission that the user must give is missing (`--fetch`, a confirmation).
    NotAllowed,
    /// Outside input went past a limit.
    TooLarge,
    /// A check or a gate said no.
    GateFailed,
    /// Bytes do not match the hash that names them.
    Integrity,
    /// The loss or the weights became NaN or infinite.
    Diverged,
    /// Somebody else holds what is needed.
    Locked,
    /// The queue is full; try again later.
    Overloaded,
    /// Not ready, or stopping.
    Unavailable,
    /// A deadline passed.
    Timeout,
    /// The person or the system asked to stop.
    Cancelled,
    /// No space left for the data folder.
    StorageFull,
    /// A download or an external program failed.
    Fetch,
    /// The operating system refused an operation.
    Io,
    /// A bug in Lepton.
    Internal,
}

impl ErrorCode {
    /// Every code, in the order of the reference page.
    pub const ALL: [ErrorCode; 22] = [
        ErrorCode::Usage,
        ErrorCode::Config,
        ErrorCode::NotFound,
        ErrorCode::BadData,
        ErrorCode::BadInput,
        ErrorCode::Shape,
        ErrorCode::Dtype,
        ErrorCode::Unsupported,
        ErrorCode::NotAllowed,
        ErrorCode::TooLarge,
        ErrorCode::GateFailed,
        ErrorCode::Integrity,
        ErrorCode::Diverged,
        ErrorCode::Locked,
        ErrorCode::Overloaded,
        ErrorCode::Unavailable,
        ErrorCode::Timeout,
        ErrorCode::Cancelled,
        ErrorCode::StorageFull,
        ErrorCode::Fetch,
        ErrorCode::Io,
        ErrorCode::Internal,
    ];

    /// The stable name, the exit code of the binary and the HTTP status of the server.
    const fn row(self) -> (&'static str, u8, u16) {
        match self {
            ErrorCode::Usage => ("usage", 2, 400),
            ErrorCode::Config => ("config", 2, 400),
            ErrorCode::NotFound => ("not_found", 2, 404),
            ErrorCode::BadData => ("bad_data", 2, 400),
            ErrorCode::BadInput => ("bad_input", 2, 400),
            ErrorCode::Shape => ("shape", 2, 400),
            ErrorCode::Dtype => ("dtype", 2, 400),
            ErrorCode::Unsupported => ("unsupported", 2, 400),
            ErrorCode::NotAllowed => ("not_allowed", 2, 403),
            ErrorCode::TooLarge => ("too_large", 2, 413),
            ErrorCode::GateFailed => ("gate_failed", 1, 422),
            ErrorCode::Integrity => ("integrity", 1, 500),
            ErrorCode::Diverged => ("diverged", 3, 500),
            ErrorCode::Locked => ("locked", 3, 409),
            ErrorCode::Overloaded => ("overloaded", 3, 429),
            ErrorCode::Unavailable => ("unavailable", 3, 503),
            ErrorCode::Timeout => ("timeout", 3, 504),
            ErrorCode::Cancelled => ("cancelled", 3, 503),
            ErrorCode::StorageFull => ("storage_full", 3, 507),
            ErrorCode::Fetch => ("fetch", 3, 502),
            ErrorCode::Io => ("io", 3, 500),
            ErrorCode::Internal => ("internal", 3, 500),
        }
    }

    /// The stable snake_case name.
    pub const fn name(self) -> &'static str {
        self.row().0
    }

    /// 1 a check or gate failed, 2 wrong usage or bad input, 3 the work broke.
    pub const fn exit_code(self) -> u8 {
        self.row().1
    }

    /// The HTTP status that the server answers with.
    pub const fn http_status(self) -> u16 {
        self.row().2
    }
}

/// Where in the user's input something is wrong. Every part is optional; what is known is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The file or folder.
    pub file: Option<PathBuf>,
    /// Row of a table or line of a file, counted from 1 (a header line is line 1).
    pub row: Option<u64>,
    /// The column's name.
    pub column: Option<String>,
    /// A dotted key of `lepton.toml` or of a JSON document.
    pub key: Option<String>,
    /// A layer of an Architecture or a node of an ONNX graph.
    pub node: Option<String>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if let Some(file) = &self.file {
            parts.push(file.display().to_string());
        }
        if let Some(row) = self.row {
            parts.push(format!("row {row}"));
        }
        if let Some(column) = &self.column {
            parts.push(format!("column \"{column}\""));
        }
        if let Some(key) = &self.key {
            parts.push(format!("key \"{key}\""));
        }
        if let Some(node) = &self.node {
            parts.push(format!("node \"{node}\""));
        }
        f.write_str(&parts.join(", "))
    }
}

/// An error with its code, its place and its remedy.
///
/// `Display` shows place and sentence on one line; the remedy, where there is one, is a second line that
/// starts with `help: `. Errors are built in one expression:
///
/// ```
/// use lepton_core::{Error, ErrorCode};
/// let error = Error::new(ErrorCode::BadData, "3 fields where the header has 5")
///     .in_file("train.csv").at_row(17).fix("quote fields that contain commas");
/// assert_eq!(error.to_string(), "train.csv, row 17: 3 fields where the header has 5\nhelp: quote fields that contain commas");
/// ```
pub struct Error {
    inner: Box<Inner>,
}

struct Inner {
    code: ErrorCode,
    message: String,
    place: Place,
    remedy: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// A new error without a place.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Error {
        Error {
            inner: Box::new(Inner {
                code,
                message: message.into(),
                place: Place::default(),
                remedy: None,
                source: None,
            }),
        }
    }

    /// A bug of ours that was caught before it did harm.
    pub fn internal(message: impl Into<String>) -> Error {
        Error::new(ErrorCode::Internal, message)
            .fix("this is a bug in Lepton; please report it with the command that you ran")
    }

    /// An operating-system error about `path`. "No space left" becomes [`ErrorCode::StorageFull`], a missing
    /// file [`ErrorCode::NotFound`].
    pub fn io(doing: &str, path: impl AsRef<Path>, source: std::io::Error) -> Error {
        let (code, remedy) = match source.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => (
                ErrorCode::StorageFull,
                Some("free some space, then run the same command again: finished work is kept"),
            ),
            std::io::ErrorKind::NotFound => (ErrorCode::NotFound, None),
            _ => (ErrorCode::Io, None),
        };
        let error = Error::new(code, format!("cannot {doing}: {source}")).in_file(path.as_ref()).caused_by(source);
        match remedy {
            Some(text) => error.fix(text),
            None => error,
        }
    }

    /// Names the file.
    pub fn in_file(mut self, file: impl AsRef<Path>) -> Error {
        self.inner.place.file = Some(file.as_ref().to_path_buf());
        self
    }

    /// Names the row or line, counted from 1.
    pub fn at_row(mut self, row: u64) -> Error {
        self.inner.place.row = Some(row);
        self
    }

    /// Names the column.
    pub fn at_column(mut self, column: impl Into<String>) -> Error {
        self.inner.place.column = Some(column.into());
        self
    }

    /// Names the dotted key.
    pub fn at_key(mut self, key: impl Into<String>) -> Error {
        self.inner.place.key = Some(key.into());
        self
    }

    /// Names the layer or graph node.
    pub fn at_node(mut self, node: impl Into<String>) -> Error {
        self.inner.place.node = Some(node.into());
        self
    }

    /// Says what to do about it.
    pub fn fix(mut self, remedy: impl Into<String>) -> Error {
        self.inner.remedy = Some(remedy.into());
        self
    }

    /// Keeps the underlying error for the log.
    pub fn caused_by(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Error {
        self.inner.source = Some(Box::new(source));
        self
    }

    /// The kind of error.
    pub fn code(&self) -> ErrorCode {
        self.inner.code
    }

    /// The sentence alone, without place and remedy.
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// Where it happened.
    pub fn place(&self) -> &Place {
        &self.inner.place
    }

    /// What to do about it.
    pub fn remedy(&self) -> Option<&str> {
        self.inner.remedy.as_deref()
    }

    /// Place and sentence on one line, without the remedy: what an HTTP answer carries.
    pub fn headline(&self) -> String {
        let place = self.inner.place.to_string();
        if place.is_empty() { self.inner.message.clone() } else { format!("{place}: {}", self.inner.message) }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.headline())?;
        match &self.inner.remedy {
            Some(remedy) => write!(f, "\nhelp: {remedy}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {self}", self.inner.code.name())?;
        match &self.inner.source {
            Some(source) => write!(f, "\ncaused by: {source:?}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.inner.source.as_deref().map(|source| source as &(dyn std::error::Error + 'static))
    }
}

/// The candidate that the user most likely meant, for "unknown key, did you mean ...?".
///
/// Returns `None` when nothing is near enough to be worth suggesting.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| {
            let longer = candidate.len().max(word.len());
            *distance <= 1 + longer / 3 && *distance < longer
        })
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_exit_codes_carry_the_verdict() {
        let mut names: Vec<_> = ErrorCode::ALL.iter().map(|code| code.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ErrorCode::ALL.len());
        assert!(ErrorCode::ALL.iter().all(|code| (1..=3).contains(&code.exit_code()) && code.http_status() >= 400));
    }

    #[test]
    fn a_full_disk_says_what_to_do() {
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let error = Error::io("write the blob", "/data/x", full);
        assert_eq!(error.code(), ErrorCode::StorageFull);
        assert!(error.to_string().contains("help: free some space"));
    }

    #[test]
    fn nearest_suggests_only_near_words() {
        assert_eq!(nearest("epoch", ["epochs", "batch_size"]), Some("epochs"));
        assert_eq!(nearest("zzzzzz", ["epochs", "batch_size"]), None);
        assert_eq!(nearest("y", ["a", "b"]), None);
        assert_eq!(nearest("y", ["a", "yy"]), Some("yy"));
        assert_eq!(nearest("y", ["a", "yy"]), Some("yy"), "a name that is no candidate hides none that is");
    }
}
