//! Made pictures: blobs, bars and a gradient of a seed, in colour, with edges and texture; and folders of them.

use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageFormat, RgbImage};
use lepton_core::{Cancel, Limits, Silent};
use lepton_doctor::media::pictures::{PictureChecks, PictureProfile, check_pictures, profile_pictures};
use lepton_doctor::media::{Collection, SurveyOptions};
use lepton_doctor::{Finding, FindingKind};
use std::io::Cursor;
use std::path::Path;

/// A small generator: SplitMix64.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to 1.
    pub(crate) fn share(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 24) as f32
    }

    pub(crate) fn below(&mut self, most: u32) -> u32 {
        (self.next() % u64::from(most)) as u32
    }
}

/// A scene of `height` by `width` pixels; seen through a window that lies `shift` pixels to the lower right.
pub(crate) fn scene(seed: u64, height: u32, width: u32, shift: u32) -> RgbImage {
    let mut dice = Dice(seed);
    let ground = [0, 1, 2].map(|_| 60.0 + 120.0 * dice.share());
    let slope = [dice.share() - 0.5, dice.share() - 0.5];
    let shapes: Vec<([f32; 4], [f32; 3], bool)> = (0..9)
        .map(|_| {
            let place = [dice.share(), dice.share(), 0.05 + 0.2 * dice.share(), 0.05 + 0.2 * dice.share()];
            (place, [0, 1, 2].map(|_| 255.0 * dice.share()), dice.below(2) == 0)
        })
        .collect();
    let grain = dice.next();
    RgbImage::from_fn(width, height, |column, row| {
        let (column, row) = (column + shift, row + shift);
        let (x, y) = (column as f32 / width as f32, row as f32 / height as f32);
        let mut colour = ground.map(|part| part + 80.0 * (slope[0] * x + slope[1] * y));
        for ([left, top, across, down], paint, is_round) in &shapes {
            let (dx, dy) = ((x - left) / across, (y - top) / down);
            let inside = if *is_round { dx * dx + dy * dy < 1.0 } else { dx.abs() < 1.0 && dy.abs() < 1.0 };
            if inside {
                colour = *paint;
            }
        }
        let noise = Dice(grain ^ (u64::from(row) << 32 | u64::from(column))).below(13) as f32 - 6.0;
        image::Rgb(colour.map(|part| (part + noise).clamp(0.0, 255.0) as u8))
    })
}

pub(crate) fn png(picture: &RgbImage) -> Vec<u8> {
    encoded(&DynamicImage::from(picture.clone()))
}

pub(crate) fn encoded(picture: &DynamicImage) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

pub(crate) fn jpeg(picture: &RgbImage, quality: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    picture.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, quality)).unwrap();
    bytes
}

/// Writes a file with the folders above it.
pub(crate) fn put(folder: &Path, name: &str, bytes: &[u8]) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

pub(crate) fn look(folder: &Path, threads: usize) -> (PictureProfile, Vec<Finding>) {
    let limits = Limits { image_pixels: 1_000_000, ..Limits::default() };
    let options = SurveyOptions { limits, threads, progress: &Silent, cancel: &Cancel::default() };
    let profile = profile_pictures(Collection::open(folder, &options.limits).unwrap(), &options).unwrap();
    let findings = check_pictures(&profile, &PictureChecks::default(), &options).unwrap();
    (profile, findings)
}

/// The names in a finding's evidence, those of groups after those of files.
pub(crate) fn named(findings: &[Finding], kind: FindingKind) -> Vec<String> {
    let of_kind = findings.iter().filter(|finding| finding.kind == kind);
    of_kind
        .flat_map(|finding| {
            let files = finding.evidence.files.iter().map(|file| file.file.clone());
            files.chain(finding.evidence.file_groups.iter().flatten().cloned()).collect::<Vec<_>>()
        })
        .collect()
}
