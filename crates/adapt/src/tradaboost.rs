//! TrAdaBoost (Dai and others 2007): round after round, source rows that are wrong lose weight, because they seem to be of
//! another kind, and target rows that are wrong gain it, as in AdaBoost. What learns comes in as a closure.

use lepton_core::{Error, ErrorCode, Result};

/// How rounds are made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TransferBoost {
    /// How many.
    pub rounds: usize,
    /// The most of all weight that target rows may hold, above 0 to 1. The method's known fault is that source rows lose
    /// all of theirs within a few rounds (Al-Stouhi and Reddy 2011); 1 leaves it as in the paper.
    pub target_share: f64,
}

/// One finished round.
#[derive(Clone, Debug, PartialEq)]
pub struct BoostedRound {
    /// The weights that it learned with: source rows first, their mean 1.
    pub weights: Vec<f32>,
    /// The weighted share of target rows that it gets wrong, kept within 1e-6 and 0.499.
    pub error: f64,
    /// What its answer counts: `ln((1 - error) / error)`.
    pub vote: f64,
    /// The share of all weight that target rows had.
    pub target_share: f64,
}

/// Runs the rounds. `learn` gets the round, from 0, and a weight for each row (source rows first, mean 1), learns, and
/// says of each row whether it gets it wrong. Of the rounds that come back, the last half votes, as the paper has it.
///
/// # Errors
/// [`ErrorCode::BadData`] without source or target rows; [`ErrorCode::Config`] for no rounds or a share outside of its
/// range; [`ErrorCode::Shape`] where `learn` does not answer for each row; and what `learn` reports.
pub fn transfer_boost(
    source_rows: usize,
    target_rows: usize,
    settings: &TransferBoost,
    mut learn: impl FnMut(usize, &[f32]) -> Result<Vec<bool>>,
) -> Result<Vec<BoostedRound>> {
    let TransferBoost { rounds, target_share: most } = *settings;
    if source_rows == 0 || target_rows == 0 {
        let domain = if source_rows == 0 { "source" } else { "target" };
        return Err(Error::new(ErrorCode::BadData, format!("there are no {domain} rows with labels")));
    }
    if rounds == 0 {
        return Err(Error::new(ErrorCode::Config, "must be at least 1").at_key("rounds"));
    }
    if !(most > 0.0 && most <= 1.0) {
        return Err(
            Error::new(ErrorCode::Config, format!("{most} is not above 0 and at most 1")).at_key("target_share")
        );
    }
    let count = source_rows + target_rows;
    let shrink = 1.0 / (1.0 + (2.0 * (source_rows as f64).ln() / rounds as f64).sqrt());
    let mut weights = vec![1.0 / count as f64; count];
    let mut done = Vec::with_capacity(rounds);
    for round in 0..rounds {
        let share = bound(&mut weights, source_rows, most);
        let given: Vec<f32> = weights.iter().map(|weight| (weight * count as f64) as f32).collect();
        let wrong = learn(round, &given)?;
        if wrong.len() != count {
            let message = format!("{count} rows were weighted, {} judged", wrong.len());
            return Err(Error::new(ErrorCode::Shape, message));
        }
        let of_target = weights[source_rows..].iter().zip(&wrong[source_rows..]);
        let missed: f64 = of_target.filter(|(_, wrong)| **wrong).map(|(weight, _)| weight).sum();
        let whole: f64 = weights[source_rows..].iter().sum();
        let error = (missed / whole).clamp(1e-6, 0.499);
        let vote = ((1.0 - error) / error).ln();
        for (row, weight) in weights.iter_mut().enumerate().filter(|(row, _)| wrong[*row]) {
            *weight *= if row < source_rows { shrink } else { vote.exp() };
        }
        done.push(BoostedRound { weights: given, error, vote, target_share: share });
    }
    Ok(done)
}

/// Makes the weights add up to 1 with at most `most` of it on target rows, and gives their share.
fn bound(weights: &mut [f64], source_rows: usize, most: f64) -> f64 {
    let (source, target) = weights.split_at_mut(source_rows);
    let sum = |weights: &[f64]| weights.iter().sum::<f64>();
    let (of_source, of_target) = (sum(source), sum(target));
    let share = (of_target / (of_source + of_target)).min(most);
    source.iter_mut().for_each(|weight| *weight *= (1.0 - share) / of_source.max(f64::MIN_POSITIVE));
    target.iter_mut().for_each(|weight| *weight *= share / of_target);
    share
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_keeps_source_rows_from_vanishing() {
        // One target row of two and every source row are always wrong.
        let wrong = || Ok([vec![true; 20], vec![true, false]].concat());
        let last = |target_share| {
            let settings = TransferBoost { rounds: 20, target_share };
            transfer_boost(20, 2, &settings, |_, _| wrong()).unwrap().pop().unwrap()
        };
        assert!(last(1.0).target_share > 0.99);
        let kept = last(0.5);
        assert!((kept.target_share - 0.5).abs() < 1e-12);
        let of_source: f32 = kept.weights[..20].iter().sum();
        assert!((of_source - 11.0).abs() < 1e-3, "{of_source}");
    }

    #[test]
    fn a_round_that_is_right_about_all_changes_nothing_and_votes_most() {
        let settings = TransferBoost { rounds: 3, target_share: 1.0 };
        let rounds = transfer_boost(4, 2, &settings, |_, weights| Ok(vec![false; weights.len()])).unwrap();
        assert!(rounds.iter().all(|round| round.weights.iter().all(|weight| (weight - 1.0).abs() < 1e-6)));
        assert!((rounds[2].vote - (1e6f64 - 1.0).ln()).abs() < 1e-9);
    }

    #[test]
    fn settings_and_answers_that_make_no_sense_are_refused() {
        let run = |source, target, rounds, target_share, answers| {
            let settings = TransferBoost { rounds, target_share };
            transfer_boost(source, target, &settings, |_, _| Ok(vec![false; answers])).unwrap_err()
        };
        assert!(run(0, 2, 1, 1.0, 2).message().contains("source"));
        assert!(run(2, 0, 1, 1.0, 2).message().contains("target"));
        assert_eq!(run(2, 2, 0, 1.0, 4).place().key.as_deref(), Some("rounds"));
        assert_eq!(run(2, 2, 1, 0.0, 4).place().key.as_deref(), Some("target_share"));
        assert_eq!(run(2, 2, 1, 1.0, 3).code(), ErrorCode::Shape);
    }
}
