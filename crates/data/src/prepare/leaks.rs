//! Leaks: what makes a score look better than the model is. A feature that is the target in other words, groups that
//! training shares with another part, and times of another part that do not lie after training.

use super::report::{Finding, FindingKind, Severity};
use super::steering::Steering;
use super::{Content, LeakPolicy, Part, PrepareSettings};
use crate::dataset::Dataset;
use crate::moment::moment_text;
use crate::one_to_one::OneToOne;
use crate::rows::TypedColumn;
use arrow_array::Array;
use lepton_core::{ColumnKind, Error, ErrorCode, Result, Schema, Split};
use lepton_recipe::raw::number_text;
use std::collections::{BTreeMap, HashMap};

/// A leak, and what a person can do about it.
pub(super) struct Leak {
    finding: Finding,
    remedy: String,
}

impl Leak {
    fn new(kind: FindingKind, count: usize, message: String, evidence: Vec<String>, remedy: String) -> Leak {
        Leak { finding: Finding::new(kind, Severity::Warning, count, message, evidence), remedy }
    }
}

/// All leaks.
pub(super) fn find(
    dataset: &Dataset,
    features: &Schema,
    parts: &BTreeMap<Split, Part>,
    content: &Content,
    steering: &Steering,
    settings: &PrepareSettings,
) -> Result<Vec<Leak>> {
    let mut leaks = Vec::new();
    for column in features.columns.iter().filter(|column| column.name != dataset.target) {
        if column.kind.is_cell() {
            leaks.extend(copied_target(dataset, &column.name, column.kind, parts, content)?);
        }
    }
    if let Some(name) = &settings.group {
        leaks.extend(shared_groups(name, parts, &steering.groups));
    }
    if let Some(name) = &settings.time {
        let kind = dataset.schema.column(name)?.kind;
        leaks.extend(time_overlap(name, kind, parts, &steering.times));
    }
    Ok(leaks)
}

/// As findings, or as the error that stops the run.
pub(super) fn judge(leaks: Vec<Leak>, policy: LeakPolicy) -> Result<Vec<Finding>> {
    if policy == LeakPolicy::Warn || leaks.is_empty() {
        return Ok(leaks.into_iter().map(|leak| leak.finding).collect());
    }
    let sentence = |leak: &Leak| {
        let evidence = leak.finding.evidence.iter().take(3).cloned().collect::<Vec<_>>().join("; ");
        if evidence.is_empty() {
            leak.finding.message.clone()
        } else {
            format!("{} ({evidence})", leak.finding.message)
        }
    };
    let sentences: Vec<String> = leaks.iter().map(sentence).collect();
    let remedies: Vec<&str> = leaks.iter().map(|leak| leak.remedy.as_str()).collect();
    Err(Error::new(ErrorCode::GateFailed, format!("the score would not be that of new data: {}", sentences.join("; ")))
        .at_key("prepare.leaks")
        .fix(format!("{}; or accept it with leaks = \"warn\"", remedies.join("; "))))
}

/// Over all rows of all parts, where feature and target are both there.
fn copied_target(
    dataset: &Dataset,
    name: &str,
    kind: ColumnKind,
    parts: &BTreeMap<Split, Part>,
    content: &Content,
) -> Result<Option<Leak>> {
    let mut pairs = OneToOne::default();
    let mut shown: BTreeMap<String, String> = BTreeMap::new();
    for part in parts.values() {
        let column = TypedColumn::new(&dataset.parts[&part.origin], name, kind)?;
        let labels = &content.labels[&part.origin];
        for &row in &part.rows {
            let value = match &column {
                TypedColumn::Number(values) if values.is_valid(row) => number_text(values.value(row)),
                TypedColumn::Text(values) if values.is_valid(row) => values.value(row).to_owned(),
                _ => continue,
            };
            if !pairs.add(&value, &labels[row]) {
                return Ok(None);
            }
            if shown.len() < 5 {
                shown.entry(labels[row].clone()).or_insert(value);
            }
        }
    }
    Ok(pairs.verdict().map(|same| {
        let how = if same.is_equal { "equals" } else { "is a one-to-one function of" };
        let message = format!(
            "column \"{name}\" {how} the target \"{}\" in all {} rows that have both",
            dataset.target, same.rows
        );
        let evidence = shown.iter().map(|(label, value)| format!("{value} where the target is {label}")).collect();
        let remedy = format!("add \"{name}\" to collect.ignore");
        Leak::new(FindingKind::TargetCopied, same.rows as usize, message, evidence, remedy)
    }))
}

fn shared_groups(name: &str, parts: &BTreeMap<Split, Part>, groups: &BTreeMap<Split, Vec<String>>) -> Option<Leak> {
    let train = parts.get(&Split::Train)?;
    let mut first: HashMap<&str, usize> = HashMap::new();
    for &row in &train.rows {
        first.entry(&groups[&train.origin][row]).or_insert(row);
    }
    let mut shared: BTreeMap<&str, String> = BTreeMap::new();
    let mut rows = 0;
    for (split, part) in parts.iter().filter(|(split, _)| **split != Split::Train) {
        for &row in &part.rows {
            let group = groups[&part.origin][row].as_str();
            if let Some(known) = first.get(group) {
                rows += 1;
                shared.entry(group).or_insert_with(|| {
                    format!("\"{group}\" is in train row {} and in {split}: {} row {}", known + 1, part.origin, row + 1)
                });
            }
        }
    }
    (!shared.is_empty()).then(|| {
        let count = shared.len();
        let message = format!(
            "{count} groups of column \"{name}\" are in training and in another part, which has {rows} rows of them"
        );
        let remedy = "split anew without the source's own parts, so that each group is in one part".to_owned();
        Leak::new(FindingKind::SharedGroups, count, message, shared.into_values().collect(), remedy)
    })
}

fn time_overlap(
    name: &str,
    kind: ColumnKind,
    parts: &BTreeMap<Split, Part>,
    times: &BTreeMap<Split, Vec<f64>>,
) -> Option<Leak> {
    let train = parts.get(&Split::Train)?;
    let text = |time: f64| if kind == ColumnKind::Number { number_text(time) } else { moment_text(time) };
    let (last, at) = train
        .rows
        .iter()
        .map(|&row| times[&train.origin][row])
        .max_by(f64::total_cmp)
        .map(|last| (last, text(last)))?;
    let (mut count, mut evidence) = (0, Vec::new());
    for (split, part) in parts.iter().filter(|(split, _)| **split != Split::Train) {
        for &row in &part.rows {
            let time = times[&part.origin][row];
            if time <= last {
                count += 1;
                if evidence.len() < super::report::EVIDENCE {
                    evidence.push(format!("{split}: {} row {} is of {}", part.origin, row + 1, text(time)));
                }
            }
        }
    }
    (count > 0).then(|| {
        let message = format!("{count} rows outside training do not lie after it: its last {name} is {at}");
        let remedy = "split anew without the source's own parts, so that training ends before the others begin";
        Leak::new(FindingKind::TimeOverlap, count, message, evidence, remedy.to_owned())
    })
}
