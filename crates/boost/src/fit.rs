//! Boosting: round after round, one tree for each output is fitted to the derivatives of the loss and added
//! (Friedman, Greedy Function Approximation, Annals of Statistics 29, 2001; second order as in Chen and Guestrin,
//! XGBoost, KDD 2016; bins and leaf-wise growth as in Ke et al., LightGBM, NIPS 2017).

use crate::binning::{BinnedColumn, bin_columns};
use crate::examples::Examples;
use crate::forest::Forest;
use crate::growth::{Grown, grow};
use crate::objective::{Objective, weighted_quantile};
use crate::sampling::{choose, part};
use crate::settings::BoostSettings;
use lepton_core::{Error, ErrorCode, Result, Seed};
use std::ops::ControlFlow;

/// Fits a forest to `training`.
///
/// After each round `on_round` is given its number from 1, the loss on the training rows and, where there is
/// `validation`, the loss on those: mean squared error, logarithmic loss or pinball loss, as the objective has it. If
/// it breaks, or after `patience` rounds without a lower validation loss, training ends. With validation the forest
/// ends at the round whose validation loss was lowest; a forest that was never better than its base has no trees.
///
/// The same rows, settings and seed give the same forest, on any number of threads of the ambient rayon pool.
///
/// # Errors
/// [`ErrorCode::Config`] for settings or an objective out of range; [`ErrorCode::BadData`], [`ErrorCode::Shape`] or
/// [`ErrorCode::TooLarge`] for rows that are empty, ragged, infinite, too many, or lack a class; and
/// [`ErrorCode::Diverged`] where scores leave the range of float32.
pub fn fit(
    training: &Examples,
    validation: Option<&Examples>,
    settings: &BoostSettings,
    objective: &Objective,
    seed: Seed,
    on_round: &mut dyn FnMut(usize, f64, Option<f64>) -> ControlFlow<()>,
) -> Result<Forest> {
    settings.validate()?;
    objective.validate()?;
    let columns = training.check(objective, "training")?;
    training.check_classes(objective)?;
    if let Some(validation) = validation {
        let found = validation.check(objective, "validation")?;
        if found != columns {
            let message = format!("the validation rows have {found} columns, the training rows {columns}");
            return Err(Error::new(ErrorCode::Shape, message)
                .at_key("validation.features")
                .fix("prepare both with the same recipe"));
        }
    }
    let binned = bin_columns(training.features, columns, settings.max_bins, seed);
    let base = objective.base(training);
    let mut boosting = Boosting {
        training,
        binned,
        settings,
        objective,
        seed,
        scores: base.repeat(training.rows()),
        forest: empty_forest(columns as u32, base),
    };
    let mut watched = validation.map(|rows| Watched::new(rows, objective, &boosting.forest));
    for round in 1..=settings.rounds {
        let trees_before = boosting.forest.trees();
        boosting.round(round)?;
        if boosting.forest.trees() == trees_before && settings.row_share == 1.0 && settings.column_share == 1.0 {
            // No further round could differ from this one.
            break;
        }
        let train_loss = finite(objective.loss(training, &boosting.scores), round)?;
        let valid_loss = match &mut watched {
            Some(watched) => Some(finite(watched.follow(&boosting.forest, objective), round)?),
            None => None,
        };
        let patience_is_up = settings.patience > 0 && watched.as_ref().is_some_and(|w| w.waited >= settings.patience);
        if on_round(round, train_loss, valid_loss).is_break() || patience_is_up {
            break;
        }
    }
    Ok(match watched {
        Some(watched) => truncated(boosting.forest, watched.best_trees),
        None => boosting.forest,
    })
}

struct Boosting<'a> {
    training: &'a Examples<'a>,
    binned: Vec<BinnedColumn>,
    settings: &'a BoostSettings,
    objective: &'a Objective,
    seed: Seed,
    /// `[rows, outputs]`, summed as [`Forest::predict`] does.
    scores: Vec<f32>,
    forest: Forest,
}

impl Boosting<'_> {
    fn round(&mut self, round: usize) -> Result<()> {
        let derivatives = self.objective.derivatives(self.training, &self.scores);
        if derivatives.iter().flatten().flatten().any(|derivative| !derivative.is_finite()) {
            return Err(diverged(format!("a derivative of round {round} is beyond float32")));
        }
        let rows = self.training.rows();
        let mut rng = self.seed.rng("boost rows", &[round as u64]);
        let drawn = choose(part(self.settings.row_share, rows), rows, &mut rng);
        let columns = self.binned.len();
        for (output, derivatives) in derivatives.iter().enumerate() {
            let mut rng = self.seed.rng("boost columns", &[round as u64, output as u64]);
            let allowed = choose(part(self.settings.column_share, columns), columns, &mut rng);
            let Some(mut grown) = grow(&self.binned, &allowed, drawn.clone(), derivatives, self.settings) else {
                continue;
            };
            if let Objective::Quantile { q } = self.objective {
                self.take_quantiles(&mut grown, *q);
            }
            let values: Vec<f32> =
                grown.nodes.iter().map(|node| (self.settings.learning_rate * node.value) as f32).collect();
            self.add_scores(&grown, &values, output, drawn.len() < rows);
            append(&mut self.forest, &grown, &values, output, &self.binned)?;
        }
        Ok(())
    }

    /// The gradient of the pinball loss knows only the side of a residual, so each leaf takes the quantile of its
    /// residuals in place of a Newton step.
    fn take_quantiles(&self, grown: &mut Grown, q: f64) {
        for (node, range) in &grown.leaves {
            let residual = |&row: &u32| {
                let row = row as usize;
                (self.training.targets[row] - self.scores[row], self.training.weight(row))
            };
            let mut residuals = grown.rows[range.clone()].iter().map(residual).collect();
            grown.nodes[*node].value = f64::from(weighted_quantile(&mut residuals, q));
        }
    }

    fn add_scores(&mut self, grown: &Grown, values: &[f32], output: usize, sampled: bool) {
        let outputs = self.objective.outputs();
        if sampled {
            for (row, scores) in self.scores.chunks_exact_mut(outputs).enumerate() {
                scores[output] += values[grown.leaf_of(&self.binned, row)];
            }
            return;
        }
        for (node, range) in &grown.leaves {
            for &row in &grown.rows[range.clone()] {
                self.scores[row as usize * outputs + output] += values[*node];
            }
        }
    }
}

/// The validation rows, their scores so far, and the best round.
struct Watched<'a> {
    rows: &'a Examples<'a>,
    scores: Vec<f32>,
    trees: usize,
    lowest: f64,
    best_trees: usize,
    waited: usize,
}

impl<'a> Watched<'a> {
    fn new(rows: &'a Examples<'a>, objective: &Objective, forest: &Forest) -> Watched<'a> {
        let scores = forest.base.repeat(rows.rows());
        let lowest = objective.loss(rows, &scores);
        Watched { rows, scores, trees: 0, lowest, best_trees: 0, waited: 0 }
    }

    /// Adds the trees that are new and gives the loss.
    fn follow(&mut self, forest: &Forest, objective: &Objective) -> f64 {
        for tree in self.trees..forest.trees() {
            // A forest of our own never leads out of itself.
            let _ = forest.add_tree(tree, self.rows.features, forest.columns as usize, &mut self.scores);
        }
        self.trees = forest.trees();
        let loss = objective.loss(self.rows, &self.scores);
        if loss < self.lowest {
            (self.lowest, self.best_trees, self.waited) = (loss, self.trees, 0);
        } else {
            self.waited += 1;
        }
        loss
    }
}

fn finite(loss: f64, round: usize) -> Result<f64> {
    if loss.is_finite() {
        return Ok(loss);
    }
    Err(diverged(format!("the loss of round {round} is {loss}")))
}

fn diverged(message: String) -> Error {
    Error::new(ErrorCode::Diverged, message)
        .at_key("train.boosting.learning_rate")
        .fix("lower the learning rate, raise train.boosting.l2, or scale targets and weights down")
}

fn empty_forest(columns: u32, base: Vec<f32>) -> Forest {
    Forest {
        columns,
        depth: 0,
        base,
        roots: Vec::new(),
        output_of_tree: Vec::new(),
        feature: Vec::new(),
        threshold: Vec::new(),
        left: Vec::new(),
        right: Vec::new(),
        default_left: Vec::new(),
        value: Vec::new(),
        gain: Vec::new(),
    }
}

/// Appends a grown tree whose nodes have `values`.
fn append(forest: &mut Forest, grown: &Grown, values: &[f32], output: usize, binned: &[BinnedColumn]) -> Result<()> {
    let first = forest.feature.len();
    if u32::try_from(first + grown.nodes.len()).is_err() {
        return Err(Error::new(ErrorCode::TooLarge, "the forest has more nodes than can be numbered")
            .at_key("train.boosting.rounds")
            .fix("grow fewer rounds, or trees with fewer leaves"));
    }
    let number = |node: usize| (first + node) as u32;
    forest.roots.push(number(0));
    forest.output_of_tree.push(output as u32);
    forest.depth = forest.depth.max(grown.depth as u32);
    for (node, (grown, &value)) in grown.nodes.iter().zip(values).enumerate() {
        match &grown.split {
            Some((split, [left, right])) => {
                // No finite value is below the lowest one: only missing values go left then.
                let threshold = match split.first_right {
                    0 => f32::MIN,
                    bin => binned[split.feature as usize].cuts[usize::from(bin) - 1],
                };
                forest.feature.push(split.feature);
                forest.threshold.push(threshold);
                forest.left.push(number(*left));
                forest.right.push(number(*right));
                forest.default_left.push(split.missing_left);
                forest.value.push(0.0);
                forest.gain.push((split.gain as f32).min(f32::MAX));
            }
            None => {
                forest.feature.push(0);
                forest.threshold.push(0.0);
                forest.left.push(number(node));
                forest.right.push(number(node));
                forest.default_left.push(false);
                forest.value.push(value);
                forest.gain.push(0.0);
            }
        }
    }
    Ok(())
}

/// The first `trees` trees.
fn truncated(mut forest: Forest, trees: usize) -> Forest {
    let nodes = forest.roots.get(trees).map_or(forest.feature.len(), |&root| root as usize);
    forest.roots.truncate(trees);
    forest.output_of_tree.truncate(trees);
    for numbers in [&mut forest.feature, &mut forest.left, &mut forest.right] {
        numbers.truncate(nodes);
    }
    for numbers in [&mut forest.threshold, &mut forest.value, &mut forest.gain] {
        numbers.truncate(nodes);
    }
    forest.default_left.truncate(nodes);
    // Children come after their parents, so one pass knows every level.
    let mut levels = vec![0u32; nodes];
    for node in 0..nodes {
        for child in [forest.left[node] as usize, forest.right[node] as usize] {
            if child != node {
                levels[child] = levels[node] + 1;
            }
        }
    }
    forest.depth = levels.into_iter().max().unwrap_or(0);
    forest
}
