//! From a step's settings to the change of a picture: draws the amounts and calls the family that knows how.

use super::Work;
use super::draws::Draws;
use super::picture::colour::{self, ColourBounds};
use super::picture::geometry::Homography;
use super::picture::{erase, filter, noise, rand_augment};
use super::steps::Step;
use lepton_core::{Error, Result};

/// Applies a step that changes single pictures.
///
/// # Errors
/// What the step says of a picture that it cannot take.
pub(super) fn apply(step: &Step, work: &mut Work, draws: &mut Draws) -> Result<()> {
    match step {
        Step::FlipHorizontal {} => {
            let place = work.geometry();
            place.add(&Homography::flip_horizontal(place.width));
        }
        Step::FlipVertical {} => {
            let place = work.geometry();
            place.add(&Homography::flip_vertical(place.height));
        }
        Step::Rotate { degrees } => {
            let place = work.geometry();
            place.add(&Homography::rotation(draws.within(*degrees), 1.0, place.height, place.width));
        }
        Step::Scale { amount } => {
            let place = work.geometry();
            place.add(&Homography::rotation(0.0, 1.0 + draws.within(*amount), place.height, place.width));
        }
        Step::Shift { amount } => {
            let place = work.geometry();
            let (right, down) = (draws.within(*amount), draws.within(*amount));
            place.add(&Homography::shift(right * place.width as f64, down * place.height as f64));
        }
        Step::Shear { degrees } => work.geometry().shear(*degrees, draws),
        Step::Perspective { amount } => work.geometry().perspective(*amount, draws),
        Step::Crop { height, width } => work.geometry().crop(*height, *width, draws)?,
        Step::ResizedCrop { area, ratio } => work.geometry().resized_crop(*area, *ratio, draws),
        Step::Colour { brightness, contrast, saturation, hue } => {
            let (brightness, contrast, saturation, hue) = (*brightness, *contrast, *saturation, *hue);
            colour::colour(work.picture(), &ColourBounds { brightness, contrast, saturation, hue }, draws);
        }
        Step::Grey {} => colour::grey(work.picture()),
        Step::Blur { sigma } => filter::gaussian_blur(work.picture(), draws.between(*sigma)),
        Step::Noise { deviation } => noise::gaussian(work.picture(), draws.between(*deviation), draws),
        Step::SaltPepper { amount } => noise::salt_and_pepper(work.picture(), *amount, draws),
        Step::Erase { area, ratio, fill } => erase::erase(work.sample(), *area, *ratio, *fill, draws),
        Step::Jpeg { quality: [low, high] } => {
            let quality = *low + draws.below(usize::from(high - low) + 1) as u8;
            filter::jpeg(work.picture(), quality)?;
        }
        Step::RandAugment { operations, magnitude } => {
            rand_augment::rand_augment(work, *operations, *magnitude, draws);
        }
        other => return Err(Error::internal(format!("{} does not change single pictures", other.kind()))),
    }
    Ok(())
}
