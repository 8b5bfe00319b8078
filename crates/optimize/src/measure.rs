//! Times two versions of a model on this machine, side by side: one run of each in turn, so that what else the
//! machine does falls on both.

use crate::OptimizeSettings;
use lepton_core::{Error, ErrorCode, Measurement, Metrics, NamedTensors, Result};
use lepton_runtime::Session;
use std::time::{Duration, Instant};

/// Untimed runs first: caches, thread pools and lazy packing.
const WARM_UP: usize = 5;
/// After this long the repeats end, so that a large model does not hold up the pipeline.
const PATIENCE: Duration = Duration::from_secs(20);
/// But so many pairs are timed in any case.
const LEAST: usize = 5;

/// One version of the model.
pub struct Candidate<'a> {
    /// It, loaded on the engine that will serve.
    pub session: &'a dyn Session,
    /// Length of its file.
    pub bytes: u64,
    /// Its metrics on the split that decides.
    pub metrics: Metrics,
}

/// Times both at one row and at eight (`one` and `eight` are the requests) and gives the medians.
///
/// # Errors
/// Those of [`OptimizeSettings::validate`] and of the sessions.
pub fn measure(
    settings: &OptimizeSettings,
    float32: Candidate<'_>,
    int8: Candidate<'_>,
    one: &NamedTensors,
    eight: &NamedTensors,
) -> Result<(Measurement, Measurement)> {
    settings.validate()?;
    let sessions = [float32.session, int8.session];
    let [ones, eights] = [one, eight].map(|request| race(settings.repeats, &sessions, request));
    let (&[float_one, int_one], &[float_eight, int_eight]) = (ones?.as_slice(), eights?.as_slice()) else {
        return Err(Error::internal("two sessions were not timed as two"));
    };
    let made = |candidate: Candidate<'_>, seconds_batch_1, seconds_batch_8| Measurement {
        bytes: candidate.bytes,
        seconds_batch_1,
        seconds_batch_8,
        metrics: candidate.metrics,
    };
    Ok((made(float32, float_one, float_eight), made(int8, int_one, int_eight)))
}

/// Median seconds of each.
pub(crate) fn race(repeats: usize, sessions: &[&dyn Session], request: &NamedTensors) -> Result<Vec<f64>> {
    for _ in 0..WARM_UP {
        for session in sessions {
            session.run(request)?;
        }
    }
    let began = Instant::now();
    let mut times = vec![Vec::with_capacity(repeats); sessions.len()];
    for round in 0..repeats {
        if round >= LEAST && began.elapsed() > PATIENCE {
            break;
        }
        // Who goes first changes, so that nobody always finds the data of another one in the caches.
        for turn in 0..sessions.len() {
            let place = (round + turn) % sessions.len();
            times[place].push(time(sessions[place], request)?);
        }
    }
    times.into_iter().map(median).collect()
}

fn time(session: &dyn Session, request: &NamedTensors) -> Result<f64> {
    let started = Instant::now();
    session.run(request)?;
    Ok(started.elapsed().as_secs_f64())
}

/// The middle value, or the mean of the two middle ones.
fn median(mut values: Vec<f64>) -> Result<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.get(middle), middle.checked_sub(1).and_then(|before| values.get(before))) {
        (Some(upper), Some(lower)) if values.len().is_multiple_of(2) => Ok((upper + lower) / 2.0),
        (Some(upper), _) => Ok(*upper),
        (None, _) => Err(Error::new(ErrorCode::Config, "must be at least 1").at_key("optimize.repeats")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]).unwrap(), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]).unwrap(), 2.5);
        assert!(median(vec![]).is_err());
    }

    struct Sleeper(Duration);

    impl Session for Sleeper {
        fn run(&self, _: &NamedTensors) -> Result<NamedTensors> {
            std::thread::sleep(self.0);
            Ok(Vec::new())
        }
    }

    #[test]
    fn each_version_gets_its_own_time() {
        let (slow, fast) = (Sleeper(Duration::from_millis(8)), Sleeper(Duration::from_millis(2)));
        let candidate =
            |session, bytes| Candidate { session, bytes, metrics: Metrics::from([("accuracy".to_owned(), 0.5)]) };
        let settings = OptimizeSettings { repeats: 5, ..OptimizeSettings::default() };
        let (left, right) =
            measure(&settings, candidate(&slow, 400), candidate(&fast, 100), &Vec::new(), &Vec::new()).unwrap();
        assert_eq!((left.bytes, right.bytes), (400, 100));
        for (slow, fast) in
            [(left.seconds_batch_1, right.seconds_batch_1), (left.seconds_batch_8, right.seconds_batch_8)]
        {
            assert!(slow >= 0.008 && fast >= 0.002 && slow > fast, "{slow} {fast}");
        }
    }
}
