//! A column of free text: how long the texts are. What they say is not kept.

use crate::NumberSketch;
use serde::{Deserialize, Serialize};

/// The summary of a column of free text.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextSketch {
    /// Lengths in characters.
    pub characters: NumberSketch,
}

impl TextSketch {
    /// Adds a text, or a missing one.
    pub fn add(&mut self, text: Option<&str>) {
        self.characters.add(text.map(|text| text.chars().count() as f64));
    }

    /// Adds all that `other` has seen.
    pub fn merge(&mut self, other: &TextSketch) {
        self.characters.merge(&other.characters);
    }
}
