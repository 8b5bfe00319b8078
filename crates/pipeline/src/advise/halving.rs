//! Successive halving under a budget of time (Jamieson and Talwalkar 2016, with the eta of 3 of Li and others 2018):
//! which candidates go on to the next rung. It is pure: scores and seconds come in, places go out.
//!
//! Halving is for when time is short. A candidate is dropped only where there is no time to finish it.

/// The share of the whole work at each rung.
pub(super) const SHARES: [f64; 3] = [1.0 / 9.0, 1.0 / 3.0, 1.0];

/// One in so many goes on whatever it takes, rounded up.
const ETA: usize = 3;

/// The share of the time that the first rung may take.
const FIRST_RUNG: f64 = 0.4;

/// With so much of the time that is left, or less, all candidates are run to the end at once.
const AMPLE: f64 = 0.8;

/// What is known of a candidate after a rung.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Standing {
    /// Its place among the candidates.
    pub(super) place: usize,
    /// What is made small.
    pub(super) loss: f64,
    /// Seconds that the whole work would take.
    pub(super) whole_seconds: f64,
}

/// Seconds that the pilot of one of `left` candidates may take at the first rung, when `spent` of `budget` are gone:
/// its fair share of what is left, so that what quick ones leave over goes to slow ones.
pub(super) fn first_share(budget: f64, spent: f64, left: usize) -> f64 {
    ((budget * FIRST_RUNG - spent) / left.max(1) as f64).max(0.0)
}

/// Whether all of them can be run to the end at once in `seconds`.
pub(super) fn fits_all(standings: &[Standing], seconds: f64) -> bool {
    let wanted: f64 = standings.iter().map(|standing| standing.whole_seconds).sum();
    wanted <= AMPLE * seconds
}

/// Who goes on to the rung of `share`, the best first. A third goes on whatever it takes, and as many more as there is
/// time for; before the last rung, time for the best third at the last rung is set aside.
pub(super) fn promoted(standings: &[Standing], share: f64, seconds: f64) -> Vec<usize> {
    let mut order = standings.to_vec();
    order.sort_by(|left, right| left.loss.total_cmp(&right.loss));
    let sure = order.len().div_ceil(ETA);
    let kept_back: f64 = match share < 1.0 {
        true => order.iter().take(sure.div_ceil(ETA)).map(|standing| standing.whole_seconds).sum(),
        false => 0.0,
    };
    let mut left = seconds - kept_back;
    let mut going = Vec::new();
    for (rank, standing) in order.iter().enumerate() {
        let cost = standing.whole_seconds * share;
        if rank >= sure && cost > left {
            continue;
        }
        left -= cost;
        going.push(standing.place);
    }
    going
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Losses 0, 1, 2, ... and the seconds of each.
    fn standings(seconds: &[f64]) -> Vec<Standing> {
        let one = |(place, &whole_seconds): (usize, &f64)| Standing { place, loss: place as f64, whole_seconds };
        seconds.iter().enumerate().map(one).collect()
    }

    #[test]
    fn what_quick_ones_leave_goes_to_slow_ones() {
        assert_eq!(first_share(100.0, 0.0, 4), 10.0);
        assert_eq!(first_share(100.0, 1.0, 3), 13.0, "the first took 1 of its 10 seconds");
        assert_eq!(first_share(100.0, 50.0, 3), 0.0);
    }

    #[test]
    fn with_time_for_all_nobody_is_dropped() {
        let all = standings(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert!(fits_all(&all, 27.0) && !fits_all(&all, 26.0));
        assert_eq!(promoted(&all, 1.0, 21.0), [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn with_little_time_a_third_goes_on_and_then_who_still_fits() {
        let all = standings(&[10.0, 10.0, 10.0, 10.0, 10.0, 10.0]);
        assert_eq!(promoted(&all, 1.0, 1.0), [0, 1], "a third, whatever it takes");
        assert_eq!(promoted(&all, 1.0, 30.0), [0, 1, 2]);
        let all = standings(&[10.0, 10.0, 50.0, 5.0, 50.0, 5.0]);
        assert_eq!(promoted(&all, 1.0, 30.0), [0, 1, 3, 5], "a dear one makes room for cheap ones behind it");
    }

    #[test]
    fn time_for_the_last_rung_is_set_aside() {
        let all = standings(&[30.0; 6]);
        // A third of the work is 10 seconds; 30 are kept for the best at the end.
        assert_eq!(promoted(&all, 1.0 / 3.0, 50.0), [0, 1]);
        assert_eq!(promoted(&all, 1.0 / 3.0, 65.0), [0, 1, 2]);
    }
}
