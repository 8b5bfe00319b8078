//! What differs between two versions: columns, rows by key or by content, parts, and the distribution of labels.

use super::side::Side;
use lepton_core::{Cancel, ColumnKind, Digest, Error, ErrorCode, Limits, Progress, Result, Schema, Split};
use lepton_data::{canonical_digests, cell_text};
use lepton_store::Store;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// Rows of each sort that a report shows.
const SHOWN: usize = 5;

/// How two versions are compared.
#[derive(Clone, Debug, Default)]
pub struct DiffOptions {
    /// Columns that name a row; without any, rows are compared by their content.
    pub key: Vec<String>,
    /// The column whose distribution is compared; that of the versions' target where none is named.
    pub label: Option<String>,
    /// Limits on files.
    pub limits: Limits,
}

/// One of the two.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SideView {
    /// What was typed, or the version in full.
    pub name: String,
    /// The hash of its content.
    pub sha256: Digest,
    /// Its rows.
    pub rows: usize,
}

/// A column that is in both and not the same.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChangedColumn {
    /// Its name.
    pub column: String,
    /// Its kind before, and whether values may be missing.
    pub from: String,
    /// The same after.
    pub to: String,
}

/// How many rows differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RowDifference {
    /// In the second only.
    pub added: usize,
    /// In the first only.
    pub removed: usize,
    /// In both under one key, with other values; always 0 without a key.
    pub changed: usize,
    /// In both, the same.
    pub unchanged: usize,
    /// Of the rows in both, those that are in another part.
    pub moved: usize,
}

/// Rows of a part before and after.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PartRows {
    /// In the first.
    pub before: usize,
    /// In the second.
    pub after: usize,
}

/// One row that differs, as an example.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DifferingRow {
    /// `added`, `removed` or `changed`.
    pub what: &'static str,
    /// The part and the row there, from 1: in the second, for a removed row in the first.
    pub part: Split,
    /// The row.
    pub row: usize,
    /// The cells; of a changed row the key, and before and after of what changed.
    pub cells: BTreeMap<String, String>,
}

/// What differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DiffReport {
    /// The first.
    pub a: SideView,
    /// The second.
    pub b: SideView,
    /// Whether nothing differs.
    pub same: bool,
    /// Columns of the second only.
    pub columns_added: Vec<String>,
    /// Columns of the first only.
    pub columns_removed: Vec<String>,
    /// Columns of another kind.
    pub columns_changed: Vec<ChangedColumn>,
    /// The columns that name a row.
    pub key: Vec<String>,
    /// Counts of rows, over the columns that both have.
    pub rows: RowDifference,
    /// Changed cells by column; only with a key.
    pub changed_cells: BTreeMap<String, usize>,
    /// Rows by part.
    pub parts: BTreeMap<Split, PartRows>,
    /// The column of the labels.
    pub label: Option<String>,
    /// Rows by label.
    pub labels: BTreeMap<String, PartRows>,
    /// A few rows of each sort.
    pub examples: Vec<DifferingRow>,
}

/// Compares `a` with `b`; each is a version (`NAME`, `NAME@HASH`), a file, a pattern or a folder.
///
/// # Errors
/// Those of reading either; [`ErrorCode::NotFound`] for a key or label that is no column of both;
/// [`ErrorCode::BadData`] for a key that two rows share, with the row.
pub fn diff(
    store: &Store,
    a: &str,
    b: &str,
    options: &DiffOptions,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<DiffReport> {
    // A version says what its columns are; a file only looks like something.
    let is_file = |name: &str| std::path::Path::new(name).exists();
    let load = |name: &str, like: Option<&Schema>| Side::load(store, name, like, &options.limits, progress, cancel);
    let (a, b) = if is_file(a) && !is_file(b) {
        let b = load(b, None)?;
        (load(a, Some(&common(&b.schema, a)))?, b)
    } else {
        let a = load(a, None)?;
        let like = is_file(b).then(|| common(&a.schema, b));
        let b = load(b, like.as_ref())?;
        (a, b)
    };
    compare(&a, &b, options, cancel)
}

/// The columns of a version that a file may be read by: none for what is not a table.
fn common(schema: &Schema, name: &str) -> Schema {
    let is_table = lepton_data::scan::TableFormat::of(std::path::Path::new(name)).is_some();
    let names = if is_table { lepton_data::table_names(std::path::Path::new(name)) } else { Vec::new() };
    let columns = schema.columns.iter().filter(|column| names.contains(&column.name)).cloned().collect();
    Schema { columns }
}

fn compare(a: &Side, b: &Side, options: &DiffOptions, cancel: &Cancel) -> Result<DiffReport> {
    let only = |one: &Schema, other: &Schema| -> Vec<String> {
        one.names().filter(|name| !other.names().any(|known| known == *name)).map(str::to_owned).collect()
    };
    let both: Vec<&str> = a.schema.names().filter(|name| b.schema.names().any(|known| known == *name)).collect();
    let word = |column: &lepton_core::Column| {
        let kind = serde_json::to_value(column.kind).ok().and_then(|kind| kind.as_str().map(str::to_owned));
        format!("{}{}", kind.unwrap_or_default(), if column.nullable { ", may be missing" } else { "" })
    };
    let mut columns_changed = Vec::new();
    for name in &both {
        let (from, to) = (word(a.schema.column(name)?), word(b.schema.column(name)?));
        if from != to {
            columns_changed.push(ChangedColumn { column: (*name).to_owned(), from, to });
        }
    }
    let named = |name: &String, what: &str| match both.contains(&name.as_str()) {
        true => Ok(()),
        false => {
            let error = Error::new(ErrorCode::NotFound, format!("the {what} is not a column of both")).at_column(name);
            Err(error.fix(format!("both have: {}", both.join(", "))))
        }
    };
    for name in &options.key {
        named(name, "key")?;
    }
    let mut report = DiffReport {
        a: view(a),
        b: view(b),
        same: false,
        columns_added: only(&b.schema, &a.schema),
        columns_removed: only(&a.schema, &b.schema),
        columns_changed,
        key: options.key.clone(),
        rows: RowDifference::default(),
        changed_cells: BTreeMap::new(),
        parts: BTreeMap::new(),
        label: None,
        labels: BTreeMap::new(),
        examples: Vec::new(),
    };
    for (side, is_after) in [(a, false), (b, true)] {
        for (split, batch) in &side.parts {
            let rows = report.parts.entry(*split).or_default();
            *(if is_after { &mut rows.after } else { &mut rows.before }) = batch.num_rows();
        }
    }
    let (ra, rb) = (Rows::of(a, &both)?, Rows::of(b, &both)?);
    cancel.check()?;
    if options.key.is_empty() {
        by_content(&ra, &rb, &both, &mut report)?;
    } else {
        by_key(&ra, &rb, &both, &mut report)?;
    }
    labels(a, b, options, &both, &mut report)?;
    let columns_same = report.columns_added.is_empty() && report.columns_removed.is_empty();
    let RowDifference { added, removed, changed, moved, .. } = report.rows;
    report.same = columns_same && report.columns_changed.is_empty() && added + removed + changed + moved == 0;
    Ok(report)
}

fn view(side: &Side) -> SideView {
    SideView { name: side.name.clone(), sha256: side.digest, rows: side.rows() }
}

/// Where a row is: part and row there.
type Place = (Split, usize);

/// All rows of a side, by the hash of what both sides have of them.
struct Rows<'a> {
    side: &'a Side,
    rows: Vec<(Place, Digest)>,
}

impl<'a> Rows<'a> {
    fn of(side: &'a Side, columns: &[&str]) -> Result<Rows<'a>> {
        Ok(Rows { side, rows: digests(side, columns)? })
    }

    fn cells(&self, (split, row): Place, columns: &[&str]) -> BTreeMap<String, String> {
        let Some(batch) = self.side.parts.get(&split) else { return BTreeMap::new() };
        let text = |name: &&str| ((*name).to_owned(), cell_text(batch, &self.side.schema, name, row));
        columns.iter().map(text).collect()
    }
}

fn digests(side: &Side, columns: &[&str]) -> Result<Vec<(Place, Digest)>> {
    let mut rows = Vec::with_capacity(side.rows());
    for (split, batch) in &side.parts {
        let digests = canonical_digests(batch, &side.schema, columns)?;
        rows.extend(digests.into_iter().enumerate().map(|(row, digest)| ((*split, row), digest)));
    }
    Ok(rows)
}

fn example(report: &mut DiffReport, what: &'static str, (part, row): Place, cells: BTreeMap<String, String>) {
    report.examples.push(DifferingRow { what, part, row: row + 1, cells });
}

/// Rows that repeat are counted as often as they are there.
fn by_content(a: &Rows<'_>, b: &Rows<'_>, both: &[&str], report: &mut DiffReport) -> Result<()> {
    let mut left: HashMap<Digest, Vec<Place>> = HashMap::new();
    for (place, digest) in a.rows.iter().rev() {
        left.entry(*digest).or_default().push(*place);
    }
    for (place, digest) in &b.rows {
        let found = left.get_mut(digest).and_then(|places| {
            // A row of the same part first, so that only rows that went elsewhere count as moved.
            let same_part = places.iter().rposition(|found| found.0 == place.0);
            match same_part {
                Some(index) => Some(places.remove(index)),
                None => places.pop(),
            }
        });
        match found {
            Some(found) => {
                report.rows.unchanged += 1;
                report.rows.moved += usize::from(found.0 != place.0);
            }
            None => {
                report.rows.added += 1;
                if report.rows.added <= SHOWN {
                    example(report, "added", *place, b.cells(*place, both));
                }
            }
        }
    }
    let mut removed: Vec<Place> = left.into_values().flatten().collect();
    removed.sort_unstable();
    report.rows.removed = removed.len();
    for place in removed.into_iter().take(SHOWN) {
        example(report, "removed", place, a.cells(place, both));
    }
    Ok(())
}

fn by_key(a: &Rows<'_>, b: &Rows<'_>, both: &[&str], report: &mut DiffReport) -> Result<()> {
    let key: Vec<String> = report.key.clone();
    let key: Vec<&str> = key.iter().map(String::as_str).collect();
    let keyed = |rows: &Rows<'_>| -> Result<HashMap<Digest, usize>> {
        let mut keys = HashMap::with_capacity(rows.rows.len());
        for (index, (place, digest)) in digests(rows.side, &key)?.into_iter().enumerate() {
            if let Some(before) = keys.insert(digest, index) {
                let cells: Vec<String> = rows.cells(place, &key).into_values().collect();
                let (split, row) = rows.rows[before].0;
                let message = format!("the key {} is also that of {split} row {}", cells.join(", "), row + 1);
                let error = Error::new(ErrorCode::BadData, message).in_file(&rows.side.name).at_row(place.1 as u64 + 1);
                return Err(error.fix("name a key that each row has for itself, with --key several times if need be"));
            }
        }
        Ok(keys)
    };
    let (keys_a, keys_b) = (keyed(a)?, keyed(b)?);
    let mut changed: Vec<(usize, usize)> = Vec::new();
    for (key, in_a) in &keys_a {
        let Some(in_b) = keys_b.get(key) else { continue };
        let ((place_a, digest_a), (place_b, digest_b)) = (a.rows[*in_a], b.rows[*in_b]);
        report.rows.moved += usize::from(place_a.0 != place_b.0);
        if digest_a == digest_b {
            report.rows.unchanged += 1;
        } else {
            changed.push((*in_b, *in_a));
        }
    }
    changed.sort_unstable();
    report.rows.changed = changed.len();
    let missing = |of: &HashMap<Digest, usize>, from: &HashMap<Digest, usize>| {
        let mut rows: Vec<usize> = of.iter().filter(|(key, _)| !from.contains_key(*key)).map(|(_, row)| *row).collect();
        rows.sort_unstable();
        rows
    };
    let (added, removed) = (missing(&keys_b, &keys_a), missing(&keys_a, &keys_b));
    (report.rows.added, report.rows.removed) = (added.len(), removed.len());
    for (shown, (in_b, in_a)) in changed.into_iter().enumerate() {
        let (place_a, place_b) = (a.rows[in_a].0, b.rows[in_b].0);
        let (before, mut after) = (a.cells(place_a, both), b.cells(place_b, both));
        for (name, value) in before {
            let Some(now) = after.get_mut(&name) else { continue };
            if *now != value {
                *report.changed_cells.entry(name).or_default() += 1;
                *now = format!("{value} -> {now}");
            } else if !key.contains(&name.as_str()) {
                after.remove(&name);
            }
        }
        if shown < SHOWN {
            example(report, "changed", place_b, after);
        }
    }
    for index in added.into_iter().take(SHOWN) {
        let place = b.rows[index].0;
        example(report, "added", place, b.cells(place, both));
    }
    for index in removed.into_iter().take(SHOWN) {
        let place = a.rows[index].0;
        example(report, "removed", place, a.cells(place, both));
    }
    Ok(())
}

fn labels(a: &Side, b: &Side, options: &DiffOptions, both: &[&str], report: &mut DiffReport) -> Result<()> {
    let is_category = |name: &str| {
        let kind = |side: &Side| side.schema.column(name).map(|column| column.kind).ok();
        [kind(a), kind(b)].iter().all(|kind| matches!(kind, Some(ColumnKind::Category | ColumnKind::Text)))
    };
    let label = match &options.label {
        Some(label) if !both.contains(&label.as_str()) => {
            let error = Error::new(ErrorCode::NotFound, "the label is not a column of both").at_column(label);
            return Err(error.fix(format!("both have: {}", both.join(", "))));
        }
        Some(label) => Some(label.clone()),
        None => a.target.clone().or(b.target.clone()).filter(|name| both.contains(&name.as_str()) && is_category(name)),
    };
    let Some(label) = label else { return Ok(()) };
    for (side, is_after) in [(a, false), (b, true)] {
        for batch in side.parts.values() {
            for row in 0..batch.num_rows() {
                let rows = report.labels.entry(cell_text(batch, &side.schema, &label, row)).or_default();
                *(if is_after { &mut rows.after } else { &mut rows.before }) += 1;
            }
        }
    }
    report.label = Some(label);
    Ok(())
}
