//! Wrong labels of pictures: digits that ship with the repository, and MNIST through the catalogue.

use super::{example, flip, options, recall_and_precision};
use arrow_array::cast::AsArray;
use lepton_core::image::ImageColumn;
use lepton_core::{Cancel, ColumnKind, Limits, Seed, Silent, Split};
use lepton_data::catalogue::{CatalogueFiles, fetch, find};
use lepton_data::{CollectSettings, Dataset, collect};
use lepton_doctor::labels::{LabelCheck, Thumbnails, check_pictures};
use lepton_doctor::media::pictures::{PictureChecks, check_pictures as check_collection, profile_pictures};
use lepton_doctor::media::{Collection, SurveyOptions};
use lepton_doctor::repair::Action;
use lepton_doctor::{Finding, FindingKind, Severity};
use rand_chacha::rand_core::Rng;
use std::path::Path;

/// The training pictures of a dataset with their labels as numbers.
fn pictures(data: &Dataset) -> (Thumbnails, Vec<u32>) {
    let part = &data.parts[&Split::Train];
    let column = data.schema.of_kind(ColumnKind::Image).next().unwrap();
    let images = ImageColumn::new(part.column_by_name(&column.name).unwrap()).unwrap();
    let all = || (0..images.len()).map(|row| images.get(row).unwrap());
    let mut thumbnails = Thumbnails::of_sizes(all().map(|picture| (picture.height, picture.width, picture.channels)));
    all().for_each(|picture| thumbnails.push(picture));
    let labels = part.column_by_name(&data.target).unwrap().as_string::<i32>();
    (thumbnails, labels.iter().map(|label| label.unwrap().parse().unwrap()).collect())
}

fn digits() -> (Thumbnails, Vec<u32>) {
    let settings = CollectSettings { path: Some(".".into()), ..Default::default() };
    pictures(&collect(&settings, &example("digits"), None, &Limits::default(), &Silent, &Cancel::default()).unwrap())
}

fn checked(thumbnails: &Thumbnails, labels: &[u32], threads: usize) -> LabelCheck {
    check_pictures(thumbnails, labels, 10, &options(threads, &Cancel::default())).unwrap()
}

#[test]
fn flipped_digits_are_found_with_the_label_that_they_had() {
    let (thumbnails, truth) = digits();
    let mut labels = truth.clone();
    let flipped = flip(&mut labels, 10, 0.03, 1);
    let found = checked(&thumbnails, &labels, 2);
    let (recall, precision) = recall_and_precision(found.suspects.iter().map(|suspect| suspect.row), &flipped);
    println!("{} reported, recall {recall:.3}, precision {precision:.3}", found.suspects.len());
    assert!(recall >= 0.85 && precision >= 0.9, "{recall} {precision}");
    let right = found.suspects.iter().filter(|suspect| flipped[suspect.row]);
    assert!(right.clone().filter(|suspect| suspect.suggested == truth[suspect.row]).count() * 20 >= right.count() * 19);
    assert!(found.suspects.iter().all(|suspect| suspect.given == labels[suspect.row] && suspect.confidence >= 0.5));
    assert!(found.suspects.is_sorted_by(|one, other| one.confidence >= other.confidence));
    assert_eq!(checked(&thumbnails, &labels, 1), found, "the same with another number of threads");
}

#[test]
fn clean_digits_have_hardly_any() {
    let (thumbnails, labels) = digits();
    let found = checked(&thumbnails, &labels, 2);
    println!("accuracy {:.4}, {} of {} reported", found.accuracy, found.suspects.len(), found.rows);
    assert!(found.can_tell && found.accuracy > 0.98 && found.suspects.len() <= 2, "{:?}", found.suspects);
}

#[test]
fn random_labels_cannot_be_checked() {
    let (thumbnails, mut labels) = digits();
    let mut rng = Seed(3).rng("random labels", &[]);
    labels.iter_mut().for_each(|label| *label = rng.next_u32() % 10);
    let found = checked(&thumbnails, &labels, 2);
    assert!(!found.can_tell && found.suspects.is_empty() && found.accuracy < 0.15, "{found:?}");
}

#[test]
fn a_class_of_few_pictures_is_left_out() {
    let (thumbnails, mut labels) = digits();
    labels[7] = 10;
    let found = check_pictures(&thumbnails, &labels, 11, &options(2, &Cancel::default())).unwrap();
    assert_eq!((found.too_rare, found.rows), (1, labels.len() - 1));
    assert!(found.suspects.iter().all(|suspect| suspect.row != 7 && suspect.suggested != 10));
}

/// What the doctor says of the labels of a folder.
fn of_folder(folder: &Path) -> Vec<Finding> {
    let cancel = Cancel::default();
    let options = SurveyOptions { limits: Limits::default(), threads: 2, progress: &Silent, cancel: &cancel };
    let profile = profile_pictures(Collection::open(folder, &Limits::default()).unwrap(), &options).unwrap();
    let findings = check_collection(&profile, &PictureChecks::default(), &options).unwrap();
    findings.into_iter().filter(|finding| finding.kind == FindingKind::LabelErrors).collect()
}

/// The digits as idx files, the labels of the training part as `change` leaves them (behind a head of eight bytes).
fn folder_of_digits(change: impl FnOnce(&mut [u8])) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in
        ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "test-images-idx3-ubyte", "test-labels-idx1-ubyte"]
    {
        std::fs::copy(example("digits").join(name), folder.path().join(name)).unwrap();
    }
    let labels = folder.path().join("train-labels-idx1-ubyte");
    let mut bytes = std::fs::read(&labels).unwrap();
    change(&mut bytes[8..]);
    std::fs::write(&labels, bytes).unwrap();
    folder
}

#[test]
fn the_doctor_names_the_pictures_and_proposes_their_labels() {
    let wrong = [3, 100, 700, 1200, 1400];
    let mut truth = Vec::new();
    let folder = folder_of_digits(|labels| {
        truth = labels.to_vec();
        wrong.iter().for_each(|row| labels[*row] = (labels[*row] + 4) % 10);
    });
    let found = of_folder(folder.path());
    let [finding] = &found[..] else { panic!("{found:?}") };
    assert_eq!((finding.severity, finding.count as usize), (Severity::Warning, finding.evidence.labels.len()));
    let Some(Action::RelabelFiles { labels }) = finding.repair.as_ref().map(|repair| &repair.action) else {
        panic!("{:?}", finding.repair)
    };
    assert!(!finding.repair.as_ref().unwrap().safe && !finding.evidence.thumbnails.is_empty());
    let named = wrong
        .iter()
        .filter(|row| labels.get(&format!("train-images-idx3-ubyte#{}", **row + 1)) == Some(&truth[**row].to_string()));
    assert!(named.count() >= 4 && labels.len() <= 7, "{labels:?}");
}

#[test]
fn the_doctor_says_that_random_labels_cannot_be_checked() {
    let mut rng = Seed(4).rng("random labels", &[]);
    let folder = tempfile::tempdir().unwrap();
    let pixels: Vec<u8> = [0, 0, 8, 3, 0, 0, 0, 200, 0, 0, 0, 8, 0, 0, 0, 8]
        .into_iter()
        .chain((0..200 * 64).map(|_| (rng.next_u32() >> 24) as u8))
        .collect();
    let labels: Vec<u8> = [0, 0, 8, 1, 0, 0, 0, 200].into_iter().chain((0..200).map(|row| (row % 2) as u8)).collect();
    std::fs::write(folder.path().join("train-images-idx3-ubyte"), pixels).unwrap();
    std::fs::write(folder.path().join("train-labels-idx1-ubyte"), labels).unwrap();
    let found = of_folder(folder.path());
    let [finding] = &found[..] else { panic!("{found:?}") };
    assert_eq!((finding.severity, finding.count, &finding.repair), (Severity::Note, 0, &None));
    assert!(finding.message.contains("cannot be checked"), "{}", finding.message);
}

/// 60,000 pictures, 3 % of the labels flipped. The pictures are fetched as `lepton data fetch mnist` does.
#[test]
fn flipped_labels_of_mnist_are_found() {
    let (scratch, cancel) = (tempfile::tempdir().unwrap(), Cancel::default());
    let files = CatalogueFiles {
        files: fetch(find("mnist").unwrap(), scratch.path(), &Limits::default(), &Silent, &cancel).unwrap(),
    };
    let settings = CollectSettings { dataset: Some("mnist".into()), ..Default::default() };
    let data = collect(&settings, scratch.path(), Some(&files), &Limits::default(), &Silent, &cancel).unwrap();
    let (thumbnails, truth) = pictures(&data);
    let mut labels = truth.clone();
    let flipped = flip(&mut labels, 10, 0.03, 1);
    assert_eq!(flipped.iter().filter(|flipped| **flipped).count(), 1_800);
    let started = std::time::Instant::now();
    let found = checked(&thumbnails, &labels, 2);
    let (recall, precision) = recall_and_precision(found.suspects.iter().map(|suspect| suspect.row), &flipped);
    let seconds = started.elapsed().as_secs_f64();
    println!("{seconds:.1} s, {} reported, recall {recall:.3}, precision {precision:.3}", found.suspects.len());
    assert!(recall >= 0.8 && precision >= 0.7, "{recall} {precision}");
    let right = found.suspects.iter().filter(|suspect| flipped[suspect.row]);
    assert!(right.clone().filter(|suspect| suspect.suggested == truth[suspect.row]).count() * 20 >= right.count() * 19);
}
