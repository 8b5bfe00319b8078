//! Seeds. One number in `lepton.toml` fixes every random choice; each user of randomness derives its own
//! stream by name, so that adding one never shifts another.

use crate::Digest;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::rand_core::Rng;

    #[test]
    fn streams_differ_by_purpose_and_index_and_repeat_by_seed() {
        let draw = |seed: u64, purpose: &str, index: u64| Seed(seed).rng(purpose, &[index]).next_u64();
        assert_eq!(draw(7, "shuffle", 1), draw(7, "shuffle", 1));
        assert_ne!(draw(7, "shuffle", 1), draw(7, "shuffle", 2));
        assert_ne!(draw(7, "shuffle", 1), draw(7, "augment", 1));
        assert_ne!(draw(7, "shuffle", 1), draw(8, "shuffle", 1));
    }
}
