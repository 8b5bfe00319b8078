//! Sound as a recipe step: waveforms of any rate, resampled, cut or padded to one length, then as they are or as a
//! log-mel spectrogram. The column is [`waveform_type`]; decoding files is not done here, and no task reads sound yet.

mod fourier;
mod mel;
mod resample;

pub use resample::resample;

use crate::column::bad_value;
use arrow_array::builder::{Float32Builder, LargeListBuilder, UInt32Builder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, UInt32Type};
use arrow_array::{Array, ArrayRef, StructArray};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, Field, Fields};
use lepton_core::{Error, ErrorCode, Result, Tensor};
use mel::MelSpectrogram;
use resample::Resampler;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Samples that one row may come to: an hour at 48 kHz.
const MAX_SAMPLES: usize = 3_600 * 48_000;

/// Samples per second that sound may have: filters between odd rates grow with them.
const MAX_RATE: u32 = 384_000;

/// What is done to sound, before it has seen data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AudioPlan {
    /// Samples per second; sound of other rates is resampled.
    pub rate: u32,
    /// The length of every row; longer sound is cut at its end, shorter is followed by silence. `None` takes the
    /// longest of training.
    pub seconds: Option<f64>,
    /// Log-mel features; `None` gives the waveform.
    pub mel: Option<MelPlan>,
    /// Whether the features are standardised by the mean and deviation of all training values.
    pub standardize: bool,
}

impl Default for AudioPlan {
    fn default() -> AudioPlan {
        AudioPlan { rate: 16_000, seconds: None, mel: Some(MelPlan::default()), standardize: false }
    }
}

/// A log-mel spectrogram: as librosa's `melspectrogram` with `htk=False`, `norm="slaney"`, a periodic Hann window as
/// long as the transform and frames centred by padding with zeros, then `10 log10(max(power, 1e-10))`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MelPlan {
    /// Samples of one transform; its only prime factors are 2, 3 and 5.
    pub window: usize,
    /// Samples from one frame to the next.
    pub hop: usize,
    /// Bands.
    pub bands: usize,
    /// The lowest frequency, in hertz.
    pub low: f64,
    /// The highest; `None` is half the rate.
    pub high: Option<f64>,
}

impl Default for MelPlan {
    /// 25 ms in steps of 10 ms at 16 kHz, 80 bands.
    fn default() -> MelPlan {
        MelPlan { window: 400, hop: 160, bands: 80, low: 0.0, high: None }
    }
}

/// Fitted: one number of samples, and what the values are centred and divided by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AudioStep {
    rate: u32,
    samples: usize,
    mel: Option<MelPlan>,
    mean: f64,
    deviation: f64,
}

/// The Arrow type of a column of sound: a struct of `rate` (samples per second) and `samples` (one channel, -1 to 1).
pub fn waveform_type() -> DataType {
    DataType::Struct(fields())
}

fn fields() -> Fields {
    let samples = DataType::LargeList(Arc::new(Field::new_list_field(DataType::Float32, true)));
    Fields::from(vec![Field::new("rate", DataType::UInt32, false), Field::new("samples", samples, false)])
}

/// A column of sound; `None` is missing.
pub fn waveforms(rows: &[Option<(u32, &[f32])>]) -> ArrayRef {
    let mut rates = UInt32Builder::new();
    let mut samples = LargeListBuilder::new(Float32Builder::new());
    for row in rows {
        let (rate, values) = row.unwrap_or((0, &[]));
        rates.append_value(rate);
        samples.values().append_slice(values);
        samples.append(true);
    }
    let nulls = rows.contains(&None).then(|| NullBuffer::from_iter(rows.iter().map(Option::is_some)));
    let columns: Vec<ArrayRef> = vec![Arc::new(rates.finish()), Arc::new(samples.finish())];
    Arc::new(StructArray::new(fields(), columns, nulls))
}

impl AudioPlan {
    /// Learns the length of the rows, and their mean and deviation where they are standardised, from training rows.
    ///
    /// # Errors
    /// [`ErrorCode::Config`] for settings that make no features; [`ErrorCode::BadData`] with the row for a column that
    /// is no sound, sound that is missing or not finite; [`ErrorCode::TooLarge`] for a row of more than an hour.
    pub fn fit(&self, name: &str, train: &dyn Array) -> Result<AudioStep> {
        let mut step = AudioStep { rate: self.rate, samples: 1, mel: self.mel.clone(), mean: 0.0, deviation: 1.0 };
        if self.rate == 0 || self.rate > MAX_RATE {
            let message = format!("{} samples per second: there must be 1 to {MAX_RATE}", self.rate);
            return Err(Error::new(ErrorCode::Config, message).at_column(name));
        }
        step.samples = match self.seconds {
            Some(seconds) => {
                let samples = seconds * f64::from(self.rate);
                if !(samples >= 1.0 && samples <= MAX_SAMPLES as f64) {
                    let message = format!("{seconds} seconds are no usable length: more than none, at most an hour");
                    return Err(Error::new(ErrorCode::Config, message).at_column(name));
                }
                samples.round() as usize
            }
            None => {
                let mut longest = 0;
                for row in 0..train.len() {
                    let (rate, samples) = waveform(name, train, row)?;
                    longest = longest.max(resample::length(samples.len(), rate, self.rate));
                }
                longest
            }
        };
        step.check(name)?;
        if self.standardize {
            let tensor = step.apply(name, train)?;
            let values: Vec<f64> = tensor.as_float32()?.iter().map(|value| f64::from(*value)).collect();
            (step.mean, step.deviation) = crate::statistics::standard(&values);
        }
        Ok(step)
    }
}

impl AudioStep {
    /// `[n, samples]` for a waveform, `[n, bands, frames]` for a spectrogram.
    ///
    /// # Errors
    /// As [`AudioPlan::fit`].
    pub fn apply(&self, name: &str, column: &dyn Array) -> Result<Tensor> {
        let spectrogram = self.mel.as_ref().map(|plan| MelSpectrogram::new(plan, self.rate));
        let frames = self.mel.as_ref().map_or(0, |mel| 1 + self.samples / mel.hop);
        let shape = match &self.mel {
            Some(mel) => vec![column.len(), mel.bands, frames],
            None => vec![column.len(), self.samples],
        };
        let row_len: usize = shape.iter().skip(1).product();
        let mut output = Vec::with_capacity(row_len.saturating_mul(column.len()));
        // Rows of one rate share a filter.
        let mut resampler: Option<(u32, Resampler)> = None;
        for row in 0..column.len() {
            let (rate, samples) = waveform(name, column, row)?;
            let (_, filter) = match resampler.take().filter(|(known, _)| *known == rate) {
                Some(known) => resampler.insert(known),
                None => resampler.insert((rate, Resampler::new(rate, self.rate))),
            };
            let mut samples = filter.apply(&samples);
            samples.resize(self.samples, 0.0);
            let features = match &spectrogram {
                Some(spectrogram) => spectrogram.apply(&samples),
                None => samples,
            };
            output.extend(features.into_iter().map(|value| ((f64::from(value) - self.mean) / self.deviation) as f32));
        }
        Tensor::float32(shape, output)
    }

    /// The step as JSON; reading it back gives a step that makes the same bytes.
    ///
    /// # Errors
    /// [`ErrorCode::Internal`] only.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        serde_json::to_vec_pretty(self)
            .map_err(|source| Error::internal(format!("the step cannot be written: {source}")))
    }

    /// Reads what [`AudioStep::to_json`] wrote.
    ///
    /// # Errors
    /// [`ErrorCode::BadData`] for anything else.
    pub fn from_json(bytes: &[u8]) -> Result<AudioStep> {
        let step: AudioStep = serde_json::from_slice(bytes)
            .map_err(|source| Error::new(ErrorCode::BadData, format!("this is no sound step: {source}")))?;
        step.check("sound")?;
        Ok(step)
    }

    fn check(&self, name: &str) -> Result<()> {
        let wrong = |message: String| Err(Error::new(ErrorCode::Config, message).at_column(name));
        if self.samples == 0 || self.samples > MAX_SAMPLES || self.rate == 0 || self.rate > MAX_RATE {
            return wrong(format!("rows of {} samples cannot be used", self.samples));
        }
        if !(self.mean.is_finite() && self.deviation.is_finite() && self.deviation > 0.0) {
            return wrong("the numbers of this step are not usable".to_owned());
        }
        let Some(mel) = &self.mel else { return Ok(()) };
        if !fourier::is_smooth(mel.window) || mel.window > 1 << 16 {
            let message = format!("a window of {} samples: 2 to 65,536, of the factors 2, 3 and 5", mel.window);
            return wrong(message);
        }
        if mel.hop == 0 || mel.bands == 0 || mel.bands > mel.window {
            return wrong(format!("{} bands in steps of {} samples cannot be made", mel.bands, mel.hop));
        }
        let half = f64::from(self.rate) / 2.0;
        let high = mel.high.unwrap_or(half);
        if !(mel.low >= 0.0 && mel.low < high && high <= half) {
            return wrong(format!("bands from {} to {high} Hz do not fit under half the rate, {half} Hz", mel.low));
        }
        Ok(())
    }
}

/// The rate and the samples of a row.
fn waveform(name: &str, column: &dyn Array, row: usize) -> Result<(u32, Vec<f32>)> {
    if column.data_type() != &waveform_type() {
        let message = format!("this column holds {}, a sound step takes waveforms", column.data_type());
        return Err(Error::new(ErrorCode::BadData, message).at_column(name));
    }
    let parts = column.as_struct();
    if parts.is_null(row) {
        return Err(bad_value(name, row, "the sound is missing"));
    }
    let rate = parts.column(0).as_primitive::<UInt32Type>().value(row);
    let samples = parts.column(1).as_list::<i64>().value(row);
    let samples = samples.as_primitive::<Float32Type>();
    if rate > MAX_RATE {
        return Err(bad_value(name, row, format!("{rate} samples per second: there must be at most {MAX_RATE}")));
    }
    if rate == 0 || samples.is_empty() || samples.null_count() > 0 {
        return Err(bad_value(name, row, "sound needs a rate and at least one sample"));
    }
    if let Some(place) = samples.values().iter().position(|value| !value.is_finite()) {
        return Err(bad_value(name, row, format!("sample {} is not a finite number", place + 1)));
    }
    if samples.len() > MAX_SAMPLES {
        let message = format!("{} samples: at most an hour at 48 kHz, {MAX_SAMPLES}, is read", samples.len());
        return Err(Error::new(ErrorCode::TooLarge, message).at_row(row as u64 + 1).at_column(name));
    }
    Ok((rate, samples.values().to_vec()))
}
