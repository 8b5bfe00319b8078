//! Another number of samples per second: a windowed sinc (Kaiser, beta 5, ten zero crossings on each side) as
//! polyphase filter, the method of scipy's `resample_poly`. Written out, because a package must give the same bytes
//! whatever version of a library it meets later.

/// How many samples come out of `count`.
pub(super) fn length(count: usize, from: u32, to: u32) -> usize {
    let (up, down) = ratio(from, to);
    (count as u64 * up).div_ceil(down) as usize
}

/// Samples at the rate `from` as samples at the rate `to`.
pub fn resample(samples: &[f32], from: u32, to: u32) -> Vec<f32> {
    Resampler::new(from, to).apply(samples)
}

/// The filter from one rate to another.
pub(super) struct Resampler {
    up: i64,
    down: i64,
    half: i64,
    filter: Vec<f64>,
}

impl Resampler {
    pub(super) fn new(from: u32, to: u32) -> Resampler {
        let (up, down) = ratio(from, to);
        let most = up.max(down);
        let half = 10 * most as i64;
        let filter = if up == down { Vec::new() } else { low_pass(half, most, up) };
        Resampler { up: up as i64, down: down as i64, half, filter }
    }

    pub(super) fn apply(&self, samples: &[f32]) -> Vec<f32> {
        if self.up == self.down {
            return samples.to_vec();
        }
        let count = samples.len() as i64;
        (0..(count * self.up + self.down - 1) / self.down)
            .map(|place| {
                // In the grid of `up` times the samples, where sample i stands at i * up.
                let centre = place * self.down;
                let before = centre - self.half;
                let first = before.div_euclid(self.up) + i64::from(before.rem_euclid(self.up) > 0);
                let last = (centre + self.half).div_euclid(self.up).min(count - 1);
                let sum: f64 = (first.max(0)..=last)
                    .map(|source| {
                        let tap = centre - source * self.up + self.half;
                        self.filter[tap as usize] * f64::from(samples[source as usize])
                    })
                    .sum();
                sum as f32
            })
            .collect()
    }
}

/// By what the rate is multiplied and divided, without common factors.
fn ratio(from: u32, to: u32) -> (u64, u64) {
    let (mut one, mut other) = (from.max(1), to.max(1));
    while other > 0 {
        (one, other) = (other, one % other);
    }
    (u64::from(to.max(1) / one), u64::from(from.max(1) / one))
}

/// A sinc that cuts at half of the slower rate, through a Kaiser window; it sums to `up`.
fn low_pass(half: i64, most: u64, up: u64) -> Vec<f64> {
    const BETA: f64 = 5.0;
    let cutoff = 1.0 / most as f64;
    let raw: Vec<f64> = (-half..=half)
        .map(|place| {
            let angle = std::f64::consts::PI * cutoff * place as f64;
            let sinc = if place == 0 { cutoff } else { cutoff * angle.sin() / angle };
            let inside = 1.0 - (place as f64 / half as f64).powi(2);
            sinc * bessel(BETA * inside.max(0.0).sqrt()) / bessel(BETA)
        })
        .collect();
    let sum: f64 = raw.iter().sum();
    raw.into_iter().map(|tap| tap / sum * up as f64).collect()
}

/// The modified Bessel function of the first kind of order 0, by its power series.
fn bessel(x: f64) -> f64 {
    let (mut term, mut sum) = (1.0, 1.0);
    for k in 1..60 {
        term *= (x / 2.0 / f64::from(k)).powi(2);
        sum += term;
        if term < sum * f64::EPSILON / 4.0 {
            break;
        }
    }
    sum
}
