//! The header of a `.ts` file: lines that start with `@`, up to `@data`. Names and truth values are read in any case.

use super::lines::{Lines, quoted, truth};
use lepton_core::{Error, ErrorCode, Result, nearest};

/// The names that a header may hold, as the archives write them.
const KNOWN: [&str; 11] = [
    "@problemName",
    "@timeStamps",
    "@missing",
    "@univariate",
    "@dimensions",
    "@dimension",
    "@equalLength",
    "@seriesLength",
    "@classLabel",
    "@targetLabel",
    "@data",
];

/// What the header says of the last field of each line.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum LabelKind {
    /// There is no label.
    None,
    /// One of these classes.
    Classes(Vec<String>),
    /// A number.
    Target,
}

/// What a header says, as far as the reader needs it. `@missing` is checked and not kept: the values themselves show
/// what is missing.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) dimensions: Option<usize>,
    pub(super) equal_length: bool,
    pub(super) series_length: Option<usize>,
    pub(super) labels: LabelKind,
}

impl Header {
    /// Reads up to and with `@data`.
    ///
    /// # Errors
    /// [`ErrorCode::BadData`] and [`ErrorCode::Unsupported`], by line.
    pub(super) fn read(lines: &mut Lines<'_>) -> Result<Header> {
        let mut header = Header { dimensions: None, equal_length: false, series_length: None, labels: LabelKind::None };
        let mut univariate = false;
        let mut labels = None;
        while let Some(line) = lines.next()? {
            if !line.starts_with('@') {
                return Err(lines
                    .wrong(format!("{} stands before @data", quoted(&line)))
                    .fix("start header lines with @ and put \"@data\" before the first case"));
            }
            let mut words = line.split_whitespace();
            let key = words.next().unwrap_or_default();
            let rest: Vec<&str> = words.collect();
            match key.to_ascii_lowercase().as_str() {
                // The dataset is called after its file.
                "@problemname" => {}
                "@timestamps" => {
                    if flag(lines, key, &rest)? {
                        return Err(time_stamps(lines));
                    }
                }
                "@missing" => {
                    flag(lines, key, &rest)?;
                }
                "@univariate" => univariate = flag(lines, key, &rest)?,
                "@dimensions" | "@dimension" => {
                    header.dimensions = Some(count(lines, key, &rest)?.ok_or_else(|| not_positive(lines, key, "0"))?);
                }
                "@equallength" => header.equal_length = flag(lines, key, &rest)?,
                // Files of unequal length say 0 here.
                "@serieslength" => header.series_length = count(lines, key, &rest)?,
                "@classlabel" | "@targetlabel" => {
                    if let Some(found) = label_kind(lines, key, &rest)? {
                        if labels.as_ref().is_some_and(|before| *before != LabelKind::None && *before != found) {
                            return Err(lines
                                .wrong("the header asks for both or for two kinds of label")
                                .fix("keep one of @classLabel and @targetLabel"));
                        }
                        labels = Some(found);
                    } else if labels.is_none() {
                        labels = Some(LabelKind::None);
                    }
                }
                "@data" => {
                    header.labels = labels.ok_or_else(|| {
                        lines
                            .wrong("the header has neither @classLabel nor @targetLabel")
                            .fix("write \"@classLabel true\" and the classes, or \"@classLabel false\" for no labels")
                    })?;
                    if univariate && header.dimensions.is_some_and(|dimensions| dimensions > 1) {
                        return Err(lines
                            .wrong("the header says \"@univariate true\" and more than one dimension")
                            .fix("write \"@univariate false\""));
                    }
                    if univariate {
                        header.dimensions = Some(1);
                    }
                    return Ok(header);
                }
                _ => {
                    let remedy = match nearest(key, KNOWN) {
                        Some(known) => format!("did you mean {known}?"),
                        None => format!("use {}", KNOWN.join(", ")),
                    };
                    return Err(lines.wrong(format!("the header has an unknown name {}", quoted(key))).fix(remedy));
                }
            }
        }
        Err(lines.wrong("there is no @data line").fix("put \"@data\" between the header and the first case"))
    }
}

/// The error for a file with time stamps.
pub(super) fn time_stamps(lines: &Lines<'_>) -> Error {
    Error::new(ErrorCode::Unsupported, "values with time stamps, \"(time,value)\", are not supported")
        .at_row(lines.number())
        .fix("write the values at even steps without time stamps, and \"@timeStamps false\"")
}

fn flag(lines: &Lines<'_>, key: &str, rest: &[&str]) -> Result<bool> {
    let value = rest.first().copied().unwrap_or_default();
    truth(value).ok_or_else(|| {
        lines
            .wrong(format!("{key} is {} where true or false is expected", quoted(value)))
            .fix(format!("write \"{key} true\" or \"{key} false\""))
    })
}

/// A count; 0 is `None`.
fn count(lines: &Lines<'_>, key: &str, rest: &[&str]) -> Result<Option<usize>> {
    let value = rest.first().copied().unwrap_or_default();
    match value.parse::<usize>() {
        Ok(0) => Ok(None),
        Ok(count) => Ok(Some(count)),
        Err(_) => Err(not_positive(lines, key, value)),
    }
}

fn not_positive(lines: &Lines<'_>, key: &str, value: &str) -> Error {
    lines
        .wrong(format!("{key} is {} where a whole number from 1 is expected", quoted(value)))
        .fix(format!("write the number after {key}, or leave the line out"))
}

/// What `@classLabel` or `@targetLabel` asks for; `None` where it says false.
fn label_kind(lines: &Lines<'_>, key: &str, rest: &[&str]) -> Result<Option<LabelKind>> {
    if !flag(lines, key, rest)? {
        return Ok(None);
    }
    if key.eq_ignore_ascii_case("@targetLabel") {
        return Ok(Some(LabelKind::Target));
    }
    let names: Vec<String> = rest[1..].iter().map(|&name| name.to_owned()).collect();
    if names.is_empty() {
        return Err(lines.wrong("@classLabel is true and names no class").fix("write the classes after \"true\""));
    }
    let mut sorted = names.clone();
    sorted.sort_unstable();
    match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(lines
            .wrong(format!("@classLabel names the class {} twice", quoted(&pair[0])))
            .fix("name each class once")),
        None => Ok(Some(LabelKind::Classes(names))),
    }
}
