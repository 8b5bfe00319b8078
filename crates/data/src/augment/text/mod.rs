//! Changes to texts: words swapped, left out, inserted or replaced by synonyms of a given lexicon, typing mistakes,
//! and a command of the user's that says a text in other words. Nothing is downloaded and no lexicon is built in.

mod command;
mod lexicon;
mod typos;

pub use lexicon::Lexicon;

use super::draws::Draws;
use super::settings::AugmentSettings;
use super::steps::{Domain, Step};
use lepton_core::{Result, Seed};

/// Changes texts by the steps of [`AugmentSettings`] and a seed.
pub struct TextAugmenter {
    steps: Vec<(f64, TextStep)>,
    seed: Seed,
}

enum TextStep {
    Swap(f64),
    Delete(f64),
    Insert(f64, Lexicon),
    Synonyms(f64, Lexicon),
    Typos(f64),
    Command(Vec<String>),
}

impl TextAugmenter {
    /// Reads the lexicons that the steps name.
    ///
    /// # Errors
    /// What the settings are refused for, and a lexicon that cannot be read.
    pub fn new(settings: &AugmentSettings, seed: Seed) -> Result<TextAugmenter> {
        settings.check()?;
        settings.check_domain(Domain::Texts)?;
        let mut steps = Vec::new();
        for entry in &settings.steps {
            let step = match &entry.step {
                Step::SwapWords { amount } => TextStep::Swap(*amount),
                Step::DeleteWords { amount } => TextStep::Delete(*amount),
                Step::InsertWords { amount, lexicon } => TextStep::Insert(*amount, Lexicon::read(lexicon)?),
                Step::Synonyms { amount, lexicon } => TextStep::Synonyms(*amount, Lexicon::read(lexicon)?),
                Step::Typos { amount } => TextStep::Typos(*amount),
                Step::BackTranslate { command } => TextStep::Command(command.clone()),
                _ => continue,
            };
            steps.push((entry.chance(), step));
        }
        Ok(TextAugmenter { steps, seed })
    }

    /// The text that `row` is in `epoch`.
    ///
    /// # Errors
    /// What a command of the user's is refused for.
    pub fn text(&self, text: &str, row: u64, epoch: u64) -> Result<String> {
        let mut text = text.to_owned();
        for (index, (probability, step)) in self.steps.iter().enumerate() {
            let mut draws = Draws::new(self.seed, "augment step", &[row, epoch, index as u64]);
            if !draws.chance(*probability) {
                continue;
            }
            text = match step {
                TextStep::Swap(amount) => swap_words(&text, *amount, &mut draws),
                TextStep::Delete(amount) => delete_words(&text, *amount, &mut draws),
                TextStep::Insert(amount, lexicon) => lexicon.insert(&text, *amount, &mut draws),
                TextStep::Synonyms(amount, lexicon) => lexicon.replace(&text, *amount, &mut draws),
                TextStep::Typos(amount) => typos::typos(&text, *amount, &mut draws),
                TextStep::Command(command) => command::say_again(command, &text)?,
            };
        }
        Ok(text)
    }
}

/// How many of `count` things a share is: rounded, at least one where the share and the count are above 0.
fn how_many(amount: f64, count: usize) -> usize {
    if amount > 0.0 && count > 0 { ((amount * count as f64).round() as usize).clamp(1, count) } else { 0 }
}

/// Swaps neighbouring words, a share `amount` of them. White space becomes single spaces.
pub fn swap_words(text: &str, amount: f64, draws: &mut Draws) -> String {
    let mut words: Vec<&str> = text.split_whitespace().collect();
    if words.len() > 1 {
        for _ in 0..how_many(amount, words.len()) {
            let place = draws.below(words.len() - 1);
            words.swap(place, place + 1);
        }
    }
    words.join(" ")
}

/// Leaves out each word with probability `amount`; one always stays.
pub fn delete_words(text: &str, amount: f64, draws: &mut Draws) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let left: Vec<&str> = words.iter().copied().filter(|_| !draws.chance(amount)).collect();
    if left.is_empty() && !words.is_empty() { words[draws.below(words.len())].to_owned() } else { left.join(" ") }
}

#[cfg(test)]
mod tests;
