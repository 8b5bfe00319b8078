//! Seeded changes to training rows, with labels that follow. What a row becomes depends on the seed, the row and the
//! epoch alone, never on threads or batches. `[augment]` is read here; each family of changes is a module of its own.
//!
//! A training uses pictures ([`Augmenter`]), [`table`]s, [`series`] and [`text`]s; [`sound`] has functions with the
//! same draws, which the preview shows.

pub mod draws;
pub mod picture;
mod picture_steps;
pub mod series;
mod settings;
pub mod sound;
mod steps;
pub mod table;
pub mod text;

pub use picture::Sample;
pub use settings::AugmentSettings;
pub use steps::{Domain, Step, StepSettings};

use draws::Draws;
use lepton_core::image::{Image, ImageRef};
use lepton_core::{Result, Seed};
use picture::geometry::{Homography, Move};
use picture::mix;

/// Changes pictures by [`AugmentSettings`] and a seed.
#[derive(Clone, Debug)]
pub struct Augmenter {
    settings: AugmentSettings,
    seed: Seed,
}

/// A picture that several rows went into.
#[derive(Clone, Debug, PartialEq)]
pub struct Mixed {
    /// What came out.
    pub sample: Sample,
    /// The rows, each with its share of the target; the shares add up to 1. One row with share 1 where nothing was
    /// mixed.
    pub shares: Vec<(usize, f32)>,
}

impl Augmenter {
    /// An augmenter.
    ///
    /// # Errors
    /// [`lepton_core::ErrorCode::Config`] for settings out of range.
    pub fn new(settings: &AugmentSettings, seed: Seed) -> Result<Augmenter> {
        settings.check()?;
        Ok(Augmenter { settings: settings.clone(), seed })
    }

    /// Whether nothing is changed.
    pub fn is_off(&self) -> bool {
        self.settings.is_off()
    }

    /// The settings.
    pub fn settings(&self) -> &AugmentSettings {
        &self.settings
    }

    /// The seed.
    pub fn seed(&self) -> Seed {
        self.seed
    }

    /// Whether rows are mixed, so that targets are shares of classes.
    pub fn mixes(&self) -> bool {
        self.settings.steps.iter().any(|settings| settings.step.mixes())
    }

    /// The picture that `row` is in `epoch`, before any mixing. Settings that are off give the same bytes.
    ///
    /// # Errors
    /// [`lepton_core::ErrorCode::BadData`] for a picture that a step cannot take.
    pub fn picture(&self, picture: ImageRef<'_>, row: u64, epoch: u64) -> Result<Image> {
        Ok(self.sample(Sample::of_picture(picture), row, epoch)?.picture)
    }

    /// As [`Augmenter::picture`], with everything that is marked on it.
    ///
    /// # Errors
    /// As [`Augmenter::picture`], and for annotations that do not fit the picture.
    pub fn sample(&self, sample: Sample, row: u64, epoch: u64) -> Result<Sample> {
        sample.check()?;
        let mut work = Work::new(sample);
        self.settings.simple_move(&mut work, self.seed, row, epoch);
        for (index, settings) in self.settings.steps.iter().enumerate().filter(|(_, entry)| !entry.step.mixes()) {
            // Each step has a stream of its own: adding one never shifts another.
            let mut draws = Draws::new(self.seed, "augment step", &[row, epoch, index as u64]);
            if draws.chance(settings.chance()) {
                picture_steps::apply(&settings.step, &mut work, &mut draws)?;
            }
        }
        Ok(work.finish())
    }

    /// The sample that `row` of `rows` is in `epoch`, mixed with others where the settings say so. `of` gives a row's
    /// picture as collected; partners are changed by the same steps before they are mixed in.
    ///
    /// # Errors
    /// As [`Augmenter::sample`], and what `of` reports.
    pub fn mixed(&self, row: usize, rows: usize, epoch: u64, of: &dyn Fn(usize) -> Result<Sample>) -> Result<Mixed> {
        let changed = |row: usize| self.sample(of(row)?, row as u64, epoch);
        let mut mixed = Mixed { sample: changed(row)?, shares: vec![(row, 1.0)] };
        for (index, settings) in self.settings.steps.iter().enumerate().filter(|(_, entry)| entry.step.mixes()) {
            let mut draws = Draws::new(self.seed, "augment step", &[row as u64, epoch, index as u64]);
            if !draws.chance(settings.chance()) {
                continue;
            }
            let mut partner = || draws.below(rows);
            match settings.step {
                Step::Mixup { alpha } => {
                    let other = partner();
                    let share = draws.beta(alpha) as f32;
                    mixed.sample = mix::mixup(&mixed.sample, &changed(other)?, share);
                    mixed.add(share, &[(other, 1.0 - share)]);
                }
                Step::Cutmix { alpha } => {
                    let other = partner();
                    let share = draws.beta(alpha);
                    let (sample, share) = mix::cutmix(&mixed.sample, &changed(other)?, share, &mut draws);
                    mixed.sample = sample;
                    mixed.add(share, &[(other, 1.0 - share)]);
                }
                _ => {
                    let others = [partner(), partner(), partner()];
                    let [one, two, three] = [changed(others[0])?, changed(others[1])?, changed(others[2])?];
                    let (sample, shares) = mix::mosaic([&mixed.sample, &one, &two, &three], &mut draws);
                    mixed.sample = sample;
                    mixed.add(shares[0], &[(others[0], shares[1]), (others[1], shares[2]), (others[2], shares[3])]);
                }
            }
        }
        Ok(mixed)
    }
}

impl Mixed {
    /// What there was keeps `share`; the others come in.
    fn add(&mut self, share: f32, others: &[(usize, f32)]) {
        self.shares.iter_mut().for_each(|(_, part)| *part *= share);
        self.shares.extend_from_slice(others);
    }
}

/// A sample that is being changed. Geometric steps in a row wait until something needs the pixels, so that they are
/// one map and the picture is sampled once.
pub struct Work {
    sample: Sample,
    place: Move,
}

impl Work {
    /// Begins with `sample`.
    pub fn new(sample: Sample) -> Work {
        let place = Move::start(sample.picture.height, sample.picture.width);
        Work { sample, place }
    }

    /// Where the content goes; add to it.
    pub fn geometry(&mut self) -> &mut Move {
        &mut self.place
    }

    /// The pixels, with all geometry done.
    pub fn picture(&mut self) -> &mut Image {
        &mut self.sample().picture
    }

    /// The sample, with all geometry done.
    pub fn sample(&mut self) -> &mut Sample {
        let (height, width) = (self.sample.picture.height, self.sample.picture.width);
        if self.place.map != Homography::IDENTITY || (self.place.height, self.place.width) != (height, width) {
            let moved = self.place.apply(std::mem::replace(&mut self.sample, Sample::empty()));
            self.place = Move::start(moved.picture.height, moved.picture.width);
            self.sample = moved;
        }
        &mut self.sample
    }

    /// The finished sample.
    pub fn finish(mut self) -> Sample {
        self.sample();
        self.sample
    }
}

#[cfg(test)]
mod tests;
