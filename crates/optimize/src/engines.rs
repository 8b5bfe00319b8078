//! Which engine runs a model fastest on this machine. All are timed in turn, one run of each, so that what else the
//! machine does falls on all.

use crate::measure::race;
use lepton_core::{EngineChoice, EngineTime, Error, NamedTensors, Result};
use lepton_runtime::Session;

/// How many times faster than the preferred engine another one must be: below that it is noise.
const WORTH_A_CHANGE: f64 = 1.05;

/// A model, loaded on an engine.
pub struct Contender<'a> {
    /// The engine's name.
    pub engine: String,
    /// The version of its library.
    pub version: String,
    /// The model on it.
    pub session: &'a dyn Session,
}

/// The medians of all at one row and at eight (`one` and `eight` are the requests), in their order.
///
/// # Errors
/// [`lepton_core::ErrorCode::Config`] for no repeats; those of the sessions.
pub fn time_engines(
    repeats: usize,
    contenders: &[Contender<'_>],
    one: &NamedTensors,
    eight: &NamedTensors,
) -> Result<Vec<EngineTime>> {
    let sessions: Vec<&dyn Session> = contenders.iter().map(|contender| contender.session).collect();
    let (ones, eights) = (race(repeats, &sessions, one)?, race(repeats, &sessions, eight)?);
    let times = contenders.iter().zip(ones.into_iter().zip(eights));
    Ok(times
        .map(|(contender, (seconds_batch_1, seconds_batch_8))| EngineTime {
            engine: contender.engine.clone(),
            version: contender.version.clone(),
            seconds_batch_1,
            seconds_batch_8,
        })
        .collect())
}

/// The fastest of some engines, of which the first is preferred: by the geometric mean of the times of one row and of
/// eight, and only where it is 1.05 times as fast as the preferred one.
///
/// # Errors
/// [`lepton_core::ErrorCode::Internal`] without engines.
pub fn choose(measured: Vec<EngineTime>, processor: &str) -> Result<EngineChoice> {
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
    let reason = match others.as_slice() {
        [] => "the only engine that was asked for or found".to_owned(),
        others if chosen.engine == preferred.engine => {
            format!("{}; no other is {WORTH_A_CHANGE} times as fast: {}", figures(chosen), others.join(", "))
        }
        others => format!("{}, the fastest: {}", figures(chosen), others.join(", ")),
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
