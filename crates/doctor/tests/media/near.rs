//! How well near duplicates are found: seeded scenes with copies that were encoded anew, made smaller, shifted or
//! brightened, and pictures that look alike and are none.

use super::scenes::{jpeg, look, png, put, scene};
use image::imageops::FilterType;
use image::{DynamicImage, RgbImage};
use lepton_doctor::FindingKind;
use std::collections::BTreeSet;

/// How a copy differs.
fn perturbed(way: usize, picture: &RgbImage, seed: u64) -> Vec<u8> {
    let (height, width) = (picture.height(), picture.width());
    match way {
        0 => jpeg(picture, 60),
        1 => jpeg(picture, 25),
        2 => png(&DynamicImage::from(picture.clone())
            .resize_exact(width * 7 / 10, height * 7 / 10, FilterType::CatmullRom)
            .into_rgb8()),
        3 => png(&scene(seed, height, width, 1)),
        4 => png(&image::imageops::brighten(picture, 25)),
        _ => png(&image::imageops::contrast(picture, -20.0)),
    }
}

#[test]
fn copies_are_found_and_others_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let (mut copies, mut by_way) = (0, [(0, 0); 6]);
    for seed in 0..240u64 {
        let (height, width) = (96 + 8 * (seed % 5) as u32, 96 + 12 * (seed % 4) as u32);
        let picture = scene(seed, height, width, 0);
        put(folder.path(), &format!("{seed:03}.png"), &png(&picture));
        if seed % 3 == 0 {
            let way = (seed / 3 % 6) as usize;
            put(
                folder.path(),
                &format!("{seed:03}-copy{way}.{}", if way < 2 { "jpg" } else { "png" }),
                &perturbed(way, &picture, seed),
            );
            copies += 1;
            by_way[way].1 += 1;
        }
    }
    let (_, findings) = look(folder.path(), 2);
    let near = findings.iter().find(|finding| finding.kind == FindingKind::NearDuplicates).unwrap();
    let (mut right, mut wrong) = (0, 0);
    for group in &near.evidence.file_groups {
        let scenes: BTreeSet<&str> = group.iter().map(|name| &name[..3]).collect();
        if scenes.len() > 1 {
            wrong += 1;
            continue;
        }
        right += 1;
        let copy = group.iter().find(|name| name.contains("copy")).unwrap();
        by_way[copy[8..9].parse::<usize>().unwrap()].0 += 1;
    }
    let (recall, precision) = (right as f64 / copies as f64, right as f64 / (right + wrong) as f64);
    println!("recall {recall:.3}, precision {precision:.3}, by way {by_way:?}");
    assert!(recall >= 0.95, "recall {recall:.3}; found of each way: {by_way:?}");
    assert!(precision >= 0.98, "precision {precision:.3}");
    // No pair of pictures is more than near: the copies are no exact ones.
    assert!(findings.iter().all(|finding| finding.kind != FindingKind::DuplicateFiles));
    // The larger one of a group is kept.
    let group = near.evidence.file_groups.iter().find(|group| group.iter().any(|name| name.contains("copy2"))).unwrap();
    assert!(!group[0].contains("copy"), "{group:?}");
}

#[test]
fn handwritten_digits_are_no_copies_of_each_other() {
    let digits = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/digits");
    let (profile, findings) = look(&digits, 2);
    assert_eq!(profile.collection.items.len(), 1_797);
    let near: usize = findings
        .iter()
        .filter(|finding| finding.evidence.file_groups.iter().any(|group| group.len() > 1))
        .map(|finding| finding.evidence.file_groups.len())
        .sum();
    assert!(near <= 60, "{near} groups of 1,797 digits: more than one in thirty, of pictures of 8 by 8 pixels");
}
