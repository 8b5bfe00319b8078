//! A plan as a run does it. What it does to cells goes into the recipe, so that served rows get it too. What it does
//! to rows happens once, to the training file: labels and merged cells are corrected before anything is split, and
//! rows that a step drops are named, for the training part to leave out.

use super::plan::{Action, Plan, Survivor};
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray, UInt64Array};
use lepton_core::{ColumnKind, Error, ErrorCode, Result, Schema};
use lepton_recipe::raw::number_text;
use lepton_recipe::written::parse_number;
use lepton_recipe::{RepairAction, RepairPlan, Repairs};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

/// The training rows of a run after what a plan does to rows.
#[derive(Clone, Debug)]
pub struct EditedRows {
    /// All rows, still raw, with corrected labels and merged cells; rows that have no label and that a step drops for
    /// it are gone.
    pub rows: RecordBatch,
    /// Rows, from 0, that the training part must leave out.
    pub dropped: BTreeSet<usize>,
}

/// The part of a plan that goes into a recipe.
///
/// # Errors
/// [`ErrorCode::Unsupported`] with the step's key for what a run cannot do: masking, which a recipe could only do
/// with the plan's salt in it, and ragged rows, which a run does not read.
pub fn for_recipe(plan: &Plan) -> Result<Vec<RepairPlan>> {
    let mut repairs = Vec::new();
    for step in plan.steps.iter().filter(|step| step.enabled) {
        let refused = |message: &str, remedy: &str| {
            Err(Error::new(ErrorCode::Unsupported, message).at_key(format!("repair.{}", step.id)).fix(remedy))
        };
        let action = match &step.action {
            Action::Mask { .. } => {
                return refused(
                    "a run does not mask: the recipe would hold the plan's salt",
                    "add the column to collect.ignore, or mask the file with `lepton data repair` first",
                );
            }
            Action::DropRaggedRows => {
                return refused(
                    "a run does not read ragged rows, so it cannot drop them",
                    "repair the file with `lepton data repair` first",
                );
            }
            Action::Impute { with, .. } => RepairAction::Impute(with.clone()),
            Action::DropColumn { .. } => RepairAction::Drop,
            other => match other.on_cells() {
                Some(action) => RepairAction::Cells(action),
                None => continue,
            },
        };
        let column = step.action.column().unwrap_or_default().to_owned();
        repairs.push(RepairPlan { id: step.id.clone(), column, action });
    }
    Ok(repairs)
}

/// Does to the rows of the training file what the plan does to rows, each step on what the steps before left.
///
/// # Errors
/// With the step's key: [`ErrorCode::NotFound`] for a column or row that is not there; [`ErrorCode::Config`] for a
/// step on rows behind one that fills, because what fills is learned from the rows that are left; those of
/// [`for_recipe`].
pub fn edit_rows(plan: &Plan, schema: &Schema, target: &str, rows: &RecordBatch) -> Result<EditedRows> {
    for_recipe(plan)?;
    let mut edit =
        Edit { schema, target, rows: rows.clone(), dropped: BTreeSet::new(), before: Vec::new(), fills: false };
    for step in plan.steps.iter().filter(|step| step.enabled) {
        let act = match (&step.action, step.action.on_cells()) {
            (Action::Impute { .. }, _) => {
                edit.fills = true;
                Ok(())
            }
            (Action::DropColumn { .. }, _) => Ok(()),
            (_, Some(action)) => {
                let column = step.action.column().unwrap_or_default().to_owned();
                edit.before.push(RepairPlan { id: step.id.clone(), column, action: RepairAction::Cells(action) });
                Ok(())
            }
            _ if edit.fills => Err(Error::new(ErrorCode::Config, "a step on rows must stand before those that fill")
                .fix("move it up in the plan: what fills is learned from the rows that are left")),
            (action, None) => edit.act(action),
        };
        act.map_err(|error| match error.place().key {
            Some(_) => error,
            None => error.at_key(format!("repair.{}", step.id)),
        })?;
    }
    edit.without_unlabelled()
}

struct Edit<'a> {
    schema: &'a Schema,
    target: &'a str,
    rows: RecordBatch,
    dropped: BTreeSet<usize>,
    /// What was done to cells so far.
    before: Vec<RepairPlan>,
    fills: bool,
}

impl Edit<'_> {
    fn act(&mut self, action: &Action) -> Result<()> {
        match action {
            Action::DropRows { rows } => {
                for row in rows {
                    let row = self.place(*row)?;
                    self.dropped.insert(row);
                }
            }
            Action::DropRowsWithMissing { column } => {
                let cells = self.texts(column)?;
                self.drop_where(|row| cells[row].is_none());
            }
            Action::DropRowsOutside { column, low, high } => {
                let cells = self.texts(column)?;
                let number = |row: usize| cells[row].as_ref().and_then(|text| parse_number(text.as_bytes()));
                self.drop_where(|row| number(row).is_some_and(|number| number < *low || number > *high));
            }
            Action::DropDuplicates => {
                let columns = self.schema.names().map(|name| self.texts(name)).collect::<Result<Vec<_>>>()?;
                let mut seen = HashSet::new();
                let mut repeats = Vec::new();
                for row in (0..self.rows.num_rows()).filter(|row| !self.dropped.contains(row)) {
                    let cells: Vec<&Option<String>> = columns.iter().map(|column| &column[row]).collect();
                    if !seen.insert(cells) {
                        repeats.push(row);
                    }
                }
                drop(seen);
                self.dropped.extend(repeats);
            }
            Action::Relabel { column, labels } => self.relabel(column, labels)?,
            Action::MergeRows { groups, keep } => self.merge(groups, *keep)?,
            other => {
                let message = format!("a run does not do {}", other.name());
                return Err(
                    Error::new(ErrorCode::Unsupported, message).fix("delete the step, or repair the data first")
                );
            }
        }
        Ok(())
    }

    fn drop_where(&mut self, wanted: impl Fn(usize) -> bool) {
        self.dropped.extend((0..self.rows.num_rows()).filter(|row| wanted(*row)));
    }

    /// A row's number from 1 as its place.
    fn place(&self, row: u64) -> Result<usize> {
        let place = usize::try_from(row).ok().and_then(|row| row.checked_sub(1));
        place.filter(|place| *place < self.rows.num_rows()).ok_or_else(|| {
            Error::new(ErrorCode::NotFound, format!("the table has no row {row}"))
                .fix(format!("rows count from 1 to {}", self.rows.num_rows()))
        })
    }

    /// A column as the steps so far leave it.
    fn texts(&self, column: &str) -> Result<Vec<Option<String>>> {
        self.schema.column(column)?;
        let own: Vec<RepairPlan> = self.before.iter().filter(|plan| plan.column == column).cloned().collect();
        let kinds = BTreeMap::from([(column.to_owned(), ColumnKind::Category)]);
        let repairs = Repairs::fit(&own, self.schema, self.target, &kinds, &self.rows)?;
        let repaired = repairs.apply(&self.rows)?;
        let array = repaired.column_by_name(column).ok_or_else(|| Error::internal("a column went away"))?;
        texts_of(array, column)
    }

    fn relabel(&mut self, column: &str, labels: &BTreeMap<String, String>) -> Result<()> {
        self.schema.column(column)?;
        let Some((place, array)) = self
            .rows
            .schema_ref()
            .column_with_name(column)
            .map(|(place, _)| place)
            .map(|place| (place, self.rows.column(place)))
        else {
            return Err(Error::internal("a column of the schema is not in the rows"));
        };
        let mut cells = texts_of(array, column)?;
        for (row, label) in labels {
            let number = row.parse().map_err(|_| {
                Error::new(ErrorCode::Config, format!("\"{row}\" is not a row")).fix("rows count from 1")
            })?;
            let row = self.place(number)?;
            cells[row] = Some(label.clone()).filter(|label| !label.is_empty());
        }
        let changed: ArrayRef = match array.as_primitive_opt::<Float64Type>() {
            None => Arc::new(StringArray::from(cells)),
            Some(_) => {
                let number = |cell: Option<String>| match cell {
                    None => Ok(None),
                    Some(text) => parse_number(text.as_bytes()).map(Some).ok_or_else(|| {
                        Error::new(ErrorCode::Config, format!("{text:?} is not a number, and the others are"))
                            .at_column(column)
                    }),
                };
                Arc::new(Float64Array::from(cells.into_iter().map(number).collect::<Result<Vec<_>>>()?))
            }
        };
        self.rows = with_column(&self.rows, place, changed)?;
        Ok(())
    }

    /// The first row of a group gets the raw cells whose repaired values survive; the others are dropped.
    fn merge(&mut self, groups: &[Vec<u64>], keep: Survivor) -> Result<()> {
        let groups = groups
            .iter()
            .map(|group| group.iter().map(|row| self.place(*row)).collect::<Result<Vec<_>>>())
            .collect::<Result<Vec<_>>>()?;
        for place in 0..self.rows.num_columns() {
            let name = self.rows.schema_ref().field(place).name().clone();
            if self.schema.column(&name).is_ok_and(|column| !column.kind.is_cell()) {
                continue;
            }
            let cells = self.texts(&name)?;
            let mut from: Vec<u64> = (0..self.rows.num_rows() as u64).collect();
            for group in &groups {
                let rows: Vec<usize> = group.iter().copied().filter(|row| !self.dropped.contains(row)).collect();
                let Some(first) = rows.first() else { continue };
                let present: Vec<usize> = rows
                    .iter()
                    .copied()
                    .filter(|row| cells[*row].as_ref().is_some_and(|c| !c.trim().is_empty()))
                    .collect();
                // The first of the best, so the order of the rows decides between equals.
                let best = |key: &dyn Fn(usize) -> usize| present.iter().rev().copied().max_by_key(|row| key(*row));
                let survivor = match keep {
                    Survivor::FirstPresent => present.first().copied(),
                    Survivor::MostFrequent => {
                        best(&|row| present.iter().filter(|other| cells[**other] == cells[row]).count())
                    }
                    Survivor::Longest => best(&|row| cells[row].as_ref().map_or(0, |text| text.chars().count())),
                };
                if let Some(survivor) = survivor {
                    from[*first] = survivor as u64;
                }
            }
            let taken = arrow_select::take::take(self.rows.column(place), &UInt64Array::from(from), None)
                .map_err(|source| Error::internal(format!("cells cannot be picked: {source}")))?;
            self.rows = with_column(&self.rows, place, taken)?;
        }
        for group in groups {
            let mut rows: Vec<usize> = group.into_iter().filter(|row| !self.dropped.contains(row)).collect();
            rows.drain(..rows.len().min(1));
            self.dropped.extend(rows);
        }
        Ok(())
    }

    /// The repaired target in place of the raw one, and rows without a label that are dropped taken out: they can
    /// stand in no part.
    fn without_unlabelled(self) -> Result<EditedRows> {
        let labels = self.texts(self.target)?;
        let gone = |row: usize| labels[row].is_none() && self.dropped.contains(&row);
        let kept: Vec<usize> = (0..self.rows.num_rows()).filter(|row| !gone(*row)).collect();
        let dropped = kept.iter().enumerate().filter(|(_, row)| self.dropped.contains(row)).map(|(new, _)| new);
        let dropped = dropped.collect();
        if kept.len() == self.rows.num_rows() {
            return Ok(EditedRows { rows: self.rows, dropped });
        }
        let indices = UInt64Array::from_iter_values(kept.iter().map(|row| *row as u64));
        let rows = arrow_select::take::take_record_batch(&self.rows, &indices)
            .map_err(|source| Error::internal(format!("rows cannot be picked: {source}")))?;
        Ok(EditedRows { rows, dropped })
    }
}

/// The rows with the target as the plan leaves it, so that every count of labels speaks of repaired ones. The recipe
/// repairs the target of later data again; on these rows that changes nothing more.
///
/// # Errors
/// [`ErrorCode::Config`] where a second repair would change a label again.
pub fn repair_target(plan: &Plan, schema: &Schema, target: &str, rows: &RecordBatch) -> Result<RecordBatch> {
    let own: Vec<RepairPlan> = for_recipe(plan)?.into_iter().filter(|repair| repair.column == target).collect();
    if own.is_empty() {
        return Ok(rows.clone());
    }
    let repairs = Repairs::fit(&own, schema, target, &BTreeMap::new(), rows)?;
    let once = repairs.apply(rows)?.into_owned();
    if *repairs.apply(&once)? != once {
        return Err(Error::new(ErrorCode::Config, "done twice, these repairs of the target give something else")
            .at_column(target)
            .at_key(format!("repair.{}", own[0].id))
            .fix("map each label to one that is not mapped itself"));
    }
    Ok(once)
}

fn texts_of(array: &ArrayRef, column: &str) -> Result<Vec<Option<String>>> {
    if let Some(numbers) = array.as_primitive_opt::<Float64Type>() {
        return Ok(numbers.iter().map(|number| number.map(number_text)).collect());
    }
    match array.as_string_opt::<i32>() {
        Some(texts) => Ok(texts.iter().map(|text| text.map(str::to_owned)).collect()),
        None => Err(Error::new(ErrorCode::Unsupported, "only numbers and texts can be repaired").at_column(column)),
    }
}

fn with_column(rows: &RecordBatch, place: usize, array: ArrayRef) -> Result<RecordBatch> {
    let mut columns = rows.columns().to_vec();
    columns[place] = array;
    RecordBatch::try_new(rows.schema(), columns)
        .map_err(|source| Error::internal(format!("a repaired column does not fit: {source}")))
}
