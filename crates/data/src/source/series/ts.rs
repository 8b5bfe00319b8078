//! Reader of the `.ts` text format of the UCR, UEA and aeon archives (Bagnall et al. 2018, "The UEA multivariate time
//! series classification archive"): one case per line, dimensions separated by `:`, values by `,`, the label last.
//! The archive's older tab-separated form is in `tsv`; ARFF is not read.

use super::header::{Header, LabelKind, time_stamps};
use super::lines::{Lines, is_missing, quoted};
use lepton_core::{Limits, Result, nearest};
use std::io::BufRead;

/// The cases of a file, with their labels.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct LabelledSeries {
    /// Dimensions of every case, at least 1.
    pub(super) dimensions: usize,
    /// `[case][dimension][time]`. Missing values are NaN; every other one is finite. All dimensions of a case
    /// are equally long, at least 1; lengths may differ from case to case.
    pub(super) series: Vec<Vec<Vec<f32>>>,
    /// What is known of each case.
    pub(super) labels: Labels,
}

/// What is known of each case of a file.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Labels {
    /// Nothing.
    None,
    /// One class per case.
    Classes {
        /// The classes, in the order of the header; of a tab-separated file, sorted.
        names: Vec<String>,
        /// Of each case, the place of its class in `names`.
        of_case: Vec<usize>,
    },
    /// One number per case, finite.
    Targets(Vec<f64>),
}

/// Reads a `.ts` file.
///
/// Missing values are written `?` or `NaN`. Where the header promises equal lengths (`@equalLength true`), a case of
/// another length is an error, since it most often means a damaged line.
///
/// # Errors
/// [`BadData`](lepton_core::ErrorCode::BadData) for a line that breaks the format,
/// [`Unsupported`](lepton_core::ErrorCode::Unsupported) for values with time stamps,
/// [`TooLarge`](lepton_core::ErrorCode::TooLarge) past a limit, [`Io`](lepton_core::ErrorCode::Io) when the reader
/// fails; each names the line.
pub(super) fn read_ts(reader: &mut dyn BufRead, limits: &Limits) -> Result<LabelledSeries> {
    let mut lines = Lines::new(reader, limits);
    let header = Header::read(&mut lines)?;
    let mut dimensions = header.dimensions;
    let mut length = header.series_length;
    let mut series = Vec::new();
    let mut classes = Vec::new();
    let mut targets = Vec::new();
    while let Some(line) = lines.next()? {
        if line.starts_with('(') {
            return Err(time_stamps(&lines));
        }
        let mut fields: Vec<&str> = line.split(':').collect();
        let label = if header.labels == LabelKind::None { None } else { fields.pop() };
        let expected = *dimensions.get_or_insert(fields.len().max(1));
        if fields.len() != expected {
            return Err(lines
                .wrong(format!("{} dimensions where {expected} are expected", fields.len()))
                .fix("separate dimensions with ':' and put the label last; @dimensions counts no label"));
        }
        let mut case = Vec::with_capacity(expected);
        lines.check_values(fields.iter().map(|field| field.bytes().filter(|&byte| byte == b',').count() + 1).sum())?;
        for (dimension, field) in fields.iter().enumerate() {
            let values = parse_values(&lines, field, dimension)?;
            if header.equal_length && *length.get_or_insert(values.len()) != values.len() {
                return Err(lines
                    .wrong(format!(
                        "dimension {} has {} values where {} are expected",
                        dimension + 1,
                        values.len(),
                        length.unwrap_or_default()
                    ))
                    .fix("repair the line, or write \"@equalLength false\" in the header"));
            }
            case.push(values);
        }
        if let Some((dimension, values)) = case.iter().enumerate().find(|(_, values)| values.len() != case[0].len()) {
            let (found, first) = (values.len(), case[0].len());
            return Err(lines
                .wrong(format!("dimension {} has {found} values where dimension 1 has {first}", dimension + 1))
                .fix("write ? for values that are missing, so that all dimensions of a case are equally long"));
        }
        match (&header.labels, label) {
            (LabelKind::Classes(names), Some(label)) => classes.push(class_of(&lines, names, label.trim())?),
            (LabelKind::Target, Some(label)) => targets.push(target_of(&lines, label.trim())?),
            _ => {}
        }
        series.push(case);
    }
    if series.is_empty() {
        return Err(lines.wrong("there is no case after @data").fix("put one case per line after @data"));
    }
    let labels = match header.labels {
        LabelKind::None => Labels::None,
        LabelKind::Classes(names) => Labels::Classes { names, of_case: classes },
        LabelKind::Target => Labels::Targets(targets),
    };
    Ok(LabelledSeries { dimensions: dimensions.unwrap_or(1), series, labels })
}

fn parse_values(lines: &Lines<'_>, field: &str, dimension: usize) -> Result<Vec<f32>> {
    if field.trim().is_empty() {
        return Err(lines
            .wrong(format!("dimension {} has no value", dimension + 1))
            .fix("write ? for a value that is missing"));
    }
    field
        .split(',')
        .enumerate()
        .map(|(at, text)| {
            parse_value(text.trim()).ok_or_else(|| {
                let place = format!("value {} of dimension {}", at + 1, dimension + 1);
                lines
                    .wrong(format!("{place} is {}, which is no finite number", quoted(text)))
                    .fix("write numbers with a decimal point, separated by ',', and ? for a missing one")
            })
        })
        .collect()
}

/// A finite float32, or NaN for what is written as missing.
pub(super) fn parse_value(text: &str) -> Option<f32> {
    if is_missing(text) {
        return Some(f32::NAN);
    }
    text.parse::<f32>().ok().filter(|value| value.is_finite())
}

fn class_of(lines: &Lines<'_>, names: &[String], label: &str) -> Result<usize> {
    names.iter().position(|name| name == label).ok_or_else(|| {
        let remedy = match nearest(label, names.iter().map(String::as_str)) {
            Some(name) => format!("did you mean {}? The label is the last field of the line", quoted(name)),
            None => "name every class after @classLabel; the label is the last field of the line".to_owned(),
        };
        lines.wrong(format!("the label {} is not one of the classes in @classLabel", quoted(label))).fix(remedy)
    })
}

fn target_of(lines: &Lines<'_>, label: &str) -> Result<f64> {
    label.parse::<f64>().ok().filter(|value| value.is_finite()).ok_or_else(|| {
        lines
            .wrong(format!("the target {} is no finite number", quoted(label)))
            .fix("@targetLabel true means a number as the last field of each line")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use lepton_core::{Error, ErrorCode};

    fn read(text: &str) -> Result<LabelledSeries> {
        read_ts(&mut text.as_bytes(), &Limits::default())
    }

    fn refused(text: &str) -> (u64, Error) {
        let error = read(text).unwrap_err();
        assert!(error.remedy().is_some(), "{error} has no remedy");
        (error.place().row.unwrap(), error)
    }

    #[test]
    fn cases_of_unequal_length_and_missing_values_are_read() {
        let read = read(
            "@problemName x\n@univariate false\n@equalLength false\n@classLabel true a b\n@data\n1,?:2,3:b\n3,4,5:4,NaN,5:a\n",
        );
        let read = read.unwrap();
        assert_eq!(read.dimensions, 2);
        assert!(read.series[0][0][1].is_nan() && read.series[1][1][1].is_nan());
        assert_eq!(read.series[1][1][2], 5.0);
        assert_eq!(read.labels, Labels::Classes { names: vec!["a".into(), "b".into()], of_case: vec![1, 0] });
    }

    #[test]
    fn targets_and_unlabelled_cases_are_read() {
        assert_eq!(read("@targetLabel true\n@data\n1,2:-3.5\n").unwrap().labels, Labels::Targets(vec![-3.5]));
        let unlabelled = read("@classLabel false\n@data\n1,2:3,4\n").unwrap();
        assert_eq!((unlabelled.dimensions, unlabelled.labels), (2, Labels::None));
    }

    #[test]
    fn every_mistake_is_named_by_line() {
        let cases = [
            ("@classLabel true a\n@data\n1:a\n1:2:a\n", 4, "2 dimensions where 1"),
            ("@dimensions 2\n@classLabel true a\n@data\n1:a\n", 4, "1 dimensions where 2"),
            ("@classLabel true a\n@data\n1,2:1,2:a\n1,2:1:a\n", 4, "dimension 2 has 1 values where dimension 1 has 2"),
            ("@classLabel true apple pear\n@data\n1:aple\n", 3, "\"aple\""),
            ("@targetLabel true\n@data\n1:inf\n", 3, "\"inf\""),
            ("@classLabel true a\n1:a\n", 2, "before @data"),
            ("@classLabel true a\n", 1, "no @data"),
            ("", 1, "no @data"),
            ("@classLabel true a\n@data\n", 2, "no case"),
            ("@classLabel true a\n@data\n1,,2:a\n", 3, "value 2 of dimension 1"),
            ("@classLabel true a\n@data\n1,1e99:a\n", 3, "1e99"),
            ("@classLabel true a\n@data\n:a\n", 3, "no value"),
            ("@classLabel true a\n@data\na\n", 3, "0 dimensions"),
            ("@equalLength true\n@classLabel true a\n@data\n1,2:a\n1:a\n", 5, "1 values where 2"),
            ("@equalLength true\n@seriesLength 3\n@classLabel true a\n@data\n1,2:a\n", 5, "2 values where 3"),
            ("@timeStamps true\n@classLabel true a\n@data\n(0,1):a\n", 1, "time stamps"),
            ("@classLabel true a\n@data\n(0,1),(1,2):a\n", 3, "time stamps"),
            ("@data\n1:a\n", 1, "neither @classLabel nor @targetLabel"),
            ("@classLabel true\n@data\n1:a\n", 1, "names no class"),
            ("@classLabel true a a\n@data\n1:a\n", 1, "twice"),
            ("@classLabel true a\n@targetLabel true\n@data\n1:a\n", 2, "both"),
            ("@dimension_count 2\n@data\n1:a\n", 1, "@dimension_count"),
            ("@missing perhaps\n@data\n1:a\n", 1, "perhaps"),
            ("@dimensions 0\n@data\n1:a\n", 1, "\"0\""),
            ("@univariate true\n@dimensions 2\n@classLabel false\n@data\n1:2\n", 4, "univariate"),
        ];
        for (text, line, part) in cases {
            let (found, error) = refused(text);
            assert!(error.message().contains(part), "{text:?} gave {error}");
            assert_eq!(found, line, "{text:?} gave {error}");
        }
        assert_eq!(refused("@timeStamps true\n@data\n").1.code(), ErrorCode::Unsupported);
        assert!(refused("@classLabel true apple pear\n@data\n1:aple\n").1.remedy().unwrap().contains("apple"));
    }

    #[test]
    fn a_series_past_the_limit_is_refused() {
        let text = "@classLabel true a\n@data\n1,2:a\n3,4,5,6:a\n";
        let read = |series_values| read_ts(&mut text.as_bytes(), &Limits { series_values, ..Limits::default() });
        assert!(read(4).is_ok());
        assert_eq!(read(3).unwrap_err().code(), ErrorCode::TooLarge);
    }
}
