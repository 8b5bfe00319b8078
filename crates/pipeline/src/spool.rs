//! Standard input as a file: a table that is read twice, or by several threads, must lie somewhere. It lies in a
//! scratch folder of the store, within `limits.upload_bytes`, and goes with the value.

use lepton_core::{Error, ErrorCode, Limits, Result};
use lepton_data::scan::TableFormat;
use lepton_store::{Scratch, Store};
use std::fs::File;
use std::io::{BufWriter, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

/// What errors and reports call it.
pub const STANDARD_INPUT: &str = "standard input";

/// A table that came through standard input.
pub struct Spooled {
    path: PathBuf,
    format: TableFormat,
    _scratch: Scratch,
}

impl Spooled {
    /// Reads `input` to its end. Where no format is said, a first letter of `{` or `[` means JSON, anything else CSV.
    ///
    /// # Errors
    /// [`ErrorCode::TooLarge`] past `limits.upload_bytes`; [`ErrorCode::Unsupported`] for a format that cannot be read
    /// from a stream; [`ErrorCode::BadData`] when nothing came; [`ErrorCode::StorageFull`] and [`ErrorCode::Io`].
    pub fn read(store: &Store, input: &mut dyn Read, format: Option<TableFormat>, limits: &Limits) -> Result<Spooled> {
        if let Some(format @ (TableFormat::Parquet | TableFormat::Arrow)) = format {
            let message = format!("standard input is read as CSV or JSON lines, not as {}", format.name());
            return Err(Error::new(ErrorCode::Unsupported, message).fix("name a file"));
        }
        let scratch = store.scratch()?;
        let path = scratch.path().join("input");
        let failed = |source| Error::io("keep standard input", &path, source);
        let mut output = BufWriter::new(File::create(&path).map_err(failed)?);
        let mut buffer = vec![0; 1 << 16];
        let (mut bytes, mut first) = (0u64, None);
        loop {
            let count = match input.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(source) if source.kind() == ErrorKind::Interrupted => continue,
                Err(source) => return Err(Error::io("read", STANDARD_INPUT, source)),
            };
            bytes += count as u64;
            if bytes > limits.upload_bytes {
                let message = format!("more bytes than the limit upload_bytes = {}", limits.upload_bytes);
                return Err(Error::new(ErrorCode::TooLarge, message).in_file(STANDARD_INPUT));
            }
            let piece = &buffer[..count];
            // A byte-order mark may stand before the first letter.
            first = first.or_else(|| {
                piece.iter().copied().find(|byte| !byte.is_ascii_whitespace() && !matches!(byte, 0xef | 0xbb | 0xbf))
            });
            output.write_all(piece).map_err(failed)?;
        }
        output.flush().map_err(failed)?;
        if bytes == 0 {
            return Err(Error::new(ErrorCode::BadData, "nothing came").in_file(STANDARD_INPUT));
        }
        let looks_like = if matches!(first, Some(b'{' | b'[')) { TableFormat::Json } else { TableFormat::Csv };
        Ok(Spooled { format: format.unwrap_or(looks_like), path, _scratch: scratch })
    }

    /// Where it lies for now.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it is.
    pub fn format(&self) -> TableFormat {
        self.format
    }

    /// An error about the file as one about standard input.
    pub fn explain(&self, error: Error) -> Error {
        if error.place().file.as_deref() == Some(self.path()) { error.in_file(STANDARD_INPUT) } else { error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spool(input: &[u8], format: Option<TableFormat>, upload_bytes: u64) -> Result<TableFormat> {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("home")).unwrap();
        let limits = Limits { upload_bytes, ..Limits::default() };
        let spooled = Spooled::read(&store, &mut &*input, format, &limits)?;
        assert_eq!(std::fs::read(spooled.path()).unwrap(), input);
        Ok(spooled.format())
    }

    #[test]
    fn the_format_is_told_by_the_first_letter() {
        for (input, format) in [
            (&b"a,b\n1,2\n"[..], TableFormat::Csv),
            (b"\n {\"a\": 1}\n", TableFormat::Json),
            (b"\xef\xbb\xbf[{\"a\": 1}]", TableFormat::Json),
        ] {
            assert_eq!(spool(input, None, 100).unwrap(), format);
        }
        assert_eq!(spool(b"[x],b\n1,2\n", Some(TableFormat::Csv), 100).unwrap(), TableFormat::Csv);
    }

    #[test]
    fn what_is_too_long_empty_or_binary_is_refused() {
        let code = |outcome: Result<TableFormat>| outcome.unwrap_err().code();
        assert!(spool(b"a,b\n1,2\n", None, 8).is_ok());
        assert_eq!(code(spool(b"a,b\n1,2\n", None, 7)), ErrorCode::TooLarge);
        assert_eq!(code(spool(b"", None, 7)), ErrorCode::BadData);
        assert_eq!(code(spool(b"PAR1", Some(TableFormat::Parquet), 7)), ErrorCode::Unsupported);
    }
}
