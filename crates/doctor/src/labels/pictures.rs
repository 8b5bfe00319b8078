//! Pictures by what is where in them: patches of the pictures themselves are the filters of one convolution, and each
//! filter's answers above a threshold are averaged over the cells of a grid. A. Coates, A. Ng, H. Lee: An Analysis of
//! Single-Layer Networks in Unsupervised Feature Learning, AISTATS 2011, with patches drawn at random.

use super::kernel::draw;
use super::matrix::{View, multiply};
use super::ridge::Features;
use lepton_core::Seed;
use lepton_core::image::ImageRef;
use rand_chacha::rand_core::Rng;
use rayon::prelude::*;

/// The longest side that is looked at; larger pictures, and pictures of several sizes, are averaged down to it.
pub(super) const SIDE: usize = 32;

/// Filters.
const FILTERS: usize = 64;

/// Cells of the grid per side.
const CELLS: usize = 4;

/// What an answer must exceed, where a filter's answer to itself is 1 times the norm of its patch.
const THRESHOLD: f32 = 0.25;

/// What is added to the variance of a patch (of values from 0 to 1) before it is divided by its root.
const FLOOR: f32 = 0.01;

/// Pixels of nothing around a picture.
const MARGIN: usize = 2;

/// Rows that features are scaled by.
const SCALE_ROWS: usize = 2_048;

/// Small pictures of one size.
#[derive(Clone, Debug)]
pub struct Thumbnails {
    height: usize,
    width: usize,
    channels: usize,
    pixels: Vec<u8>,
}

impl Thumbnails {
    /// Makes room for pictures of these sizes: `height`, `width`, `channels`. As they are where all have one size and
    /// no side is longer than 40, else 32 by 32; in colour where any is.
    pub fn of_sizes(sizes: impl IntoIterator<Item = (usize, usize, usize)>) -> Thumbnails {
        let (mut first, mut is_one, mut channels) = (None, true, 1);
        for (height, width, depth) in sizes {
            is_one &= *first.get_or_insert((height, width)) == (height, width);
            channels = channels.max(depth);
        }
        let fits = |(height, width): (usize, usize)| height.max(width) <= SIDE + SIDE / 4 && height.min(width) >= 3;
        let (height, width) = first.filter(|size| is_one && fits(*size)).unwrap_or((SIDE, SIDE));
        Thumbnails { height, width, channels: if channels == 1 { 1 } else { 3 }, pixels: Vec::new() }
    }

    /// Adds a picture.
    pub fn push(&mut self, picture: ImageRef<'_>) {
        let small = self.small(picture);
        self.push_small(&small);
    }

    /// Adds what [`Thumbnails::small`] made of a picture.
    pub fn push_small(&mut self, small: &[u8]) {
        self.pixels.extend_from_slice(small);
    }

    /// A picture as small as all of them.
    pub fn small(&self, picture: ImageRef<'_>) -> Vec<u8> {
        let mut small = Vec::with_capacity(self.height * self.width * self.channels);
        let cut = |place: usize, of: usize, sides: usize| place * of / sides;
        for row in 0..self.height {
            let top = cut(row, picture.height, self.height);
            let bottom = cut(row + 1, picture.height, self.height).max(top + 1).min(picture.height);
            for column in 0..self.width {
                let left = cut(column, picture.width, self.width);
                let right = cut(column + 1, picture.width, self.width).max(left + 1).min(picture.width);
                for channel in 0..self.channels {
                    let channel = if picture.channels == 1 { 0 } else { channel };
                    let mut sum = 0u64;
                    for y in top..bottom {
                        let line = &picture.pixels[y * picture.width * picture.channels..];
                        sum += (left..right).map(|x| u64::from(line[x * picture.channels + channel])).sum::<u64>();
                    }
                    let count = ((bottom.max(top) - top) * (right.max(left) - left)).max(1) as u64;
                    small.push(((sum + count / 2) / count) as u8);
                }
            }
        }
        small
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.pixels.len() / (self.height * self.width * self.channels).max(1)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.pixels.is_empty()
    }
}

/// Pictures as features.
pub(super) struct Pictures<'a> {
    thumbnails: &'a Thumbnails,
    layout: Layout,
    /// A row for each place in a patch, a column for each filter.
    filters: Vec<f32>,
    count: usize,
    /// Mean and inverse deviation of each feature.
    scale: Vec<(f32, f32)>,
}

/// Where patches lie.
#[derive(Clone, Copy)]
struct Layout {
    side: usize,
    step: usize,
    rows: usize,
    columns: usize,
    /// Numbers of a patch.
    size: usize,
}

impl Layout {
    fn of(thumbnails: &Thumbnails) -> Layout {
        let least = thumbnails.height.min(thumbnails.width);
        let side = (least * 2 / 7).clamp(3, 8);
        let side = if least < 16 { side.max(4).min(least) } else { side };
        let step = if least < 16 { 1 } else { 2 };
        let places = |length: usize| (length + 2 * MARGIN).saturating_sub(side) / step + 1;
        let (rows, columns) = (places(thumbnails.height), places(thumbnails.width));
        Layout { side, step, rows, columns, size: side * side * thumbnails.channels }
    }
}

impl<'a> Pictures<'a> {
    pub(super) fn new(thumbnails: &'a Thumbnails, seed: Seed) -> Pictures<'a> {
        let layout = Layout::of(thumbnails);
        let (filters, count) = filters(thumbnails, layout, seed);
        let mut pictures = Pictures { thumbnails, layout, filters, count, scale: Vec::new() };
        let width = pictures.width();
        pictures.scale = vec![(0.0, 1.0); width];
        let rows = draw(thumbnails.len(), SCALE_ROWS, seed, "picture scale");
        let mut features = vec![0.0; rows.len() * width];
        if width > 0 {
            features.par_chunks_mut(32 * width).zip(rows.par_chunks(32)).for_each(|(output, rows)| {
                pictures.fill(rows, output, width);
            });
        }
        let mut sums = vec![(0.0f64, 0.0f64); width];
        for row in features.chunks_exact(width.max(1)) {
            for ((sum, squares), value) in sums.iter_mut().zip(row) {
                *sum += f64::from(*value);
                *squares += f64::from(*value).powi(2);
            }
        }
        let rows = rows.len().max(1) as f64;
        let scale = |(sum, squares): (f64, f64)| {
            let mean = sum / rows;
            let deviation = (squares / rows - mean * mean).max(0.0).sqrt();
            (mean as f32, (1.0 / (deviation + 1e-3)) as f32)
        };
        pictures.scale = sums.into_iter().map(scale).collect();
        pictures
    }
}

impl Features for Pictures<'_> {
    fn rows(&self) -> usize {
        self.thumbnails.len()
    }

    fn width(&self) -> usize {
        self.count * CELLS * CELLS
    }

    fn fill(&self, rows: &[usize], output: &mut [f32], step: usize) {
        let (layout, count, width) = (self.layout, self.count, self.width());
        if width == 0 {
            return;
        }
        let places = layout.rows * layout.columns;
        let mut patches = vec![0.0; places * layout.size];
        let mut answers = vec![0.0; places * count];
        let cell = |place: usize, of: usize| (place * CELLS + CELLS / 2) / of.max(1);
        let cell = |place: usize, of: usize| cell(place, of).min(CELLS - 1);
        let in_cell = |wanted: usize, of: usize| (0..of).filter(|place| cell(*place, of) == wanted).count().max(1);
        for (row, output) in rows.iter().zip(output.chunks_mut(step)) {
            cut(self.thumbnails, layout, *row, &mut patches);
            let filters = View::rows(&self.filters, layout.size, count, count);
            multiply(&mut answers, count, View::rows(&patches, places, layout.size, layout.size), filters);
            let output = &mut output[..width];
            output.fill(0.0);
            for (place, answers) in answers.chunks_exact(count).enumerate() {
                let (y, x) = (place / layout.columns, place % layout.columns);
                let start = (cell(y, layout.rows) * CELLS + cell(x, layout.columns)) * count;
                for (sum, answer) in output[start..start + count].iter_mut().zip(answers) {
                    *sum += (answer - THRESHOLD).max(0.0);
                }
            }
            for (place, output) in output.chunks_exact_mut(count).enumerate() {
                let share = in_cell(place / CELLS, layout.rows) * in_cell(place % CELLS, layout.columns);
                output.iter_mut().for_each(|sum| *sum /= share as f32);
            }
            for (value, (mean, inverse)) in output.iter_mut().zip(&self.scale) {
                *value = (*value - mean) * inverse;
            }
        }
    }
}

/// All patches of a picture, each less its mean and divided by its deviation.
fn cut(thumbnails: &Thumbnails, layout: Layout, row: usize, patches: &mut [f32]) {
    for (place, patch) in patches.chunks_exact_mut(layout.size).enumerate() {
        let (y, x) = (place / layout.columns * layout.step, place % layout.columns * layout.step);
        raw(thumbnails, layout, row, (y, x), patch);
        normalise(patch);
    }
}

/// The patch whose corner is at `y`, `x` of the picture with its margin.
fn raw(thumbnails: &Thumbnails, layout: Layout, row: usize, (y, x): (usize, usize), patch: &mut [f32]) {
    let Thumbnails { height, width, channels, pixels } = thumbnails;
    let picture = &pixels[row * height * width * channels..][..height * width * channels];
    patch.fill(0.0);
    let first = MARGIN.saturating_sub(x);
    let until = (width + MARGIN).saturating_sub(x).min(layout.side);
    if first >= until {
        return;
    }
    for line in 0..layout.side {
        let Some(source) = (y + line).checked_sub(MARGIN).filter(|source| source < height) else { continue };
        let from = &picture[(source * width + x + first - MARGIN) * channels..][..(until - first) * channels];
        let to = &mut patch[(line * layout.side + first) * channels..][..(until - first) * channels];
        to.iter_mut().zip(from).for_each(|(to, from)| *to = f32::from(*from) / 255.0);
    }
}

fn normalise(patch: &mut [f32]) {
    let count = patch.len() as f32;
    let mean = patch.iter().sum::<f32>() / count;
    patch.iter_mut().for_each(|value| *value -= mean);
    let variance = patch.iter().map(|value| value * value).sum::<f32>() / count;
    let inverse = 1.0 / (variance + FLOOR).sqrt();
    patch.iter_mut().for_each(|value| *value *= inverse);
}

/// Patches that are not all of one colour, drawn by the seed, of length 1; and how many there are.
fn filters(thumbnails: &Thumbnails, layout: Layout, seed: Seed) -> (Vec<f32>, usize) {
    let mut rng = seed.rng("picture filters", &[]);
    let mut found: Vec<Vec<f32>> = Vec::new();
    let mut patch = vec![0.0; layout.size];
    let places = layout.rows * layout.columns;
    for _ in 0..FILTERS * 200 {
        if found.len() == FILTERS || thumbnails.is_empty() {
            break;
        }
        let row = (rng.next_u64() % thumbnails.len() as u64) as usize;
        let place = (rng.next_u64() % places as u64) as usize;
        let corner = (place / layout.columns * layout.step, place % layout.columns * layout.step);
        raw(thumbnails, layout, row, corner, &mut patch);
        let mean = patch.iter().sum::<f32>() / layout.size as f32;
        let variance = patch.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / layout.size as f32;
        if variance > 1e-3 {
            normalise(&mut patch);
            let length = patch.iter().map(|value| value * value).sum::<f32>().sqrt();
            found.push(patch.iter().map(|value| value / length).collect());
        }
    }
    let count = found.len();
    let filters = (0..layout.size).flat_map(|place| found.iter().map(move |filter| filter[place])).collect();
    (filters, count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thumbnails_keep_small_pictures_and_average_large_ones() {
        let pixels: Vec<u8> = (0..12).collect();
        let small = ImageRef { height: 3, width: 4, channels: 1, pixels: &pixels };
        let mut thumbnails = Thumbnails::of_sizes([(3, 4, 1), (3, 4, 1)]);
        thumbnails.push(small);
        thumbnails.push(small);
        assert_eq!((thumbnails.len(), &thumbnails.pixels[12..]), (2, &pixels[..]));
        let large: Vec<u8> = (0..64 * 64).map(|place| if place / 64 < 32 { 100 } else { 200 }).collect();
        let mut thumbnails = Thumbnails::of_sizes([(64, 64, 1), (3, 4, 3)]);
        thumbnails.push(ImageRef { height: 64, width: 64, channels: 1, pixels: &large });
        assert_eq!((thumbnails.len(), thumbnails.pixels.len()), (1, 32 * 32 * 3));
        assert_eq!((thumbnails.pixels[0], thumbnails.pixels[32 * 32 * 3 - 1]), (100, 200));
    }

    #[test]
    fn pictures_of_one_colour_have_no_features() {
        let mut thumbnails = Thumbnails::of_sizes([(8, 8, 1)]);
        let grey = [7; 64];
        (0..5).for_each(|_| thumbnails.push(ImageRef { height: 8, width: 8, channels: 1, pixels: &grey }));
        assert_eq!(Pictures::new(&thumbnails, Seed(1)).width(), 0);
    }
}
