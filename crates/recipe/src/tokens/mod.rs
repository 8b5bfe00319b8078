//! The step of texts as codes: a tokenizer cuts a text into pieces, each piece becomes its number in a vocabulary, and
//! all rows get one length. What is learned is in `learn`, and how a text is cut in `tokenizer`.

mod learn;
mod tokenizer;

use crate::category::refused;
use crate::column::{bad_value, texts};
use crate::plan::{TokenizerPlan, TokensPlan};
use crate::settings::CategoryMissing;
use arrow_array::{Array, RecordBatch, StringArray};
use lepton_core::{Error, ErrorCode, Result};
use serde::{Deserialize, Serialize};
use tokenizer::Tokenizer;

/// Codes that one row may have, so that a recipe from outside cannot ask for all memory.
const MAX_LENGTH: usize = 1 << 16;

/// Codes that a vocabulary may have.
const MAX_VOCABULARY: usize = 1 << 24;

/// What an embedding must know of rows of codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Codes {
    /// Codes of each row.
    pub length: usize,
    /// Codes are from 0 up to and without this.
    pub vocabulary: usize,
    /// The code that fills rows behind their end.
    pub padding: usize,
}

/// A fitted step of codes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokensStep {
    pub(crate) column: String,
    length: usize,
    vocabulary: usize,
    padding: usize,
    missing: CategoryMissing,
    /// A `tokenizer.json` as a whole.
    tokenizer: Tokenizer,
}

impl TokensStep {
    pub(crate) fn fit(plan: &TokensPlan, train: &RecordBatch) -> Result<TokensStep> {
        let column = plan.column.as_str();
        let at = |key: &str, message: &str| {
            Error::new(ErrorCode::Config, message).at_column(column).at_key(format!("recipe.{key}"))
        };
        if plan.max_length == 0 || plan.max_length > MAX_LENGTH {
            return Err(at("max_length", &format!("must be from 1 to {MAX_LENGTH}")));
        }
        let array = texts(train, column)?;
        if plan.missing == CategoryMissing::Refuse
            && let Some(row) = (0..array.len()).find(|row| array.is_null(*row))
        {
            return Err(refused(column, row));
        }
        let tokenizer = match &plan.tokenizer {
            TokenizerPlan::Pretrained(json) => Tokenizer::read(json.clone())
                .map_err(|error| Error::new(error.code(), error.message()).at_key("recipe.tokenizer"))?,
            TokenizerPlan::File(path) => {
                return Err(Error::internal(format!("{} was not read before the recipe was fitted", path.display())));
            }
            own => learn::tokenizer(own, plan, array).map_err(|error| error.at_column(column))?,
        };
        let padding = tokenizer.padding().ok_or_else(|| {
            let message = "the tokenizer has neither a token \"[PAD]\" nor \"<pad>\", which fills short texts";
            Error::new(ErrorCode::Unsupported, message).at_key("recipe.tokenizer")
        })?;
        let length = match plan.length {
            Some(length) => length,
            None => usual_length(&tokenizer, column, array, plan.max_length)?,
        };
        let vocabulary = tokenizer.vocabulary();
        let step =
            TokensStep { column: column.to_owned(), length, vocabulary, padding, missing: plan.missing, tokenizer };
        step.check()?;
        Ok(step)
    }

    /// Refuses a step that cannot have come from a fit.
    pub(crate) fn check(&self) -> Result<()> {
        let TokensStep { length, vocabulary, padding, .. } = *self;
        let wrong = |message: String| Err(Error::new(ErrorCode::Config, message).at_column(&self.column));
        if length <= self.tokenizer.added() || length > MAX_LENGTH {
            let least = self.tokenizer.added() + 1;
            return wrong(format!("{length} codes a row: this tokenizer needs {least}, and {MAX_LENGTH} are the most"));
        }
        if vocabulary != self.tokenizer.vocabulary() || vocabulary > MAX_VOCABULARY {
            return wrong(format!(
                "{vocabulary} codes are not the {} of the tokenizer, or more than {MAX_VOCABULARY}",
                self.tokenizer.vocabulary()
            ));
        }
        if self.tokenizer.padding() != Some(padding) {
            return wrong(format!("padding {padding} is not that of the tokenizer"));
        }
        Ok(())
    }

    pub(crate) fn codes(&self) -> Codes {
        Codes { length: self.length, vocabulary: self.vocabulary, padding: self.padding }
    }

    /// The codes of all rows, `[rows, length]`. Longer texts are cut, shorter ones are padded at their end.
    pub(crate) fn encode(&self, batch: &RecordBatch) -> Result<Vec<i64>> {
        let array = texts(batch, &self.column)?;
        let TokensStep { length, padding, .. } = *self;
        let mut output = Vec::with_capacity(array.len() * length);
        for row in 0..array.len() {
            if array.is_null(row) && self.missing == CategoryMissing::Refuse {
                return Err(refused(&self.column, row));
            }
            let text = if array.is_null(row) { "" } else { array.value(row) };
            let failed = |error: Error| bad_value(&self.column, row, error.message());
            let ids = self.tokenizer.encode(text, Some(length)).map_err(failed)?;
            let end = output.len() + length;
            output.extend(ids.iter().take(length).map(|&id| i64::from(id)));
            if ids.is_empty() {
                // A row has at least one place: a text without pieces is one that is not known.
                output.extend(self.tokenizer.unknown().map(|id| id as i64));
            }
            output.resize(end, padding as i64);
        }
        Ok(output)
    }
}

/// The length that 98 % of the training texts stay within, at most `most`.
fn usual_length(tokenizer: &Tokenizer, column: &str, array: &StringArray, most: usize) -> Result<usize> {
    let mut lengths = Vec::with_capacity(array.len());
    for (row, text) in array.iter().enumerate() {
        let ids = tokenizer.encode(text.unwrap_or_default(), None);
        lengths.push(ids.map_err(|error| bad_value(column, row, error.message()))?.len());
    }
    lengths.sort_unstable();
    let place = (lengths.len() * 98).div_ceil(100).saturating_sub(1);
    let usual = lengths.get(place).copied().unwrap_or(1);
    Ok(usual.clamp(tokenizer.added() + 1, most.max(tokenizer.added() + 1)))
}
