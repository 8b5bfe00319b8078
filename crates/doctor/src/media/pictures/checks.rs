//! Findings of pictures, the gravest first. What is odd is odd against the rest of the set, and past a fixed bound as
//! well: a set of night pictures has no dark pictures, and neither has one whose pictures differ by a hair.

use super::facts::{PictureFacts, PictureMode};
use super::labels;
use super::near::{NearOptions, Seen, search};
use super::profile::PictureProfile;
use super::thumbnail::thumbnail;
use crate::checks::{counted, share};
use crate::finding::{Finding, FindingKind, Proposal, Severity, Thumbnail};
use crate::media::checks::{
    Likeness, broken, classes, copies, drop_files, files, finding, others, robust, same_content, wrong_extension,
};
use crate::media::profile::class_counts;
use crate::media::survey::{SurveyOptions, on_threads};
use crate::repair::{Action, TargetMode};
use lepton_core::Result;
use lepton_recipe::raw::PictureFormat;
use std::collections::{BTreeMap, BTreeSet};

/// Pictures that a finding shows.
const SHOWN: usize = 6;

/// Spreads from the median at which something is odd: one in some thousand where numbers are normal.
const ODD: f64 = 3.5;

/// How pictures are checked.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PictureChecks {
    /// What counts as nearly the same.
    pub near: NearOptions,
}

/// All findings of a profile, the gravest first.
///
/// # Errors
/// [`lepton_core::ErrorCode::Cancelled`] and [`lepton_core::ErrorCode::Internal`].
pub fn check_pictures(
    profile: &PictureProfile,
    checks: &PictureChecks,
    options: &SurveyOptions<'_>,
) -> Result<Vec<Finding>> {
    let (collection, survey) = (&profile.collection, &profile.survey);
    let mut findings = Vec::new();
    broken(collection, survey.faults(), &mut findings);
    others(collection, &mut findings);
    let formats = survey.read().filter_map(|(item, facts)| match facts.format? {
        PictureFormat::Png => Some((item, ["png"].as_slice(), "png")),
        PictureFormat::Jpeg => Some((item, ["jpg", "jpeg", "jpe"].as_slice(), "jpg")),
    });
    wrong_extension(collection, formats, &mut findings);
    let same = same_content(survey.read().map(|(item, facts)| (item, facts.content)));
    copies(collection, &same, Likeness::Same, &mut findings);
    options.cancel.check()?;
    let near = near_groups(profile, &same, checks, options)?;
    copies(collection, &near, Likeness::Near, &mut findings);
    options.cancel.check()?;
    odd_pictures(profile, &mut findings);
    mixed_modes(profile, &mut findings);
    classes(collection, &class_counts(collection), &mut findings);
    options.cancel.check()?;
    labels::check(profile, options, &mut findings)?;
    for finding in &mut findings {
        show(profile, finding, options);
    }
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    Ok(findings)
}

/// Groups of pictures that look the same, of each content one, the one of most pixels first.
fn near_groups(
    profile: &PictureProfile,
    same: &[Vec<usize>],
    checks: &PictureChecks,
    options: &SurveyOptions<'_>,
) -> Result<Vec<Vec<usize>>> {
    let repeats: BTreeSet<usize> = same.iter().flat_map(|group| group[1..].iter().copied()).collect();
    let pictures: Vec<(usize, &PictureFacts)> =
        profile.survey.read().filter(|(item, _)| !repeats.contains(item)).collect();
    let seen: Vec<Seen<'_>> =
        pictures.iter().map(|(_, facts)| Seen { hash: facts.hash, small: &facts.small }).collect();
    let pairs = on_threads(options.threads, || search(&seen, &checks.near))?;
    let mut heads: Vec<usize> = (0..pictures.len()).collect();
    for pair in &pairs {
        let [first, second] = pair.pictures.map(|place| head(&mut heads, place));
        heads[first.max(second)] = first.min(second);
    }
    let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for place in 0..pictures.len() {
        groups.entry(head(&mut heads, place)).or_default().push(place);
    }
    let pixels = |place: &usize| u64::from(pictures[*place].1.height) * u64::from(pictures[*place].1.width);
    let groups = groups.into_values().filter(|group| group.len() > 1);
    Ok(groups
        .map(|mut group| {
            group.sort_by_key(|place| std::cmp::Reverse(pixels(place)));
            group.into_iter().map(|place| pictures[place].0).collect()
        })
        .collect())
}

/// The first of the group that a place belongs to.
fn head(heads: &mut [usize], mut place: usize) -> usize {
    while heads[place] != place {
        heads[place] = heads[heads[place]];
        place = heads[place];
    }
    place
}

/// One measure of a picture, with the bound past which it is odd.
struct Odd {
    kind: FindingKind,
    what: &'static str,
    /// The measure.
    of: fn(&PictureFacts) -> f64,
    /// A spread that is taken where the set has a smaller one.
    least_spread: f64,
    /// Whether a measure may be odd at all, of it and the median.
    may_be: fn(f64, f64) -> bool,
    /// How it is said.
    say: fn(&PictureFacts, f64) -> String,
}

const ODDITIES: [Odd; 6] = [
    Odd {
        kind: FindingKind::DarkPictures,
        what: "dark even where they are brightest",
        of: |facts| f64::from(facts.range[1]),
        least_spread: 0.02,
        may_be: |value, median| value < 0.25 && value < median,
        say: |facts, median| format!("99 % of it is darker than {:.2}; of the others {median:.2}", facts.range[1]),
    },
    Odd {
        kind: FindingKind::BrightPictures,
        what: "bright even where they are darkest",
        of: |facts| f64::from(facts.range[0]),
        least_spread: 0.02,
        may_be: |value, median| value > 0.75 && value > median,
        say: |facts, median| format!("99 % of it is brighter than {:.2}; of the others {median:.2}", facts.range[0]),
    },
    Odd {
        kind: FindingKind::BlurredPictures,
        what: "without anything sharp",
        of: |facts| f64::from(facts.sharpness + 1.0).ln(),
        least_spread: 0.25,
        may_be: |value, median| value < 101.0_f64.ln() && value < median,
        say: |facts, median| {
            format!("variance of the Laplacian {:.1}; of the others {:.0}", facts.sharpness, median.exp() - 1.0)
        },
    },
    Odd {
        kind: FindingKind::LowContrast,
        what: "of nearly one brightness",
        of: |facts| facts.look.contrast,
        least_spread: 0.01,
        may_be: |value, median| value < 0.05 && value < median,
        say: |facts, median| format!("standard deviation {:.3}; of the others {median:.3}", facts.look.contrast),
    },
    Odd {
        kind: FindingKind::OddAspectRatio,
        what: "of another shape than the others",
        of: |facts| (f64::from(facts.width) / f64::from(facts.height.max(1))).ln(),
        least_spread: 0.05,
        may_be: |value, median| (value - median).abs() > 1.5_f64.ln(),
        say: |facts, median| {
            format!(
                "{}x{}, width by height {:.2}; of the others {:.2}",
                facts.height,
                facts.width,
                f64::from(facts.width) / f64::from(facts.height.max(1)),
                median.exp()
            )
        },
    },
    Odd {
        kind: FindingKind::OddSize,
        what: "far larger or smaller than the others",
        of: |facts| (f64::from(facts.width) * f64::from(facts.height)).max(1.0).ln() / 2.0,
        least_spread: 0.1,
        may_be: |value, median| (value - median).abs() > 3.0_f64.ln(),
        say: |facts, median| {
            format!("{}x{}; the middle side of the others {:.0}", facts.height, facts.width, median.exp())
        },
    },
];

fn odd_pictures(profile: &PictureProfile, findings: &mut Vec<Finding>) {
    let all = profile.collection.items.len() as u64;
    for odd in &ODDITIES {
        let values: Vec<f64> = profile.survey.read().map(|(_, facts)| (odd.of)(facts)).collect();
        let Some((median, spread)) = robust(values) else { return };
        let far = ODD * spread.max(odd.least_spread);
        let is_odd = |value: f64| (value - median).abs() > far && (odd.may_be)(value, median);
        let found: Vec<(usize, &PictureFacts)> =
            profile.survey.read().filter(|(_, facts)| is_odd((odd.of)(facts))).collect();
        if found.is_empty() {
            continue;
        }
        let count = found.len() as u64;
        let message = format!("{} ({}) {}", counted(count, "picture"), share(count, all), odd.what);
        let evidence =
            files(&profile.collection, found.iter().map(|(item, facts)| (*item, Some((odd.say)(facts, median)))));
        let repair = drop_files(&profile.collection, found.iter().map(|(item, _)| *item), false);
        findings.push(finding(odd.kind, Severity::Warning, found.len(), message, evidence, repair));
    }
}

fn mixed_modes(profile: &PictureProfile, findings: &mut Vec<Finding>) {
    let mut modes: BTreeMap<PictureMode, Vec<usize>> = BTreeMap::new();
    profile.survey.read().for_each(|(item, facts)| modes.entry(facts.mode).or_default().push(item));
    let Some((most, _)) = modes.iter().max_by_key(|(mode, items)| (items.len(), std::cmp::Reverse(**mode))) else {
        return;
    };
    if modes.len() < 2 {
        return;
    }
    let most = *most;
    let others: Vec<(usize, Option<String>)> = modes
        .iter()
        .filter(|(mode, _)| **mode != most)
        .flat_map(|(mode, items)| items.iter().map(|item| (*item, Some(mode.name().to_owned()))))
        .collect();
    let message =
        format!("{} in another mode than most, which are {}", counted(others.len() as u64, "picture"), most.name());
    let mode = if modes.keys().all(|mode| matches!(mode, PictureMode::Grey | PictureMode::GreyAlpha)) {
        TargetMode::Grey
    } else {
        TargetMode::Rgb
    };
    let count = others.len();
    let repair = Some(Proposal { action: Action::ConvertPictures { mode }, safe: false });
    let evidence = files(&profile.collection, others);
    findings.push(finding(FindingKind::MixedModes, Severity::Note, count, message, evidence, repair));
}

/// Puts a few small pictures to a finding. What cannot be decoded is not shown.
fn show(profile: &PictureProfile, finding: &mut Finding, options: &SurveyOptions<'_>) {
    let evidence = &mut finding.evidence;
    let grouped = evidence.file_groups.iter().flat_map(|group| group.iter().take(2)).cloned();
    let named: Vec<String> = evidence.files.iter().map(|file| file.file.clone()).chain(grouped).take(SHOWN).collect();
    for file in named {
        let item = profile.collection.items.binary_search_by(|item| item.name.as_str().cmp(&file));
        let item = item.ok().or_else(|| profile.collection.items.iter().position(|item| item.name == file));
        let Some(item) = item.filter(|item| profile.survey.readings[*item].seen.is_ok()) else { continue };
        let png = profile.collection.picture(item, &options.limits).and_then(|picture| thumbnail(picture.as_ref()));
        if let Ok(png) = png {
            evidence.thumbnails.push(Thumbnail { file, png });
        }
    }
}
