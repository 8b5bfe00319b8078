//! Reader of the older form of the UCR archive (Dau et al. 2019, "The UCR time series archive"): no header, one
//! univariate case per line, the class first, everything separated by tabs. Shorter cases are padded with NaN.

use super::lines::{Lines, quoted};
use super::ts::{LabelledSeries, Labels, parse_value};
use lepton_core::{Limits, Result};
use std::io::BufRead;

/// Reads a file of the older, tab-separated form.
///
/// NaN at the end of a case is padding and is cut off; NaN before is a missing value. Classes are sorted: by value
/// where all are numbers, else as text, so that two files with the same classes number them alike.
///
/// # Errors
/// [`BadData`](lepton_core::ErrorCode::BadData) for a line that breaks the format,
/// [`TooLarge`](lepton_core::ErrorCode::TooLarge) past a limit, [`Io`](lepton_core::ErrorCode::Io) when the reader
/// fails; each names the line.
pub(super) fn read_tsv(reader: &mut dyn BufRead, limits: &Limits) -> Result<LabelledSeries> {
    let mut lines = Lines::new(reader, limits);
    let mut series = Vec::new();
    let mut written = Vec::new();
    while let Some(line) = lines.next()? {
        let mut fields = line.split('\t');
        let label = fields.next().unwrap_or_default().trim().to_owned();
        lines.check_values(line.bytes().filter(|&byte| byte == b'\t').count())?;
        let mut values = Vec::new();
        for (at, text) in fields.enumerate() {
            values.push(parse_value(text.trim()).ok_or_else(|| {
                lines
                    .wrong(format!("value {} is {}, which is no finite number", at + 1, quoted(text)))
                    .fix("separate values with one tab each and write NaN for a missing one")
            })?);
        }
        let length = values.iter().rposition(|value| !value.is_nan()).map_or(0, |last| last + 1);
        values.truncate(length);
        if values.is_empty() || label.is_empty() {
            return Err(lines
                .wrong("the line has no label or no value")
                .fix("put the class first and the values after it, separated by tabs"));
        }
        series.push(vec![values]);
        written.push(label);
    }
    if series.is_empty() {
        return Err(lines.wrong("the file has no case").fix("put one case per line, its class first"));
    }
    let names = sorted_classes(&written);
    let of_case = written.iter().map(|label| names.iter().position(|name| name == label).unwrap_or_default()).collect();
    Ok(LabelledSeries { dimensions: 1, series, labels: Labels::Classes { names, of_case } })
}

fn sorted_classes(written: &[String]) -> Vec<String> {
    let mut names = written.to_vec();
    names.sort_unstable();
    names.dedup();
    let numbers: Option<Vec<f64>> = names.iter().map(|name| name.parse::<f64>().ok()).collect();
    if let Some(numbers) = numbers {
        let mut order: Vec<usize> = (0..names.len()).collect();
        order.sort_by(|&a, &b| numbers[a].total_cmp(&numbers[b]));
        return order.into_iter().map(|at| names[at].clone()).collect();
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<LabelledSeries> {
        read_tsv(&mut text.as_bytes(), &Limits::default())
    }

    #[test]
    fn padding_is_cut_and_classes_are_sorted_by_value() {
        let read = read("10\t1\tNaN\t3\n-1\t4\tNaN\tNaN\n2\t5\t6\t7\n").unwrap();
        assert_eq!(read.series[1], [[4.0]]);
        assert_eq!(read.series[0][0].len(), 3);
        let names = ["-1", "2", "10"].map(str::to_owned).to_vec();
        assert_eq!(read.labels, Labels::Classes { names, of_case: vec![2, 0, 1] });
    }

    #[test]
    fn mistakes_are_named_by_line() {
        for (text, line) in [("1\t2\n1\t2,3\n", 2), ("1\t2\n1\n", 2), ("1\tNaN\n", 1), ("1,2,3\n", 1), ("", 1)] {
            let error = read(text).unwrap_err();
            assert_eq!(error.place().row, Some(line), "{error}");
            assert!(error.remedy().is_some());
        }
    }
}
