//! Findings that pictures and sounds share: broken items, what else lies in the folder, copies, classes.

use super::collection::Collection;
use super::fault::{Fault, FaultKind};
use super::profile::ClassCount;
use super::walk::{Other, OtherKind};
use crate::checks::{counted, counted_with, share};
use crate::finding::{Evidence, FileEvidence, Finding, FindingKind, Proposal, Severity, ValueEvidence};
use crate::repair::Action;
use lepton_core::Split;
use std::collections::{BTreeMap, BTreeSet};

/// Files or groups that a finding names at most.
const NAMED: usize = 10_000;

/// The most frequent class is this many times as frequent as the rarest.
const IMBALANCE: u64 = 10;

/// A class with fewer items cannot be learned.
const RARE: u64 = 5;

/// Items from which on outliers against the others are looked for.
pub(super) const FEW: usize = 8;

pub(super) fn finding(
    kind: FindingKind,
    severity: Severity,
    count: usize,
    message: String,
    evidence: Evidence,
    repair: Option<Proposal>,
) -> Finding {
    Finding { kind, column: None, count: count as u64, severity, message, evidence, repair }
}

/// Items with what is said of each.
pub(super) fn files(collection: &Collection, said: impl IntoIterator<Item = (usize, Option<String>)>) -> Evidence {
    let named = said.into_iter().take(NAMED);
    let named = named.map(|(item, detail)| FileEvidence { file: collection.items[item].name.clone(), detail });
    Evidence { files: named.collect(), ..Evidence::default() }
}

/// A proposal to leave items out.
pub(super) fn drop_files(
    collection: &Collection,
    items: impl IntoIterator<Item = usize>,
    safe: bool,
) -> Option<Proposal> {
    let files: Vec<String> = items.into_iter().map(|item| collection.items[item].name.clone()).collect();
    (!files.is_empty()).then_some(Proposal { action: Action::DropFiles { files }, safe })
}

/// Items that could not be read: those that are broken, those that the system would not give, those past a limit.
pub(super) fn broken<'a>(
    collection: &Collection,
    faults: impl Iterator<Item = (usize, &'a Fault)>,
    findings: &mut Vec<Finding>,
) {
    let faults: Vec<(usize, &Fault)> = faults.collect();
    let mut push = |kind, wanted: &dyn Fn(FaultKind) -> bool, what: &str, drops: bool| {
        let some: Vec<(usize, &Fault)> = faults.iter().copied().filter(|(_, fault)| wanted(fault.kind)).collect();
        if some.is_empty() {
            return;
        }
        let message = format!(
            "{} ({}) {what}; the first: {}",
            counted(some.len() as u64, "file"),
            share(some.len() as u64, collection.items.len() as u64),
            some[0].1.reason
        );
        let evidence = files(collection, some.iter().map(|(item, fault)| (*item, Some(fault.reason.clone()))));
        // What cannot be read cannot be kept for undo either.
        let repair = if drops { drop_files(collection, some.iter().map(|(item, _)| *item), true) } else { None };
        findings.push(finding(kind, Severity::Error, some.len(), message, evidence, repair));
    };
    let is_broken = |kind| matches!(kind, FaultKind::Empty | FaultKind::Foreign | FaultKind::Damaged);
    push(FindingKind::BrokenFiles, &is_broken, "cannot be read", true);
    push(FindingKind::OversizedFiles, &|kind| kind == FaultKind::TooLarge, "were not decoded", true);
    push(FindingKind::UnreadableFiles, &|kind| kind == FaultKind::Unreadable, "may not be read", false);
}

/// What lies in the folder beside the items, and items beside the folders of classes.
pub(super) fn others(collection: &Collection, findings: &mut Vec<Finding>) {
    let said = |other: &Other| match &other.kind {
        OtherKind::File => None,
        OtherKind::Special => Some("a link to a folder or a special file; it is not followed or opened".to_owned()),
        OtherKind::Unreadable(reason) => Some(reason.clone()),
        OtherKind::Name => Some("its name is not UTF-8".to_owned()),
        OtherKind::TooDeep => Some("it lies too deep".to_owned()),
    };
    let is_sealed = |other: &&Other| matches!(other.kind, OtherKind::Unreadable(_));
    let mut push = |kind, severity, others: Vec<&Other>, what: &str| {
        if others.is_empty() {
            return;
        }
        let message = format!("{} {what}", counted(others.len() as u64, "entry").replace("entrys", "entries"));
        let named = others.iter().take(NAMED);
        let named = named.map(|other| FileEvidence { file: other.name.clone(), detail: said(other) });
        let evidence = Evidence { files: named.collect(), ..Evidence::default() };
        findings.push(finding(kind, severity, others.len(), message, evidence, None));
    };
    let sealed = collection.others.iter().filter(is_sealed).collect();
    push(FindingKind::UnreadableFiles, Severity::Error, sealed, "of the folder cannot be looked into");
    let others = collection.others.iter().filter(|other| !is_sealed(other)).collect();
    let what = format!("of the folder that are no {} of it", collection.kind.one());
    push(FindingKind::OtherFiles, Severity::Note, others, &what);
    let bare: Vec<usize> = (0..collection.items.len()).filter(|item| collection.items[*item].label.is_none()).collect();
    if !bare.is_empty() && bare.len() < collection.items.len() {
        let message = format!("{} beside the folders of classes", counted(bare.len() as u64, "file"));
        let evidence = files(collection, bare.iter().map(|item| (*item, None)));
        let repair = drop_files(collection, bare.iter().copied(), false);
        findings.push(finding(FindingKind::UnlabelledFiles, Severity::Warning, bare.len(), message, evidence, repair));
    }
}

/// Files that are in another format than they are called: each item with the endings that fit it and the proper one.
pub(super) fn wrong_extension(
    collection: &Collection,
    formats: impl Iterator<Item = (usize, &'static [&'static str], &'static str)>,
    findings: &mut Vec<Finding>,
) {
    let mut names = BTreeMap::new();
    let mut wrong = Vec::new();
    for (item, fits, proper) in formats {
        let name = &collection.items[item].name;
        let plain = name.rsplit('/').next().unwrap_or(name);
        let (stem, extension) = plain.rsplit_once('.').unwrap_or((plain, ""));
        if !fits.contains(&extension.to_lowercase().as_str()) {
            names.insert(name.clone(), format!("{stem}.{proper}"));
            wrong.push((item, Some(format!("it is a {}", proper.to_uppercase()))));
        }
    }
    if !wrong.is_empty() {
        let message = format!("{} in another format than the name says", counted(wrong.len() as u64, "file"));
        let count = wrong.len();
        let evidence = files(collection, wrong);
        let repair = Some(Proposal { action: Action::RenameFiles { names }, safe: true });
        findings.push(finding(FindingKind::WrongExtension, Severity::Warning, count, message, evidence, repair));
    }
}

/// How alike the members of a group are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Likeness {
    /// The same once decoded.
    Same,
    /// Nearly the same.
    Near,
}

/// Groups of items of one content.
pub(super) fn same_content(contents: impl Iterator<Item = (usize, u128)>) -> Vec<Vec<usize>> {
    let mut groups: BTreeMap<u128, Vec<usize>> = BTreeMap::new();
    contents.for_each(|(item, content)| groups.entry(content).or_default().push(item));
    let mut groups: Vec<Vec<usize>> = groups.into_values().filter(|group| group.len() > 1).collect();
    groups.sort_unstable();
    groups
}

/// Copies: of one label in one part (to be dropped), of several labels (to be looked at), in several parts (leaks).
/// Of each group the first member is the one to keep.
pub(super) fn copies(collection: &Collection, groups: &[Vec<usize>], likeness: Likeness, findings: &mut Vec<Finding>) {
    let (mut repeated, mut contradictory, mut leaking) = (Vec::new(), Vec::new(), Vec::new());
    let (mut repeats, mut learned) = (Vec::new(), Vec::new());
    let mut tested = 0;
    for group in groups {
        let item = |place: usize| &collection.items[place];
        let labels: BTreeSet<&str> = group.iter().filter_map(|place| item(*place).label.as_deref()).collect();
        let parts: BTreeSet<Split> = group.iter().filter_map(|place| item(*place).part).collect();
        if labels.len() > 1 {
            contradictory.push(group);
        }
        if parts.len() > 1 {
            leaking.push(group);
            // What is tested on stays what others tested on: the copies in the earlier part go.
            let last = parts.last().copied();
            learned.extend(group.iter().copied().filter(|place| item(*place).part < last));
            tested += group.iter().filter(|place| item(**place).part == last).count();
        }
        let mut seen = BTreeSet::new();
        let again: Vec<usize> = group
            .iter()
            .copied()
            .filter(|place| !seen.insert((item(*place).part, item(*place).label.as_deref())))
            .collect();
        if !again.is_empty() {
            repeated.push(group);
            repeats.extend(again);
        }
    }
    let named = |groups: &[&Vec<usize>]| {
        let names = |group: &&Vec<usize>| group.iter().map(|place| collection.items[*place].name.clone()).collect();
        Evidence { file_groups: groups.iter().take(NAMED).map(names).collect(), ..Evidence::default() }
    };
    let all = collection.items.len() as u64;
    let (one, is_same) = (collection.kind.one(), likeness == Likeness::Same);
    let how = if is_same { "the same content" } else { "nearly the same look" };
    if !repeated.is_empty() {
        let count = repeats.len() as u64;
        let (verbs, like) = match is_same {
            true => (["repeats", "repeat"], "another one in all of the content"),
            false => (["looks", "look"], "nearly like another one"),
        };
        let kind = if is_same { FindingKind::DuplicateFiles } else { FindingKind::NearDuplicates };
        let message =
            format!("{} {like}, with the same label ({} of all)", counted_with(count, one, verbs), share(count, all));
        let repair = drop_files(collection, repeats.iter().copied(), is_same);
        findings.push(finding(kind, Severity::Warning, repeats.len(), message, named(&repeated), repair));
    }
    if !contradictory.is_empty() {
        let members: Vec<usize> = contradictory.iter().flat_map(|group| group.iter().copied()).collect();
        let message = format!("{} with {how} have different labels", counted(members.len() as u64, one));
        let repair = drop_files(collection, members.iter().copied(), false);
        let evidence = named(&contradictory);
        findings.push(finding(
            FindingKind::ConflictingLabels,
            Severity::Error,
            members.len(),
            message,
            evidence,
            repair,
        ));
    }
    if !leaking.is_empty() {
        let message = format!(
            "{} of a later part with {how} as one of an earlier part: what is tested was learned",
            counted(tested as u64, one)
        );
        let repair = drop_files(collection, learned.iter().copied(), is_same);
        findings.push(finding(FindingKind::PartLeak, Severity::Error, tested, message, named(&leaking), repair));
    }
}

/// Classes of very different size, and those that are hardly there.
pub(super) fn classes(collection: &Collection, classes: &[ClassCount], findings: &mut Vec<Finding>) {
    let (Some(most), Some(least)) = (classes.first(), classes.last()) else { return };
    let first = |label: &str| collection.items.iter().position(|item| item.label.as_deref() == Some(label));
    let value = |class: &ClassCount| ValueEvidence {
        value: class.label.clone(),
        count: class.count,
        row: first(&class.label).map_or(0, |place| place as u64 + 1),
    };
    let evidence =
        |some: Vec<&ClassCount>| Evidence { values: some.into_iter().map(value).collect(), ..Evidence::default() };
    let rare: Vec<&ClassCount> = classes.iter().filter(|class| class.count < RARE).collect();
    if !rare.is_empty() && rare.len() < classes.len() {
        let message = format!(
            "{} with fewer than {RARE} items each",
            counted(rare.len() as u64, "class").replace("classs", "classes")
        );
        let count = rare.iter().map(|class| class.count).sum::<u64>() as usize;
        findings.push(finding(FindingKind::RareValues, Severity::Warning, count, message, evidence(rare), None));
    }
    if most.count >= IMBALANCE * least.count {
        let times = most.count / least.count.max(1);
        let message = format!("{:?} is {times} times as frequent as {:?}", most.label, least.label);
        let count = least.count as usize;
        findings.push(finding(
            FindingKind::ClassImbalance,
            Severity::Warning,
            count,
            message,
            evidence(vec![most, least]),
            None,
        ));
    }
}

/// The median and the spread around it: the median distance from it, scaled to be the standard deviation where the
/// numbers are normal. `None` of fewer than [`FEW`].
pub(super) fn robust(mut values: Vec<f64>) -> Option<(f64, f64)> {
    if values.len() < FEW {
        return None;
    }
    let middle = |values: &mut Vec<f64>| {
        let half = values.len() / 2;
        *values.select_nth_unstable_by(half, f64::total_cmp).1
    };
    let median = middle(&mut values);
    values.iter_mut().for_each(|value| *value = (*value - median).abs());
    Some((median, 1.4826 * middle(&mut values)))
}
