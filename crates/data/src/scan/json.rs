//! JSON objects: one per line, or the elements of one array.

use super::blocks::{Piece, lines_in, next_object};
use super::chunk::{Cells, Chunk, Lines, Span};
use super::{CellKind, Misread, check_cell, check_columns};
use lepton_core::{Error, ErrorCode, Limits, Result};
use memchr::memchr;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

/// The rows of a piece.
pub(super) fn parse(piece: Piece, is_array: bool, ignore: &[String], limits: &Limits) -> Result<Chunk, Misread> {
    let line_count = lines_in(&piece.bytes);
    let last = piece.last;
    let mut text = String::from_utf8(piece.bytes).map_err(|source| {
        let line = lines_in(&source.as_bytes()[..source.utf8_error().valid_up_to()]);
        let error = Error::new(ErrorCode::BadData, "the text is not UTF-8");
        Misread::at(line, error.fix("save the file as UTF-8, or say its encoding, for example latin1"))
    })?;
    let mut rows = Rows {
        text: &text,
        unescaped: String::new(),
        names: Vec::new(),
        places: HashMap::new(),
        columns: Vec::new(),
        lines: Vec::new(),
        ends: Vec::new(),
        ignore,
        limits,
    };
    if is_array {
        rows.take_array(last)?
    } else {
        rows.take_lines()?
    }
    let Rows { unescaped, names, mut columns, lines, places, ends, .. } = rows;
    let ignored = places.into_iter().filter(|(_, place)| place.is_none()).map(|(name, _)| name).collect();
    for column in &mut columns {
        column.resize(lines.len(), Span::MISSING);
    }
    text.push_str(&unescaped);
    Ok(Chunk {
        names: names.into(),
        text,
        columns: columns.into_iter().map(Cells::Spans).collect(),
        rows: lines.len(),
        lines: Lines::Listed(lines),
        line_count,
        ragged: Vec::new(),
        ignored,
        ends,
    })
}

struct Rows<'a> {
    text: &'a str,
    unescaped: String,
    names: Vec<String>,
    places: HashMap<String, Option<usize>>,
    columns: Vec<Vec<Span>>,
    lines: Vec<u32>,
    ends: Vec<u32>,
    ignore: &'a [String],
    limits: &'a Limits,
}

impl<'a> Rows<'a> {
    fn take_lines(&mut self) -> Result<(), Misread> {
        let (mut start, mut line) = (0, 0);
        while start < self.text.len() {
            let end = memchr(b'\n', &self.text.as_bytes()[start..]).map_or(self.text.len(), |place| start + place);
            let record = &self.text[start..end];
            if !record.trim_ascii().is_empty() {
                self.take(record, line)?;
                self.ends.push((end + 1).min(self.text.len()) as u32);
            }
            line += 1;
            start = end + 1;
        }
        Ok(())
    }

    fn take_array(&mut self, last: bool) -> Result<(), Misread> {
        let bytes = self.text.as_bytes();
        let (mut place, mut line) = (0, 0);
        while let Some(range) = next_object(bytes, place) {
            self.between(&bytes[place..range.start], line)?;
            line += lines_in(&bytes[place..range.start]) as u32;
            let record = &self.text[range.clone()];
            self.take(record, line)?;
            self.ends.push(range.end as u32);
            line += lines_in(record.as_bytes()) as u32;
            place = range.end;
        }
        self.between(&bytes[place..], line)?;
        if last && !bytes.trim_ascii().ends_with(b"]") {
            let error = Error::new(ErrorCode::BadData, "the file ends inside of its array; it may be cut off");
            return Err(Misread::at(u64::from(line), error));
        }
        Ok(())
    }

    /// Between two objects there are a comma, brackets at the ends, and white space.
    fn between(&self, bytes: &[u8], line: u32) -> Result<(), Misread> {
        match bytes.iter().find(|byte| !byte.is_ascii_whitespace() && !matches!(byte, b',' | b'[' | b']')) {
            None => Ok(()),
            Some(_) => {
                let at = u64::from(line) + lines_in(bytes);
                let shown: String = String::from_utf8_lossy(bytes.trim_ascii()).chars().take(40).collect();
                let error =
                    Error::new(ErrorCode::BadData, format!("an element of the array is not an object: {shown}"));
                Err(Misread::at(at, error.fix("make every element an object with a key per column")))
            }
        }
    }

    /// Takes one object.
    fn take(&mut self, record: &'a str, line: u32) -> Result<(), Misread> {
        let mut reader = serde_json::Deserializer::from_str(record);
        let read = reader.deserialize_map(Row { rows: self, failed: None }).and_then(|failed| {
            reader.end()?;
            Ok(failed)
        });
        let at = |error: Error| Misread::at(u64::from(line), error);
        match read {
            Ok(None) => {}
            Ok(Some(error)) => return Err(at(error)),
            Err(source) => {
                let error = Error::new(ErrorCode::BadData, format!("this is not a JSON object: {source}"));
                return Err(at(error.caused_by(source)));
            }
        }
        check_columns(self.names.len(), self.limits).map_err(at)?;
        self.lines.push(line);
        Ok(())
    }

    fn value(&mut self, key: Cow<'a, str>, value: &'a RawValue) -> Result<()> {
        let row = self.lines.len();
        let place = match self.places.get(key.as_ref()) {
            Some(place) => *place,
            None => {
                let place = (!self.ignore.iter().any(|name| *name == key)).then(|| {
                    self.names.push(key.clone().into_owned());
                    self.columns.push(Vec::new());
                    self.names.len() - 1
                });
                self.places.insert(key.clone().into_owned(), place);
                place
            }
        };
        let Some(place) = place else { return Ok(()) };
        let raw = value.get();
        check_cell(raw.len(), self.limits).map_err(|error| error.at_column(key.as_ref()))?;
        // The raw value is a part of the text, so the distance of their beginnings is its place.
        let start = raw.as_ptr().addr() - self.text.as_ptr().addr();
        let span = match raw.as_bytes().first() {
            Some(b'n') | None => Span::MISSING,
            Some(b't' | b'f') => Span::new(CellKind::Boolean, start, raw.len()),
            Some(b'{' | b'[') => Span::new(CellKind::Nested, start, raw.len()),
            Some(b'"') if raw.len() == 2 => Span::MISSING,
            Some(b'"') if memchr(b'\\', raw.as_bytes()).is_none() => {
                Span::new(CellKind::Text, start + 1, raw.len() - 2)
            }
            Some(b'"') => {
                let text: String = serde_json::from_str(raw).map_err(|source| {
                    Error::new(ErrorCode::BadData, format!("this text cannot be read: {source}"))
                        .at_column(key.as_ref())
                })?;
                let start = self.text.len() + self.unescaped.len();
                self.unescaped.push_str(&text);
                Span::new(CellKind::Text, start, text.len())
            }
            Some(_) => Span::new(CellKind::Number, start, raw.len()),
        };
        let column = &mut self.columns[place];
        // The last value of a key that is there twice counts, as everywhere in JSON.
        column.truncate(row);
        column.resize(row, Span::MISSING);
        column.push(span);
        Ok(())
    }
}

/// The keys of an object and their values as they are written, in order.
///
/// # Errors
/// [`ErrorCode::BadData`] for what is no object.
pub fn json_entries(object: &str) -> Result<Vec<(Cow<'_, str>, &str)>> {
    struct Entries;
    impl<'a> Visitor<'a> for Entries {
        type Value = Vec<(Cow<'a, str>, &'a str)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut entries = Vec::new();
            while let Some(key) = map.next_key::<Key<'a>>()? {
                entries.push((key.0, map.next_value::<&'a RawValue>()?.get()));
            }
            Ok(entries)
        }
    }
    let mut reader = serde_json::Deserializer::from_str(object);
    reader.deserialize_map(Entries).map_err(|source| {
        Error::new(ErrorCode::BadData, format!("this is not a JSON object: {source}")).caused_by(source)
    })
}

/// Reads one object into the rows. What is not about JSON is given back as the value.
struct Row<'r, 'a> {
    rows: &'r mut Rows<'a>,
    failed: Option<Error>,
}

impl<'a> Visitor<'a> for Row<'_, 'a> {
    type Value = Option<Error>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(mut self, mut map: A) -> Result<Option<Error>, A::Error> {
        while let Some(key) = map.next_key::<Key<'a>>()? {
            let value = map.next_value::<&'a RawValue>()?;
            if self.failed.is_none() {
                self.failed = self.rows.value(key.0, value).err();
            }
        }
        Ok(self.failed)
    }
}

/// A key, borrowed where it has no escapes.
struct Key<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> serde::Deserialize<'de> for Key<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Key<'a>, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Cow<'de, str>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Cow<'de, str>, E> {
                Ok(Cow::Borrowed(text))
            }

            fn visit_str<E>(self, text: &str) -> Result<Cow<'de, str>, E> {
                Ok(Cow::Owned(text.to_owned()))
            }
        }
        deserializer.deserialize_str(Text).map(Key)
    }
}
