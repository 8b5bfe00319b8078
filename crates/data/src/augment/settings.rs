//! `[augment]`: three simple bounds, and a list of steps.

use super::Work;
use super::draws::Draws;
use super::picture::geometry::Homography;
use super::steps::{Domain, Step, StepSettings};
use lepton_core::{Error, ErrorCode, Result, Seed};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// How training rows may be changed. The first three are bounds for pictures: amounts are drawn evenly from minus to
/// plus that much, for every row. The steps follow, in their order, each with its probability. Nothing set is off.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AugmentSettings {
    /// Rotation about the centre, in degrees, 0 to 180.
    pub rotate_degrees: f64,
    /// Shift along each axis, as a fraction of that side, 0 to 1.
    pub shift: f64,
    /// Change of size, as a fraction: 0.1 draws factors from 0.9 to 1.1; 0 to below 1.
    pub scale: f64,
    /// What else is done.
    pub steps: Vec<StepSettings>,
}

impl AugmentSettings {
    /// Whether nothing is changed.
    pub fn is_off(&self) -> bool {
        !self.has_simple() && self.steps.is_empty()
    }

    /// Whether one of the three bounds is set.
    pub fn has_simple(&self) -> bool {
        self.rotate_degrees != 0.0 || self.shift != 0.0 || self.scale != 0.0
    }

    /// Refuses values out of range.
    ///
    /// # Errors
    /// [`ErrorCode::Config`], naming the key under `augment`.
    pub fn check(&self) -> Result<()> {
        let bounds = [
            ("augment.rotate_degrees", self.rotate_degrees, 180.0),
            ("augment.shift", self.shift, 1.0),
            ("augment.scale", self.scale, 0.99),
        ];
        for (key, value, most) in bounds {
            if !(0.0..=most).contains(&value) {
                return Err(Error::new(ErrorCode::Config, format!("{value} is not between 0 and {most}")).at_key(key));
            }
        }
        self.steps.iter().enumerate().try_for_each(|(index, step)| step.check(&key_of(index)))?;
        let first_mix = self.steps.iter().position(|settings| settings.step.mixes()).unwrap_or(self.steps.len());
        match self.steps[first_mix..].iter().position(|settings| !settings.step.mixes()) {
            Some(later) => {
                let mix = self.steps[first_mix].step.kind();
                Err(Error::new(ErrorCode::Config, format!("stands after {mix}, which mixes finished rows"))
                    .at_key(key_of(first_mix + later))
                    .fix(format!("write {mix} last")))
            }
            None => Ok(()),
        }
    }

    /// Refuses what rows of that kind cannot take.
    ///
    /// # Errors
    /// [`ErrorCode::Unsupported`], naming the key and what the step is for.
    pub fn check_domain(&self, domain: Domain) -> Result<()> {
        if self.has_simple() && domain != Domain::Pictures {
            let text = format!("only pictures can be rotated, shifted and scaled; this project trains on {domain}");
            return Err(Error::new(ErrorCode::Unsupported, text)
                .at_key("augment")
                .fix("remove rotate_degrees, shift and scale from [augment]"));
        }
        match self.steps.iter().enumerate().find(|(_, settings)| settings.step.domain() != domain) {
            Some((index, settings)) => {
                let (kind, of) = (settings.step.kind(), settings.step.domain());
                Err(Error::new(ErrorCode::Unsupported, format!("{kind} changes {of}; this project trains on {domain}"))
                    .at_key(key_of(index))
                    .fix("remove the step"))
            }
            None => Ok(()),
        }
    }

    /// The files that its steps read.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.steps.iter().filter_map(|settings| match &settings.step {
            Step::InsertWords { lexicon, .. } | Step::Synonyms { lexicon, .. } => Some(lexicon.as_path()),
            _ => None,
        })
    }

    /// Makes relative paths of these files start at `folder`.
    pub fn start_files_at(&mut self, folder: &Path) {
        for settings in &mut self.steps {
            if let Step::InsertWords { lexicon, .. } | Step::Synonyms { lexicon, .. } = &mut settings.step {
                *lexicon = folder.join(&*lexicon);
            }
        }
    }

    /// One line for a person.
    pub fn describe(&self) -> String {
        let mut parts = Vec::new();
        if self.has_simple() {
            parts.push(format!(
                "rotate up to {} degrees, shift up to {:.0} %, scale up to {:.0} %",
                self.rotate_degrees,
                100.0 * self.shift,
                100.0 * self.scale
            ));
        }
        parts.extend(self.steps.iter().map(|settings| match settings.step {
            Step::Smote { .. } => settings.step.kind(),
            _ => format!("{} ({:.0} %)", settings.step.kind(), 100.0 * settings.chance()),
        }));
        if parts.is_empty() { "off".to_owned() } else { format!("{}; training split only", parts.join(", ")) }
    }

    /// Draws rotation, scale and shift, which make one map.
    pub(super) fn simple_move(&self, work: &mut Work, seed: Seed, row: u64, epoch: u64) {
        if !self.has_simple() {
            return;
        }
        let mut draws = Draws::new(seed, "augment", &[row, epoch]);
        let (degrees, factor) = (draws.within(self.rotate_degrees), 1.0 + draws.within(self.scale));
        let (down, right) = (draws.within(self.shift), draws.within(self.shift));
        let place = work.geometry();
        place.add(&Homography::rotation(degrees, factor, place.height, place.width));
        place.add(&Homography::shift(right * place.width as f64, down * place.height as f64));
    }
}

fn key_of(index: usize) -> String {
    format!("augment.steps[{index}]")
}
