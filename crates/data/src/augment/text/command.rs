//! The hook for back-translation: a program of the user's reads a text from standard input and writes it in other
//! words. It is off unless a person names one; nothing is sent anywhere by Lepton itself.

use lepton_core::{Error, ErrorCode, Result};
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long the program may take for one text.
const LIMIT: Duration = Duration::from_secs(60);

/// What the program makes of `text`; white space at the ends is cut.
///
/// # Errors
/// [`ErrorCode::Config`] for a program that cannot be started; [`ErrorCode::BadData`] for one that fails, writes
/// nothing, writes no UTF-8 or takes longer than a minute.
pub(super) fn say_again(command: &[String], text: &str) -> Result<String> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(Error::new(ErrorCode::Config, "back_translate names no program"));
    };
    let said = |text: String| Error::new(ErrorCode::BadData, format!("{program}: {text}"));
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|source| {
            Error::new(ErrorCode::Config, format!("back_translate cannot start {program}: {source}"))
                .fix("name a program that reads a text from standard input and writes the new one")
        })?;
    // Written and read on threads of their own, so that neither side waits for the other.
    let (input, output) = (child.stdin.take(), child.stdout.take());
    let text = text.to_owned();
    let writer = std::thread::spawn(move || input.map(|mut input| input.write_all(text.as_bytes())));
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        output.map(|mut output| output.read_to_end(&mut bytes)).transpose().map(|_| bytes)
    });
    let began = Instant::now();
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if began.elapsed() > LIMIT => {
                // Its end is reported below; a kill that fails leaves nothing else to do.
                let _ = child.kill();
                let _ = child.wait();
                return Err(said(format!("took longer than {} s for one text", LIMIT.as_secs())));
            }
            Ok(None) => std::thread::sleep(Duration::from_millis(2)),
            Err(source) => return Err(said(format!("cannot be waited for: {source}"))),
        }
    };
    // A program that ends without reading everything breaks the pipe, which is its right.
    let _ = writer.join();
    let bytes = reader.join().map_err(|_| Error::internal("the reader of a program's output died"))?;
    let bytes = bytes.map_err(|source| said(format!("its output cannot be read: {source}")))?;
    if !status.success() {
        return Err(said(format!("ended with {status}")));
    }
    let text = String::from_utf8(bytes).map_err(|_| said("wrote no UTF-8".to_owned()))?;
    match text.trim() {
        "" => Err(said("wrote nothing".to_owned())),
        text => Ok(text.to_owned()),
    }
}
