//! Findings of sounds, the gravest first.

use super::facts::AudioFacts;
use super::profile::{AudioProfile, tally};
use crate::checks::{counted, share};
use crate::finding::{Finding, FindingKind, Severity};
use crate::media::checks::{
    Likeness, broken, classes, copies, drop_files, files, finding, others, robust, same_content, wrong_extension,
};
use crate::media::profile::class_counts;

/// Share of samples at full scale past which a sound is clipped.
const CLIPPED: f64 = 1e-4;

/// Share of silent windows past which a sound is silent.
const SILENT: f64 = 0.95;

/// A mean past this part of full scale is an offset.
const OFFSET: f64 = 0.02;

/// All findings of a profile, the gravest first.
pub fn check_audio(profile: &AudioProfile) -> Vec<Finding> {
    let (collection, survey) = (&profile.collection, &profile.survey);
    let mut findings = Vec::new();
    broken(collection, survey.faults(), &mut findings);
    others(collection, &mut findings);
    let formats = survey.read().map(|(item, facts)| {
        let (fits, proper): (&'static [&'static str], _) = match facts.format {
            "wave" => (&["wav", "wave"], "wav"),
            "flac" => (&["flac"], "flac"),
            "ogg" => (&["ogg", "oga"], "ogg"),
            _ => (&["mp3"], "mp3"),
        };
        (item, fits, proper)
    });
    wrong_extension(collection, formats, &mut findings);
    let same = same_content(survey.read().map(|(item, facts)| (item, facts.content)));
    copies(collection, &same, Likeness::Same, &mut findings);
    faulty(profile, &mut findings);
    mixed(profile, FindingKind::MixedRates, |facts| facts.rate, |rate| format!("{rate} Hz"), &mut findings);
    let channels = |channels: &u32| counted(u64::from(*channels), "channel");
    mixed(profile, FindingKind::MixedChannels, |facts| facts.channels, channels, &mut findings);
    odd_durations(profile, &mut findings);
    classes(collection, &class_counts(collection), &mut findings);
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings
}

/// Sounds that are clipped, silent or off their middle.
fn faulty(profile: &AudioProfile, findings: &mut Vec<Finding>) {
    let mut push = |kind, is: &dyn Fn(&AudioFacts) -> bool, what: &str, say: &dyn Fn(&AudioFacts) -> String| {
        let found: Vec<(usize, &AudioFacts)> = profile.survey.read().filter(|(_, facts)| is(facts)).collect();
        if found.is_empty() {
            return;
        }
        let count = found.len() as u64;
        let all = profile.collection.items.len() as u64;
        let message = format!("{} ({}) {what}", counted(count, "sound"), share(count, all));
        let evidence = files(&profile.collection, found.iter().map(|(item, facts)| (*item, Some(say(facts)))));
        let repair = drop_files(&profile.collection, found.iter().map(|(item, _)| *item), false);
        findings.push(finding(kind, Severity::Warning, found.len(), message, evidence, repair));
    };
    push(
        FindingKind::ClippedAudio,
        &|facts| facts.clipped > CLIPPED,
        "with peaks that are cut at full scale",
        &|facts| format!("{:.2} % of its samples", 100.0 * facts.clipped),
    );
    push(FindingKind::SilentAudio, &|facts| facts.silent >= SILENT, "of silence", &|facts| {
        format!("{:.0} % of it lies under -60 dB", 100.0 * facts.silent)
    });
    push(FindingKind::DcOffset, &|facts| facts.offset.abs() > OFFSET, "whose middle is not zero", &|facts| {
        format!("its mean is {:.3} of full scale", facts.offset)
    });
}

/// Sounds that differ from most in something that all should have in common.
fn mixed<T: Ord + Copy>(
    profile: &AudioProfile,
    kind: FindingKind,
    of: impl Fn(&AudioFacts) -> T,
    say: impl Fn(&T) -> String,
    findings: &mut Vec<Finding>,
) {
    let counts = tally(profile.survey.read().map(|(_, facts)| of(facts)));
    let Some((most, _)) = counts.iter().max_by_key(|(value, count)| (**count, std::cmp::Reverse(**value))) else {
        return;
    };
    if counts.len() < 2 {
        return;
    }
    let found: Vec<(usize, Option<String>)> = profile
        .survey
        .read()
        .filter(|(_, facts)| of(facts) != *most)
        .map(|(item, facts)| (item, Some(say(&of(facts)))))
        .collect();
    let count = found.len();
    let message = format!("{} unlike most, which have {}", counted(count as u64, "sound"), say(most));
    findings.push(finding(kind, Severity::Warning, count, message, files(&profile.collection, found), None));
}

fn odd_durations(profile: &AudioProfile, findings: &mut Vec<Finding>) {
    let length = |facts: &AudioFacts| facts.seconds().max(1e-6).ln();
    let Some((median, spread)) = robust(profile.survey.read().map(|(_, facts)| length(facts)).collect()) else {
        return;
    };
    let far = (3.5 * spread.max(0.1)).max(3.0_f64.ln());
    let found: Vec<(usize, &AudioFacts)> =
        profile.survey.read().filter(|(_, facts)| (length(facts) - median).abs() > far).collect();
    if found.is_empty() {
        return;
    }
    let middle = median.exp();
    let message = format!(
        "{} far longer or shorter than the others, whose middle is {middle:.2} s",
        counted(found.len() as u64, "sound")
    );
    let said = found.iter().map(|(item, facts)| (*item, Some(format!("{:.2} s", facts.seconds()))));
    let evidence = files(&profile.collection, said);
    let repair = drop_files(&profile.collection, found.iter().map(|(item, _)| *item), false);
    findings.push(finding(FindingKind::OddDuration, Severity::Warning, found.len(), message, evidence, repair));
}
