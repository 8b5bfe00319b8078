//! Seeds. One number in `lepton.toml` fixes every random choice; each user of randomness derives its own
//! stream by name, so that adding one never shifts another.

use crate::Digest;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

/// The seed of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seed(pub u64);

impl Seed {
    /// The generator for one purpose, for example `rng("shuffle", &[epoch])`. The stream depends on the seed,
    /// the purpose and the indices only: not on the machine, the thread or the version of a library.
    pub fn rng(self, purpose: &str, indices: &[u64]) -> ChaCha8Rng {
        let mut key = purpose.as_bytes().to_vec();
        key.push(0);
        key.extend(self.0.to_le_bytes());
        for index in indices {
            key.extend(index.to_le_bytes());
        }
        ChaCha8Rng::from_seed(*Digest::of(key).as_bytes())
    }

    /// Puts `items` into a random order (Fisher and Yates), which depends on what [`Seed::rng`] depends on and on how
    /// many there are. Written out, so that an order never changes with a library's version; the multiplication maps 64
    /// random bits to a range with a bias below 2^-32 for all that fits in memory.
    pub fn shuffle<T>(self, purpose: &str, indices: &[u64], items: &mut [T]) {
        let mut rng = self.rng(purpose, indices);
        for last in (1..items.len()).rev() {
            let pick = (u128::from(rng.next_u64()) * (last as u128 + 1)) >> 64;
            items.swap(last, pick as usize);
        }
    }

    /// The numbers below `count` in a random order: [`Seed::shuffle`].
    pub fn permutation(self, purpose: &str, indices: &[u64], count: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..count).collect();
        self.shuffle(purpose, indices, &mut order);
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_differ_by_purpose_and_index_and_repeat_by_seed() {
        let draw = |seed: u64, purpose: &str, index: u64| Seed(seed).rng(purpose, &[index]).next_u64();
        assert_eq!(draw(7, "shuffle", 1), draw(7, "shuffle", 1));
        assert_ne!(draw(7, "shuffle", 1), draw(7, "shuffle", 2));
        assert_ne!(draw(7, "shuffle", 1), draw(7, "augment", 1));
        assert_ne!(draw(7, "shuffle", 1), draw(8, "shuffle", 1));
    }

    #[test]
    fn an_order_holds_each_number_once_and_repeats_by_seed() {
        let order = Seed(3).permutation("test", &[], 50);
        assert_eq!(order, Seed(3).permutation("test", &[], 50));
        assert_ne!(order, Seed(4).permutation("test", &[], 50));
        let mut sorted = order;
        sorted.sort_unstable();
        assert_eq!(sorted, (0..50).collect::<Vec<_>>());
        assert!(Seed(3).permutation("test", &[], 0).is_empty());
    }
}
