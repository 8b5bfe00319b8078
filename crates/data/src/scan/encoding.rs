//! Text files that are not UTF-8: a byte-order mark is taken away and, where it or a setting says so, other
//! encodings become UTF-8 while they are read. Bytes of UTF-8 pass unchanged and are checked by who parses them.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};
use lepton_core::{Error, ErrorCode};
use std::io::{Cursor, Read};

/// Bytes that are decoded at once.
const BUFFER: usize = 1 << 18;

/// Why there is no reader.
pub(super) enum Problem {
    Io(std::io::Error),
    Unknown(Error),
}

/// A reader of another encoding as UTF-8. A byte that the encoding does not have is an error.
pub(super) struct Decoder {
    input: Box<dyn Read + Send>,
    decoder: encoding_rs::Decoder,
    name: &'static str,
    raw: Vec<u8>,
    raw_at: usize,
    raw_ended: bool,
    text: Vec<u8>,
    text_at: usize,
    flushed: bool,
}

impl Decoder {
    /// `input` as UTF-8 without a byte-order mark.
    pub(super) fn over(mut input: Box<dyn Read + Send>, label: Option<&str>) -> Result<Box<dyn Read + Send>, Problem> {
        let mut start = [0; 3];
        let mut filled = 0;
        while filled < start.len() {
            match input.read(&mut start[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(source) if source.kind() == std::io::ErrorKind::Interrupted => {}
                Err(source) => return Err(Problem::Io(source)),
            }
        }
        let start = &start[..filled];
        let marked = Encoding::for_bom(start);
        let wanted = match label {
            None => marked.map_or(UTF_8, |(encoding, _)| encoding),
            Some(label) => Encoding::for_label(label.trim().as_bytes()).ok_or_else(|| {
                Problem::Unknown(
                    Error::new(ErrorCode::Config, format!("there is no encoding \"{label}\""))
                        .fix("use a label of the Encoding Standard, for example \"utf-8\", \"latin1\" or \"utf-16le\""),
                )
            })?,
        };
        let mark = marked.filter(|(encoding, _)| *encoding == wanted).map_or(0, |(_, length)| length);
        let chained: Box<dyn Read + Send> = Box::new(Cursor::new(start[mark..].to_vec()).chain(input));
        if wanted == UTF_8 {
            return Ok(chained);
        }
        debug_assert!(marked.is_none_or(|(encoding, _)| [UTF_8, UTF_16BE, UTF_16LE].contains(&encoding)));
        Ok(Box::new(Decoder {
            input: chained,
            decoder: wanted.new_decoder_without_bom_handling(),
            name: wanted.name(),
            raw: vec![0; BUFFER],
            raw_at: BUFFER,
            raw_ended: false,
            text: Vec::with_capacity(BUFFER * 3),
            text_at: 0,
            flushed: false,
        }))
    }

    /// Decodes the next bytes into `text`.
    fn refill(&mut self) -> std::io::Result<()> {
        if self.raw_at == self.raw.len() && !self.raw_ended {
            self.raw.resize(BUFFER, 0);
            let count = self.input.read(&mut self.raw)?;
            self.raw.truncate(count);
            self.raw_at = 0;
            self.raw_ended = count == 0;
        }
        self.text.resize(BUFFER * 3, 0);
        self.text_at = 0;
        let (result, used, written) =
            self.decoder.decode_to_utf8_without_replacement(&self.raw[self.raw_at..], &mut self.text, self.raw_ended);
        self.raw_at += used;
        self.text.truncate(written);
        match result {
            encoding_rs::DecoderResult::InputEmpty => {
                self.flushed = self.raw_ended;
                Ok(())
            }
            encoding_rs::DecoderResult::OutputFull => Ok(()),
            encoding_rs::DecoderResult::Malformed(..) => Err(std::io::Error::new(
                std::io::ErrorKind::InvalidData,
                format!("a byte sequence that {} does not have", self.name),
            )),
        }
    }
}

impl Read for Decoder {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.text_at == self.text.len() {
            if self.flushed {
                return Ok(0);
            }
            self.refill()?;
        }
        let count = buffer.len().min(self.text.len() - self.text_at);
        buffer[..count].copy_from_slice(&self.text[self.text_at..self.text_at + count]);
        self.text_at += count;
        Ok(count)
    }
}
