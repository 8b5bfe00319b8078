//! A `tokenizer.json` at work. The document is kept as it is, and is the whole of what is written and compared; its own
//! settings of padding and truncation are overruled, as the step has one length.

use lepton_core::{Error, ErrorCode, Result};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use tokenizers::TruncationDirection;

/// The names that the token of padding goes by.
const PADDING: [&str; 3] = ["[PAD]", "<pad>", "<|padding|>"];

/// The names that the token of unknown pieces goes by.
const UNKNOWN: [&str; 3] = ["[UNK]", "<unk>", "<|unk|>"];

/// A tokenizer that was read.
#[derive(Clone)]
pub(super) struct Tokenizer {
    json: Value,
    inner: Arc<tokenizers::Tokenizer>,
    /// One past the largest code.
    vocabulary: usize,
    padding: Option<usize>,
    unknown: Option<usize>,
    /// Tokens that are put around every text.
    added: usize,
}

impl Tokenizer {
    /// Reads a `tokenizer.json`.
    ///
    /// # Errors
    /// [`ErrorCode::BadData`] for what is none, or a kind that this build does not know.
    pub(super) fn read(json: Value) -> Result<Tokenizer> {
        let text = json.to_string();
        let parsed = caught(|| text.parse::<tokenizers::Tokenizer>())?;
        let mut inner = parsed.map_err(|source| bad(format!("this is no tokenizer that can be used: {source}")))?;
        inner.with_padding(None);
        caught(|| inner.with_truncation(None).map(drop))?.map_err(|source| bad(source.to_string()))?;
        let id_of = |names: &[&str]| names.iter().find_map(|name| inner.token_to_id(name)).map(|id| id as usize);
        let (padding, unknown) = (id_of(&PADDING), id_of(&UNKNOWN));
        let vocabulary = inner.get_vocab(true).into_values().max().map_or(0, |id| id as usize + 1);
        if vocabulary == 0 {
            return Err(bad("the tokenizer has no vocabulary".to_owned()));
        }
        let added = inner.get_post_processor().map_or(0, |added| tokenizers::PostProcessor::added_tokens(added, false));
        Ok(Tokenizer { json, inner: Arc::new(inner), vocabulary, padding, unknown, added })
    }

    /// One past the largest code.
    pub(super) fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    /// The code that fills short texts.
    pub(super) fn padding(&self) -> Option<usize> {
        self.padding
    }

    /// The code of what is not known.
    pub(super) fn unknown(&self) -> Option<usize> {
        self.unknown
    }

    /// Tokens that are put around every text.
    pub(super) fn added(&self) -> usize {
        self.added
    }

    /// The codes of a text with what is put around it; at most `most`, of which the text gets what is left.
    ///
    /// # Errors
    /// [`ErrorCode::BadData`] where the tokenizer cannot cut the text.
    pub(super) fn encode(&self, text: &str, most: Option<usize>) -> Result<Vec<u32>> {
        let encoded = caught(|| {
            let mut encoding = self.inner.encode_fast(text, false)?;
            if let Some(most) = most {
                encoding.truncate(most.saturating_sub(self.added), 0, TruncationDirection::Right);
                encoding.take_overflowing();
            }
            self.inner.post_process(encoding, None, true)
        })?;
        let encoded = encoded.map_err(|source| bad(format!("the text cannot be cut into tokens: {source}")))?;
        match encoded.get_ids().iter().find(|id| **id as usize >= self.vocabulary) {
            Some(id) => Err(bad(format!("the tokenizer gave code {id}, of {} that it has", self.vocabulary))),
            None => Ok(encoded.get_ids().to_vec()),
        }
    }

    /// The texts' pieces before they are looked up: what a vocabulary is learned from.
    pub(super) fn pieces(&self, text: &str) -> tokenizers::Result<Vec<String>> {
        pieces(&self.inner, text)
    }
}

/// The normalised pieces that a text is cut into before the model sees it.
fn pieces(tokenizer: &tokenizers::Tokenizer, text: &str) -> tokenizers::Result<Vec<String>> {
    use tokenizers::{Normalizer, OffsetReferential, OffsetType, PreTokenizer};
    let mut normalized = tokenizers::NormalizedString::from(text);
    if let Some(normalizer) = tokenizer.get_normalizer() {
        normalizer.normalize(&mut normalized)?;
    }
    let mut cut = tokenizers::PreTokenizedString::from(normalized);
    if let Some(pre_tokenizer) = tokenizer.get_pre_tokenizer() {
        pre_tokenizer.pre_tokenize(&mut cut)?;
    }
    let splits = cut.get_splits(OffsetReferential::Original, OffsetType::Byte);
    Ok(splits.into_iter().map(|(piece, _, _)| piece.to_owned()).collect())
}

/// A document from outside must not end the program, whatever the library does with it.
fn caught<T>(work: impl FnOnce() -> T) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| bad("the tokenizer contradicts itself".to_owned()))
}

fn bad(message: String) -> Error {
    Error::new(ErrorCode::BadData, message)
}

impl PartialEq for Tokenizer {
    fn eq(&self, other: &Tokenizer) -> bool {
        self.json == other.json
    }
}

impl fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokenizer of {} codes", self.vocabulary)
    }
}

impl Serialize for Tokenizer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.json.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Tokenizer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Tokenizer, D::Error> {
        Tokenizer::read(Value::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}
