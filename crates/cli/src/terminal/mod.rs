//! What a person sees: results on standard output, everything else on standard error, colour only on a
//! terminal and never under `NO_COLOR`, and a closed pipe is no error.

mod progress;
mod table;

pub(crate) use progress::Bars;
pub(crate) use table::Table;

use lepton_core::{Error, Result};
use serde::Serialize;
use std::io::{ErrorKind, IsTerminal, Write};

/// Writes a result to standard output.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut output = std::io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(source) if source.kind() != ErrorKind::BrokenPipe => {
            Err(Error::io("write the result", "standard output", source))
        }
        _ => Ok(()),
    }
}

/// Writes a result as one indented JSON object.
pub(crate) fn print_json(value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|source| Error::internal(format!("the result cannot be written as JSON: {source}")))?;
    print(&format!("{text}\n"))
}

/// Writes a line to standard error. Where nobody listens, nothing is lost.
pub(crate) fn say(line: &str) {
    let _heard = writeln!(std::io::stderr().lock(), "{line}");
}

fn coloured() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && std::io::stderr().is_terminal()
}

fn paint(code: &str, text: &str) -> String {
    if coloured() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}

pub(crate) fn red(text: &str) -> String {
    paint("1;31", text)
}

pub(crate) fn yellow(text: &str) -> String {
    paint("33", text)
}

pub(crate) fn green(text: &str) -> String {
    paint("32", text)
}

/// Seconds as a person says them: `0.4 s`, `12 s`, `3 min 20 s`.
pub(crate) fn seconds(value: f64) -> String {
    if value < 10.0 {
        format!("{value:.1} s")
    } else if value < 100.0 {
        format!("{value:.0} s")
    } else {
        format!("{} min {:02} s", value as u64 / 60, value as u64 % 60)
    }
}

/// Bytes in decimal units.
pub(crate) fn bytes(value: u64) -> String {
    match value {
        0..1_000 => format!("{value} B"),
        1_000..1_000_000 => format!("{:.1} kB", value as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", value as f64 / 1e6),
        _ => format!("{:.1} GB", value as f64 / 1e9),
    }
}
