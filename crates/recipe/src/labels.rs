//! A target of several labels a row, written as one text with a separator between them.

use crate::column::texts;
use crate::target::{check_unique, in_order, unseen};
use arrow_array::{Array, RecordBatch};
use lepton_core::{Error, ErrorCode, Result, Tensor};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};

/// The labels that a text names: what stands between separators, without the white space around it and without empty
/// ones.
pub fn labels_of<'a>(text: &'a str, separator: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(separator).map(str::trim).filter(|label| !label.is_empty())
}

/// The fitted labels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Labels {
    pub(crate) column: String,
    pub(crate) separator: String,
    /// Label names; a label's index is its place here.
    pub(crate) labels: Vec<String>,
}

impl Labels {
    pub(crate) fn fit(column: &str, separator: &str, train: &RecordBatch) -> Result<Labels> {
        let array = texts(train, column)?;
        let labels: BTreeSet<&str> = array.iter().flatten().flat_map(|text| labels_of(text, separator)).collect();
        if labels.is_empty() {
            return Err(Error::new(ErrorCode::BadData, "no training row has a label: there is nothing to learn")
                .at_column(column));
        }
        Ok(Labels { column: column.to_owned(), separator: separator.to_owned(), labels: in_order(labels) })
    }

    pub(crate) fn check(&self) -> Result<()> {
        check_unique(&self.labels, 1).map_err(|error| error.at_column(&self.column))?;
        if self.separator.is_empty() {
            return Err(Error::new(ErrorCode::BadData, "nothing separates the labels").at_column(&self.column));
        }
        Ok(())
    }

    /// 1 for each label of a row and 0 for others, float32 `[n, labels]`.
    pub(crate) fn encode(&self, batch: &RecordBatch) -> Result<Tensor> {
        let index: HashMap<&str, usize> = self.labels.iter().map(String::as_str).zip(0..).collect();
        let (array, width) = (texts(batch, &self.column)?, self.labels.len());
        let mut encoded = vec![0.0; array.len() * width];
        for (row, text) in array.iter().enumerate() {
            for label in labels_of(text.unwrap_or_default(), &self.separator) {
                let place = index.get(label).ok_or_else(|| unseen(&self.column, &self.labels, row, label))?;
                encoded[row * width + place] = 1.0;
            }
        }
        Tensor::float32([array.len(), width], encoded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::StringArray;
    use std::sync::Arc;

    fn rows(texts: &[Option<&str>]) -> RecordBatch {
        RecordBatch::try_from_iter([("tags", Arc::new(StringArray::from(texts.to_vec())) as _)]).unwrap()
    }

    #[test]
    fn labels_are_cut_and_encoded() {
        let train = rows(&[Some("red| round |red"), Some(""), None, Some("10|round")]);
        let labels = Labels::fit("tags", "|", &train).unwrap();
        assert_eq!(labels.labels, ["10", "red", "round"]);
        let encoded = labels.encode(&train).unwrap();
        assert_eq!(encoded.shape(), [4, 3]);
        assert_eq!(encoded.as_float32().unwrap(), [0., 1., 1., 0., 0., 0., 0., 0., 0., 1., 0., 1.]);
        let numbers = Labels::fit("tags", ",", &rows(&[Some("10,9"), Some("2")])).unwrap();
        assert_eq!(numbers.labels, ["2", "9", "10"]);
    }

    #[test]
    fn what_is_no_label_is_named() {
        let labels = Labels::fit("tags", ";", &rows(&[Some("red;green")])).unwrap();
        let error = labels.encode(&rows(&[Some("red"), Some("red;gren")])).unwrap_err();
        assert_eq!((error.place().row, error.place().column.as_deref()), (Some(2), Some("tags")));
        assert_eq!(error.remedy(), Some("did you mean \"green\"?"));
        let error = Labels::fit("tags", ";", &rows(&[Some(" ; "), None])).unwrap_err();
        assert_eq!(error.code(), ErrorCode::BadData);
        assert!(Labels { separator: String::new(), ..labels.clone() }.check().is_err());
        assert!(Labels { labels: vec![], ..labels }.check().is_err());
    }
}
