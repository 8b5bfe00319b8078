//! The picture step: one size, one number of channels, bytes to floats through a table of 256 values a channel.

use crate::column::{bad_value, pictures};
use crate::plan::ImagePlan;
use crate::resample::{convert_channels, frame};
use crate::settings::{ImageFit, ImageNormalize};
use arrow_array::RecordBatch;
use lepton_core::image::ImageRef;
use lepton_core::{Error, ErrorCode, Result};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Elements that one picture may have, so that a recipe from outside cannot ask for all memory: 2^28.
const MAX_ELEMENTS: usize = 1 << 28;

/// A fitted picture step: `(byte / 255 - mean) / deviation` per channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PictureStep {
    pub(crate) column: String,
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) channels: usize,
    #[serde(default)]
    pub(crate) fit: ImageFit,
    pub(crate) mean: Vec<f64>,
    pub(crate) deviation: Vec<f64>,
}

impl PictureStep {
    pub(crate) fn fit(plan: &ImagePlan, train: &RecordBatch) -> Result<PictureStep> {
        let ImagePlan { height, width, channels, .. } = *plan;
        let column = plan.column.as_str();
        if plan.fit != ImageFit::Stretch && (height.is_none() || width.is_none()) {
            return Err(Error::new(ErrorCode::Config, "a crop or a pad needs the height and the width of its frame")
                .at_column(column)
                .fix("set the height and width of the recipe"));
        }
        let all = pictures(train, column)?;
        let get = |row| all.get(row).ok_or_else(|| no_picture(column, row));
        let first = get(0)?;
        let mut most_channels = first.channels;
        for row in 1..all.len() {
            let picture = get(row)?;
            most_channels = most_channels.max(picture.channels);
            let other_height = height.is_none() && picture.height != first.height;
            if other_height || (width.is_none() && picture.width != first.width) {
                let message = format!(
                    "the pictures differ in size: {}x{} here, {}x{} in row 1",
                    picture.height, picture.width, first.height, first.width
                );
                return Err(bad_value(column, row, message)
                    .fix("set the height and width of the recipe: all pictures are then resized to it"));
            }
        }
        let channels = channels.unwrap_or(if most_channels == 1 { 1 } else { 3 });
        check_channels(column, channels)?;
        let mut step = PictureStep {
            column: column.to_owned(),
            height: height.unwrap_or(first.height),
            width: width.unwrap_or(first.width),
            channels,
            fit: plan.fit,
            mean: vec![0.0; channels],
            deviation: vec![1.0; channels],
        };
        if let ImageNormalize::Given { mean, std } = &plan.normalize {
            (step.mean, step.deviation) = (mean.clone(), std.clone());
        }
        step.check()?;
        if plan.normalize == ImageNormalize::Standardize {
            let mut counts = vec![[0u64; 256]; channels];
            for row in 0..all.len() {
                for (index, &byte) in step.shaped(row, get(row)?)?.iter().enumerate() {
                    counts[index % channels][usize::from(byte)] += 1;
                }
            }
            for (channel, histogram) in counts.iter().enumerate() {
                (step.mean[channel], step.deviation[channel]) = standard(histogram);
            }
        }
        Ok(step)
    }

    /// Refuses a step that cannot have come from a fit.
    pub(crate) fn check(&self) -> Result<()> {
        let wrong = |message: String| Err(Error::new(ErrorCode::Config, message).at_column(&self.column));
        check_channels(&self.column, self.channels)?;
        let elements = self.height.checked_mul(self.width).and_then(|area| area.checked_mul(self.channels));
        if elements.is_none_or(|count| count == 0 || count > MAX_ELEMENTS) {
            return wrong(format!("{}x{} is no usable picture size", self.height, self.width));
        }
        if let ImageFit::Crop { resize: Some(side) } = self.fit
            && (side < self.height.max(self.width) || side > MAX_ELEMENTS)
        {
            return wrong(format!("resized to {side} a picture does not cover {}x{}", self.height, self.width));
        }
        let usable = self.mean.iter().chain(&self.deviation).all(|number| number.is_finite())
            && self.deviation.iter().all(|&number| number > 0.0);
        if self.mean.len() != self.channels || self.deviation.len() != self.channels || !usable {
            return wrong("mean and std must be one usable number per channel".to_owned());
        }
        Ok(())
    }

    /// Writes `[n, channels, height, width]`.
    pub(crate) fn write(&self, batch: &RecordBatch, output: &mut [f32]) -> Result<()> {
        let tables: Vec<[f32; 256]> = (0..self.channels).map(|channel| self.table(channel)).collect();
        let area = self.height * self.width;
        let all = pictures(batch, &self.column)?;
        for (row, floats) in output.chunks_exact_mut(area * self.channels).enumerate() {
            let bytes = self.shaped(row, all.get(row).ok_or_else(|| no_picture(&self.column, row))?)?;
            for (channel, (plane, table)) in floats.chunks_exact_mut(area).zip(&tables).enumerate() {
                let channel_bytes = bytes.iter().skip(channel).step_by(self.channels);
                for (float, &byte) in plane.iter_mut().zip(channel_bytes) {
                    *float = table[usize::from(byte)];
                }
            }
        }
        Ok(())
    }

    /// The bytes of a picture in this step's channels and size.
    fn shaped<'a>(&self, row: usize, picture: ImageRef<'a>) -> Result<Cow<'a, [u8]>> {
        if !matches!(picture.channels, 1 | 3) || picture.height == 0 || picture.width == 0 {
            let ImageRef { height, width, channels, .. } = picture;
            return Err(bad_value(
                &self.column,
                row,
                format!("a picture of {height}x{width}x{channels} cannot be used"),
            ));
        }
        let coloured = convert_channels(picture, self.channels);
        Ok(frame(coloured, [picture.height, picture.width], [self.height, self.width], self.channels, self.fit))
    }

    fn table(&self, channel: usize) -> [f32; 256] {
        let (mean, deviation) = (self.mean[channel], self.deviation[channel]);
        std::array::from_fn(|byte| ((byte as f64 / 255.0 - mean) / deviation) as f32)
    }
}

fn check_channels(column: &str, channels: usize) -> Result<()> {
    if channels != 1 && channels != 3 {
        let message = format!("pictures have 1 or 3 channels, not {channels}");
        return Err(Error::new(ErrorCode::Config, message).at_column(column));
    }
    Ok(())
}

fn no_picture(column: &str, row: usize) -> Error {
    bad_value(column, row, "the picture is missing or its buffer does not match its size")
}

/// Mean and population standard deviation of byte / 255, from how often each byte occurs; the sums are exact.
fn standard(histogram: &[u64; 256]) -> (f64, f64) {
    let sum =
        |power: u32| -> u128 { (0u128..256).zip(histogram).map(|(byte, &n)| byte.pow(power) * u128::from(n)).sum() };
    let (count, first, second) = (sum(0), sum(1), sum(2));
    let spread = (count * second - first * first) as f64;
    let deviation = spread.sqrt() / count as f64 / 255.0;
    (first as f64 / count as f64 / 255.0, if deviation == 0.0 { 1.0 } else { deviation })
}
