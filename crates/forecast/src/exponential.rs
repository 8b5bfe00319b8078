//! Exponential smoothing in the forms of Holt and Winters, with additive errors: a level, a trend that may be damped, and
//! a season that is added or multiplied (Hyndman, Koehler, Ord and Snyder, "Forecasting with Exponential Smoothing",
//! 2008). Parameters and the first state minimise the squared errors of one step; the search begins at their heuristic
//! first state (section 2.6.1), as statsmodels computes it.

use crate::least_squares::descend;
use crate::nelder_mead::minimise;

/// Values that the first level and trend are a line through.
const FIRST: usize = 10;

/// How far from 0 and 1 smoothing parameters stay.
const EDGE: f64 = 1e-4;

/// How far a number is moved, as a part of what it is about, to see what it does to the errors.
const CHANGE: f64 = 1e-4;

/// How far from even a parameter's point lies at most where its fit begins: a smoothing of 0.007 and of 0.993.
const STEEP: f64 = 5.0;

/// The range of the damping parameter, statsmodels': weaker damping is no damping, stronger ends the trend at once.
const DAMPING: [f64; 2] = [0.8, 0.995];

/// Whether there is a trend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trend {
    /// None: simple smoothing.
    None,
    /// A straight line (Holt).
    Additive,
    /// A line that becomes level (Gardner and McKenzie 1985).
    Damped,
}

/// What the season does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cycle {
    /// There is none.
    None,
    /// It is added to level and trend.
    Additive,
    /// Level and trend are multiplied by it; for values above 0.
    Multiplicative,
}

/// A form of smoothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// The trend.
    pub trend: Trend,
    /// The season.
    pub cycle: Cycle,
}

/// How fast each part follows the data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameters {
    /// Of the level, 0 to 1.
    pub level: f64,
    /// Of the trend, 0 to 1; the share of the newest change of the level.
    pub trend: f64,
    /// Of the season, 0 to 1.
    pub season: f64,
    /// What is left of the trend after each step, up to 1.
    pub damping: f64,
}

/// Where smoothing stands.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// The level.
    pub level: f64,
    /// The trend of one step; 0 where there is none.
    pub trend: f64,
    /// The season's parts, that of the next value first; empty where there is none.
    pub season: Vec<f64>,
}

/// A series that was smoothed to its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Smoothing {
    /// The form.
    pub form: Form,
    /// The parameters.
    pub parameters: Parameters,
    /// The state after the last value.
    pub state: State,
    /// The sum of the squared errors of one step.
    pub squared_errors: f64,
    /// How many values there were.
    pub values: usize,
}

impl Form {
    /// Every form for series with a season of that length; without one where it is below 2.
    pub fn all(season: usize) -> Vec<Form> {
        let cycles: &[Cycle] =
            if season > 1 { &[Cycle::None, Cycle::Additive, Cycle::Multiplicative] } else { &[Cycle::None] };
        let trends = [Trend::None, Trend::Additive, Trend::Damped];
        cycles.iter().flat_map(|&cycle| trends.map(|trend| Form { trend, cycle })).collect()
    }

    /// Numbers that are fitted: parameters, the first state, and the variance.
    fn degrees(self, season: usize) -> usize {
        let trend = match self.trend {
            Trend::None => 0,
            Trend::Additive => 2,
            Trend::Damped => 3,
        };
        3 + trend + if self.cycle == Cycle::None { 0 } else { 1 + season }
    }

    /// The first state of `values`; `None` where they are too few, or not above 0 and multiplied.
    pub fn first_state(self, values: &[f64], season: usize) -> Option<State> {
        if self.cycle == Cycle::None {
            let (level, trend) = line(values.get(..FIRST.min(values.len()))?)?;
            let trend = if self.trend == Trend::None { 0.0 } else { trend };
            return Some(State { level, trend, season: Vec::new() });
        }
        if season < 2 || (self.cycle == Cycle::Multiplicative && values.iter().any(|value| *value <= 0.0)) {
            return None;
        }
        // Enough whole seasons that ten means over a season come of them.
        let least = FIRST + 2 * (season / 2);
        let cycles = (values.len() / season).min(5).max(least.div_ceil(season));
        let start = values.get(..values.len().min(cycles * season)).filter(|start| start.len() >= least)?;
        let smooth = means_over_a_season(start, season);
        let offset = season / 2;
        let (mut sums, mut counts) = (vec![0.0; season], vec![0.0; season]);
        for (place, mean) in smooth.iter().enumerate() {
            let (place, value) = (place + offset, start[place + offset]);
            sums[place % season] += if self.cycle == Cycle::Additive { value - mean } else { value / mean };
            counts[place % season] += 1.0;
        }
        let mut parts: Vec<f64> = sums.iter().zip(&counts).map(|(sum, count)| sum / count).collect();
        let mean = parts.iter().sum::<f64>() / season as f64;
        match self.cycle {
            Cycle::Multiplicative => parts.iter_mut().for_each(|part| *part /= mean),
            _ => parts.iter_mut().for_each(|part| *part -= mean),
        }
        let (level, trend) = line(smooth.get(..FIRST)?)?;
        let usable = level.is_finite() && parts.iter().all(|part| part.is_finite());
        let trend = if self.trend == Trend::None { 0.0 } else { trend };
        usable.then_some(State { level, trend, season: parts })
    }
}

impl Smoothing {
    /// Runs over `values` from `state` on.
    pub fn run(form: Form, parameters: Parameters, state: State, values: &[f64]) -> Smoothing {
        Smoothing::run_with(form, parameters, state, values, |_| ())
    }

    /// As [`Smoothing::run`], telling each error of one step.
    pub(crate) fn run_with(
        form: Form,
        parameters: Parameters,
        mut state: State,
        values: &[f64],
        mut tell: impl FnMut(f64),
    ) -> Smoothing {
        let Parameters { level: alpha, trend: beta, season: gamma, damping } = parameters;
        let damping = if form.trend == Trend::Damped { damping } else { 1.0 };
        let mut squared_errors = 0.0;
        let mut place = 0;
        for &value in values {
            let base = state.level + damping * state.trend;
            let part = state.season.get(place).copied();
            let (expected, level, new_part) = match (form.cycle, part) {
                (Cycle::Additive, Some(part)) => {
                    (base + part, value - part, Some(gamma * (value - base) + (1.0 - gamma) * part))
                }
                (Cycle::Multiplicative, Some(part)) => {
                    (base * part, value / part, Some(gamma * value / base + (1.0 - gamma) * part))
                }
                _ => (base, value, None),
            };
            squared_errors += (value - expected).powi(2);
            tell(value - expected);
            let before = state.level;
            state.level = alpha * level + (1.0 - alpha) * base;
            if form.trend != Trend::None {
                state.trend = beta * (state.level - before) + (1.0 - beta) * damping * state.trend;
            }
            if let Some(part) = new_part {
                state.season[place] = part;
                place = (place + 1) % state.season.len();
            }
        }
        state.season.rotate_left(place);
        Smoothing { form, parameters, state, squared_errors, values: values.len() }
    }

    /// The form with the parameters and the first state that make the squared errors of one step smallest; `None` where
    /// the form does not fit the values.
    pub fn fit(form: Form, values: &[f64], season: usize) -> Option<Smoothing> {
        let first = form.first_state(values, season)?;
        let free = 1
            + usize::from(form.trend != Trend::None)
            + usize::from(form.trend == Trend::Damped)
            + usize::from(form.cycle != Cycle::None);
        let run = |point: &[f64], state: State| Smoothing::run(form, parameters_at(form, point), state, values);
        let errors = |point: &[f64]| {
            let mut errors = Vec::with_capacity(values.len());
            let (parameters, state) = (parameters_at(form, &point[..free]), state_at(form, &point[free..]));
            Smoothing::run_with(form, parameters, state, values, |error| errors.push(error));
            errors
        };
        let state = numbers_of(form, &first);
        let changes: Vec<f64> = [CHANGE].repeat(free).into_iter().chain(changes_of(form, &state)).collect();
        // The errors have more than one valley: from slow and from fast smoothing, of the level alone and of all, with
        // the parameters that are best for the heuristic state and with none that are.
        let starts = [(-1.0, -2.0), (1.5, -2.0), (2.0, 1.0)].map(|(level, others)| {
            let mut raw = vec![others; free];
            raw[0] = level;
            let (mut best, _) = minimise(|point| run(point, first.clone()).squared_errors, &raw, 1.0);
            // Where smoothing is as good as off or as good as all, nothing would slope.
            best.iter_mut().for_each(|at| *at = at.clamp(-STEEP, STEEP));
            [best, raw].map(|start| descend(errors, [start.as_slice(), &state].concat(), &changes))
        });
        let best = starts.into_iter().flatten().min_by(|one, other| one.1.total_cmp(&other.1))?;
        let fitted = run(&best.0[..free], state_at(form, &best.0[free..]));
        fitted.squared_errors.is_finite().then_some(fitted)
    }

    /// The form of all that fit with the smallest corrected information criterion of Akaike (Hurvich and Tsai 1989);
    /// `None` for values too few for any.
    pub fn best(values: &[f64], season: usize) -> Option<Smoothing> {
        let fits = Form::all(season).into_iter().filter_map(|form| Smoothing::fit(form, values, season));
        let judged = fits.filter_map(|fit| Some((fit.criterion(season)?, fit)));
        judged.min_by(|one, other| one.0.total_cmp(&other.0)).map(|(_, fit)| fit)
    }

    /// `horizon` steps ahead.
    pub fn forecast(&self, horizon: usize) -> Vec<f64> {
        let damping = if self.form.trend == Trend::Damped { self.parameters.damping } else { 1.0 };
        let (mut kept, mut line) = (1.0, self.state.level);
        let parts = self.state.season.len().max(1);
        (0..horizon)
            .map(|step| {
                kept *= damping;
                line += kept * self.state.trend;
                match (self.form.cycle, self.state.season.get(step % parts)) {
                    (Cycle::Additive, Some(part)) => line + part,
                    (Cycle::Multiplicative, Some(part)) => line * part,
                    _ => line,
                }
            })
            .collect()
    }

    /// Akaike's corrected criterion; `None` where there are too few values for the form.
    fn criterion(&self, season: usize) -> Option<f64> {
        let (n, k) = (self.values as f64, self.form.degrees(season) as f64);
        let left = n - k - 1.0;
        // Errors of exactly 0 would make every comparison infinite.
        let mean = (self.squared_errors / n).max(f64::MIN_POSITIVE);
        (left > 0.0).then(|| n * mean.ln() + 2.0 * k + 2.0 * k * (k + 1.0) / left)
    }
}

/// From a point without bounds to parameters within theirs.
fn parameters_at(form: Form, point: &[f64]) -> Parameters {
    let within = |at: f64, [low, high]: [f64; 2]| low + (high - low) / (1.0 + (-at).exp());
    let share = [EDGE, 1.0 - EDGE];
    let mut rest = point.iter().copied();
    let mut next = |range| rest.next().map_or(0.0, |at| within(at, range));
    Parameters {
        level: next(share),
        trend: if form.trend == Trend::None { 0.0 } else { next(share) },
        season: if form.cycle == Cycle::None { 0.0 } else { next(share) },
        damping: if form.trend == Trend::Damped { next(DAMPING) } else { 1.0 },
    }
}

/// The numbers of a state that are fitted: the level, the trend where there is one, the season.
fn numbers_of(form: Form, state: &State) -> Vec<f64> {
    let trend = (form.trend != Trend::None).then_some(state.trend);
    [state.level].into_iter().chain(trend).chain(state.season.iter().copied()).collect()
}

/// The state of [`numbers_of`].
fn state_at(form: Form, numbers: &[f64]) -> State {
    let mut rest = numbers.iter().copied();
    let level = rest.next().unwrap_or_default();
    let trend = if form.trend == Trend::None { 0.0 } else { rest.next().unwrap_or_default() };
    State { level, trend, season: rest.collect() }
}

/// How far each number of a state is moved to see what it does: a little of the level, or of 1 for what multiplies.
fn changes_of(form: Form, numbers: &[f64]) -> Vec<f64> {
    let of_level = CHANGE * numbers[0].abs().max(1e-3);
    let before_season = 1 + usize::from(form.trend != Trend::None);
    let of_season = if form.cycle == Cycle::Multiplicative { CHANGE } else { of_level };
    (0..numbers.len()).map(|place| if place < before_season { of_level } else { of_season }).collect()
}

/// Level and slope of the least-squares line, at place 0 where the first value stands at place 1.
fn line(values: &[f64]) -> Option<(f64, f64)> {
    let n = values.len() as f64;
    if values.is_empty() {
        return None;
    }
    let (x, y) = ((n + 1.0) / 2.0, values.iter().sum::<f64>() / n);
    let spread: f64 = (1..=values.len()).map(|place| (place as f64 - x).powi(2)).sum();
    let together: f64 = values.iter().zip(1..).map(|(value, place)| (f64::from(place) - x) * (value - y)).sum();
    let slope = if spread > 0.0 { together / spread } else { 0.0 };
    Some((y - slope * x, slope))
}

/// Means over a season around each value that has one; an even season takes the mean of two neighbouring ones. The first
/// belongs to the value at place `season / 2`.
fn means_over_a_season(values: &[f64], season: usize) -> Vec<f64> {
    let means: Vec<f64> = values.windows(season).map(|all| all.iter().sum::<f64>() / season as f64).collect();
    if season % 2 == 1 { means } else { means.windows(2).map(|pair| (pair[0] + pair[1]) / 2.0).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_with_a_season_is_gone_on_with() {
        let value = |at: usize| 10.0 + 0.5 * at as f64 + [3.0, -1.0, -2.0][at % 3];
        let values: Vec<f64> = (0..36).map(value).collect();
        let ahead = Smoothing::best(&values, 3).unwrap().forecast(6);
        for (step, forecast) in ahead.iter().enumerate() {
            assert!((forecast - value(36 + step)).abs() < 1e-2, "{step}: {forecast}");
        }
    }

    #[test]
    fn what_a_form_cannot_take_is_left_out() {
        let below = Form { trend: Trend::None, cycle: Cycle::Multiplicative };
        let values: Vec<f64> = (0..40).map(|at| f64::from(at % 4) - 1.0).collect();
        assert!(Smoothing::fit(below, &values, 4).is_none());
        assert!(Smoothing::best(&values, 4).is_some());
        assert!(Smoothing::best(&[], 4).is_none() && Smoothing::best(&[1.0, 2.0], 1).is_none());
        assert_eq!(Form::all(1).len(), 3);
        // A constant is forecast as itself.
        assert_eq!(Smoothing::best(&[5.0; 30], 1).unwrap().forecast(2), [5.0, 5.0]);
    }

    #[test]
    fn a_damped_trend_becomes_level() {
        let form = Form { trend: Trend::Damped, cycle: Cycle::None };
        let parameters = Parameters { level: 0.5, trend: 0.1, season: 0.0, damping: 0.5 };
        let state = State { level: 1.0, trend: 2.0, season: Vec::new() };
        let ahead = Smoothing::run(form, parameters, state, &[]).forecast(3);
        assert_eq!(ahead, [2.0, 2.5, 2.75]);
    }
}
