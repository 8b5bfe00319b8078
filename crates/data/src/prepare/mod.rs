//! Stage two: validate what was collected, remove exact duplicates from training, cut the parts that the source
//! does not have, look for leaks between parts and from the target, and report what a person should know.

mod domains;
mod duplicates;
mod groups;
mod leaks;
mod report;
mod settings;
mod split;
mod steering;
mod validate;

pub use domains::DomainSettings;
pub use report::{Finding, FindingKind, PrepareReport, RowCounts, Severity};
pub use settings::{CellText, Fold, LeakPolicy, PrepareSettings, SplitMethod};

use crate::dataset::Dataset;
use crate::rows::{TypedColumn, row_digests, take_rows};
use lepton_core::{Cancel, ColumnKind, Digest, Error, ErrorCode, Event, Progress, Result, Seed, Split};
use lepton_recipe::labels_of;
use std::collections::{BTreeMap, BTreeSet};

/// A part under preparation: which of the source's rows it has, and the digests of their inputs.
pub(crate) struct Part {
    /// The source part that the rows come from.
    pub(crate) origin: Split,
    /// Rows of that part, from 0, ascending.
    pub(crate) rows: Vec<usize>,
}

/// Labels and input digests of the source's parts, by row.
pub(crate) struct Content {
    /// Of a target that is a number, which tenth of the training rows each one's lies in, and of several labels the
    /// rarest of each training row; `None` where classes are predicted. Parts are cut so that they hold equal shares
    /// of these.
    pub(crate) strata: Option<Vec<String>>,
    pub(crate) labels: BTreeMap<Split, Vec<String>>,
    /// What stands between labels, where a row has several.
    pub(crate) separator: Option<String>,
    pub(crate) inputs: BTreeMap<Split, Vec<Digest>>,
}

/// Validates, removes duplicates, splits.
///
/// The order: every value is checked; training rows that repeat an earlier one are removed, so that no copy can
/// reach another part; the test part is cut from training where the source has none, then the validation part,
/// as the settings say; then the parts are compared. Rows keep their order. Rows in errors and findings are counted
/// from 1 in the source's part. Columns that say how rows are split are not in the answer.
///
/// # Errors
/// [`ErrorCode::BadData`] with the row for a missing label, a number that is not finite, a label outside training
/// that training lacks, and for a class with under two training rows; [`ErrorCode::Config`] for fractions out of
/// range and columns that cannot say how rows are split; [`ErrorCode::GateFailed`] for a leak, unless the settings
/// make it a warning.
pub fn prepare(
    dataset: Dataset,
    settings: &PrepareSettings,
    seed: Seed,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<(Dataset, PrepareReport)> {
    prepare_without(dataset, &BTreeSet::new(), settings, seed, progress, cancel)
}

/// As [`prepare`], where the training part leaves out these rows of the source's training part, from 0; the parts
/// that are cut from it keep theirs.
///
/// # Errors
/// Those of [`prepare`].
pub fn prepare_without(
    dataset: Dataset,
    dropped: &BTreeSet<usize>,
    settings: &PrepareSettings,
    seed: Seed,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<(Dataset, PrepareReport)> {
    let (dataset, report, _) = prepare_domains(dataset, dropped, settings, seed, progress, cancel)?;
    Ok((dataset, report))
}

/// Rows of the target domain, where `[adapt]` names one.
#[derive(Clone, Debug)]
pub struct TargetDomain {
    /// The target rows of the training part, without the column to predict.
    pub rows: arrow_array::RecordBatch,
    /// How many of them train with their labels: the last rows of the training part.
    pub labelled: usize,
}

/// As [`prepare_without`], and the rows of the target domain where the settings name one.
///
/// # Errors
/// Those of [`prepare`], and those of a domain that is not there.
pub fn prepare_domains(
    dataset: Dataset,
    dropped: &BTreeSet<usize>,
    settings: &PrepareSettings,
    seed: Seed,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<(Dataset, PrepareReport, Option<TargetDomain>)> {
    settings.check(&dataset.schema, &dataset.target)?;
    if dataset.rows(Split::Train) == 0 {
        return Err(Error::new(ErrorCode::BadData, "the dataset has no training rows"));
    }
    let total: usize = Split::ALL.iter().map(|&split| dataset.rows(split)).sum();
    let advanced = |done: usize| {
        let what = format!("checking {}", dataset.name);
        progress.event(Event::Advanced { what, done: done as u64, total: Some(total as u64), unit: "rows" });
    };
    let domains = settings.domains.as_ref().map(|domains| domains::Domains::read(&dataset, domains)).transpose()?;
    let mut content = Content {
        strata: None,
        labels: BTreeMap::new(),
        separator: settings.label_separator.clone(),
        inputs: BTreeMap::new(),
    };
    let mut done = 0;
    for (&split, part) in &dataset.parts {
        cancel.check()?;
        validate::values(part, &dataset.schema, split)?;
        let is_of_target = |row| domains.as_ref().is_some_and(|domains| domains.may_lack_label(split, row));
        let may_lack = |row| content.separator.is_some() || is_of_target(row);
        let labels = labels(&dataset, split, &may_lack)?;
        if split == Split::Train {
            content.strata = match &content.separator {
                Some(separator) => Some(rarest_labels(&labels, separator)),
                None => strata(&dataset, part)?,
            };
        }
        content.labels.insert(split, labels);
        let is_input = |name: &str| name != dataset.target && !settings.steers(name);
        content.inputs.insert(split, row_digests(part, &dataset.schema, is_input)?);
        done += part.num_rows();
        advanced(done);
    }
    cancel.check()?;

    let features = settings.features(&dataset.schema);
    let mut findings = validate::findings(&dataset, &features)?;
    findings.extend(domains.as_ref().and_then(domains::Domains::finding));
    let steering = steering::Steering::read(&dataset, settings)?;
    let mut given = steering::given(&dataset, settings)?;
    let before: BTreeMap<Split, usize> = given.iter().map(|(split, part)| (*split, part.rows.len())).collect();
    let train = given.get_mut(&Split::Train).ok_or_else(|| Error::internal("no training part"))?;
    let repeats = duplicates::within_train(&content, &train.rows);
    findings.extend(repeats.findings(settings.remove_duplicates));
    if settings.remove_duplicates {
        train.rows.retain(|row| !repeats.removable.contains(row));
    }
    let (mut parts, mut known) = match &domains {
        None => (split::parts(given, &content, &steering, &dataset.target, settings, seed)?, None),
        Some(domains) => {
            let (parts, known) = domains.parts(given, &content, &dataset.target, settings, seed)?;
            (parts, Some(known))
        }
    };
    if let Some(train) = parts.get_mut(&Split::Train) {
        if let Some(known) = &mut known {
            let labelled = train.rows.split_off(train.rows.len() - known.labelled);
            let kept: Vec<usize> = labelled.into_iter().filter(|row| !dropped.contains(row)).collect();
            known.labelled = kept.len();
            known.known.retain(|row| !dropped.contains(row));
            train.rows.retain(|row| !dropped.contains(row));
            train.rows.extend(kept);
        } else {
            train.rows.retain(|row| !dropped.contains(row));
        }
    }
    let is_class = content.strata.is_none();
    if is_class {
        validate::labels(&parts, &content, &dataset.target)?;
    }
    let leaks = leaks::find(&dataset, &features, &parts, &content, &steering, settings)?;
    findings.extend(leaks::judge(leaks, settings.leaks)?);
    let (crossing, crossing_findings) = duplicates::across_parts(&parts, &content);
    findings.extend(crossing_findings);
    if is_class {
        findings.extend(validate::imbalance(&parts, &content));
    }
    cancel.check()?;

    let report = PrepareReport {
        rows: report::row_counts(&before, &parts),
        crossing,
        classes: if is_class || content.separator.is_some() {
            report::class_counts(&parts, &content)
        } else {
            BTreeMap::new()
        },
        findings,
    };
    let kept: Vec<usize> = (0..dataset.schema.columns.len())
        .filter(|&place| !settings.steers(&dataset.schema.columns[place].name))
        .collect();
    let mut prepared = Dataset { parts: BTreeMap::new(), schema: features, ..dataset.clone() };
    for (split, part) in &parts {
        let source = dataset.parts.get(&part.origin).ok_or_else(|| Error::internal("a part without a source"))?;
        let whole = part.rows.len() == source.num_rows();
        let rows = if whole { source.clone() } else { take_rows(source, &part.rows)? };
        let rows =
            rows.project(&kept).map_err(|source| Error::internal(format!("columns cannot be left out: {source}")))?;
        prepared.parts.insert(*split, rows);
    }
    let target = known.map(|known| target_domain(&dataset, settings, &known)).transpose()?;
    Ok((prepared, report, target))
}

/// Target rows by their features alone.
fn target_domain(dataset: &Dataset, settings: &PrepareSettings, known: &domains::TargetRows) -> Result<TargetDomain> {
    let train = dataset.parts.get(&Split::Train).ok_or_else(|| Error::internal("no training part"))?;
    let columns = &dataset.schema.columns;
    let is_feature = |name: &str| name != dataset.target && !settings.steers(name);
    let kept: Vec<usize> = (0..columns.len()).filter(|&place| is_feature(&columns[place].name)).collect();
    let rows = take_rows(train, &known.known)?
        .project(&kept)
        .map_err(|source| Error::internal(format!("columns cannot be left out: {source}")))?;
    Ok(TargetDomain { rows, labelled: known.labelled })
}

/// Which tenth of the rows each one's number lies in; `None` where classes are predicted.
fn strata(dataset: &Dataset, train: &arrow_array::RecordBatch) -> Result<Option<Vec<String>>> {
    if dataset.schema.column(&dataset.target)?.kind != ColumnKind::Number {
        return Ok(None);
    }
    let TypedColumn::Number(values) = TypedColumn::new(train, &dataset.target, ColumnKind::Number)? else {
        return Ok(None);
    };
    const STRATA: usize = 10;
    let numbers: Vec<f64> = values.iter().map(|value| value.unwrap_or(f64::NAN)).collect();
    let mut order: Vec<usize> = (0..numbers.len()).collect();
    order.sort_by(|&one, &other| numbers[one].total_cmp(&numbers[other]).then(one.cmp(&other)));
    // Few rows make few strata: each has at least twenty.
    let count = (numbers.len() / 20).clamp(1, STRATA);
    let mut strata = vec![String::new(); numbers.len()];
    for (place, row) in order.into_iter().enumerate() {
        strata[row] = (place * count / numbers.len()).to_string();
    }
    Ok(Some(strata))
}

/// The label of each row that the fewest rows have; nothing of a row without labels.
fn rarest_labels(rows: &[String], separator: &str) -> Vec<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for label in rows.iter().flat_map(|text| labels_of(text, separator)) {
        *counts.entry(label).or_default() += 1;
    }
    let rarest = |text: &String| -> String {
        labels_of(text, separator).min_by_key(|label| (counts[label], *label)).unwrap_or_default().to_owned()
    };
    rows.iter().map(rarest).collect()
}

/// The label of every row of a part; a number as text, and nothing of a row that may lack one and does.
fn labels(dataset: &Dataset, split: Split, may_lack: &dyn Fn(usize) -> bool) -> Result<Vec<String>> {
    let column = dataset.schema.column(&dataset.target)?;
    let part = &dataset.parts[&split];
    let kind = if column.kind == ColumnKind::Image { ColumnKind::Category } else { column.kind };
    let missing = |row: usize| {
        Error::new(ErrorCode::BadData, format!("a {split} row has no label"))
            .at_row(row as u64 + 1)
            .at_column(&dataset.target)
            .fix("remove rows without a label from the source")
    };
    match TypedColumn::new(part, &dataset.target, kind)? {
        TypedColumn::Text(values) => {
            let text = |(row, label): (usize, Option<&str>)| match label {
                None if may_lack(row) => Ok(String::new()),
                label => Ok(label.ok_or_else(|| missing(row))?.to_owned()),
            };
            values.iter().enumerate().map(text).collect()
        }
        TypedColumn::Number(values) => {
            let text = |(row, value): (usize, Option<f64>)| match value {
                None if may_lack(row) => Ok(String::new()),
                value => Ok(value.ok_or_else(|| missing(row))?.to_string()),
            };
            values.iter().enumerate().map(text).collect()
        }
        _ => Err(Error::new(ErrorCode::Unsupported, "only categories and numbers can be predicted")
            .at_column(&dataset.target)
            .fix("set this column's kind to \"category\"")),
    }
}
