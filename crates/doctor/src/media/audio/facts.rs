//! What is kept of one sound, and how it is gathered from samples that stream by.

use twox_hash::XxHash3_128;

/// Windows whose level lies under this are silent: -60 dB of full scale.
pub(super) const SILENCE: f64 = 1e-3;

/// Samples at full scale in a row that are taken for a cut peak.
const CUT: u32 = 3;

/// What is kept of one sound. Samples lie between -1 and 1.
#[derive(Clone, Debug, PartialEq)]
pub struct AudioFacts {
    /// The container by its first bytes: `wave`, `flac`, `ogg` or `mp3`.
    pub format: &'static str,
    /// The codec, for example `pcm_s16le` or `vorbis`.
    pub codec: &'static str,
    /// Frames a second.
    pub rate: u32,
    /// Samples a frame.
    pub channels: u32,
    /// Bits of a sample; `None` where the codec has no such thing.
    pub bits: Option<u32>,
    /// Frames.
    pub frames: u64,
    /// Root of the mean square.
    pub rms: f64,
    /// The largest sample, without its sign.
    pub peak: f64,
    /// Share of samples that lie at full scale, at least three in a row.
    pub clipped: f64,
    /// Share of windows of 20 ms under -60 dB.
    pub silent: f64,
    /// The mean sample.
    pub offset: f64,
    /// Names the decoded samples, the rate and the channels.
    pub content: u128,
}

impl AudioFacts {
    /// Its length.
    pub fn seconds(&self) -> f64 {
        self.frames as f64 / f64::from(self.rate.max(1))
    }
}

/// Decibels of full scale; -120 of nothing.
pub(super) fn decibels(level: f64) -> f64 {
    if level > 1e-6 { 20.0 * level.log10() } else { -120.0 }
}

/// Gathers what is kept from interleaved samples.
pub(super) struct Gather {
    channels: usize,
    window_samples: usize,
    /// The magnitude of a sample at full scale.
    full: f32,
    samples: u64,
    sum: f64,
    squares: f64,
    peak: f32,
    clipped: u64,
    /// Samples at full scale in a row, by channel.
    runs: Vec<u32>,
    window: (usize, f64),
    windows: [u64; 2],
    content: XxHash3_128,
    /// The samples of one packet as bytes.
    bytes: Vec<u8>,
}

impl Gather {
    pub(super) fn new(rate: u32, channels: usize, bits: Option<u32>) -> Gather {
        let mut content = XxHash3_128::new();
        content.write(&rate.to_le_bytes());
        content.write(&(channels as u64).to_le_bytes());
        // The largest whole number of so many bits; of what has none, a hair under full scale.
        let full =
            bits.filter(|bits| (2..=24).contains(bits)).map_or(0.999, |bits| 1.0 - 0.5_f32.powi(bits as i32 - 1));
        Gather {
            channels,
            window_samples: (rate as usize / 50).max(1) * channels,
            full: full.min(0.999),
            samples: 0,
            sum: 0.0,
            squares: 0.0,
            peak: 0.0,
            clipped: 0,
            runs: vec![0; channels],
            window: (0, 0.0),
            windows: [0, 0],
            content,
            bytes: Vec::new(),
        }
    }

    /// Frames so far.
    pub(super) fn frames(&self) -> u64 {
        self.samples / self.channels as u64
    }

    /// Adds whole frames.
    pub(super) fn add(&mut self, samples: &[f32]) {
        self.bytes.clear();
        self.bytes.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
        self.content.write(&self.bytes);
        for frame in samples.chunks_exact(self.channels) {
            for (sample, run) in frame.iter().zip(&mut self.runs) {
                let magnitude = sample.abs();
                *run = if magnitude >= self.full { *run + 1 } else { 0 };
                self.clipped += match *run {
                    CUT => u64::from(CUT),
                    run if run > CUT => 1,
                    _ => 0,
                };
                self.peak = self.peak.max(magnitude);
                let value = f64::from(*sample);
                self.sum += value;
                self.window.1 += value * value;
            }
            self.samples += self.channels as u64;
            self.window.0 += self.channels;
            if self.window.0 >= self.window_samples {
                self.close_window();
            }
        }
    }

    fn close_window(&mut self) {
        let (count, squares) = std::mem::take(&mut self.window);
        if count > 0 {
            self.squares += squares;
            let is_silent = (squares / count as f64).sqrt() < SILENCE;
            self.windows[usize::from(is_silent)] += 1;
        }
    }

    pub(super) fn finish(
        mut self,
        format: &'static str,
        codec: &'static str,
        rate: u32,
        bits: Option<u32>,
    ) -> AudioFacts {
        self.close_window();
        let count = self.samples.max(1) as f64;
        let windows = (self.windows[0] + self.windows[1]).max(1) as f64;
        AudioFacts {
            format,
            codec,
            rate,
            channels: self.channels as u32,
            bits,
            frames: self.frames(),
            rms: (self.squares / count).sqrt(),
            peak: f64::from(self.peak),
            clipped: self.clipped as f64 / count,
            silent: self.windows[1] as f64 / windows,
            offset: self.sum / count,
            content: self.content.finish_128(),
        }
    }
}
