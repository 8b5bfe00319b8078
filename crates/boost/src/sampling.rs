//! Drawing rows and columns without replacement.

use rand_chacha::rand_core::Rng;

/// `count` of the numbers below `total`, each set of them equally likely, in ascending order (selection sampling,
/// Knuth, The Art of Computer Programming 2, 3.4.2, algorithm S). All of them where `count` is `total` or more.
pub(crate) fn choose(count: usize, total: usize, rng: &mut impl Rng) -> Vec<u32> {
    if count >= total {
        return (0..total as u32).collect();
    }
    let mut chosen = Vec::with_capacity(count);
    for number in 0..total {
        let wanted = (count - chosen.len()) as f64;
        if unit(rng) * ((total - number) as f64) < wanted {
            chosen.push(number as u32);
        }
    }
    chosen
}

/// How many `share` of `total` are: at least one.
pub(crate) fn part(share: f64, total: usize) -> usize {
    ((share * total as f64).round() as usize).clamp(1, total.max(1))
}

/// A number from 0 up to, but not including, 1.
fn unit(rng: &mut impl Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use lepton_core::Seed;

    #[test]
    fn a_draw_has_its_size_and_no_number_twice() {
        for count in [1, 3, 50, 99, 100, 200] {
            let drawn = choose(count, 100, &mut Seed(count as u64).rng("test", &[]));
            assert_eq!(drawn.len(), count.min(100));
            assert!(drawn.windows(2).all(|pair| pair[0] < pair[1]) && drawn.iter().all(|&number| number < 100));
        }
    }

    #[test]
    fn every_number_is_drawn_about_equally_often() {
        let mut counts = [0; 10];
        for index in 0..2000 {
            for number in choose(3, 10, &mut Seed(1).rng("test", &[index])) {
                counts[number as usize] += 1;
            }
        }
        assert!(counts.iter().all(|&count| (500..700).contains(&count)), "{counts:?}");
    }

    #[test]
    fn a_part_is_never_empty() {
        assert_eq!((part(0.001, 10), part(0.5, 10), part(1.0, 10)), (1, 5, 10));
    }
}
