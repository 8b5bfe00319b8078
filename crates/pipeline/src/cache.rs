//! Keys of the stage cache. A key is the hash of everything that a stage's result depends on, so an
//! unchanged stage is not run again and a changed one always is.

use crate::Stage;
use lepton_core::{Digest, Result};
use serde::Serialize;

/// Raised whenever a stage computes or records something differently, so that results of an older layout are
/// made again.
pub(crate) const LAYOUT: u32 = 7;

#[derive(Serialize)]
struct Key<'a, S, I> {
    layout: u32,
    lepton: &'a str,
    stage: Stage,
    settings: S,
    inputs: I,
}

/// The key of a stage over its settings and inputs.
pub(crate) fn key(stage: Stage, settings: impl Serialize, inputs: impl Serialize) -> Result<Digest> {
    Digest::of_json(&Key { layout: LAYOUT, lepton: env!("CARGO_PKG_VERSION"), stage, settings, inputs })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_changes_with_stage_settings_and_inputs() {
        let base = key(Stage::Train, 1, "a").unwrap();
        assert_eq!(base, key(Stage::Train, 1, "a").unwrap());
        for other in [key(Stage::Deploy, 1, "a"), key(Stage::Train, 2, "a"), key(Stage::Train, 1, "b")] {
            assert_ne!(base, other.unwrap());
        }
    }
}
