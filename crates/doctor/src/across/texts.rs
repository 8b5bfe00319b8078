//! Texts of a column that are nearly the same: MinHash (Broder, "On the resemblance and containment of documents",
//! 1997) finds the pairs in bands, and the shingles that they share, counted exactly, decide.

use super::near::groups;
use super::rows::{bounded, range_of};
use crate::checks::{CheckOptions, counted, counted_with};
use crate::finding::{Evidence, Finding, FindingKind, Proposal, Severity};
use crate::profile::{Beginning, ColumnProfile, Profile, SemanticType};
use crate::repair::{Action, Survivor};
use lepton_core::{Cancel, Result, Seed, thousands};
use rand_chacha::rand_core::Rng;
use rayon::prelude::*;
use std::collections::HashSet;
use twox_hash::XxHash3_64;

/// Texts are nearly the same that share this part of their shingles.
const LEAST: f64 = 0.8;

/// Letters of a shingle.
const SHINGLE: usize = 5;

/// Shingles of a text that are looked at: the first ones.
const MOST_SHINGLES: usize = 4_096;

/// Bands, and hashes of each: a pair that shares four fifths is missed once in 10,000 times.
const BANDS: usize = 18;
const BAND: usize = 4;

/// Rows of one bucket of a band that are compared with each other; more are compared with the first only.
const MOST_BUCKET: usize = 16;

/// Pairs of texts that are compared.
const MOST_PAIRS: usize = 4_000_000;

/// Texts shorter than this on average are names and not texts: those are compared as rows.
const LEAST_LETTERS: f64 = 40.0;

pub(super) fn check(
    profile: &Profile,
    options: &CheckOptions,
    skip: &HashSet<u64>,
    known: &[Vec<u64>],
    cancel: &Cancel,
    findings: &mut Vec<Finding>,
) -> Result<()> {
    for (place, column) in profile.columns.iter().enumerate() {
        if !is_free_text(column) || options.target.as_deref() == Some(column.name.as_str()) {
            continue;
        }
        let found = near_texts(&profile.beginning, place, skip, cancel)?;
        let count: u64 = found.groups.iter().map(|group| group.len() as u64 - 1).sum();
        // Rows that are nearly the same as a whole are told of once.
        let told = |group: &Vec<u32>| {
            known.iter().any(|known| group.iter().all(|row| known.binary_search(&(u64::from(*row) + 1)).is_ok()))
        };
        if count == 0 || found.groups.iter().all(told) {
            continue;
        }
        let mut message = format!(
            "{} nearly the same text as an earlier row{}",
            counted_with(count, "row", ["has", "have"]),
            range_of(profile, profile.beginning.rows())
        );
        if found.cut > 0 {
            message += &format!(
                "; of {} only the first {} letters were compared",
                counted(found.cut, "long text"),
                thousands(MOST_SHINGLES as u64)
            );
        }
        if found.is_full {
            message += &format!("; the first {} pairs that are alike were compared", thousands(MOST_PAIRS as u64));
        }
        let groups = bounded(found.groups, count, &mut message);
        findings.push(Finding {
            kind: FindingKind::NearDuplicates,
            column: Some(column.name.clone()),
            count,
            severity: Severity::Warning,
            message,
            evidence: Evidence { groups: groups.clone(), ..Evidence::default() },
            repair: Some(Proposal { action: Action::MergeRows { groups, keep: Survivor::FirstPresent }, safe: false }),
        });
    }
    Ok(())
}

fn is_free_text(column: &ColumnProfile) -> bool {
    let mean = column.characters.map_or(0.0, |all| all.sum as f64 / column.texts.count.max(1) as f64);
    column.semantic() == SemanticType::Text && mean >= LEAST_LETTERS
}

struct NearTexts {
    /// Rows from 0.
    groups: Vec<Vec<u32>>,
    /// Texts of which only the beginning was looked at.
    cut: u64,
    /// Whether there were more pairs than are compared.
    is_full: bool,
}

fn near_texts(table: &Beginning, column: usize, skip: &HashSet<u64>, cancel: &Cancel) -> Result<NearTexts> {
    let texts: Vec<(u32, String)> = (0u32..)
        .zip(table.cells(column))
        .filter(|(row, _)| !skip.contains(&u64::from(*row)))
        .filter_map(|(row, cell)| Some((row, plain(cell.present()?)?)))
        .collect();
    cancel.check()?;
    let mut rng = Seed::default().rng("doctor.minhash", &[]);
    let seeds: Vec<u64> = (0..BANDS * BAND).map(|_| rng.next_u64() | 1).collect();
    let bands: Vec<[u64; BANDS]> = texts.par_iter().map(|(_, text)| bands(&shingles(text).0, &seeds)).collect();
    let mut pairs: HashSet<(u32, u32)> = HashSet::new();
    for band in 0..BANDS {
        cancel.check()?;
        let mut buckets: Vec<(u64, u32)> = bands.iter().zip(0..).map(|(bands, place)| (bands[band], place)).collect();
        buckets.sort_unstable();
        for bucket in buckets.chunk_by(|one, other| one.0 == other.0) {
            let from = if bucket.len() > MOST_BUCKET { 1 } else { bucket.len() };
            for (place, (_, one)) in bucket.iter().enumerate().take(from) {
                if pairs.len() < MOST_PAIRS {
                    pairs.extend(bucket[place + 1..].iter().map(|(_, other)| (*one, *other)));
                }
            }
        }
    }
    let is_full = pairs.len() >= MOST_PAIRS;
    let mut pairs: Vec<(u32, u32)> = pairs.into_iter().collect();
    pairs.sort_unstable();
    let near: Vec<(u32, u32)> = pairs
        .into_par_iter()
        .filter(|(one, other)| {
            let (one, other) = (&texts[*one as usize].1, &texts[*other as usize].1);
            one == other || jaccard(&shingles(one).0, &shingles(other).0) >= LEAST
        })
        .collect();
    let cut = texts.iter().filter(|(_, text)| shingles(text).1).count() as u64;
    let row = |place: u32| texts[place as usize].0;
    let groups = groups(&near, texts.len()).into_iter().map(|group| group.into_iter().map(row).collect()).collect();
    Ok(NearTexts { groups, cut, is_full })
}

/// Letters and digits in lower case, one blank between words; `None` without any.
fn plain(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_alphanumeric() {
            plain.extend(letter.to_lowercase());
        } else if !plain.is_empty() && !plain.ends_with(' ') {
            plain.push(' ');
        }
    }
    plain.truncate(plain.trim_end().len());
    (!plain.is_empty()).then_some(plain)
}

/// The hashes of all shingles, ascending, each once; and whether there are more.
fn shingles(text: &str) -> (Vec<u64>, bool) {
    let starts: Vec<usize> =
        text.char_indices().map(|(at, _)| at).chain([text.len()]).take(MOST_SHINGLES + 1).collect();
    let is_cut = starts.last().is_some_and(|last| *last < text.len());
    let width = SHINGLE.min(starts.len() - 1);
    let mut hashes: Vec<u64> = starts
        .iter()
        .zip(&starts[width..])
        .map(|(from, to)| XxHash3_64::oneshot(&text.as_bytes()[*from..*to]))
        .collect();
    hashes.sort_unstable();
    hashes.dedup();
    (hashes, is_cut)
}

/// The least hash of each of the seeds' orders, joined in bands.
fn bands(shingles: &[u64], seeds: &[u64]) -> [u64; BANDS] {
    let mut least = [u64::MAX; BANDS * BAND];
    for shingle in shingles {
        for (least, seed) in least.iter_mut().zip(seeds) {
            let mixed = (shingle ^ seed).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            *least = (*least).min(mixed ^ (mixed >> 32));
        }
    }
    std::array::from_fn(|band| {
        let bytes: Vec<u8> = least[band * BAND..][..BAND].iter().flat_map(|hash| hash.to_le_bytes()).collect();
        XxHash3_64::oneshot(&bytes)
    })
}

/// The part of all shingles that both have.
fn jaccard(one: &[u64], other: &[u64]) -> f64 {
    let (mut place, mut both) = (0, 0);
    for hash in one {
        while other.get(place).is_some_and(|next| next < hash) {
            place += 1;
        }
        both += usize::from(other.get(place) == Some(hash));
    }
    both as f64 / (one.len() + other.len() - both).max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_shingles_is_exact() {
        let of = |text: &str| shingles(text).0;
        assert_eq!(jaccard(&of("abcdef"), &of("abcdef")), 1.0);
        // abcde bcdef | bcdef cdefg: one of three.
        assert_eq!(jaccard(&of("abcdef"), &of("bcdefg")), 1.0 / 3.0);
        assert_eq!(jaccard(&of("abc"), &of("abc")), 1.0);
        assert!(shingles(&"ab".repeat(4_000)).1 && !shingles("short").1);
    }

    #[test]
    fn bands_meet_as_often_as_theory_says() {
        let mut rng = Seed(1).rng("test", &[]);
        let seeds: Vec<u64> = (0..BANDS * BAND).map(|_| rng.next_u64() | 1).collect();
        let mut meetings = |share: usize| {
            let met = |rng: &mut rand_chacha::ChaCha8Rng| {
                let common: Vec<u64> = (0..share).map(|_| rng.next_u64()).collect();
                let mut with_own = |own: usize| {
                    let mut all = common.clone();
                    all.extend((0..own).map(|_| rng.next_u64()));
                    bands(&all, &seeds)
                };
                let (one, other) = (with_own((100 - share) / 2), with_own((100 - share) / 2));
                one.iter().zip(&other).any(|(one, other)| one == other)
            };
            (0..200).filter(|_| met(&mut rng)).count()
        };
        // 1 - (1 - 0.8^4)^18 is 0.9999, 1 - (1 - 0.2^4)^18 is 0.028.
        assert!(meetings(80) >= 199);
        assert!(meetings(20) <= 18);
    }
}
