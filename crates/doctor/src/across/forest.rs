//! An isolation forest (Liu, Ting and Zhou, "Isolation Forest", 2008): rows that few random cuts set apart are far
//! from the others in several columns together.

use lepton_core::Seed;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;
use rayon::prelude::*;

/// Trees.
const TREES: usize = 200;

/// Rows that each tree is grown from.
const ROWS_PER_TREE: usize = 256;

/// A forest over rows of numbers.
pub(super) struct Forest {
    trees: Vec<Tree>,
    rows_per_tree: usize,
}

/// Nodes; the first one is the root.
struct Tree(Vec<Node>);

#[derive(Clone, Copy)]
enum Node {
    /// Rows with less than `at` in `column` go to the node `below`, others to the one behind that.
    Cut { column: u32, at: f64, below: u32 },
    /// Rows that are not cut further: the length of the path to here and, of an average one, below here.
    Leaf { length: f64 },
}

/// The average length of an unsuccessful search in a binary tree of so many rows.
fn average_path(rows: usize) -> f64 {
    match rows {
        0 | 1 => 0.0,
        2 => 1.0,
        rows => {
            let rows = rows as f64;
            2.0 * ((rows - 1.0).ln() + 0.577_215_664_901_532_9) - 2.0 * (rows - 1.0) / rows
        }
    }
}

/// From 0 up to 1, 1 not included.
fn unit(rng: &mut ChaCha8Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

fn below(rng: &mut ChaCha8Rng, most: usize) -> usize {
    (unit(rng) * most as f64) as usize
}

impl Forest {
    /// Grows a forest from rows of `columns` numbers each, all finite.
    pub(super) fn grow(rows: &[Vec<f64>], columns: usize, seed: Seed) -> Forest {
        let rows_per_tree = ROWS_PER_TREE.min(rows.len());
        let trees = (0..TREES as u64)
            .into_par_iter()
            .map(|tree| {
                let mut rng = seed.rng("doctor.forest", &[tree]);
                let mut places: Vec<usize> = (0..rows.len()).collect();
                for place in 0..rows_per_tree {
                    let other = place + below(&mut rng, places.len() - place);
                    places.swap(place, other);
                }
                places.truncate(rows_per_tree);
                Tree::grow(rows, columns, places, &mut rng)
            })
            .collect();
        Forest { trees, rows_per_tree }
    }

    /// How soon a row is set apart: near 1 far from all others, below 0.5 among them.
    pub(super) fn score(&self, row: &[f64]) -> f64 {
        let sum: f64 = self.trees.iter().map(|tree| tree.path(row, None)).sum();
        (-sum / self.trees.len() as f64 / average_path(self.rows_per_tree).max(f64::MIN_POSITIVE)).exp2()
    }

    /// For each column, how often a cut in it led to a small side on the way of a row: what sets it apart.
    pub(super) fn reasons(&self, row: &[f64]) -> Vec<f64> {
        let mut reasons = vec![0.0; row.len()];
        for tree in &self.trees {
            tree.path(row, Some(&mut reasons));
        }
        reasons
    }
}

impl Tree {
    fn grow(rows: &[Vec<f64>], columns: usize, places: Vec<usize>, rng: &mut ChaCha8Rng) -> Tree {
        let deepest = (places.len().max(2) as f64).log2().ceil() as usize;
        let mut nodes = vec![Node::Leaf { length: 0.0 }];
        let mut open = vec![(0, places, 0usize)];
        while let Some((node, places, depth)) = open.pop() {
            // A column in which these rows do not differ cannot be cut.
            let range = |column: usize| {
                places.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), place| {
                    (low.min(rows[*place][column]), high.max(rows[*place][column]))
                })
            };
            let cut = if depth >= deepest || places.len() <= 1 {
                None
            } else {
                let first = below(rng, columns);
                let mut tried = (0..columns).map(|step| (first + step) % columns).map(|column| (column, range(column)));
                tried.find(|(_, (low, high))| low < high)
            };
            let Some((column, (low, high))) = cut else {
                nodes[node] = Node::Leaf { length: depth as f64 + average_path(places.len()) };
                continue;
            };
            // Above the lowest, so that both sides have rows.
            let at = (high - unit(rng) * (high - low)).max(low.next_up());
            let (less, more): (Vec<usize>, Vec<usize>) =
                places.into_iter().partition(|place| rows[*place][column] < at);
            let next = nodes.len() as u32;
            nodes[node] = Node::Cut { column: column as u32, at, below: next };
            nodes.extend([Node::Leaf { length: 0.0 }; 2]);
            open.push((next as usize, less, depth + 1));
            open.push((next as usize + 1, more, depth + 1));
        }
        Tree(nodes)
    }

    /// The length of a row's path. A cut near the root counts more as a reason than one deep down.
    fn path(&self, row: &[f64], mut reasons: Option<&mut Vec<f64>>) -> f64 {
        let (mut node, mut weight) = (0, 1.0);
        loop {
            match self.0[node] {
                Node::Leaf { length } => return length,
                Node::Cut { column, at, below } => {
                    let next = below as usize + usize::from(row[column as usize] >= at);
                    // The cut that ends a path has set the row apart.
                    if let (Some(reasons), Node::Leaf { .. }) = (reasons.as_deref_mut(), self.0[next]) {
                        reasons[column as usize] += weight;
                    }
                    node = next;
                    weight *= 0.8;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Deserialize)]
    struct Reference {
        rows: Vec<Vec<f64>>,
        is_outlier: Vec<bool>,
        /// The same from scikit-learn's forest, and its area under the curve.
        scores: Vec<f64>,
        auc: f64,
    }

    /// The share of pairs of an outlier and another row in which the outlier has the higher score.
    fn auc(scores: &[f64], is_outlier: &[bool]) -> f64 {
        let side =
            |wanted: bool| scores.iter().zip(is_outlier).filter(move |(_, is)| **is == wanted).map(|(score, _)| *score);
        let (mut above, mut all) = (0.0, 0.0);
        for out in side(true) {
            for inside in side(false) {
                above += if out > inside {
                    1.0
                } else if out == inside {
                    0.5
                } else {
                    0.0
                };
                all += 1.0;
            }
        }
        above / all
    }

    fn ranks(values: &[f64]) -> Vec<f64> {
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|one, other| values[*one].total_cmp(&values[*other]));
        let mut ranks = vec![0.0; values.len()];
        order.iter().zip(0..).for_each(|(place, rank)| ranks[*place] = f64::from(rank));
        ranks
    }

    fn correlation(one: &[f64], other: &[f64]) -> f64 {
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let (left, right) = (mean(one), mean(other));
        let product =
            |a: &[f64], b: &[f64], x: f64, y: f64| a.iter().zip(b).map(|(a, b)| (a - x) * (b - y)).sum::<f64>();
        product(one, other, left, right) / (product(one, one, left, left) * product(other, other, right, right)).sqrt()
    }

    #[test]
    fn it_ranks_rows_as_the_fields_own_forest_does() {
        let reference: Reference = serde_json::from_str(include_str!("../../tests/reference/forest.json")).unwrap();
        let forest = Forest::grow(&reference.rows, reference.rows[0].len(), Seed(1));
        let scores: Vec<f64> = reference.rows.iter().map(|row| forest.score(row)).collect();
        let found = auc(&scores, &reference.is_outlier);
        assert!((found - reference.auc).abs() < 0.01, "{found} is not {}", reference.auc);
        let agreement = correlation(&ranks(&scores), &ranks(&reference.scores));
        assert!(agreement > 0.97, "{agreement}");
        // The scores are the paper's, so they are the same but for the random cuts.
        let apart = scores.iter().zip(&reference.scores).map(|(one, other)| (one - other).abs()).fold(0.0, f64::max);
        assert!(apart < 0.06, "{apart}");
    }

    #[test]
    fn the_same_seed_grows_the_same_forest_and_a_reason_is_named() {
        let mut rows: Vec<Vec<f64>> = (0..300).map(|row| vec![f64::from(row % 17), f64::from(row % 23), 1.0]).collect();
        rows.push(vec![8.0, 500.0, 1.0]);
        let one = Forest::grow(&rows, 3, Seed(3));
        assert_eq!(one.score(&rows[5]), Forest::grow(&rows, 3, Seed(3)).score(&rows[5]));
        assert_ne!(one.score(&rows[5]), Forest::grow(&rows, 3, Seed(4)).score(&rows[5]));
        let reasons = one.reasons(&rows[300]);
        assert!(reasons[1] > 3.0 * reasons[0] && reasons[2] == 0.0, "{reasons:?}");
        assert!(one.score(&rows[300]) > 0.65 && one.score(&rows[5]) < 0.55);
    }
}
