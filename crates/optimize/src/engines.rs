//! Which engine runs a model fastest on this machine. All are timed in turn, one run of each, so that what else the
//! machine does falls on all.

use crate::measure::race;
use lepton_core::{EngineChoice, EngineTime, Error, NamedTensors, Result};
use lepton_runtime::{Engine, Session};
use std::sync::Arc;

/// How many times faster than the preferred engine another one must be: below that it is noise.
const WORTH_A_CHANGE: f64 = 1.05;

/// A model, loaded on an engine.
pub struct Loaded {
    /// The engine.
    pub engine: Arc<dyn Engine>,
    /// The model on it.
    pub session: Arc<dyn Session>,
}

/// The fastest of some engines, each with the model that is loaded on it, by the medians at one row and at eight (`one` and
/// `eight` are the requests). The first is preferred: another one is taken only where it is 1.05 times as fast, by the
/// geometric mean of both. One alone is not timed.
///
/// # Errors
/// [`lepton_core::ErrorCode::Config`] for no repeats, [`lepton_core::ErrorCode::Internal`] without engines; those of the
/// sessions.
pub fn fastest_engine(
    repeats: usize,
    loaded: &[Loaded],
    one: &NamedTensors,
    eight: &NamedTensors,
    processor: &str,
) -> Result<EngineChoice> {
    if let [Loaded { engine: alone, .. }] = loaded {
        return Ok(EngineChoice {
            engine: alone.name().to_owned(),
            reason: "the only engine that was asked for or found".to_owned(),
            processor: processor.to_owned(),
            measured: Vec::new(),
        });
    }
    let sessions: Vec<&dyn Session> = loaded.iter().map(|one| &*one.session).collect();
    let (ones, eights) = (race(repeats, &sessions, one)?, race(repeats, &sessions, eight)?);
    let time = |(Loaded { engine, .. }, (seconds_batch_1, seconds_batch_8)): (&Loaded, (f64, f64))| EngineTime {
        engine: engine.name().to_owned(),
        version: engine.version(),
        seconds_batch_1,
        seconds_batch_8,
    };
    choose(loaded.iter().zip(ones.into_iter().zip(eights)).map(time).collect(), processor)
}

fn choose(measured: Vec<EngineTime>, processor: &str) -> Result<EngineChoice> {
    let time = |one: &EngineTime| (one.seconds_batch_1 * one.seconds_batch_8).sqrt();
    let fastest = measured.iter().min_by(|one, other| time(one).total_cmp(&time(other)));
    let (Some(preferred), Some(fastest)) = (measured.first(), fastest) else {
        return Err(Error::internal("no engine was timed"));
    };
    let ratio = time(preferred) / time(fastest);
    let chosen = if ratio >= WORTH_A_CHANGE { fastest } else { preferred };
    let figures = |one: &EngineTime| {
        let [one_row, eight_rows] = [one.seconds_batch_1, one.seconds_batch_8].map(|seconds| 1e6 * seconds);
        format!("{} {one_row:.1} us for one row and {eight_rows:.1} us for eight", one.engine)
    };
    let others = measured.iter().filter(|other| other.engine != chosen.engine).map(figures).collect::<Vec<_>>();
    let others = others.join(", ");
    let reason = if chosen.engine == preferred.engine {
        format!("{}; no other is {WORTH_A_CHANGE} times as fast: {others}", figures(chosen))
    } else {
        format!("{}, the fastest: {others}", figures(chosen))
    };
    Ok(EngineChoice { engine: chosen.engine.clone(), reason, processor: processor.to_owned(), measured })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(engine: &str, one: f64, eight: f64) -> EngineTime {
        let engine = engine.to_owned();
        EngineTime { engine, version: "1".to_owned(), seconds_batch_1: one * 1e-6, seconds_batch_8: eight * 1e-6 }
    }

    #[test]
    fn the_fastest_wins_and_the_preferred_one_keeps_what_is_noise() {
        let chosen = |times: Vec<EngineTime>| choose(times, "p").unwrap();
        let choice = chosen(vec![time("a", 30.0, 100.0), time("b", 31.0, 60.0), time("c", 90.0, 500.0)]);
        assert_eq!((choice.engine.as_str(), choice.processor.as_str()), ("b", "p"));
        assert_eq!(
            choice.reason,
            "b 31.0 us for one row and 60.0 us for eight, the fastest: a 30.0 us for one row and 100.0 us for eight, \
             c 90.0 us for one row and 500.0 us for eight"
        );
        let choice = chosen(vec![time("a", 30.0, 100.0), time("b", 29.5, 99.0)]);
        assert_eq!(choice.engine, "a");
        assert!(choice.reason.contains("no other is 1.05 times as fast"), "{}", choice.reason);
        assert_eq!(chosen(vec![time("a", 1.0, 1.0)]).engine, "a");
        assert!(choose(Vec::new(), "p").is_err());
    }
}
