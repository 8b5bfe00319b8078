//! A file of synonyms: one line for each group of words that mean the same, with commas between them. `#` begins a
//! comment. A word may stand in several groups.

use super::how_many;
use crate::augment::draws::Draws;
use lepton_core::{Error, ErrorCode, Result};
use std::collections::BTreeMap;
use std::path::Path;

/// Groups of words that mean the same.
#[derive(Clone, Debug, Default)]
pub struct Lexicon {
    /// A word in small letters, and the others of its groups.
    synonyms: BTreeMap<String, Vec<String>>,
}

impl Lexicon {
    /// Reads a file.
    ///
    /// # Errors
    /// [`ErrorCode::Io`] and the like for a file that cannot be read; [`ErrorCode::BadData`], with the line, for a
    /// group of one word, and for a file without groups.
    pub fn read(file: &Path) -> Result<Lexicon> {
        let text = std::fs::read_to_string(file).map_err(|source| Error::io("read the lexicon", file, source))?;
        Lexicon::parse(&text).map_err(|error| error.in_file(file))
    }

    /// Reads the text of such a file.
    ///
    /// # Errors
    /// As [`Lexicon::read`].
    pub fn parse(text: &str) -> Result<Lexicon> {
        let mut synonyms: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (line, group) in text.lines().enumerate() {
            let group = group.split('#').next().unwrap_or_default();
            let words: Vec<&str> = group.split(',').map(str::trim).filter(|word| !word.is_empty()).collect();
            match words.len() {
                0 => continue,
                1 => {
                    let text = format!("\"{}\" stands alone, without a synonym", words[0]);
                    return Err(Error::new(ErrorCode::BadData, text)
                        .at_row(line as u64 + 1)
                        .fix("write words that mean the same on one line, with commas between them"));
                }
                _ => {}
            }
            for word in &words {
                let others = words.iter().filter(|other| *other != word).map(|other| (*other).to_owned());
                synonyms.entry(word.to_lowercase()).or_default().extend(others);
            }
        }
        if synonyms.is_empty() {
            return Err(Error::new(ErrorCode::BadData, "the lexicon has no words"));
        }
        Ok(Lexicon { synonyms })
    }

    /// Puts synonyms in the place of a share `amount` of the words, as far as the lexicon has them. A capital first
    /// letter and punctuation around the word stay.
    pub(super) fn replace(&self, text: &str, amount: f64, draws: &mut Draws) -> String {
        let mut words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        let mut known: Vec<usize> = (0..words.len()).filter(|&place| self.others(&words[place]).is_some()).collect();
        for _ in 0..how_many(amount, words.len()).min(known.len()) {
            let place = known.swap_remove(draws.below(known.len()));
            if let Some(synonym) = self.drawn(&words[place], draws) {
                words[place] = synonym;
            }
        }
        words.join(" ")
    }

    /// Puts synonyms of a share `amount` of the words at drawn places.
    pub(super) fn insert(&self, text: &str, amount: f64, draws: &mut Draws) -> String {
        let mut words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        let known: Vec<String> = words.iter().filter(|word| self.others(word).is_some()).cloned().collect();
        if !known.is_empty() {
            for _ in 0..how_many(amount, words.len()) {
                let bare = parts(&known[draws.below(known.len())]).1.to_lowercase();
                if let Some(synonym) = self.drawn(&bare, draws) {
                    words.insert(draws.below(words.len() + 1), synonym);
                }
            }
        }
        words.join(" ")
    }

    fn others(&self, word: &str) -> Option<&Vec<String>> {
        self.synonyms.get(&parts(word).1.to_lowercase())
    }

    fn drawn(&self, word: &str, draws: &mut Draws) -> Option<String> {
        let others = self.others(word)?;
        let synonym = &others[draws.below(others.len())];
        let (start, bare, end) = parts(word);
        let capital = bare.chars().next().is_some_and(char::is_uppercase);
        let synonym = match synonym.chars().next() {
            Some(first) if capital => first.to_uppercase().chain(synonym.chars().skip(1)).collect(),
            _ => synonym.clone(),
        };
        Some(format!("{start}{synonym}{end}"))
    }
}

/// A word without the punctuation before and after it, which come first and last.
fn parts(word: &str) -> (&str, &str, &str) {
    let start = word.len() - word.trim_start_matches(|letter: char| !letter.is_alphanumeric()).len();
    let bare = word[start..].trim_end_matches(|letter: char| !letter.is_alphanumeric());
    (&word[..start], bare, &word[start + bare.len()..])
}
