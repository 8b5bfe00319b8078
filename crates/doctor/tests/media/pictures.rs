//! Findings of pictures: each kind in a folder that has it, and none in one that has nothing.

use super::scenes::{encoded, jpeg, look, named, png, put, scene};
use image::{DynamicImage, GrayImage, RgbImage};
use lepton_core::Split;
use lepton_doctor::{Finding, FindingKind, Severity};

fn of(findings: &[Finding], kind: FindingKind) -> &Finding {
    findings.iter().find(|finding| finding.kind == kind).unwrap_or_else(|| panic!("{kind:?} in {findings:#?}"))
}

fn plain(folder: &std::path::Path, count: u64) {
    for seed in 0..count {
        put(
            folder,
            &format!("{}/{seed:03}.png", if seed % 2 == 0 { "cat" } else { "dog" }),
            &png(&scene(900 + seed, 64, 64, 0)),
        );
    }
}

#[test]
fn a_clean_folder_has_no_findings_and_a_whole_profile() {
    let folder = tempfile::tempdir().unwrap();
    plain(folder.path(), 40);
    let (profile, findings) = look(folder.path(), 2);
    let [note] = &findings[..] else { panic!("{findings:?}") };
    assert!(note.severity == Severity::Note && note.message.ends_with("40 pictures are too few"), "{note:?}");
    let view = profile.view();
    assert_eq!((view.count, view.broken, view.distinct_sizes), (40, 0, 1));
    assert_eq!(view.sizes, [[64, 64, 40]]);
    assert_eq!(
        view.classes.iter().map(|class| (class.label.as_str(), class.count)).collect::<Vec<_>>(),
        [("cat", 20), ("dog", 20)]
    );
    assert_eq!((view.formats["png"], view.modes["rgb"]), (40, 40));
    assert_eq!(view.measures["height"].quantiles, [64.0; 5]);
    assert!(view.measures["sharpness"].quantiles[0] > 100.0);
    // The sketch is that of monitoring: its columns and their counts.
    let sketches = profile.sketches();
    assert_eq!((sketches.rows(), sketches.columns().len()), (40, 2));
}

#[test]
fn files_that_cannot_be_read_say_why() {
    let folder = tempfile::tempdir().unwrap();
    plain(folder.path(), 20);
    let picture = scene(1, 64, 64, 0);
    let (whole_png, whole_jpeg) = (png(&picture), jpeg(&picture, 90));
    put(folder.path(), "cat/truncated.png", &whole_png[..whole_png.len() / 2]);
    put(folder.path(), "cat/truncated.jpg", &whole_jpeg[..whole_jpeg.len() * 2 / 3]);
    put(folder.path(), "cat/text.png", b"this is no picture");
    put(folder.path(), "cat/empty.png", b"");
    put(folder.path(), "cat/moving.gif", b"GIF89a and so on");
    put(folder.path(), "dog/bomb.png", &bomb(65_000));
    put(folder.path(), "dog/wrong.jpg", &png(&scene(2, 64, 64, 0)));
    put(folder.path(), "dog/nameless", &png(&scene(3, 64, 64, 0)));
    put(folder.path(), "dog/notes.txt", b"about dogs");
    std::os::unix::fs::symlink("nowhere.png", folder.path().join("dog/dangling.png")).unwrap();
    let (profile, findings) = look(folder.path(), 2);
    let broken = of(&findings, FindingKind::BrokenFiles);
    assert_eq!((broken.count, broken.severity), (5, Severity::Error));
    let reason = |file: &str| {
        let files = findings.iter().flat_map(|finding| &finding.evidence.files);
        files.filter(|said| said.file == file).find_map(|said| said.detail.clone()).unwrap_or_else(|| panic!("{file}"))
    };
    assert!(reason("cat/truncated.png").contains("decode"), "{}", reason("cat/truncated.png"));
    assert!(reason("cat/truncated.jpg").contains("breaks off") || reason("cat/truncated.jpg").contains("decode"));
    assert!(reason("cat/text.png").contains("not a PNG or JPEG"));
    assert!(reason("cat/empty.png").contains("no bytes"));
    assert!(reason("cat/moving.gif").contains("GIF"));
    assert!(reason("dog/bomb.png").contains("image_pixels is 1000000"));
    assert!(reason("dog/dangling.png").contains("No such file"));
    assert_eq!(named(&findings, FindingKind::OversizedFiles), ["dog/bomb.png"]);
    assert_eq!(named(&findings, FindingKind::WrongExtension), ["dog/nameless", "dog/wrong.jpg"]);
    assert_eq!(named(&findings, FindingKind::OtherFiles), ["dog/notes.txt"]);
    assert_eq!(named(&findings, FindingKind::UnreadableFiles), ["dog/dangling.png"]);
    assert_eq!(profile.view().broken, 6);
    // A plan drops what is broken, and what may not be read it leaves to a person.
    assert!(broken.repair.as_ref().is_some_and(|proposal| proposal.safe));
    assert_eq!(of(&findings, FindingKind::UnreadableFiles).repair, None);
    assert!(of(&findings, FindingKind::WrongExtension).evidence.thumbnails[0].png.starts_with(b"\x89PNG"));
}

/// A PNG header that claims `side` by `side` pixels.
fn bomb(side: u32) -> Vec<u8> {
    let mut bytes = png(&RgbImage::new(4, 4));
    bytes[16..20].copy_from_slice(&side.to_be_bytes());
    bytes[20..24].copy_from_slice(&side.to_be_bytes());
    let mut crc = u32::MAX;
    for byte in &bytes[12..29] {
        crc ^= u32::from(*byte);
        (0..8).for_each(|_| crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 });
    }
    bytes[29..33].copy_from_slice(&(!crc).to_be_bytes());
    bytes
}

#[test]
fn copies_contradictions_and_leaks_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    for seed in 0..24u64 {
        let part = if seed < 16 { "train" } else { "test" };
        put(
            folder.path(),
            &format!("{part}/{}/{seed:02}.png", ["cat", "dog"][seed as usize % 2]),
            &png(&scene(seed, 64, 64, 0)),
        );
    }
    put(folder.path(), "train/cat/again.png", &png(&scene(0, 64, 64, 0)));
    put(folder.path(), "train/dog/other.png", &png(&scene(2, 64, 64, 0)));
    put(folder.path(), "test/cat/leak.png", &png(&scene(4, 64, 64, 0)));
    put(folder.path(), "test/dog/near-leak.jpg", &jpeg(&scene(5, 64, 64, 0), 85));
    let (profile, findings) = look(folder.path(), 2);
    assert_eq!(profile.view().parts, [(Split::Train, 18), (Split::Test, 10)].into());
    assert_eq!(
        of(&findings, FindingKind::DuplicateFiles).evidence.file_groups,
        [["train/cat/00.png", "train/cat/again.png"]]
    );
    let conflict = of(&findings, FindingKind::ConflictingLabels);
    assert_eq!(conflict.evidence.file_groups, [["train/cat/02.png", "train/dog/other.png"]]);
    assert_eq!((conflict.count, conflict.severity), (2, Severity::Error));
    let leaks: Vec<&Finding> = findings.iter().filter(|finding| finding.kind == FindingKind::PartLeak).collect();
    assert_eq!(leaks[0].evidence.file_groups, [["test/cat/leak.png", "train/cat/04.png"]]);
    assert_eq!(leaks[1].evidence.file_groups, [["test/dog/near-leak.jpg", "train/dog/05.png"]]);
    assert!(leaks.iter().all(|leak| leak.severity == Severity::Error && leak.count == 1));
    // Of a leak the copy that was learned goes; only where it is exact does a plan do so by itself.
    let dropped = serde_json::to_value(leaks[0].repair.as_ref().unwrap()).unwrap();
    assert_eq!(dropped["files"], serde_json::json!(["train/cat/04.png"]));
    assert!(leaks[0].repair.as_ref().unwrap().safe && !leaks[1].repair.as_ref().unwrap().safe);
}

#[test]
fn odd_pictures_are_odd_against_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    plain(folder.path(), 60);
    let dim = |scale: f32, add: f32| {
        let mut picture = scene(70, 64, 64, 0);
        picture.pixels_mut().for_each(|pixel| pixel.0 = pixel.0.map(|part| (f32::from(part) * scale + add) as u8));
        png(&picture)
    };
    put(folder.path(), "cat/dark.png", &dim(0.15, 0.0));
    put(folder.path(), "cat/bright.png", &dim(0.1, 228.0));
    put(folder.path(), "cat/flat.png", &png(&RgbImage::from_pixel(64, 64, image::Rgb([120, 120, 120]))));
    put(folder.path(), "cat/blurred.png", &png(&image::imageops::blur(&scene(71, 64, 64, 0), 5.0)));
    put(folder.path(), "dog/strip.png", &png(&scene(72, 24, 170, 0)));
    put(folder.path(), "dog/huge.png", &png(&scene(73, 512, 512, 0)));
    put(
        folder.path(),
        "dog/grey.png",
        &encoded(&DynamicImage::from(DynamicImage::from(scene(74, 64, 64, 0)).into_luma8())),
    );
    put(
        folder.path(),
        "dog/clear.png",
        &encoded(&DynamicImage::from(DynamicImage::from(scene(75, 64, 64, 0)).into_rgba8())),
    );
    let (profile, findings) = look(folder.path(), 2);
    assert_eq!(named(&findings, FindingKind::DarkPictures), ["cat/dark.png"]);
    assert_eq!(named(&findings, FindingKind::BrightPictures), ["cat/bright.png"]);
    assert_eq!(named(&findings, FindingKind::OddAspectRatio), ["dog/strip.png"]);
    assert_eq!(named(&findings, FindingKind::OddSize), ["dog/huge.png"]);
    assert_eq!(named(&findings, FindingKind::MixedModes), ["dog/grey.png", "dog/clear.png"]);
    assert!(named(&findings, FindingKind::LowContrast).contains(&"cat/flat.png".to_owned()));
    let blurred = named(&findings, FindingKind::BlurredPictures);
    assert!(
        blurred.contains(&"cat/blurred.png".to_owned()) && blurred.contains(&"cat/flat.png".to_owned()),
        "{blurred:?}"
    );
    assert!(blurred.len() <= 4, "{blurred:?}");
    assert_eq!(profile.view().modes["rgba"], 1);
    // A set of which all are dark has no dark pictures.
    let night = tempfile::tempdir().unwrap();
    for seed in 0..20u64 {
        let mut picture = scene(seed, 48, 48, 0);
        picture.pixels_mut().for_each(|pixel| pixel.0 = pixel.0.map(|part| part / 8));
        put(night.path(), &format!("{seed}.png"), &png(&picture));
    }
    assert_eq!(named(&look(night.path(), 1).1, FindingKind::DarkPictures), Vec::<String>::new());
}

#[test]
fn classes_are_weighed() {
    let folder = tempfile::tempdir().unwrap();
    for seed in 0..40u64 {
        let class = if seed < 3 { "rare" } else { "usual" };
        put(folder.path(), &format!("{class}/{seed:02}.png"), &png(&scene(seed, 32, 32, 0)));
    }
    put(folder.path(), "stray.png", &png(&scene(50, 32, 32, 0)));
    let (_, findings) = look(folder.path(), 1);
    let rare = of(&findings, FindingKind::RareValues);
    assert_eq!((rare.count, rare.evidence.values[0].value.as_str()), (3, "rare"));
    assert_eq!(of(&findings, FindingKind::ClassImbalance).count, 3);
    assert_eq!(named(&findings, FindingKind::UnlabelledFiles), ["stray.png"]);
}

#[test]
fn nothing_depends_on_threads() {
    let folder = tempfile::tempdir().unwrap();
    plain(folder.path(), 30);
    put(folder.path(), "cat/a.png", b"");
    put(folder.path(), "cat/b.jpg", &jpeg(&scene(901, 64, 64, 0), 70));
    let (one, four) = (look(folder.path(), 1), look(folder.path(), 4));
    assert_eq!(one.1, four.1);
    assert_eq!(one.0.survey.sha256, four.0.survey.sha256);
    assert_eq!(serde_json::to_value(one.0.view()).unwrap(), serde_json::to_value(four.0.view()).unwrap());
    assert_eq!(one.0.sketch, four.0.sketch);
}

#[test]
fn sharpness_is_the_variance_of_opencvs_laplacian() {
    // OpenCV 5: a = (arange(25).reshape(5, 5) ** 2 % 251).astype(uint8); cv2.Laplacian(a, cv2.CV_64F)[1:-1, 1:-1].var()
    let picture = GrayImage::from_fn(5, 5, |column, row| image::Luma([((row * 5 + column).pow(2) % 251) as u8]));
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "a.png", &encoded(&DynamicImage::from(picture)));
    let sharpness = look(folder.path(), 1).0.view().measures["sharpness"].mean;
    assert!((sharpness - 56_000.888_888_888_89).abs() < 0.01, "{sharpness}");
}
