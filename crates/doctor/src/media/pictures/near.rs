//! Pictures that look the same. Candidates come from a multi-index search of the perceptual hashes: two hashes of 64
//! bits within ten of each other agree to within two bits in one of four bands of 16, so that each band is a table and
//! a look at 137 of its places finds all of them (Norouzi, Punjani and Fleet, 2014). What counts is then the correlation
//! of the pictures at 16 by 16, held against how many others are about as near: of a digit written a thousand times,
//! no two are copies, however alike they look.

use super::facts::SMALL;
use rayon::prelude::*;

/// What counts as nearly the same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NearOptions {
    /// Bits in which two hashes may differ; at most 11, past which the search would miss some.
    pub bits: u32,
    /// The most that is wanting to a correlation of 1.
    pub distance: f32,
    /// Pictures as near as this are the same whatever lies around them.
    pub certain: f32,
    /// A pair counts where at most this many others lie within ten times its distance and the rest of the set lies
    /// farther, or where more lie within three times and hardly more within nine: a knot of copies, and not a cloud.
    pub crowd: usize,
    /// Candidates of one picture that are compared at most.
    pub most: usize,
}

impl Default for NearOptions {
    fn default() -> NearOptions {
        NearOptions { bits: 10, distance: 0.04, certain: 0.002, crowd: 4, most: 16_384 }
    }
}

/// Two pictures that look the same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NearPair {
    /// The places of the two, the smaller first.
    pub pictures: [usize; 2],
    /// Bits in which their hashes differ.
    pub bits: u32,
    /// The correlation of the two at 16 by 16.
    pub correlation: f32,
}

/// What the search knows of one picture.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen<'a> {
    pub(super) hash: u64,
    pub(super) small: &'a [u8; SMALL * SMALL],
}

/// How much farther than a copy the rest of the set must lie.
const APART: f32 = 10.0;

/// Pictures that stand for the rest of the set, and which of them by distance is taken for it: the first few may be
/// copies.
const REST: usize = 512;
const NEAREST_OF_REST: usize = 4;

const BANDS: usize = 4;
const BAND_BITS: usize = 16;

/// Neighbours of one picture that are kept.
const KEPT: usize = 64;

/// All pairs of pictures that look the same, by place. Flat pictures look like nothing and are in no pair.
pub fn near_duplicates(hashes: &[u64], small: &[[u8; SMALL * SMALL]], options: &NearOptions) -> Vec<NearPair> {
    let seen: Vec<Seen<'_>> = hashes.iter().zip(small).map(|(hash, small)| Seen { hash: *hash, small }).collect();
    search(&seen, options)
}

pub(super) fn search(pictures: &[Seen<'_>], options: &NearOptions) -> Vec<NearPair> {
    let vectors: Vec<Option<Vector>> = pictures.par_iter().map(|picture| Vector::of(picture.small)).collect();
    let places: Vec<u32> = (0..pictures.len() as u32).filter(|place| vectors[*place as usize].is_some()).collect();
    let index = Index::of(pictures, &places);
    let masks = masks();
    let rest: Vec<u32> = places.iter().copied().step_by(places.len().div_ceil(REST).max(1)).collect();
    let mut pairs: Vec<(u32, u32)> = places
        .par_iter()
        .flat_map_iter(|place| {
            let near = neighbours(*place, pictures, &vectors, &index, &masks, &rest, options);
            near.into_iter().map(move |other| (*place.min(&other), *place.max(&other)))
        })
        .collect();
    pairs.par_sort_unstable();
    // Both must see it so: a picture in a cloud is nobody's copy because somebody lies apart.
    let agreed = pairs.chunk_by(|left, right| left == right).filter(|same| same.len() == 2);
    agreed
        .map(|same| {
            let (first, second) = (same[0].0 as usize, same[0].1 as usize);
            let wanting = distance(&vectors, first, second);
            NearPair {
                pictures: [first, second],
                bits: (pictures[first].hash ^ pictures[second].hash).count_ones(),
                correlation: 1.0 - wanting,
            }
        })
        .collect()
}

/// The pictures that one is nearly the same as, as it sees it.
fn neighbours(
    place: u32,
    pictures: &[Seen<'_>],
    vectors: &[Option<Vector>],
    index: &Index,
    masks: &[u16],
    rest: &[u32],
    options: &NearOptions,
) -> Vec<u32> {
    let reach = APART * options.distance;
    let mut near: Vec<(f32, u32)> = Vec::new();
    let mut compared = 0;
    index.candidates(place, pictures, masks, options.bits, |other| {
        let wanting = distance(vectors, place as usize, other as usize);
        if wanting <= reach {
            near.push((wanting, other));
        }
        compared += 1;
        compared < options.most
    });
    near.sort_unstable_by(|left, right| left.0.total_cmp(&right.0).then(left.1.cmp(&right.1)));
    let within = |most: f32| near.partition_point(|(wanting, _)| *wanting <= most);
    let background = match near.first() {
        Some((nearest, _)) if *nearest <= options.distance => background(place, vectors, rest, options),
        _ => return Vec::new(),
    };
    let stands_apart = |wanting: f32| {
        let three = within(3.0 * wanting);
        let is_alone = within(APART * wanting) <= options.crowd && APART * wanting <= background;
        is_alone || (three > options.crowd && within(9.0 * wanting) <= three + three / 4)
    };
    near.iter()
        .take(KEPT)
        .filter(|(wanting, _)| *wanting <= options.certain || (*wanting <= options.distance && stands_apart(*wanting)))
        .map(|(_, other)| *other)
        .collect()
}

/// How far the rest of the set lies from a picture.
fn background(place: u32, vectors: &[Option<Vector>], rest: &[u32], options: &NearOptions) -> f32 {
    let others = rest.iter().filter(|other| **other != place);
    let mut far: Vec<f32> = others.map(|other| distance(vectors, place as usize, *other as usize)).collect();
    far.retain(|wanting| *wanting > options.certain);
    match far.len() {
        count if count < NEAREST_OF_REST => f32::INFINITY,
        _ => *far.select_nth_unstable_by(NEAREST_OF_REST - 1, f32::total_cmp).1,
    }
}

/// A small picture without its mean, in whole numbers.
struct Vector {
    values: [i8; SMALL * SMALL],
    norm: f32,
}

impl Vector {
    /// `None` of a picture that is flat to within two of 255 steps.
    fn of(small: &[u8; SMALL * SMALL]) -> Option<Vector> {
        let mean = small.iter().map(|pixel| f32::from(*pixel)).sum::<f32>() / small.len() as f32;
        let most = small.iter().map(|pixel| (f32::from(*pixel) - mean).abs()).fold(0.0, f32::max);
        if most < 2.0 {
            return None;
        }
        let mut values = [0i8; SMALL * SMALL];
        for (value, pixel) in values.iter_mut().zip(small) {
            *value = ((f32::from(*pixel) - mean) * 127.0 / most).round() as i8;
        }
        let squares: i32 = values.iter().map(|value| i32::from(*value) * i32::from(*value)).sum();
        Some(Vector { values, norm: (squares as f32).sqrt() })
    }
}

/// One minus the correlation.
fn distance(vectors: &[Option<Vector>], first: usize, second: usize) -> f32 {
    let (Some(first), Some(second)) = (&vectors[first], &vectors[second]) else { return f32::INFINITY };
    let product: i32 =
        first.values.iter().zip(&second.values).map(|(left, right)| i32::from(*left) * i32::from(*right)).sum();
    1.0 - product as f32 / (first.norm * second.norm)
}

/// For each band, the pictures sorted by it, and where each value of it starts.
struct Index {
    bands: [(Vec<u32>, Vec<u32>); BANDS],
}

impl Index {
    fn of(pictures: &[Seen<'_>], places: &[u32]) -> Index {
        let bands = [0, 1, 2, 3].map(|band| {
            let mut starts = vec![0u32; (1 << BAND_BITS) + 1];
            places.iter().for_each(|place| starts[usize::from(part(pictures[*place as usize].hash, band)) + 1] += 1);
            (1..starts.len()).for_each(|value| starts[value] += starts[value - 1]);
            let mut next = starts.clone();
            let mut members = vec![0; places.len()];
            for place in places {
                let slot = &mut next[usize::from(part(pictures[*place as usize].hash, band))];
                members[*slot as usize] = *place;
                *slot += 1;
            }
            (starts, members)
        });
        Index { bands }
    }

    /// Hands every other picture whose hash lies within `bits` to `take`, once, until it has enough.
    fn candidates(
        &self,
        place: u32,
        pictures: &[Seen<'_>],
        masks: &[u16],
        bits: u32,
        mut take: impl FnMut(u32) -> bool,
    ) {
        let hash = pictures[place as usize].hash;
        for (band, (starts, members)) in self.bands.iter().enumerate() {
            for mask in masks {
                let value = usize::from(part(hash, band) ^ mask);
                for other in &members[starts[value] as usize..starts[value + 1] as usize] {
                    let differs = hash ^ pictures[*other as usize].hash;
                    if differs.count_ones() <= bits
                        && *other != place
                        && (0..band).all(|earlier| part(differs, earlier).count_ones() > 2)
                        && !take(*other)
                    {
                        return;
                    }
                }
            }
        }
    }
}

fn part(hash: u64, band: usize) -> u16 {
    (hash >> (BAND_BITS * band)) as u16
}

/// All differences of at most two bits in a band.
fn masks() -> Vec<u16> {
    let bits = || (0..BAND_BITS).map(|bit| 1u16 << bit);
    let two = bits().flat_map(|first| bits().filter(move |second| *second > first).map(move |second| first | second));
    std::iter::once(0).chain(bits()).chain(two).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_index_finds_what_a_look_at_all_pairs_finds(
            hashes in prop::collection::vec(any::<u64>(), 2..60), flips in prop::collection::vec((0usize..60, 0u64..64, 0u64..64), 0..90),
            bits in 0u32..=11,
        ) {
            let mut hashes = hashes;
            for (place, first, second) in flips {
                let place = place % hashes.len();
                hashes.push(hashes[place] ^ (1 << first) ^ (1 << second));
            }
            let small = [0u8; SMALL * SMALL];
            let seen: Vec<Seen<'_>> = hashes.iter().map(|hash| Seen { hash: *hash, small: &small }).collect();
            let places: Vec<u32> = (0..hashes.len() as u32).collect();
            let (index, masks) = (Index::of(&seen, &places), masks());
            for place in places {
                let mut found = Vec::new();
                index.candidates(place, &seen, &masks, bits, |other| { found.push(other); true });
                found.sort_unstable();
                let differs = |other: &u32| (hashes[*other as usize] ^ hashes[place as usize]).count_ones();
                let expected: Vec<u32> =
                    (0..hashes.len() as u32).filter(|other| *other != place && differs(other) <= bits).collect();
                prop_assert_eq!(found, expected);
            }
        }
    }

    #[test]
    fn a_cloud_has_no_copies_and_a_knot_has() {
        // Stripes of a phase: neighbours in phase look alike, as the ones of handwriting do.
        let stripes = |phase: f32| -> [u8; SMALL * SMALL] {
            std::array::from_fn(|place| (128.0 + 100.0 * ((place % SMALL) as f32 * 0.4 + phase).sin()) as u8)
        };
        let cloud: Vec<_> = (0..60).map(|step| stripes(step as f32 * 0.1)).collect();
        assert_eq!(near_duplicates(&[7; 60], &cloud, &NearOptions::default()), []);
        // Two that lie as near as those, alone.
        let two = [stripes(0.0), stripes(0.12), stripes(1.6)];
        let pairs = near_duplicates(&[7; 3], &two, &NearOptions::default());
        assert_eq!(pairs.iter().map(|pair| pair.pictures).collect::<Vec<_>>(), [[0, 1]]);
        // The same by the pixel, in the midst of a cloud.
        let mut twins = cloud.clone();
        twins.push(cloud[30]);
        let pairs = near_duplicates(&[7; 61], &twins, &NearOptions::default());
        assert_eq!(pairs.iter().map(|pair| pair.pictures).collect::<Vec<_>>(), [[30, 60]]);
        // Flat pictures have no look.
        assert_eq!(near_duplicates(&[7; 2], &[[9; SMALL * SMALL]; 2], &NearOptions::default()), []);
    }
}
