//! How fast training goes, how long it still takes, and when it is time to say or save something.
//!
//! Nothing here reads a clock: the caller passes seconds of a monotonic one.

/// Lets something happen at most once in an interval.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Interval {
    seconds: f64,
    last: f64,
}

impl Interval {
    /// Due `seconds` after `now` for the first time.
    pub(crate) fn new(seconds: f64, now: f64) -> Interval {
        Interval { seconds, last: now }
    }

    /// Whether it is due; starts the next interval when it is.
    pub(crate) fn due(&mut self, now: f64) -> bool {
        let due = self.is_due(now);
        if due {
            self.last = now;
        }
        due
    }

    /// Whether it is due, and nothing else.
    pub(crate) fn is_due(&self, now: f64) -> bool {
        now - self.last >= self.seconds
    }

    /// Starts the next interval.
    pub(crate) fn restart(&mut self, now: f64) {
        self.last = now;
    }
}

/// Counts rows and the seconds spent on them. Time between [`Speed::pause`] and [`Speed::start`]
/// (validation, checkpoints) does not count.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Speed {
    rows: u64,
    seconds: f64,
    running_since: Option<f64>,
}

impl Speed {
    /// Training goes on.
    pub(crate) fn start(&mut self, now: f64) {
        self.running_since = Some(now);
    }

    /// Training rests.
    pub(crate) fn pause(&mut self, now: f64) {
        if let Some(since) = self.running_since.take() {
            self.seconds += (now - since).max(0.0);
        }
    }

    /// `rows` more rows were trained on.
    pub(crate) fn add(&mut self, rows: usize) {
        self.rows += rows as u64;
    }

    /// Seconds spent so far.
    pub(crate) fn seconds(&self, now: f64) -> f64 {
        self.seconds + self.running_since.map_or(0.0, |since| (now - since).max(0.0))
    }

    /// Rows per second so far; 0 before the first.
    pub(crate) fn rows_per_second(&self, now: f64) -> f64 {
        let seconds = self.seconds(now);
        if seconds > 0.0 { self.rows as f64 / seconds } else { 0.0 }
    }

    /// Seconds that `rows_left` rows take at this speed; 0 while nothing is known.
    pub(crate) fn seconds_left(&self, rows_left: u64, now: f64) -> f64 {
        let speed = self.rows_per_second(now);
        if speed > 0.0 { rows_left as f64 / speed } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_due_at_most_once_in_its_time() {
        let mut interval = Interval::new(0.1, 0.0);
        let due: Vec<_> = [0.05, 0.1, 0.15, 0.21, 0.5].into_iter().map(|now| interval.due(now)).collect();
        assert_eq!(due, [false, true, false, true, true]);
    }

    #[test]
    fn rests_do_not_count() {
        let mut speed = Speed::default();
        assert_eq!(speed.rows_per_second(5.0), 0.0);
        assert_eq!(speed.seconds_left(100, 5.0), 0.0);
        speed.start(10.0);
        speed.add(300);
        speed.pause(12.0);
        assert_eq!(speed.rows_per_second(100.0), 150.0);
        speed.start(100.0);
        speed.add(300);
        assert_eq!(speed.rows_per_second(102.0), 150.0);
        assert_eq!(speed.seconds_left(75, 102.0), 0.5);
    }
}
