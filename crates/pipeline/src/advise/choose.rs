//! Who is first: the best mean score of those that keep the limits, where a better one is not just luck. What is as good
//! within noise goes to who takes less arithmetic. It is pure.

use lepton_core::Metric;

/// Between two candidates a share of one, or of the variance, that is no difference worth a larger model.
const SMALL_SHARE: f64 = 0.005;

/// The same of metrics that have a unit, as a share of the value.
const SMALL_PART: f64 = 0.01;

/// A candidate in the last round.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entrant {
    /// Its place among the candidates.
    pub(super) place: usize,
    /// Its scores, split by split.
    pub(super) scores: Vec<f64>,
    /// The metric that training watches, split by split.
    pub(super) watched: Vec<f64>,
    /// Training and validation rows of a split.
    pub(super) rows: (usize, usize),
    /// Floating-point operations of one row.
    pub(super) flops: u64,
}

/// Two candidates beside each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Gap {
    /// How far the second one is behind, in the metric's own unit; less than 0 where it is ahead.
    pub(super) behind: f64,
    /// The standard error of that.
    pub(super) noise: f64,
    /// Whether it is as good within noise.
    pub(super) is_tie: bool,
}

/// What was chosen.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Choice {
    /// Place of the first choice.
    pub(super) place: usize,
    /// Place of the best mean score; the same where the best is also the first choice.
    pub(super) best: usize,
    /// Every entrant beside the best.
    pub(super) gaps: Vec<(usize, Gap)>,
}

/// The first choice among `entrants` by `metric`, in training `watched` was followed; `None` where there are none.
pub(super) fn choose(entrants: &[Entrant], metric: Metric, watched: Metric) -> Option<Choice> {
    let scored = || entrants.iter().filter(|entrant| !entrant.scores.is_empty());
    let best = scored().min_by(|left, right| {
        let loss = |entrant: &Entrant| loss(metric, mean(&entrant.scores));
        let sure = |entrant: &Entrant| self::loss(watched, mean(&entrant.watched));
        // Of equal ones the surer, then the cheaper.
        loss(left).total_cmp(&loss(right)).then(sure(left).total_cmp(&sure(right))).then(left.flops.cmp(&right.flops))
    })?;
    let gaps: Vec<(usize, Gap)> =
        scored().map(|entrant| (entrant.place, gap(best, entrant, metric, watched))).collect();
    let tied = |entrant: &&Entrant| gaps.iter().any(|(place, gap)| *place == entrant.place && gap.is_tie);
    let first = scored().filter(tied).min_by_key(|entrant| entrant.flops)?;
    Some(Choice { place: first.place, best: best.place, gaps })
}

/// `other` beside `best`, over the splits that both have.
pub(super) fn gap(best: &Entrant, other: &Entrant, metric: Metric, watched: Metric) -> Gap {
    let (behind, noise) = difference(&best.scores, &other.scores, metric, best.rows);
    let small = if has_unit(metric) { SMALL_PART * mean(&best.scores).abs() } else { SMALL_SHARE };
    // What a score rounds away may still show in the loss: at a score of 1 both look alike, and one is surer.
    let (worse, doubt) = difference(&best.watched, &other.watched, watched, best.rows);
    let is_tie = best.place == other.place || (behind <= noise.min(small) && worse <= doubt);
    Gap { behind, noise, is_tie }
}

/// How much worse `other` is than `best` in the mean, and the standard error of that: over several splits that of Nadeau
/// and Bengio (2003), who add the overlap of the training rows; over one split of a share that of two shares. Of another
/// metric over one split nothing is known, and 0 is given.
fn difference(best: &[f64], other: &[f64], metric: Metric, (train, valid): (usize, usize)) -> (f64, f64) {
    let differences: Vec<f64> =
        best.iter().zip(other).map(|(best, other)| loss(metric, *other) - loss(metric, *best)).collect();
    let behind = mean(&differences);
    let noise = match differences.len() {
        0 => 0.0,
        1 if metric.is_share() => {
            let share = best.first().copied().unwrap_or(0.0).clamp(0.0, 1.0);
            (2.0 * share * (1.0 - share) / valid.max(1) as f64).sqrt()
        }
        1 => 0.0,
        _ => spread(&differences, (train, valid)),
    };
    (behind, noise)
}

/// The standard error of a mean over splits (Nadeau and Bengio 2003).
pub(super) fn spread(values: &[f64], (train, valid): (usize, usize)) -> f64 {
    let count = values.len() as f64;
    if values.len() < 2 {
        return 0.0;
    }
    let mean = mean(values);
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
    // The share of rows that validate is at most that of one fold.
    (variance * (1.0 / count + valid as f64 / train.max(1) as f64)).sqrt()
}

/// The mean; 0 of nothing.
pub(super) fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
}

/// What is made small.
pub(super) fn loss(metric: Metric, value: f64) -> f64 {
    match value {
        value if value.is_nan() => f64::INFINITY,
        value if metric.higher_is_better() => -value,
        value => value,
    }
}

/// Whether a metric is in the target's unit, or has no bound, so that a point says nothing.
fn has_unit(metric: Metric) -> bool {
    !metric.higher_is_better()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entrant(place: usize, scores: &[f64], flops: u64) -> Entrant {
        let watched = scores.iter().map(|score| 1.0 - score).collect();
        Entrant { place, scores: scores.to_vec(), watched, rows: (80, 20), flops }
    }

    fn first(entrants: &[Entrant]) -> Option<(usize, usize)> {
        choose(entrants, Metric::Accuracy, Metric::LogLoss).map(|choice| (choice.place, choice.best))
    }

    #[test]
    fn a_clear_lead_wins_whatever_it_costs() {
        let steady = entrant(0, &[0.90, 0.91, 0.92, 0.90, 0.91], 1_000_000);
        let worse = entrant(1, &[0.80, 0.81, 0.82, 0.80, 0.81], 10);
        assert_eq!(first(&[worse, steady]), Some((0, 0)));
        assert_eq!(first(&[]), None);
        assert_eq!(first(&[entrant(3, &[], 1)]), None, "one without a score is not chosen");
    }

    #[test]
    fn what_is_as_good_within_noise_goes_to_the_cheaper_one() {
        let best = entrant(0, &[0.90, 0.95, 0.85, 0.92, 0.88], 1_000_000);
        let cheap = entrant(1, &[0.92, 0.93, 0.87, 0.90, 0.87], 10);
        let choice = choose(&[best.clone(), cheap.clone()], Metric::Accuracy, Metric::LogLoss).unwrap();
        assert_eq!((choice.place, choice.best), (1, 0));
        let gap = gap(&best, &cheap, Metric::Accuracy, Metric::LogLoss);
        assert!((gap.behind - 0.002).abs() < 1e-9 && gap.noise > 0.002 && gap.is_tie, "{gap:?}");
    }

    #[test]
    fn noise_is_no_excuse_for_more_than_half_a_point() {
        let best = entrant(0, &[0.90, 1.0, 0.80, 0.92, 0.88], 1_000_000);
        let cheap = entrant(1, &[0.99, 0.90, 0.89, 0.81, 0.86], 10);
        let gap = gap(&best, &cheap, Metric::Accuracy, Metric::LogLoss);
        assert!(gap.noise > gap.behind && gap.behind > SMALL_SHARE && !gap.is_tie, "{gap:?}");
        assert_eq!(first(&[best, cheap]), Some((0, 0)));
    }

    #[test]
    fn at_a_perfect_score_the_loss_tells_them_apart() {
        let perfect = |place, losses: [f64; 5], flops| Entrant {
            watched: losses.to_vec(),
            ..entrant(place, &[1.0, 1.0, 1.0, 1.0, 1.0], flops)
        };
        let sure = perfect(0, [0.01, 0.01, 0.02, 0.01, 0.01], 2_000);
        let unsure = perfect(1, [0.30, 0.33, 0.31, 0.32, 0.30], 1_000);
        assert_eq!(first(&[sure.clone(), unsure.clone()]), Some((0, 0)));
        assert!(!gap(&sure, &unsure, Metric::Accuracy, Metric::LogLoss).is_tie);
    }

    #[test]
    fn one_part_has_the_noise_of_its_rows_and_units_are_parts_of_the_value() {
        let of = |score: f64| Entrant { rows: (900, 100), ..entrant(0, &[score], 1) };
        let (_, noise) = difference(&of(0.9).scores, &of(0.88).scores, Metric::Accuracy, (900, 100));
        assert!((noise - (2.0 * 0.9 * 0.1 / 100.0_f64).sqrt()).abs() < 1e-12);
        let rmse = |place, values: [f64; 2], flops| Entrant {
            place,
            scores: values.to_vec(),
            watched: values.to_vec(),
            rows: (80, 20),
            flops,
        };
        let (best, near, far) = (rmse(0, [500.0, 520.0], 9), rmse(1, [501.5, 519.5], 1), rmse(2, [540.0, 500.0], 1));
        assert!(gap(&best, &near, Metric::Rmse, Metric::Rmse).behind > 0.0);
        let choice = choose(&[best, near, far], Metric::Rmse, Metric::Rmse).unwrap();
        assert_eq!((choice.best, choice.place), (0, 1), "within one in a hundred and within noise");
    }

    #[test]
    fn the_error_of_a_mean_counts_the_overlap() {
        assert_eq!(spread(&[0.5], (80, 20)), 0.0);
        // Variance 0.02, five splits: 0.02 * (1/2 + 1/4).
        assert!((spread(&[0.4, 0.6], (80, 20)) - (0.02_f64 * 0.75).sqrt()).abs() < 1e-12);
    }
}
