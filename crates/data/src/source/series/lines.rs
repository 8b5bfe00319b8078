//! Lines of a text file of series, within limits: what its readers share. It knows no format.

use lepton_core::{Error, ErrorCode, Limits, Result};
use std::io::{BufRead, Read};

/// Bytes that one number may take in a line, its separator included.
const NUMBER_BYTES: u64 = 32;

/// The lines of a reader, trimmed, with their numbers. Comments and empty lines are left out.
pub(super) struct Lines<'a> {
    reader: &'a mut dyn BufRead,
    limits: &'a Limits,
    number: u64,
}

impl<'a> Lines<'a> {
    pub(super) fn new(reader: &'a mut dyn BufRead, limits: &'a Limits) -> Lines<'a> {
        Lines { reader, limits, number: 0 }
    }

    /// The next line that says something: neither empty nor a comment (`#` or `%`). Bytes that are not UTF-8 are read
    /// as Latin-1, since older archives are not in UTF-8.
    ///
    /// # Errors
    /// [`ErrorCode::TooLarge`] for a line past the limit, [`ErrorCode::Io`] when the reader fails.
    pub(super) fn next(&mut self) -> Result<Option<String>> {
        loop {
            let mut bytes = Vec::new();
            let most = (self.limits.series_values as u64).saturating_mul(NUMBER_BYTES).saturating_add(4096);
            let read = Read::take(&mut *self.reader, most.saturating_add(1)).read_until(b'\n', &mut bytes);
            let read = read.map_err(|source| {
                Error::new(ErrorCode::Io, format!("cannot read on: {source}")).at_row(self.number + 1).caused_by(source)
            })?;
            if read == 0 {
                return Ok(None);
            }
            self.number += 1;
            if read as u64 > most {
                return Err(self
                    .too_large(format!("the line is longer than {most} bytes"))
                    .fix("check that the file has one series per line, or raise limits.series_values"));
            }
            if self.number == 1 && bytes.starts_with(b"\xef\xbb\xbf") {
                bytes.drain(..3);
            }
            let text = String::from_utf8(bytes)
                .unwrap_or_else(|error| error.into_bytes().into_iter().map(char::from).collect());
            let text = text.trim();
            if !text.is_empty() && !text.starts_with(['#', '%']) {
                return Ok(Some(text.to_owned()));
            }
        }
    }

    /// The number of the line that [`Lines::next`] gave last, from 1; after the end, of the file's last line.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// An error about the current line.
    pub(super) fn wrong(&self, message: impl Into<String>) -> Error {
        Error::new(ErrorCode::BadData, message).at_row(self.number.max(1))
    }

    /// Refuses a series of more numbers than a series may have.
    ///
    /// # Errors
    /// [`ErrorCode::TooLarge`] past the limit.
    pub(super) fn check_values(&self, values: usize) -> Result<()> {
        if values <= self.limits.series_values {
            return Ok(());
        }
        Err(self
            .too_large(format!("a series of {values} numbers"))
            .fix("cut the series into shorter ones, or raise limits.series_values"))
    }

    fn too_large(&self, what: String) -> Error {
        let message = format!("{what}, the limit series_values is {}", self.limits.series_values);
        Error::new(ErrorCode::TooLarge, message).at_row(self.number)
    }
}

/// Is this how a missing value is written: `?` or NaN in any case?
pub(super) fn is_missing(text: &str) -> bool {
    text == "?" || text.eq_ignore_ascii_case("nan")
}

/// `text`, cut to what fits in an error message.
pub(super) fn quoted(text: &str) -> String {
    const LONGEST: usize = 40;
    if text.chars().count() <= LONGEST {
        return format!("\"{text}\"");
    }
    format!("\"{}…\"", text.chars().take(LONGEST).collect::<String>())
}

/// `true` or `false` in any case.
pub(super) fn truth(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &[u8], limits: &Limits) -> Result<Vec<(u64, String)>> {
        let mut reader = text;
        let mut lines = Lines::new(&mut reader, limits);
        let mut found = Vec::new();
        while let Some(line) = lines.next()? {
            found.push((lines.number(), line));
        }
        Ok(found)
    }

    #[test]
    fn comments_marks_and_line_ends_are_left_out() {
        let found = all(b"\xef\xbb\xbf# note\r\n\r\n  a \r\n%x\nb\xe9", &Limits::default()).unwrap();
        assert_eq!(found, [(3, "a".to_owned()), (5, "b\u{e9}".to_owned())]);
    }

    #[test]
    fn a_long_line_is_refused_by_number() {
        let limits = Limits { series_values: 2, ..Limits::default() };
        let line = |length: usize| format!("abc\n{}\n", "1".repeat(length));
        assert_eq!(all(line(4096 + 63).as_bytes(), &limits).unwrap().len(), 2);
        let error = all(line(4096 + 64).as_bytes(), &limits).unwrap_err();
        assert_eq!((error.code(), error.place().row), (ErrorCode::TooLarge, Some(2)));
        assert!(error.message().contains("series_values is 2"), "{error}");
    }
}
