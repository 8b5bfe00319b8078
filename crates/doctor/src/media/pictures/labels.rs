//! Wrong labels of pictures, by [`crate::labels`]: the labelled pictures of all parts are looked at together.

use super::facts::PictureMode;
use super::profile::PictureProfile;
use crate::finding::{Evidence, FileEvidence, Finding, FindingKind, LabelEvidence, Proposal, Severity};
use crate::labels::{FEW, LabelOptions, MOST_CLASSES, Said, Thumbnails, check_pictures, note, rounded, too_few};
use crate::media::survey::{SurveyOptions, on_threads};
use crate::repair::Action;
use lepton_core::{Result, Seed, thousands};
use rayon::prelude::*;
use std::collections::BTreeSet;
use twox_hash::XxHash3_64;

/// Pictures that are made small between two looks at the cancel flag.
const PIECE: usize = 512;

/// Pictures that are looked at; of more, some that are drawn by their names.
const MOST: usize = 100_000;

/// Draws what the check draws.
const SEED: Seed = Seed(42);

/// Labels that a finding names at most.
const NAMED: usize = 10_000;

/// Adds what is found.
pub(super) fn check(profile: &PictureProfile, options: &SurveyOptions<'_>, findings: &mut Vec<Finding>) -> Result<()> {
    let (items, survey) = (&profile.collection.items, &profile.survey);
    let labelled = survey.read().filter_map(|(item, facts)| Some((item, facts, items[item].label.as_deref()?)));
    let mut labelled: Vec<_> = labelled.collect();
    let classes: Vec<&str> = labelled.iter().map(|(.., label)| *label).collect::<BTreeSet<_>>().into_iter().collect();
    let all = labelled.len();
    if classes.len() < 2 {
        return Ok(());
    }
    if classes.len() > MOST_CLASSES {
        let count = thousands(classes.len() as u64);
        let message = format!("labels cannot be checked: of {count} classes, {MOST_CLASSES} at most can be told apart");
        findings.push(note(None, message));
        return Ok(());
    }
    if all < FEW {
        findings.push(note(None, too_few(all, "picture")));
        return Ok(());
    }
    if all > MOST {
        labelled.sort_by_cached_key(|(item, ..)| XxHash3_64::oneshot(items[*item].name.as_bytes()));
        labelled.truncate(MOST);
        labelled.sort_by_key(|(item, ..)| *item);
    }
    let mut small = Thumbnails::of_sizes(labelled.iter().map(|(_, facts, _)| {
        let channels = if matches!(facts.mode, PictureMode::Grey | PictureMode::GreyAlpha) { 1 } else { 3 };
        (facts.height as usize, facts.width as usize, channels)
    }));
    for piece in labelled.chunks(PIECE) {
        options.cancel.check()?;
        let made = on_threads(options.threads, || {
            let make = |(item, ..): &(usize, _, _)| {
                profile.collection.picture(*item, &options.limits).map(|picture| small.small(picture.as_ref()))
            };
            piece.par_iter().map(make).collect::<Result<Vec<_>>>()
        })??;
        made.iter().for_each(|made| small.push_small(made));
    }
    let number = |label: &str| classes.partition_point(|class| *class < label) as u32;
    let labels: Vec<u32> = labelled.iter().map(|(.., label)| number(label)).collect();
    let how = LabelOptions { threads: options.threads, seed: SEED, cancel: options.cancel };
    let found = check_pictures(&small, &labels, classes.len(), &how)?;
    let message = match found.said("picture", (all > MOST).then_some(all as u64)) {
        Said::CannotTell(why) => {
            findings.push(note(None, why));
            return Ok(());
        }
        Said::Nothing => return Ok(()),
        Said::Wrong(message) => message,
    };
    let named = found.suspects.iter().take(NAMED).map(|suspect| LabelEvidence {
        row: None,
        file: Some(items[labelled[suspect.row].0].name.clone()),
        given: classes[suspect.given as usize].to_owned(),
        suggested: classes[suspect.suggested as usize].to_owned(),
        confidence: rounded(suspect.confidence),
    });
    let shown: Vec<LabelEvidence> = named.collect();
    let by_name = || shown.iter().filter_map(|label| Some((label.file.clone()?, label)));
    let files = by_name().map(|(file, label)| {
        let LabelEvidence { given, suggested, confidence, .. } = label;
        FileEvidence { file, detail: Some(format!("{given:?}, probably {suggested:?} ({confidence:.2})")) }
    });
    let files = files.collect();
    let relabelled = by_name().map(|(file, label)| (file, label.suggested.clone())).collect();
    findings.push(Finding {
        kind: FindingKind::LabelErrors,
        column: None,
        count: found.suspects.len() as u64,
        severity: Severity::Warning,
        message,
        evidence: Evidence { files, labels: shown, ..Evidence::default() },
        repair: Some(Proposal { action: Action::RelabelFiles { labels: relabelled }, safe: false }),
    });
    Ok(())
}
