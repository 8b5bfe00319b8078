//! Texts by their words and letters: the cosine of tf-idf vectors of words and pairs of words, and of three to five
//! letters within words; the mean of both.

use super::kernel::Kernel;
use rayon::prelude::*;
use std::collections::HashMap;
use std::hash::Hasher;
use twox_hash::XxHash3_64;

/// Characters of a text that are looked at.
const LONGEST: usize = 2_000;

/// A landmark that has a term, and the term's weight in it.
type Posting = (u32, f32);

/// Texts and how they are compared.
pub(super) struct Texts<'a> {
    texts: &'a [String],
    landmarks: Vec<usize>,
    /// Of words, and of letters.
    indexes: [Index; 2],
}

/// The terms of one kind.
struct Index {
    kind: Kind,
    /// By the hash of the term: its weight by rarity among the landmarks, and the landmarks that have it.
    terms: HashMap<u64, (f32, Vec<Posting>)>,
    /// The weight of a term that no landmark has.
    unknown: f32,
}

#[derive(Clone, Copy)]
enum Kind {
    Words,
    Letters,
}

impl<'a> Texts<'a> {
    pub(super) fn new(texts: &'a [String], landmarks: Vec<usize>) -> Texts<'a> {
        let index = |kind| Index::new(kind, texts, &landmarks);
        let indexes = [index(Kind::Words), index(Kind::Letters)];
        Texts { texts, landmarks, indexes }
    }
}

impl Kernel for Texts<'_> {
    fn rows(&self) -> usize {
        self.texts.len()
    }

    fn landmarks(&self) -> &[usize] {
        &self.landmarks
    }

    fn fill(&self, rows: &[usize], output: &mut [f32], step: usize) {
        let width = self.landmarks.len();
        for (row, output) in rows.iter().zip(output.chunks_mut(step)) {
            let output = &mut output[..width];
            output.fill(0.0);
            for index in &self.indexes {
                index.add(&self.texts[*row], 0.5, output);
            }
        }
    }
}

impl Index {
    fn new(kind: Kind, texts: &[String], landmarks: &[usize]) -> Index {
        let counted: Vec<Vec<(u64, f32)>> = landmarks.par_iter().map(|row| terms(kind, &texts[*row])).collect();
        let mut found: HashMap<u64, u32> = HashMap::new();
        for (term, _) in counted.iter().flatten() {
            *found.entry(*term).or_default() += 1;
        }
        // As in scikit-learn: one text more that has every term.
        let rarity = |count: u32| ((1.0 + landmarks.len() as f32) / (1.0 + count as f32)).ln() + 1.0;
        let least = match kind {
            Kind::Words => 1,
            // Letters that one landmark alone has are most of all, and say little.
            Kind::Letters => 2,
        };
        let mut index = Index { kind, terms: HashMap::new(), unknown: rarity(0) };
        for (landmark, terms) in counted.iter().enumerate() {
            let weight = |term: &u64, frequency: f32| frequency * found.get(term).map_or(0.0, |count| rarity(*count));
            let norm = terms.iter().map(|(term, frequency)| weight(term, *frequency).powi(2)).sum::<f32>().sqrt();
            for (term, frequency) in terms {
                let count = found.get(term).copied().unwrap_or(0);
                let entry = index.terms.entry(*term).or_insert_with(|| (rarity(count), Vec::new()));
                if count >= least {
                    entry.1.push((landmark as u32, weight(term, *frequency) / norm.max(1e-9)));
                }
            }
        }
        index
    }

    /// Adds the cosines of a text with every landmark, times a factor.
    fn add(&self, text: &str, factor: f32, output: &mut [f32]) {
        let terms = terms(self.kind, text);
        let known: Vec<(f32, &[Posting])> = terms
            .iter()
            .map(|(term, frequency)| match self.terms.get(term) {
                Some((rarity, postings)) => (frequency * rarity, postings.as_slice()),
                None => (frequency * self.unknown, [].as_slice()),
            })
            .collect();
        let norm = known.iter().map(|(weight, _)| weight * weight).sum::<f32>().sqrt();
        for (weight, postings) in known {
            let weight = factor * weight / norm.max(1e-9);
            postings.iter().for_each(|(landmark, other)| output[*landmark as usize] += weight * other);
        }
    }
}

/// The terms of a text by their hashes, ascending, each with one more than the logarithm of its count.
fn terms(kind: Kind, text: &str) -> Vec<(u64, f32)> {
    let text: String = text.chars().take(LONGEST).flat_map(char::to_lowercase).collect();
    let words = text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
    let mut hashes: Vec<u64> = Vec::new();
    match kind {
        Kind::Words => {
            let words: Vec<&str> = words.collect();
            hashes.extend(words.iter().map(|word| hash(&[word])));
            hashes.extend(words.windows(2).map(|pair| hash(&[pair[0], " ", pair[1]])));
        }
        // With marks and signs: `:)` and `!` say something.
        Kind::Letters => {
            let mut letters: Vec<char> = Vec::new();
            for word in text.split_whitespace() {
                letters.clear();
                letters.push(' ');
                letters.extend(word.chars());
                letters.push(' ');
                for size in 3..=5 {
                    hashes.extend(letters.windows(size).map(hash_letters));
                }
            }
        }
    }
    hashes.sort_unstable();
    let counted = hashes.chunk_by(|one, other| one == other);
    counted.map(|same| (same[0], 1.0 + (same.len() as f32).ln())).collect()
}

fn hash(parts: &[&str]) -> u64 {
    let mut hasher = XxHash3_64::new();
    parts.iter().for_each(|part| hasher.write(part.as_bytes()));
    hasher.finish()
}

fn hash_letters(letters: &[char]) -> u64 {
    let mut bytes = [0; 5 * 4];
    let mut length = 0;
    for letter in letters {
        length += letter.encode_utf8(&mut bytes[length..]).len();
    }
    XxHash3_64::oneshot(&bytes[..length])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_most_like_itself_and_texts_without_a_common_term_are_not_alike() {
        let texts =
            ["good phone, good price", "Good phone good price", "the battery died", "bad phone", ""].map(str::to_owned);
        let kernel = Texts::new(&texts, (0..5).collect());
        let mut likeness = vec![0.0; 5 * 6];
        kernel.fill(&[0, 1, 2, 3, 4], &mut likeness, 6);
        let at = |row: usize, other: usize| likeness[row * 6 + other];
        for row in 0..5 {
            for other in 0..5 {
                assert!((at(row, other) - at(other, row)).abs() < 1e-6, "symmetric");
            }
        }
        assert!(at(0, 0) > 0.7 && at(0, 1) > 0.7 && at(0, 1) < 1.0 && at(0, 3) > 0.05 && at(0, 2) == 0.0);
        assert!((0..5).all(|other| at(4, other) == 0.0));
    }
}
