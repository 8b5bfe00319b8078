//! Words come from the text or the lexicon, amounts are kept, and what a program does wrong is said.

use super::*;
use crate::augment::StepSettings;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn draws(seed: u64) -> Draws {
    Draws::new(Seed(seed), "test", &[])
}

fn counts(text: &str) -> BTreeMap<&str, usize> {
    text.split_whitespace().fold(BTreeMap::new(), |mut counts, word| {
        *counts.entry(word).or_default() += 1;
        counts
    })
}

const TEXT: &str = "The quick brown fox jumps over the lazy dog, and the small car waits";

proptest! {
    #[test]
    fn swapping_keeps_every_word(seed: u64, amount in 0.0f64..1.0) {
        let swapped = swap_words(TEXT, amount, &mut draws(seed));
        prop_assert_eq!(counts(&swapped), counts(TEXT));
    }

    #[test]
    fn deleting_keeps_order_and_at_least_one_word(seed: u64, amount in 0.0f64..=1.0) {
        let left = delete_words(TEXT, amount, &mut draws(seed));
        let mut words = TEXT.split_whitespace();
        prop_assert!(!left.is_empty());
        prop_assert!(left.split_whitespace().all(|word| words.any(|other| other == word)), "{}", left);
    }

    #[test]
    fn any_text_comes_through(text: String, seed: u64) {
        let _ = (swap_words(&text, 0.5, &mut draws(seed)), delete_words(&text, 0.5, &mut draws(seed)));
        let typed = typos::typos(&text, 0.0, &mut draws(seed));
        prop_assert_eq!(typed, text);
    }
}

#[test]
fn synonyms_keep_capitals_and_punctuation() {
    let lexicon = Lexicon::parse("quick, fast  # speed\nsmall, little\ndog, hound\n").unwrap();
    let replaced = lexicon.replace("Quick! The (small) dog, too", 1.0, &mut draws(1));
    assert_eq!(replaced, "Fast! The (little) hound, too");
    let longer = lexicon.insert("Quick dog, too", 0.4, &mut draws(1));
    let new: Vec<&str> = longer.split_whitespace().filter(|word| !"Quick dog, too".contains(word)).collect();
    assert!(new.len() == 1 && ["fast", "hound"].contains(&new[0]), "{longer}");
    assert_eq!(lexicon.replace("nothing known", 1.0, &mut draws(1)), "nothing known");
}

#[test]
fn a_lexicon_with_a_lone_word_is_refused_by_its_line() {
    let error = Lexicon::parse("quick, fast\n# a comment\nalone\n").unwrap_err();
    assert_eq!(error.place().row, Some(3));
    assert!(Lexicon::parse("# nothing\n").is_err());
    assert!(Lexicon::read(std::path::Path::new("no-such-lexicon.txt")).is_err());
}

#[test]
fn about_as_many_letters_are_mistyped_as_asked_for() {
    let text = "a".repeat(100_000);
    let typed = typos::typos(&text, 0.1, &mut draws(3));
    let wrong = typed.chars().filter(|&letter| letter != 'a').count();
    // A quarter of the mistakes hit a neighbouring key.
    assert!((2250..2600).contains(&wrong), "{wrong}");
    assert!(typed.chars().all(|letter| "aqwsz".contains(letter)), "only neighbours of a");
}

fn by_command(command: &[&str]) -> Result<String> {
    let command = command.iter().map(|word| (*word).to_owned()).collect();
    let steps = vec![StepSettings::new(Step::BackTranslate { command }, 1.0)];
    TextAugmenter::new(&AugmentSettings { steps, ..AugmentSettings::default() }, Seed(1))?.text("hello there", 0, 0)
}

#[test]
fn a_command_says_a_text_in_other_words_and_its_mistakes_are_named() {
    assert_eq!(by_command(&["tr", "a-z", "A-Z"]).unwrap(), "HELLO THERE");
    assert!(by_command(&["no-such-translator"]).unwrap_err().message().contains("cannot start no-such-translator"));
    assert!(by_command(&["false"]).unwrap_err().message().contains("false: ended with"));
    assert!(by_command(&["true"]).unwrap_err().message().contains("wrote nothing"));
}

#[test]
fn seed_row_and_epoch_decide_the_text() {
    let steps = vec![
        StepSettings::new(Step::SwapWords { amount: 0.3 }, 1.0),
        StepSettings::new(Step::DeleteWords { amount: 0.2 }, 1.0),
        StepSettings::new(Step::Typos { amount: 0.1 }, 1.0),
    ];
    let settings = AugmentSettings { steps, ..AugmentSettings::default() };
    let at = |seed, row, epoch| TextAugmenter::new(&settings, Seed(seed)).unwrap().text(TEXT, row, epoch).unwrap();
    assert_eq!(at(1, 2, 3), at(1, 2, 3));
    assert_ne!(at(1, 2, 3), at(2, 2, 3));
    assert_ne!(at(1, 2, 3), at(1, 3, 3));
    assert_ne!(at(1, 2, 3), at(1, 2, 4));
}
