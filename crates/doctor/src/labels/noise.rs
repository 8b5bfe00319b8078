//! From out-of-fold scores to probabilities, and to the probability that a label is wrong.
//!
//! Classes have the probabilities softmax(t · score), and a row of class j is given the label g with the probability
//! N[j][g]. The temperature t and the noise N are fitted together to the given labels, so that wrong labels do not
//! make the model look unsure: N by expectation and maximisation from the confident joint on (A. Dawid, A. Skene,
//! Applied Statistics 28, 1979), t by a search. Without a gain that pays for it, there is no noise.

use super::confident::ConfidentJoint;
use rayon::prelude::*;

/// Rows that one task sums; the sums are added in order.
const PIECE: usize = 2048;

/// Rounds of the fit.
const ROUNDS: usize = 8;

/// Steps of expectation and maximisation in each round.
const STEPS: usize = 6;

/// How many rows the common rate of wrong labels weighs against each class's own.
const WEIGHT: f64 = 10.0;

/// What the fit found.
pub(super) struct Noise {
    classes: usize,
    /// What scores are multiplied with.
    pub(super) temperature: f64,
    /// True class by row, given label by column. The unit matrix where no noise was found.
    rates: Vec<f64>,
    /// Whether noise explains the labels better than a model that is sometimes unsure.
    pub(super) is_there: bool,
    /// Mean negative log-likelihood of the labels with and without noise.
    pub(super) losses: [f64; 2],
}

/// What follows for one row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Verdict {
    /// The probability that the label is wrong.
    pub(super) wrong: f64,
    /// The likeliest other class.
    pub(super) suggested: u32,
}

impl Noise {
    /// Fits temperature and noise.
    pub(super) fn fit(scores: &[f32], labels: &[u32], classes: usize) -> Noise {
        let unit = |share: f64| -> Vec<f64> {
            let other = share / (classes - 1).max(1) as f64;
            let cell = |place: usize| if place / classes == place % classes { 1.0 - share } else { other };
            (0..classes * classes).map(cell).collect()
        };
        let (plain, without) = temperature(scores, labels, &unit(0.0), classes, None);
        let probabilities = probabilities(scores, classes, plain);
        let joint = ConfidentJoint::of(&probabilities, labels, classes).calibrated();
        // From given label by row to true class by row, each row a distribution.
        let transposed: Vec<f64> =
            (0..classes * classes).map(|place| joint[place % classes * classes + place / classes]).collect();
        let mut rates = shrunk(&transposed, classes);
        let mut t = plain;
        let mut with = f64::INFINITY;
        for _ in 0..ROUNDS {
            let before = with;
            for _ in 0..STEPS {
                rates = shrunk(&expected(scores, labels, &rates, classes, t), classes);
            }
            (t, with) = temperature(scores, labels, &rates, classes, Some(t));
            if before - with < 1e-7 {
                break;
            }
        }
        // The Bayesian information criterion for one more parameter: the common rate of wrong labels.
        let rows = labels.len() as f64;
        let is_there = (without - with) * rows > 0.5 * rows.ln();
        let (temperature, rates) = if is_there { (t, rates) } else { (plain, unit(0.0)) };
        Noise { classes, temperature, rates, is_there, losses: [with, without] }
    }

    /// Probabilities of the classes for every row.
    pub(super) fn probabilities(&self, scores: &[f32]) -> Vec<f32> {
        probabilities(scores, self.classes, self.temperature)
    }

    /// What follows for a row of probabilities and its given label.
    pub(super) fn verdict(&self, row: &[f32], label: u32) -> Verdict {
        let weight = |class: usize| f64::from(row[class]) * self.rates[class * self.classes + label as usize];
        let all: f64 = (0..self.classes).map(weight).sum();
        let others = (0..self.classes).filter(|class| *class != label as usize);
        let suggested = others.max_by(|one, other| weight(*one).total_cmp(&weight(*other)).then(other.cmp(one)));
        let wrong = if all > 0.0 { 1.0 - weight(label as usize) / all } else { 0.0 };
        Verdict { wrong, suggested: suggested.unwrap_or(0) as u32 }
    }
}

/// softmax(t · score), row by row.
pub(super) fn probabilities(scores: &[f32], classes: usize, t: f64) -> Vec<f32> {
    let mut all = vec![0.0; scores.len()];
    all.par_chunks_mut(PIECE * classes).zip(scores.par_chunks(PIECE * classes)).for_each(|(all, scores)| {
        let mut softmax = vec![0.0; classes];
        for (row, scores) in all.chunks_exact_mut(classes).zip(scores.chunks_exact(classes)) {
            soften(scores, t, &mut softmax);
            row.iter_mut().zip(&softmax).for_each(|(to, from)| *to = *from as f32);
        }
    });
    all
}

fn soften(scores: &[f32], t: f64, output: &mut [f64]) {
    let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    output.iter_mut().zip(scores).for_each(|(to, score)| *to = (t * f64::from(score - most)).exp());
    let sum: f64 = output.iter().sum();
    output.iter_mut().for_each(|value| *value /= sum);
}

/// The mean negative log-likelihood of the labels.
fn loss(scores: &[f32], labels: &[u32], rates: &[f64], classes: usize, t: f64) -> f64 {
    let pieces = scores.par_chunks(PIECE * classes).zip(labels.par_chunks(PIECE));
    let sums: Vec<f64> = pieces
        .map(|(scores, labels)| {
            let mut softmax = vec![0.0; classes];
            let rows = scores.chunks_exact(classes).zip(labels);
            rows.map(|(scores, label)| {
                soften(scores, t, &mut softmax);
                let label = *label as usize;
                let likely: f64 =
                    softmax.iter().enumerate().map(|(class, share)| share * rates[class * classes + label]).sum();
                -likely.max(1e-300).ln()
            })
            .sum()
        })
        .collect();
    sums.iter().sum::<f64>() / labels.len().max(1) as f64
}

/// The temperature with the least loss, and that loss: golden sections of its logarithm, in a wide range or close to
/// an earlier one.
fn temperature(scores: &[f32], labels: &[u32], rates: &[f64], classes: usize, near: Option<f64>) -> (f64, f64) {
    let (mut low, mut high) = match near {
        Some(t) => ((t / 1.6).ln(), (t * 1.6).ln()),
        None => (0.2f64.ln(), 200f64.ln()),
    };
    let steps = if near.is_some() { 10 } else { 18 };
    let ratio = (5f64.sqrt() - 1.0) / 2.0;
    let at = |place: f64| loss(scores, labels, rates, classes, place.exp());
    let (mut left, mut right) = (high - ratio * (high - low), low + ratio * (high - low));
    let (mut left_loss, mut right_loss) = (at(left), at(right));
    for _ in 0..steps {
        if left_loss <= right_loss {
            (high, right, right_loss) = (right, left, left_loss);
            left = high - ratio * (high - low);
            left_loss = at(left);
        } else {
            (low, left, left_loss) = (left, right, right_loss);
            right = low + ratio * (high - low);
            right_loss = at(right);
        }
    }
    if left_loss <= right_loss { (left.exp(), left_loss) } else { (right.exp(), right_loss) }
}

/// How many rows of each class are expected to have each label.
fn expected(scores: &[f32], labels: &[u32], rates: &[f64], classes: usize, t: f64) -> Vec<f64> {
    let pieces = scores.par_chunks(PIECE * classes).zip(labels.par_chunks(PIECE));
    let counts: Vec<Vec<f64>> = pieces
        .map(|(scores, labels)| {
            let mut counts = vec![0.0; classes * classes];
            let mut softmax = vec![0.0; classes];
            for (scores, label) in scores.chunks_exact(classes).zip(labels) {
                soften(scores, t, &mut softmax);
                let label = *label as usize;
                softmax.iter_mut().enumerate().for_each(|(class, share)| *share *= rates[class * classes + label]);
                let all = softmax.iter().sum::<f64>().max(1e-300);
                softmax.iter().enumerate().for_each(|(class, share)| counts[class * classes + label] += share / all);
            }
            counts
        })
        .collect();
    let mut all = vec![0.0; classes * classes];
    counts.iter().for_each(|counts| all.iter_mut().zip(counts).for_each(|(to, from)| *to += from));
    all
}

/// Counts of labels by class as rates, each class's drawn to the common rate of wrong labels.
fn shrunk(counts: &[f64], classes: usize) -> Vec<f64> {
    let all: f64 = counts.iter().sum::<f64>().max(1e-300);
    let right: f64 = (0..classes).map(|class| counts[class * classes + class]).sum();
    let share = (1.0 - right / all).clamp(0.0, 1.0);
    let other = share / (classes - 1).max(1) as f64;
    let mut rates = counts.to_vec();
    for (class, line) in rates.chunks_exact_mut(classes).enumerate() {
        for (label, value) in line.iter_mut().enumerate() {
            *value += WEIGHT * if class == label { 1.0 - share } else { other };
        }
        let sum: f64 = line.iter().sum();
        line.iter_mut().for_each(|value| *value /= sum);
    }
    rates
}

#[cfg(test)]
mod tests {
    use super::*;
    use lepton_core::Seed;
    use rand_chacha::rand_core::Rng;

    /// Scores of rows that are sometimes hard, their labels drawn from the true probabilities at temperature 4, some
    /// of the labels of class 0 and 1 then changed to the next class.
    fn drawn(rows: usize, share: f64) -> (Vec<f32>, Vec<u32>, Vec<bool>) {
        let mut rng = Seed(5).rng("noise", &[]);
        let mut uniform = || f64::from(rng.next_u32()) / (f64::from(u32::MAX) + 1.0);
        let (mut scores, mut labels, mut changed) = (Vec::new(), Vec::new(), Vec::new());
        for row in 0..rows {
            let mut line: Vec<f32> = (0..3).map(|_| uniform() as f32).collect();
            line[row % 3] += 1.5;
            let mut softmax = vec![0.0; 3];
            soften(&line, 4.0, &mut softmax);
            let place = uniform();
            let class = if place < softmax[0] { 0 } else { 1 + u32::from(place >= softmax[0] + softmax[1]) };
            let is_changed = class < 2 && uniform() < share;
            scores.extend(line);
            labels.push(if is_changed { class + 1 } else { class });
            changed.push(is_changed);
        }
        (scores, labels, changed)
    }

    #[test]
    fn noise_and_temperature_are_what_labels_were_drawn_with() {
        let (scores, labels, changed) = drawn(20_000, 0.1);
        let noise = Noise::fit(&scores, &labels, 3);
        assert!(noise.is_there && (noise.temperature - 4.0).abs() < 0.15, "{}", noise.temperature);
        for (place, wanted) in [(0, 0.9), (1, 0.1), (4, 0.9), (5, 0.1), (8, 1.0), (6, 0.0)] {
            assert!((noise.rates[place] - wanted).abs() < 0.015, "{place}: {}", noise.rates[place]);
        }
        // The probabilities are what they say: of labels that are wrong with 0.8, about four fifths are.
        let probabilities = noise.probabilities(&scores);
        let verdicts: Vec<(Verdict, bool)> = probabilities
            .chunks_exact(3)
            .zip(labels.iter().zip(changed))
            .map(|(row, (label, changed))| (noise.verdict(row, *label), changed))
            .collect();
        for (low, high) in [(0.1, 0.5), (0.5, 0.9), (0.9, 1.0)] {
            let band: Vec<_> = verdicts.iter().filter(|(verdict, _)| (low..high).contains(&verdict.wrong)).collect();
            let count = band.len() as f64;
            let said = band.iter().map(|(verdict, _)| verdict.wrong).sum::<f64>() / count;
            let is = band.iter().filter(|(_, changed)| *changed).count() as f64 / count;
            // Three standard errors of a share.
            assert!(count >= 20.0 && (said - is).abs() < 1.5 / count.sqrt(), "{low}: {said} for {is} of {count}");
        }
    }

    #[test]
    fn labels_without_noise_have_none() {
        let (scores, labels, _) = drawn(5_000, 0.0);
        let noise = Noise::fit(&scores, &labels, 3);
        assert!(!noise.is_there && (noise.temperature - 4.0).abs() < 0.2, "{}", noise.temperature);
        let verdicts = noise.probabilities(&scores);
        assert!(verdicts.chunks_exact(3).zip(&labels).all(|(row, label)| noise.verdict(row, *label).wrong < 1e-6));
    }
}
