//! Vocabularies that are learned from the training texts: whole words by how often they occur, and pieces of words by
//! byte-pair encoding (Sennrich and others 2016), written as WordPiece (Schuster and Nakajima 2012) or over bytes
//! (Radford and others 2019). The same texts give the same codes, whatever the threads.

use super::tokenizer::Tokenizer;
use crate::plan::{TokenizerPlan, TokensPlan};
use arrow_array::StringArray;
use lepton_core::{Error, ErrorCode, Result};
use serde_json::{Map, Value, json};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, Trainer};

/// The code 0, which fills short texts.
const PADDING: &str = "[PAD]";

/// The code 1, of what the vocabulary lacks.
const UNKNOWN: &str = "[UNK]";

/// What a piece begins with that continues a word, in WordPiece.
const CONTINUES: &str = "##";

/// A tokenizer of that kind over the training texts.
pub(super) fn tokenizer(kind: &TokenizerPlan, plan: &TokensPlan, array: &StringArray) -> Result<Tokenizer> {
    if plan.vocabulary < 3 {
        let message = "a vocabulary has padding, the unknown and at least one piece: 3 codes";
        return Err(Error::new(ErrorCode::Config, message).at_key("recipe.vocabulary"));
    }
    let blank = Tokenizer::read(document(kind, plan.lowercase, Vocabulary::Words(&[PADDING, UNKNOWN]))?)?;
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for text in array.iter().flatten() {
        for piece in blank.pieces(text).map_err(failed)? {
            *counts.entry(piece).or_default() += 1;
        }
    }
    if counts.is_empty() {
        let message = "the training texts hold no words, so there is no vocabulary to learn";
        return Err(Error::new(ErrorCode::BadData, message));
    }
    let json = match kind {
        TokenizerPlan::Words => {
            let mut ranked: Vec<(&str, u64)> = counts.iter().map(|(word, count)| (word.as_str(), *count)).collect();
            ranked.sort_by_key(|&(word, count)| (Reverse(count), word));
            let frequent = ranked.into_iter().filter(|(_, count)| *count >= plan.min_count).map(|(word, _)| word);
            let words: Vec<&str> = [PADDING, UNKNOWN].into_iter().chain(frequent).take(plan.vocabulary).collect();
            document(kind, plan.lowercase, Vocabulary::Words(&words))?
        }
        _ => {
            let pieces = byte_pairs(kind, plan, &blank, array, &counts)?;
            document(kind, plan.lowercase, Vocabulary::Pieces(&pieces))?
        }
    };
    Tokenizer::read(json)
}

/// Merges the most frequent pair of pieces until the vocabulary is full. Ties go to the pair with the smaller codes.
fn byte_pairs(
    kind: &TokenizerPlan,
    plan: &TokensPlan,
    blank: &Tokenizer,
    array: &StringArray,
    counts: &BTreeMap<String, u64>,
) -> Result<BPE> {
    let mut fixed = vec![PADDING.to_owned(), UNKNOWN.to_owned()];
    let mut builder = BpeTrainer::builder();
    if *kind == TokenizerPlan::WordPiece {
        // All single letters have their codes before the library meets words in an order of its own.
        let letters: BTreeSet<char> = counts.keys().flat_map(|word| word.chars()).collect();
        let later: BTreeSet<char> = counts.keys().flat_map(|word| word.chars().skip(1)).collect();
        fixed.extend(letters.iter().map(char::to_string));
        fixed.extend(later.iter().map(|letter| format!("{CONTINUES}{letter}")));
        builder = builder.continuing_subword_prefix(CONTINUES.to_owned());
    } else {
        builder = builder.initial_alphabet(ByteLevel::alphabet().into_iter().collect());
    }
    let mut trainer = builder
        .show_progress(false)
        .vocab_size(plan.vocabulary)
        .min_frequency(plan.min_count)
        .special_tokens(fixed.into_iter().map(|token| AddedToken::from(token, true)).collect())
        .build();
    let texts: Vec<&str> = array.iter().flatten().collect();
    trainer.feed(texts.into_iter(), |text| blank.pieces(text)).map_err(failed)?;
    let mut pieces = BPE::default();
    trainer.train(&mut pieces).map_err(failed)?;
    Ok(pieces)
}

/// What a model looks pieces up in.
enum Vocabulary<'a> {
    /// Words in the order of their codes.
    Words(&'a [&'a str]),
    /// Pieces and how they are merged.
    Pieces(&'a BPE),
}

/// A `tokenizer.json`.
fn document(kind: &TokenizerPlan, lowercase: bool, vocabulary: Vocabulary<'_>) -> Result<Value> {
    let (codes, merges) = match vocabulary {
        Vocabulary::Words(words) => {
            let codes = words.iter().zip(0u32..).map(|(word, code)| ((*word).to_owned(), Value::from(code)));
            (codes.collect::<Map<_, _>>(), json!([]))
        }
        Vocabulary::Pieces(pieces) => {
            let written = serde_json::to_value(pieces).map_err(|source| Error::internal(source.to_string()))?;
            let codes = pieces.get_vocab().into_iter().map(|(piece, code)| (piece, Value::from(code)));
            (codes.collect(), written.get("merges").cloned().unwrap_or_else(|| json!([])))
        }
    };
    let lower = if lowercase { json!({ "type": "Lowercase" }) } else { Value::Null };
    let (normalizer, pre_tokenizer, model) = match kind {
        TokenizerPlan::WordPiece => (
            json!({
                "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                "strip_accents": null, "lowercase": lowercase
            }),
            json!({ "type": "BertPreTokenizer" }),
            json!({
                "type": "WordPiece", "unk_token": UNKNOWN, "continuing_subword_prefix": CONTINUES,
                "max_input_chars_per_word": 100, "vocab": codes
            }),
        ),
        TokenizerPlan::Bpe => (
            lower,
            json!({ "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true }),
            json!({
                "type": "BPE", "dropout": null, "unk_token": UNKNOWN, "continuing_subword_prefix": null,
                "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "vocab": codes, "merges": merges
            }),
        ),
        _ => (
            lower,
            json!({ "type": "Whitespace" }),
            json!({ "type": "WordLevel", "unk_token": UNKNOWN, "vocab": codes }),
        ),
    };
    Ok(json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer, "post_processor": null, "decoder": null, "model": model
    }))
}

fn failed(source: tokenizers::Error) -> Error {
    Error::new(ErrorCode::BadData, format!("the vocabulary cannot be learned: {source}"))
}
