//! Rows that are nearly the same, without labels and without being told which columns matter.
//!
//! Pairs come from `blocks`; each is weighed as Fellegi and Sunter do ("A Theory for Record Linkage", 1969): an
//! agreement counts as many bits as it is rare, a difference against it; how reliable a column is follows from the
//! pairs that are found. `fields`, `similarity`: columns and how alike their values are.

mod blocks;
mod fields;
mod similarity;

use crate::profile::{Beginning, ColumnProfile};
use blocks::Candidates;
use fields::{Field, FieldKind, Value, same_letters};
use lepton_core::{Cancel, Result};
use rayon::prelude::*;
use similarity::Space;
use std::collections::HashSet;

/// Pairs that are compared.
const MOST_PAIRS: usize = 2_000_000;

/// Of the bits that the columns of a pair could agree on, those in which it must agree.
const LEAST_SHARE: f64 = 0.7;

/// Where even agreement in all that is left would not come to this share, a pair is not looked at further.
const HOPELESS_SHARE: f64 = 0.65;

/// How alike two columns are whose values changed places.
const SWAPPED: f64 = 0.8;

/// Bits by which a pair must be more than chance among all pairs: a hundred to one.
const MARGIN: f64 = 7.0;

/// How often a column of the same thing is written the same, before anything is known.
const RELIABLE: f64 = 0.9;

/// Pairs of rows that are compared at once by one thread.
const PIECE: usize = 4_096;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct NearRows {
    /// Rows from 0 that are nearly the same, each group ascending, groups by their first.
    pub(crate) groups: Vec<Vec<u32>>,
    /// How many rows of the table were looked at, the first ones.
    pub(crate) rows: usize,
    /// The columns that tell, the more telling first.
    pub(crate) columns: Vec<String>,
    /// Pairs that were compared.
    pub(crate) compared: u64,
    /// Pairs that share something and were not compared, because the memory for pairs is bounded.
    pub(crate) left_out: u64,
}

/// Looks for rows of the beginning of a table that are nearly the same. `skip`: rows that repeat another in every cell.
pub(crate) fn find(
    columns: &[ColumnProfile],
    table: &Beginning,
    skip: &HashSet<u64>,
    most_pairs: usize,
    cancel: &Cancel,
) -> Result<NearRows> {
    let rows: Vec<u32> = (0..table.rows() as u32).filter(|row| !skip.contains(&u64::from(*row))).collect();
    let (fields, looked_at) = Field::of_table(columns, table, &rows);
    // Numbers alone are measures, which may well be equal.
    if !fields.iter().any(|field| field.kind != FieldKind::Digits) || fields.len() < 2 {
        return Ok(NearRows::default());
    }
    cancel.check()?;
    let candidates = Candidates::of(&fields, most_pairs.min(MOST_PAIRS));
    cancel.check()?;
    let chance = (looked_at.max(2) as f64).log2();
    let mut weights = Weights::new(&fields, chance);
    // How reliable columns are follows from the pairs that are found with what was thought before.
    let mut found = weights.matches(&fields, &candidates.pairs, cancel)?;
    weights.learn(&fields, &found);
    found = weights.matches(&fields, &candidates.pairs, cancel)?;
    let groups = groups(&found, looked_at)
        .into_iter()
        .map(|group| group.into_iter().map(|place| rows[place as usize]).collect())
        .collect();
    Ok(NearRows {
        groups,
        rows: rows.get(looked_at).map_or(table.rows(), |row| *row as usize),
        columns: fields.iter().map(|field| field.name.clone()).collect(),
        compared: candidates.pairs.len() as u64,
        left_out: candidates.left_out,
    })
}

/// What agreements and differences count.
struct Weights {
    /// By column, the share of pairs of the same thing that agree in it.
    reliable: Vec<f64>,
    /// Bits that a pair must have, because there are so many pairs.
    least: f64,
}

impl Weights {
    fn new(fields: &[Field], chance: f64) -> Weights {
        Weights { reliable: vec![RELIABLE; fields.len()], least: chance + MARGIN }
    }

    /// The pairs that are nearly the same.
    fn matches(&self, fields: &[Field], pairs: &[u64], cancel: &Cancel) -> Result<Vec<(u32, u32)>> {
        let found: Vec<Vec<(u32, u32)>> = pairs
            .par_chunks(PIECE)
            .map(|piece| {
                cancel.check()?;
                let space = &mut Space::default();
                let pairs = piece.iter().map(|pair| ((pair >> 32) as u32, *pair as u32));
                Ok(pairs.filter(|(one, other)| self.is_match(fields, *one, *other, space)).collect())
            })
            .collect::<Result<_>>()?;
        Ok(found.concat())
    }

    fn is_match(&self, fields: &[Field], one: u32, other: u32, space: &mut Space) -> bool {
        let mut pair = Pair::default();
        let mut open: Vec<(usize, &Value, &Value, f64)> = Vec::with_capacity(fields.len());
        let mut hope = 0.0;
        for (place, field) in fields.iter().enumerate() {
            let (left, right) = (field.codes[one as usize], field.codes[other as usize]);
            let (Some(one), Some(other)) = (field.value(left), field.value(right)) else { continue };
            // Of two values that differ by a slip one may be rare because of it.
            let rare = one.rarity.min(other.rarity);
            if left == right {
                pair.add(self, place, field, 1.0, rare);
            } else {
                open.push((place, one, other, rare));
                hope += rare;
            }
        }
        let mut apart: Vec<(usize, &Value, &Value, f64)> = Vec::new();
        for (place, one, other, rare) in open {
            // Most pairs are given up here, before their texts are compared.
            if pair.agreed + hope < HOPELESS_SHARE * (pair.all + hope) {
                return false;
            }
            let alike = fields[place].similarity(one, other, space);
            hope -= rare;
            if alike < 0.5 && fields[place].kind != FieldKind::Digits {
                apart.push((place, one, other, rare));
                hope += rare;
            } else {
                pair.add(self, place, &fields[place], alike, rare);
            }
        }
        // A first name in the column of the last one, and the other way round.
        while let Some((place, one, other, rare)) = apart.pop() {
            let swapped = apart.iter().position(|(_, first, second, _)| {
                same_letters(one, second, space) >= 0.5 && same_letters(first, other, space) >= 0.5
            });
            match swapped {
                Some(found) => {
                    let (second, _, _, second_rare) = apart.swap_remove(found);
                    pair.add(self, place, &fields[place], SWAPPED, rare);
                    pair.add(self, second, &fields[second], SWAPPED, second_rare);
                }
                None => pair.add(self, place, &fields[place], fields[place].similarity(one, other, space), rare),
            }
        }
        pair.columns >= 2 && pair.texts >= 1 && pair.bits >= self.least && pair.agreed >= LEAST_SHARE * pair.all
    }

    /// How often the columns agree in the pairs that were found; few pairs tell little.
    fn learn(&mut self, fields: &[Field], pairs: &[(u32, u32)]) {
        let space = &mut Space::default();
        let step = pairs.len().div_ceil(10_000).max(1);
        for (reliable, field) in self.reliable.iter_mut().zip(fields) {
            let (mut agreed, mut seen) = (10.0 * RELIABLE, 10.0);
            for (one, other) in pairs.iter().step_by(step) {
                let (left, right) = (field.codes[*one as usize], field.codes[*other as usize]);
                if let (Some(one), Some(other)) = (field.value(left), field.value(right)) {
                    agreed += if left == right { 1.0 } else { field.similarity(one, other, space) };
                    seen += 1.0;
                }
            }
            *reliable = (agreed / seen).clamp(0.05, 0.99);
        }
    }
}

/// What the columns of a pair say so far.
#[derive(Default)]
struct Pair {
    /// For being the same thing, against.
    bits: f64,
    /// Bits that agree, and that could.
    agreed: f64,
    all: f64,
    /// Columns that agree on something that is not frequent, and those of them that are texts.
    columns: u32,
    texts: u32,
}

impl Pair {
    fn add(&mut self, weights: &Weights, place: usize, field: &Field, alike: f64, rare: f64) {
        let (reliable, by_chance) = (weights.reliable[place], (-field.bits).exp2());
        self.bits += alike * (rare + reliable.log2());
        self.bits += (1.0 - alike) * ((1.0 - reliable) / (1.0 - by_chance)).log2();
        self.agreed += alike * rare;
        self.all += alike * rare + (1.0 - alike) * field.bits;
        if alike >= 0.6 && rare >= 2.0 {
            self.columns += 1;
            self.texts += u32::from(field.kind != FieldKind::Digits);
        }
    }
}

/// Rows that are joined by pairs, directly or by others.
pub(crate) fn groups(pairs: &[(u32, u32)], rows: usize) -> Vec<Vec<u32>> {
    let mut parent: Vec<u32> = (0..rows as u32).collect();
    fn root(parent: &mut [u32], mut row: u32) -> u32 {
        while parent[row as usize] != row {
            parent[row as usize] = parent[parent[row as usize] as usize];
            row = parent[row as usize];
        }
        row
    }
    for (one, other) in pairs {
        let (one, other) = (root(&mut parent, *one), root(&mut parent, *other));
        parent[one.max(other) as usize] = one.min(other);
    }
    let mut groups: std::collections::BTreeMap<u32, Vec<u32>> = Default::default();
    for row in 0..rows as u32 {
        let root = root(&mut parent, row);
        groups.entry(root).or_default().push(row);
    }
    groups.into_values().filter(|group| group.len() > 1).collect()
}
