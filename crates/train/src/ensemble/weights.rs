//! How much each member of an ensemble counts: weights from 0 up that make the loss of the weighted sum of their outputs
//! smallest, on rows that no member was trained on.

use lepton_core::{Error, ErrorCode, Result, Tensor};

/// Pull of the weights towards the same for all; it decides between members that say the same.
const RIDGE: f64 = 1e-4;

/// Newton steps, at most; ten are usual.
const STEPS: usize = 50;

/// The outputs of members over the same rows, and the truth.
pub(super) struct Outputs<'a> {
    /// Of each member float32 `[rows, outputs]`.
    pub(super) members: &'a [Vec<f32>],
    /// Classes, int64 `[rows]`, or standardised numbers, float32 `[rows, 1]`.
    pub(super) targets: &'a Tensor,
    /// Numbers a row.
    pub(super) width: usize,
}

/// Loss, gradient and curvature at one point.
struct Local {
    loss: f64,
    gradient: Vec<f64>,
    /// Row-major, `[members, members]`.
    curvature: Vec<f64>,
}

impl Outputs<'_> {
    /// The weights. The loss is the log loss of the softmax of weighted logits, or the mean squared error; both are convex in
    /// the weights, so that Newton's method with a line search finds the one smallest (the model in each step is made small
    /// over weights from 0 up by coordinate descent). (Stacking: Wolpert 1992; weights from 0 up: Breiman 1996.)
    pub(super) fn best_weights(&self) -> Result<Vec<f64>> {
        let count = self.members.len();
        let mut weights = vec![1.0 / count as f64; count];
        let mut here = self.local(&weights)?;
        for _ in 0..STEPS {
            let step = descend(&weights, &here);
            let mut share = 1.0;
            let (next, local) = loop {
                let next: Vec<f64> = weights.iter().zip(&step).map(|(weight, step)| weight + share * step).collect();
                let local = self.local(&next)?;
                if local.loss <= here.loss || share < 1e-6 {
                    break (next, local);
                }
                share /= 2.0;
            };
            let moved = next.iter().zip(&weights).map(|(new, old)| (new - old).abs()).fold(0.0, f64::max);
            if local.loss > here.loss {
                break;
            }
            (weights, here) = (next, local);
            if moved < 1e-9 {
                break;
            }
        }
        Ok(weights)
    }

    /// The loss of the weighted sum, without the pull between weights.
    pub(super) fn loss(&self, weights: &[f64]) -> Result<f64> {
        Ok(self.local(weights)?.loss - pull(weights))
    }

    fn local(&self, weights: &[f64]) -> Result<Local> {
        let count = weights.len();
        let mut local = Local { loss: 0.0, gradient: vec![0.0; count], curvature: vec![0.0; count * count] };
        match self.targets.as_int64() {
            Ok(classes) => self.of_classes(weights, classes, &mut local),
            Err(_) => self.of_numbers(weights, self.targets.as_float32()?, &mut local),
        }
        let rows = self.targets.rows().max(1) as f64;
        local.loss = local.loss / rows + pull(weights);
        if !local.loss.is_finite() {
            return Err(Error::new(ErrorCode::Diverged, "the outputs of an ensemble's member are NaN or infinite"));
        }
        for (place, gradient) in local.gradient.iter_mut().enumerate() {
            *gradient = *gradient / rows + RIDGE * (weights[place] - 1.0 / count as f64);
        }
        for (place, curvature) in local.curvature.iter_mut().enumerate() {
            *curvature /= rows;
            if place / count == place % count {
                *curvature += RIDGE;
            }
        }
        Ok(local)
    }

    fn of_classes(&self, weights: &[f64], classes: &[i64], local: &mut Local) {
        let (count, width) = (weights.len(), self.width);
        let (mut logits, mut means) = (vec![0.0; width], vec![0.0; count]);
        for (row, &class) in classes.iter().enumerate() {
            let of = |member: usize| &self.members[member][row * width..(row + 1) * width];
            logits.fill(0.0);
            for (member, weight) in weights.iter().enumerate() {
                logits.iter_mut().zip(of(member)).for_each(|(sum, output)| *sum += weight * f64::from(*output));
            }
            let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let right = logits[class as usize];
            logits.iter_mut().for_each(|logit| *logit = (*logit - top).exp());
            let sum: f64 = logits.iter().sum();
            logits.iter_mut().for_each(|share| *share /= sum);
            local.loss += top + sum.ln() - right;
            for (member, mean) in means.iter_mut().enumerate() {
                *mean = logits.iter().zip(of(member)).map(|(share, output)| share * f64::from(*output)).sum();
                local.gradient[member] += *mean - f64::from(of(member)[class as usize]);
            }
            for one in 0..count {
                for other in 0..=one {
                    let both: f64 = (0..width)
                        .map(|class| logits[class] * f64::from(of(one)[class]) * f64::from(of(other)[class]))
                        .sum();
                    let value = both - means[one] * means[other];
                    local.curvature[one * count + other] += value;
                    if one != other {
                        local.curvature[other * count + one] += value;
                    }
                }
            }
        }
    }

    fn of_numbers(&self, weights: &[f64], numbers: &[f32], local: &mut Local) {
        let count = weights.len();
        for (place, &number) in numbers.iter().enumerate() {
            let of = |member: usize| f64::from(self.members[member][place]);
            let error = (0..count).map(|member| weights[member] * of(member)).sum::<f64>() - f64::from(number);
            local.loss += error * error;
            for one in 0..count {
                local.gradient[one] += 2.0 * error * of(one);
                for other in 0..count {
                    local.curvature[one * count + other] += 2.0 * of(one) * of(other);
                }
            }
        }
    }
}

fn pull(weights: &[f64]) -> f64 {
    let even = 1.0 / weights.len() as f64;
    RIDGE / 2.0 * weights.iter().map(|weight| (weight - even).powi(2)).sum::<f64>()
}

/// The step that makes the quadratic model smallest and leaves no weight below 0.
fn descend(weights: &[f64], local: &Local) -> Vec<f64> {
    let count = weights.len();
    let mut step = vec![0.0; count];
    for _ in 0..1_000 {
        let mut moved: f64 = 0.0;
        for place in 0..count {
            let row = &local.curvature[place * count..(place + 1) * count];
            let slope = local.gradient[place] + row.iter().zip(&step).map(|(bend, step)| bend * step).sum::<f64>();
            let new = (step[place] - slope / row[place]).max(-weights[place]);
            moved = moved.max((new - step[place]).abs());
            step[place] = new;
        }
        if moved < 1e-12 {
            break;
        }
    }
    step
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Logits of three members over six rows of three classes.
    fn members() -> Vec<Vec<f32>> {
        vec![
            vec![2.0, 0.5, -1.0, 0.3, 1.2, -0.4, -0.6, 0.1, 1.5, 1.1, 0.9, -0.2, -0.3, 0.8, 0.6, 0.2, -0.5, 0.9],
            vec![0.4, 0.9, 0.1, -0.2, 1.8, 0.3, 0.5, -0.7, 0.6, 2.1, -0.3, 0.4, 0.7, 0.2, 1.4, -0.1, 0.3, 0.2],
            vec![-1.0, 0.2, 0.8, 0.9, -0.5, 0.3, 0.4, 0.6, -0.9, -0.7, 0.1, 0.5, 0.3, -0.2, -0.6, 0.8, 0.4, -0.3],
        ]
    }

    #[test]
    fn weights_are_those_of_scipy() {
        // scipy.optimize.minimize(loss, [1/3] * 3, method="SLSQP", bounds=[(0, None)] * 3, options={"ftol": 1e-15}).
        let members = members();
        let classes = Tensor::int64([6], vec![0, 1, 2, 0, 1, 1]).unwrap();
        let outputs = Outputs { members: &members, targets: &classes, width: 3 };
        let weights = outputs.best_weights().unwrap();
        let close = |found: &[f64], wanted: [f64; 3]| {
            assert!(found.iter().zip(wanted).all(|(found, wanted)| (found - wanted).abs() < 2e-4), "{found:?}");
        };
        close(&weights, CLASSES);
        assert!(outputs.loss(&weights).unwrap() <= outputs.loss(&[1.0, 0.0, 0.0]).unwrap());
        let numbers = Tensor::float32([18, 1], (0..18).map(|place| (place % 5) as f32 / 2.0 - 1.0).collect()).unwrap();
        close(&Outputs { members: &members, targets: &numbers, width: 1 }.best_weights().unwrap(), NUMBERS);
    }

    const CLASSES: [f64; 3] = [1.179_558, 0.712_426, 0.0];
    const NUMBERS: [f64; 3] = [0.0, 0.333_595, 0.0];

    #[test]
    fn of_members_that_say_the_same_each_counts_the_same() {
        let twice = vec![members()[0].clone(), members()[0].clone()];
        let classes = Tensor::int64([6], vec![0, 1, 2, 0, 1, 1]).unwrap();
        let weights = Outputs { members: &twice, targets: &classes, width: 3 }.best_weights().unwrap();
        assert!((weights[0] - weights[1]).abs() < 1e-6, "{weights:?}");
        let broken = vec![vec![f32::NAN; 18]];
        let error = Outputs { members: &broken, targets: &classes, width: 3 }.best_weights().unwrap_err();
        assert_eq!(error.code(), ErrorCode::Diverged);
    }
}
