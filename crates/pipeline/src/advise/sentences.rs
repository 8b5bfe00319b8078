//! One sentence for each candidate: why it is first, why not, why it was dropped; and quantities as sentences say them.

use super::choose::Choice;
use super::report::{CandidateFacts, Made, Standing};

/// What is said of the candidate at `place`, once everybody has a standing.
pub(super) fn of(all: &[CandidateFacts], place: usize, choice: &Choice, made: &Made<'_>) -> String {
    let (own, best) = (&all[place], &all[choice.best]);
    let metric = made.metric.name();
    match own.standing {
        Standing::First if place == choice.best => {
            let rivals = choice.gaps.iter().filter(|(other, _)| *other != place);
            let second = rivals.min_by(|left, right| left.1.behind.total_cmp(&right.1.behind));
            let lead = match second {
                None => "the only one that was run so far".to_owned(),
                Some((other, gap)) if gap.is_tie => {
                    let name = &all[*other].name;
                    format!("the best, and it takes less arithmetic than {name}, which is as good within noise")
                }
                Some((other, gap)) => {
                    format!("{} ahead of {}{}", amount(gap.behind), all[*other].name, noise(gap.noise))
                }
            };
            format!("first: {metric} {}, {lead}", score(own))
        }
        Standing::First => {
            let gap = gap(own);
            let cheaper = match (own.flops, best.flops) {
                (Some(own @ 1..), Some(best)) => format!("{} of the arithmetic", ratio(own, best)),
                _ => "less arithmetic".to_owned(),
            };
            format!(
                "first: {metric} {} is as good as {} ({}) within noise, and one row takes {cheaper}; {gap}",
                score(own),
                best.name,
                score(best)
            )
        }
        Standing::Tied if place == choice.best => {
            let first = &all[choice.place].name;
            format!("the best mean, {}, but {first} is as good within noise and takes less arithmetic", score(own))
        }
        Standing::Tied => {
            let first = &all[choice.place].name;
            format!("as good as {} within noise ({}), but {first} takes less arithmetic", best.name, gap(own))
        }
        Standing::Behind => match own.behind {
            Some(behind) if behind.abs() < 5e-5 => {
                format!("{metric} {} is that of {}, which is surer of its answers", score(own), best.name)
            }
            _ => format!("{metric} {}, {}", score(own), gap(own)),
        },
        _ => alone(own, metric),
    }
}

/// What is said of a candidate that is compared with none.
pub(super) fn alone(own: &CandidateFacts, metric: &str) -> String {
    let need = match &own.run_seconds {
        Some(run) => format!("; a full run would take about {}", seconds(run.value)),
        None => String::new(),
    };
    match (own.standing, own.pilots.last()) {
        (Standing::Excluded | Standing::Failed, _) => own.sentence.clone(),
        (_, None) => "not piloted: the time was up before its turn".to_owned(),
        (Standing::Unknown, Some(pilot)) => {
            format!("no score: not one epoch ended in {}{need}", seconds(pilot.seconds))
        }
        (_, Some(pilot)) => {
            let rung = pilot.rung;
            format!("dropped after rung {rung} of 3 at {metric} {}: there was no time to finish it{need}", score(own))
        }
    }
}

fn score(facts: &CandidateFacts) -> String {
    let Some(score) = facts.score else { return "unknown".to_owned() };
    match facts.spread {
        Some(spread) if spread > 0.0 => format!("{} ± {}", amount(score), amount(spread)),
        _ => amount(score),
    }
}

fn gap(facts: &CandidateFacts) -> String {
    let (behind, noise) = (facts.behind.unwrap_or(0.0), facts.noise.unwrap_or(0.0));
    let direction = if behind < 0.0 { "ahead" } else { "behind" };
    format!("{} {direction}{}", amount(behind.abs()), self::noise(noise))
}

fn noise(noise: f64) -> String {
    if noise > 0.0 { format!(" (noise {})", amount(noise)) } else { String::new() }
}

/// A score or a difference of two.
pub(super) fn amount(value: f64) -> String {
    match value.abs() {
        size if size >= 1000.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

/// A part of a whole: `a 17th`, `two thirds` are more words than `0.06`.
fn ratio(own: u64, best: u64) -> String {
    let times = best as f64 / own.max(1) as f64;
    if times >= 1.95 { format!("1/{times:.0}") } else { format!("{:.0} %", 100.0 / times.max(1e-9)) }
}

/// Wall time as a sentence says it.
pub(super) fn seconds(value: f64) -> String {
    match value {
        value if value < 1e-3 => format!("{:.1} us", value * 1e6),
        value if value < 1.0 => format!("{:.2} ms", value * 1e3),
        value if value < 100.0 => format!("{value:.1} s"),
        value => format!("{:.0} min", value / 60.0),
    }
}

/// A size as a sentence says it.
pub(super) fn bytes(value: u64) -> String {
    match value {
        0..1_000 => format!("{value} B"),
        1_000..1_000_000 => format!("{:.1} kB", value as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.0} MB", value as f64 / 1e6),
        _ => format!("{:.2} GB", value as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_read_well() {
        assert_eq!([0.000_012, 0.0042, 3.21, 240.0].map(seconds), ["12.0 us", "4.20 ms", "3.2 s", "4 min"]);
        assert_eq!([999, 64_000, 81_000_000, 2_500_000_000].map(bytes), ["999 B", "64.0 kB", "81 MB", "2.50 GB"]);
        assert_eq!([0.81234, 12.345, 4321.4].map(amount), ["0.8123", "12.35", "4321"]);
        assert_eq!((ratio(10, 170), ratio(10, 15)), ("1/17".to_owned(), "67 %".to_owned()));
    }
}
