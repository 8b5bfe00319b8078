//! The Parzen estimator: a density over some dimensions that is a mixture of one kernel around each observation and
//! one broad kernel, the prior.
//!
//! Numbers have normal kernels cut to the unit interval; values that
//! lie apart have the mass of the same kernel over their cell; choices have a share for the observed one and a share
//! for all. After Bergstra et al., "Algorithms for Hyper-Parameter Optimization" (2011), with the widths and the
//! products over dimensions of Watanabe, "Tree-Structured Parzen Estimator: Understanding Its Algorithm Components and
//! Their Roles for Better Empirical Performance" (2023).

use crate::numbers::draw::{uniform, weighted};
use crate::numbers::normal::{log_density_in_unit, log_mass_in_unit, quantile_in_unit};
use crate::space::Domain;
use rand_chacha::rand_core::Rng;

/// A density over dimensions, from observations.
pub(super) struct Parzen<'a> {
    /// One per kernel, the prior last; their sum is 1.
    weights: Vec<f64>,
    axes: Vec<Axis<'a>>,
}

/// The kernels along one dimension.
struct Axis<'a> {
    domain: &'a Domain,
    kernels: Vec<Kernel>,
}

/// How wide the kernels of numbers are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Widths {
    /// As the distance to the farther neighbour along the dimension, for a density over one dimension.
    Neighbours,
    /// All the same: this share of the range times n^(-1/(d+4)) for n observations of d dimensions (Scott 1992), because
    /// neighbours along one dimension may be far apart along another.
    Scott(f64),
}

/// The least deviation of a kernel after [`Widths::Scott`].
const NARROWEST: f64 = 0.01;

enum Kernel {
    /// Normal, cut to 0..=1.
    Normal { mean: f64, deviation: f64 },
    /// One probability per choice.
    Shares(Vec<f64>),
}

impl<'a> Parzen<'a> {
    /// The density after `observations`, oldest first, each with one coordinate per domain; `weights` has one weight
    /// per observation, and the prior has `prior_weight`.
    pub(super) fn new(
        domains: &[&'a Domain],
        observations: &[Vec<f64>],
        (mut weights, prior_weight): (Vec<f64>, f64),
        widths: Widths,
    ) -> Parzen<'a> {
        weights.push(if observations.is_empty() { 1.0 } else { prior_weight });
        let total: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|weight| *weight /= total);
        let axis = |(index, &domain): (usize, &&'a Domain)| {
            let along: Vec<f64> = observations.iter().map(|observation| observation[index]).collect();
            let kernels = match domain.count().filter(|_| domain.is_choice()) {
                Some(count) => choice_kernels(domain, count as usize, &along, prior_weight),
                None => normal_kernels(&along, widths, domains.len()),
            };
            Axis { domain, kernels }
        };
        Parzen { weights, axes: domains.iter().enumerate().map(axis).collect() }
    }

    /// One draw: a coordinate per domain.
    pub(super) fn sample(&self, rng: &mut impl Rng) -> Vec<f64> {
        let kernel = weighted(rng, &self.weights);
        let draw = |axis: &Axis| match &axis.kernels[kernel] {
            Kernel::Normal { mean, deviation } => axis.domain.settle(quantile_in_unit(uniform(rng), *mean, *deviation)),
            Kernel::Shares(shares) => (weighted(rng, shares) as f64 + 0.5) / shares.len() as f64,
        };
        self.axes.iter().map(draw).collect()
    }

    /// The logarithm of the density at `coordinates`.
    pub(super) fn log_density(&self, coordinates: &[f64]) -> f64 {
        let mut logs: Vec<f64> = self.weights.iter().map(|weight| libm::log(*weight)).collect();
        for (axis, &coordinate) in self.axes.iter().zip(coordinates) {
            let cell = axis.domain.cell(coordinate);
            for (log, kernel) in logs.iter_mut().zip(&axis.kernels) {
                *log += match (kernel, cell) {
                    (Kernel::Shares(shares), _) => libm::log(shares[axis.domain.choice_at(coordinate)]),
                    (Kernel::Normal { mean, deviation }, None) => log_density_in_unit(coordinate, *mean, *deviation),
                    (Kernel::Normal { mean, deviation }, Some((low, high))) => {
                        log_mass_in_unit(low, high, *mean, *deviation)
                    }
                };
            }
        }
        let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if !largest.is_finite() {
            return f64::NEG_INFINITY;
        }
        largest + libm::log(logs.iter().map(|log| libm::exp(log - largest)).sum())
    }
}

/// A kernel around each observation, and the prior.
fn normal_kernels(along: &[f64], widths: Widths, dimensions: usize) -> Vec<Kernel> {
    let deviations = match widths {
        Widths::Neighbours => neighbour_distances(along),
        Widths::Scott(share) => {
            let shrunk = libm::pow(along.len().max(1) as f64, -1.0 / (dimensions as f64 + 4.0));
            vec![(share * shrunk).clamp(NARROWEST, 1.0); along.len()]
        }
    };
    let observed = along.iter().zip(deviations).map(|(&mean, deviation)| Kernel::Normal { mean, deviation });
    observed.chain([Kernel::Normal { mean: 0.5, deviation: 1.0 }]).collect()
}

/// Of each observation the distance to its farther neighbour, within bounds.
fn neighbour_distances(along: &[f64]) -> Vec<f64> {
    let count = along.len();
    let narrowest = 1.0 / (2.0 + count as f64).min(100.0);
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by(|&a, &b| along[a].total_cmp(&along[b]));
    let mut deviations = vec![1.0; count];
    for (rank, &index) in order.iter().enumerate() {
        let before = rank.checked_sub(1).map(|rank| along[index] - along[order[rank]]);
        let after = order.get(rank + 1).map(|&next| along[next] - along[index]);
        // The ends of the interval count as neighbours only for an observation without any.
        let width = match (before, after) {
            (None, None) => along[index].max(1.0 - along[index]),
            (before, after) => before.unwrap_or(0.0).max(after.unwrap_or(0.0)),
        };
        deviations[index] = width.clamp(narrowest, 1.0);
    }
    deviations
}

/// A share for the observed choice and the prior's weight spread over the kernels, and the prior.
fn choice_kernels(domain: &Domain, count: usize, along: &[f64], prior_weight: f64) -> Vec<Kernel> {
    let spread = prior_weight / (along.len() as f64 + 1.0);
    let total = 1.0 + spread * count as f64;
    let observed = along.iter().map(|&coordinate| {
        let mut shares = vec![spread / total; count];
        shares[domain.choice_at(coordinate)] += 1.0 / total;
        Kernel::Shares(shares)
    });
    observed.chain([Kernel::Shares(vec![1.0 / count as f64; count])]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::Dimension;
    use lepton_core::Seed;
    use serde_json::Value;

    #[test]
    fn densities_are_those_of_optuna() {
        let reference: Value = serde_json::from_str(include_str!("../../tests/data/parzen.json")).unwrap();
        for case in reference["cases"].as_array().unwrap() {
            let dimensions: Vec<Dimension> = serde_json::from_value(case["dimensions"].clone()).unwrap();
            let domains: Vec<&Domain> = dimensions.iter().map(|dimension| &dimension.domain).collect();
            let units = |rows: &Value| -> Vec<Vec<f64>> {
                let unit = |(domain, value): (&&Domain, &Value)| domain.to_unit(value).unwrap();
                let row = |row: &Value| domains.iter().zip(row.as_array().unwrap()).map(unit).collect();
                rows.as_array().unwrap().iter().map(row).collect()
            };
            let observations = units(&case["observations"]);
            let weights = vec![1.0; observations.len()];
            let parzen = Parzen::new(&domains, &observations, (weights, 1.0), Widths::Neighbours);
            let got: Vec<f64> = units(&case["at"]).iter().map(|row| parzen.log_density(row)).collect();
            let expected: Vec<f64> = serde_json::from_value(case["log_density"].clone()).unwrap();
            // Optuna's densities are per unit of the dimension: a constant apart, which no comparison sees.
            let apart = got[0] - expected[0];
            for (got, expected) in got.iter().zip(&expected) {
                assert!((got - expected - apart).abs() < 1e-6, "{}: {got} {expected} {apart}", case["name"]);
            }
        }
    }

    #[test]
    fn draws_follow_the_density() {
        let domain = Domain::Int { low: 1, high: 5, log: true, step: 1 };
        let choice = Domain::Choice { choices: vec!["a".into(), "b".into(), "c".into()] };
        let domains = [&domain, &choice];
        let observations: Vec<Vec<f64>> = [(1, "a"), (1, "a"), (4, "b")]
            .map(|(a, b)| vec![domain.to_unit(&a.into()).unwrap(), choice.to_unit(&b.into()).unwrap()])
            .to_vec();
        for widths in [Widths::Neighbours, Widths::Scott(0.06)] {
            let parzen = Parzen::new(&domains, &observations, (vec![1.0, 0.5, 2.0], 1.0), widths);
            let mut rng = Seed(1).rng("parzen", &[]);
            let draws: Vec<Vec<f64>> = (0..20_000).map(|_| parzen.sample(&mut rng)).collect();
            let mut total = 0.0;
            for number in 1..=5 {
                for letter in ["a", "b", "c"] {
                    let at = [domain.to_unit(&number.into()).unwrap(), choice.to_unit(&letter.into()).unwrap()];
                    let expected = libm::exp(parzen.log_density(&at));
                    total += expected;
                    let share = draws.iter().filter(|draw| draw[..] == at).count() as f64 / draws.len() as f64;
                    assert!((share - expected).abs() < 0.012, "{number} {letter}: {share} {expected}");
                }
            }
            assert!((total - 1.0).abs() < 1e-9, "{total}");
        }
    }
}
