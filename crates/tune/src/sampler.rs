//! Which point to try next. One file per sampler; what they share (the order of the dimensions, the first trials
//! before there is anything to learn from) is here.

mod cma_es;
mod cma_state;
mod gaussian_process;
mod grid;
mod parzen;
mod process;
mod tpe;

pub use cma_es::CmaEs;
pub use gaussian_process::GaussianProcess;
pub use grid::Grid;
pub use tpe::Tpe;

use crate::numbers::draw::uniform;
use crate::space::{Dimension, Point, Space};
use crate::trial::{Direction, State, Trial, others};
use lepton_core::{Error, ErrorCode, Result, Seed};
use rand_chacha::rand_core::Rng;
use serde::{Deserialize, Serialize};

/// How the next point is chosen. Written as `{ kind = "tpe" }`, with the sampler's own settings beside it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Sampler {
    /// Every value of a dimension is equally likely (on the logarithm where the dimension has one). Bergstra and
    /// Bengio, "Random Search for Hyper-Parameter Optimization", 2012.
    Random {},
    /// All combinations, one after the other.
    Grid(Grid),
    /// Tree-structured Parzen estimator.
    Tpe(Tpe),
    /// Covariance matrix adaptation.
    CmaEs(CmaEs),
    /// Bayesian optimisation with a Gaussian process.
    GaussianProcess(GaussianProcess),
}

impl Default for Sampler {
    fn default() -> Sampler {
        Sampler::Tpe(Tpe::default())
    }
}

impl Sampler {
    /// The point that trial `number` should try. It depends on the arguments alone, and not on the order of
    /// `history`; a trial of the same number in `history` is passed over, so that it may be stored as running first.
    /// Each direction is that of one objective.
    ///
    /// # Errors
    /// [`ErrorCode::Config`] where the space or the sampler's settings are wrong; [`ErrorCode::BadInput`] where the
    /// history does not fit the objectives; [`ErrorCode::Unsupported`] where the sampler knows one objective only;
    /// [`ErrorCode::NotFound`] where a grid is exhausted.
    pub fn suggest(
        &self,
        space: &Space,
        directions: &[Direction],
        history: &[Trial],
        number: u64,
        seed: Seed,
    ) -> Result<Point> {
        space.validate()?;
        self.validate()?;
        let trials = others(history, directions, number)?;
        match self {
            Sampler::Random {} => random_point(space, number, seed),
            Sampler::Grid(grid) => grid.suggest(space, &trials, number),
            Sampler::Tpe(tpe) => tpe.suggest(space, directions, &trials, number, seed),
            Sampler::CmaEs(cma) => cma.suggest(space, directions, &trials, number, seed),
            Sampler::GaussianProcess(process) => process.suggest(space, directions, &trials, number, seed),
        }
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// [`ErrorCode::Config`], naming the key below `tune.sampler`.
    pub fn validate(&self) -> Result<()> {
        match self {
            Sampler::Random {} => Ok(()),
            Sampler::Grid(grid) => grid.validate(),
            Sampler::Tpe(tpe) => tpe.validate(),
            Sampler::CmaEs(cma) => cma.validate(),
            Sampler::GaussianProcess(process) => process.validate(),
        }
    }
}

/// Every dimension at random.
fn random_point(space: &Space, number: u64, seed: Seed) -> Result<Point> {
    let mut rng = seed.rng("tune random", &[number]);
    // A coordinate is drawn for every dimension, so that one that does not apply shifts none that follows.
    let coordinates: Vec<f64> = space.order()?.iter().map(|_| uniform(&mut rng)).collect();
    space.point_at(&coordinates)
}

/// The first trials, spread more evenly than at random: a Latin hypercube (McKay, Beckman and Conover, 1979) of
/// `count` trials, of which this is trial `number`. Trials after the first `count` begin the next hypercube.
fn spread_point(space: &Space, count: usize, number: u64, seed: Seed) -> Result<Point> {
    let block = number / count.max(1) as u64;
    let row = (number % count.max(1) as u64) as usize;
    let mut rng = seed.rng("tune spread", &[block]);
    let mut jitter = seed.rng("tune spread within", &[number]);
    let mut coordinate = || {
        let order = crate::numbers::draw::permutation(&mut rng, count.max(1));
        (order[row] as f64 + uniform(&mut jitter)) / count.max(1) as f64
    };
    let coordinates: Vec<f64> = space.order()?.iter().map(|_| coordinate()).collect();
    space.point_at(&coordinates)
}

/// How many trials ended with something to learn from.
fn learned_from(trials: &[&Trial]) -> usize {
    trials.iter().filter(|trial| matches!(trial.state, State::Complete | State::Pruned)).count()
}

/// Refuses more than one objective for a sampler that knows one.
fn one_objective(directions: &[Direction], sampler: &str) -> Result<Direction> {
    match directions {
        [direction] => Ok(*direction),
        _ => Err(Error::new(
            ErrorCode::Unsupported,
            format!("the sampler \"{sampler}\" knows one objective, not {}", directions.len()),
        )
        .at_key("tune.sampler.kind")
        .fix("take \"tpe\" or \"random\" for several objectives")),
    }
}

/// A random coordinate of one dimension.
fn random_value(dimension: &Dimension, rng: &mut impl Rng) -> serde_json::Value {
    dimension.domain.from_unit(uniform(rng))
}

/// An error about one setting of the sampler.
fn wrong_setting(key: &str, message: impl Into<String>) -> Error {
    Error::new(ErrorCode::Config, message).at_key(format!("tune.sampler.{key}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samplers_read_as_a_person_writes_them() {
        let read = |text: &str| toml::from_str::<Sampler>(text);
        assert_eq!(read("kind = \"tpe\"").unwrap(), Sampler::default());
        assert_eq!(read("kind = \"random\"").unwrap(), Sampler::Random {});
        assert_eq!(read("kind = \"grid\"\npoints = 3").unwrap(), Sampler::Grid(Grid { points: 3 }));
        assert_eq!(read("kind = \"cma_es\"").unwrap(), Sampler::CmaEs(CmaEs::default()));
        assert_eq!(read("kind = \"gaussian_process\"").unwrap(), Sampler::GaussianProcess(GaussianProcess::default()));
        assert!(read("kind = \"tpe\"\ncandidate = 3").unwrap_err().to_string().contains("candidate"));
        assert!(read("kind = \"random\"\npoints = 3").is_err());
        assert!(read("kind = \"tpe\"\ncandidates = 0").unwrap().validate().is_err());
    }

    #[test]
    fn the_first_trials_are_spread_evenly() {
        let space: Space =
            serde_json::from_str(r#"{ "a": { "low": 0.0, "high": 1.0 }, "b": { "choices": [0, 1, 2, 3, 4] } }"#)
                .unwrap();
        let points: Vec<Point> = (0..10).map(|number| spread_point(&space, 10, number, Seed(4)).unwrap()).collect();
        let mut tenths: Vec<u64> = points.iter().map(|point| (point["a"].as_f64().unwrap() * 10.0) as u64).collect();
        tenths.sort_unstable();
        assert_eq!(tenths, (0..10).collect::<Vec<_>>());
        for choice in 0..5 {
            assert_eq!(points.iter().filter(|point| point["b"] == choice).count(), 2);
        }
    }

    #[test]
    fn a_point_that_is_not_chosen_yet_may_be_in_the_history() {
        let space: Space = serde_json::from_str(r#"{ "a": { "low": 0.0, "high": 1.0 } }"#).unwrap();
        let own =
            Trial { number: 3, point: Point::new(), state: State::Running, values: Vec::new(), steps: Vec::new() };
        let with = Sampler::default().suggest(&space, &[Direction::Minimize], &[own], 3, Seed(1)).unwrap();
        let without = Sampler::default().suggest(&space, &[Direction::Minimize], &[], 3, Seed(1)).unwrap();
        assert_eq!(with, without);
    }
}
