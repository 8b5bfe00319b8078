//! Repairs that rows get before all other steps, in training and in serving: one by one as a plan of the doctor has
//! them, with what fills missing cells fitted on the training rows. The raw rows of a repaired recipe are dirty rows.

mod cell;

pub use cell::{CellAction, CellForm, CellValue};

use crate::column::{bad_value, quoted};
use crate::fill::{BatchColumns, Columns, Imputation, NumberFill, TextFill};
use crate::raw::{arrow_schema, most_categories, number_text};
use crate::written::parse_number;
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, ArrayRef, Float64Array, RecordBatch, RecordBatchOptions, StringArray};
use lepton_core::{Column, ColumnKind, Error, ErrorCode, Result, Schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

/// One repair, not yet fitted.
#[derive(Clone, Debug, PartialEq)]
pub struct RepairPlan {
    /// Its name in the plan, for errors.
    pub id: String,
    /// The column.
    pub column: String,
    /// What is done.
    pub action: RepairAction,
}

/// What a repair does to a column.
#[derive(Clone, Debug, PartialEq)]
pub enum RepairAction {
    /// Something to each cell that is there.
    Cells(CellAction),
    /// Missing cells are filled.
    Impute(Imputation),
    /// The column is not used.
    Drop,
}

/// Fitted repairs, and the columns that come out of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repairs {
    steps: Vec<RepairStep>,
    /// Every column of the dataset after the repairs.
    columns: Schema,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RepairStep {
    id: String,
    column: String,
    #[serde(rename = "do")]
    act: Fitted,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Fitted {
    Cells(CellAction),
    FillNumbers(NumberFill),
    FillTexts(TextFill),
}

impl Repairs {
    /// No repairs: rows stay as they are.
    pub fn none(schema: &Schema) -> Repairs {
        Repairs { steps: Vec::new(), columns: schema.clone() }
    }

    /// Fits repairs in their order on the training rows. A repaired column is a number where every value that is left
    /// reads as one, else a category or a text by how many values differ; `kinds` says otherwise by name.
    ///
    /// # Errors
    /// With the repair's name as key: [`ErrorCode::NotFound`] for a column that is not there; [`ErrorCode::Config`]
    /// for what cannot be done, such as filling the target; [`ErrorCode::Unsupported`] for pictures.
    pub fn fit(
        plans: &[RepairPlan],
        schema: &Schema,
        target: &str,
        kinds: &BTreeMap<String, ColumnKind>,
        train: &RecordBatch,
    ) -> Result<Repairs> {
        let mut steps: Vec<RepairStep> = Vec::new();
        let mut dropped: BTreeSet<&str> = BTreeSet::new();
        let mut sheet = Sheet::new(train, plans.iter().map(|plan| plan.column.as_str()))?;
        for plan in plans {
            let placed = |error: Error| match error.place().key {
                Some(_) => error,
                None => error.at_key(format!("repair.{}", plan.id)),
            };
            schema.column(&plan.column).map_err(placed)?;
            if dropped.contains(plan.column.as_str()) {
                let error = Error::new(ErrorCode::Config, "an earlier step drops this column");
                return Err(placed(error.at_column(&plan.column).fix("delete one of the two steps")));
            }
            if plan.column == target && !matches!(plan.action, RepairAction::Cells(_)) {
                let message = "the target can be neither filled nor dropped: its values are what is learned";
                return Err(placed(Error::new(ErrorCode::Config, message).at_column(target)));
            }
            let act = match &plan.action {
                RepairAction::Drop => {
                    dropped.insert(&plan.column);
                    continue;
                }
                RepairAction::Cells(action) => {
                    action.check().map_err(|error| placed(error.at_column(&plan.column)))?;
                    Fitted::Cells(action.clone())
                }
                RepairAction::Impute(how) => {
                    if let Imputation::Group { by } = how
                        && (by == target || dropped.contains(by.as_str()))
                    {
                        let message = format!("\"{by}\" is not in the rows of a request, so it cannot group them");
                        return Err(placed(Error::new(ErrorCode::Config, message).at_column(&plan.column)));
                    }
                    let usable = |column: &&Column| {
                        column.name != plan.column && column.name != target && !dropped.contains(column.name.as_str())
                    };
                    let others: Vec<&str> = schema
                        .columns
                        .iter()
                        .filter(usable)
                        .filter(|column| sheet.is_numeric(&column.name))
                        .map(|column| column.name.as_str())
                        .collect();
                    sheet.fit(&plan.column, how, &others).map_err(placed)?
                }
            };
            sheet.act(&plan.column, &act).map_err(placed)?;
            steps.push(RepairStep { id: plan.id.clone(), column: plan.column.clone(), act });
        }
        let mut columns = Schema::default();
        for column in schema.columns.iter().filter(|column| !dropped.contains(column.name.as_str())) {
            let mut column = column.clone();
            if sheet.columns.contains_key(&column.name) {
                column.kind = match kinds.get(&column.name) {
                    _ if column.name == target => column.kind,
                    Some(kind) => *kind,
                    None => sheet.kind(&column.name),
                };
                let ends_filled = steps.iter().rev().find(|step| step.column == column.name);
                let filled = ends_filled.is_some_and(|step| !matches!(step.act, Fitted::Cells(_)));
                column.nullable = !filled && (column.nullable || sheet.has_missing(&column.name));
            }
            columns.columns.push(column);
        }
        Ok(Repairs { steps, columns })
    }

    /// Every column of the dataset as the repairs leave it.
    pub fn repaired(&self) -> &Schema {
        &self.columns
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The repairs and the columns that they touch, in order: `trim` of `name`.
    pub fn names(&self) -> impl Iterator<Item = (&str, &str)> {
        self.steps.iter().map(|step| (step.id.as_str(), step.column.as_str()))
    }

    /// The columns that the fills of a repaired column read besides.
    pub(crate) fn reads(&self) -> impl Iterator<Item = (&str, &str)> {
        self.steps.iter().flat_map(|step| {
            let reads = match &step.act {
                Fitted::Cells(_) => Vec::new(),
                Fitted::FillNumbers(fill) => fill.reads(),
                Fitted::FillTexts(fill) => fill.reads(),
            };
            reads.into_iter().map(|read| (step.column.as_str(), read))
        })
    }

    /// Keeps the repairs of these columns alone.
    pub(crate) fn restrict(mut self, names: &[&str]) -> Repairs {
        self.steps.retain(|step| names.contains(&step.column.as_str()));
        self.columns.columns.retain(|column| names.contains(&column.name.as_str()));
        self
    }

    /// Refuses repairs that cannot have come from a fit.
    pub(crate) fn check(&self) -> Result<()> {
        for step in &self.steps {
            self.columns.column(&step.column)?;
            let usable = match &step.act {
                Fitted::Cells(action) => action.check().is_ok(),
                Fitted::FillNumbers(fill) => fill.is_usable(),
                Fitted::FillTexts(fill) => fill.is_usable(),
            };
            if !usable {
                return Err(Error::new(ErrorCode::BadData, "the numbers of this repair are not usable")
                    .at_column(&step.column)
                    .at_key(format!("repair.{}", step.id)));
            }
        }
        Ok(())
    }

    /// Raw rows as the repairs leave them. A column that the rows do not have is passed over.
    ///
    /// # Errors
    /// [`ErrorCode::BadData`] with row and column for a value that is no number after all repairs of a number column.
    pub fn apply<'a>(&self, rows: &'a RecordBatch) -> Result<Cow<'a, RecordBatch>> {
        self.apply_to(rows, |_| true)
    }

    /// As [`Repairs::apply`], with the repairs of some columns alone.
    pub(crate) fn apply_to<'a>(
        &self,
        rows: &'a RecordBatch,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Cow<'a, RecordBatch>> {
        let steps: Vec<&RepairStep> = self
            .steps
            .iter()
            .filter(|step| wanted(&step.column) && rows.column_by_name(&step.column).is_some())
            .collect();
        if steps.is_empty() {
            return Ok(Cow::Borrowed(rows));
        }
        let mut sheet = Sheet::new(rows, steps.iter().map(|step| step.column.as_str()))?;
        for step in steps {
            sheet.act(&step.column, &step.act)?;
        }
        let mut schema = Schema::default();
        let mut arrays: Vec<ArrayRef> = Vec::new();
        for (field, array) in rows.schema_ref().fields().iter().zip(rows.columns()) {
            let name = field.name();
            let Ok(column) = self.columns.column(name) else { continue };
            schema.columns.push(column.clone());
            arrays.push(match sheet.columns.get(name) {
                Some(cells) => typed(cells, column)?,
                None => Arc::clone(array),
            });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
        RecordBatch::try_new_with_options(arrow_schema(&schema), arrays, &options)
            .map(Cow::Owned)
            .map_err(|source| Error::new(ErrorCode::BadData, format!("the rows are not those of the recipe: {source}")))
    }
}

/// A cell that is there.
type Written = (CellForm, String);

/// Rows with the columns under repair cell by cell.
struct Sheet<'a> {
    rows: &'a RecordBatch,
    columns: BTreeMap<String, Vec<Option<Written>>>,
}

impl<'a> Sheet<'a> {
    fn new<'n>(rows: &'a RecordBatch, names: impl Iterator<Item = &'n str>) -> Result<Sheet<'a>> {
        let mut columns = BTreeMap::new();
        for name in names {
            let Some(array) = rows.column_by_name(name) else { continue };
            if columns.contains_key(name) {
                continue;
            }
            let cells: Vec<Option<Written>> = if let Some(numbers) = array.as_primitive_opt::<Float64Type>() {
                numbers.iter().map(|number| number.map(|number| (CellForm::Number, number_text(number)))).collect()
            } else if let Some(texts) = array.as_string_opt::<i32>() {
                texts.iter().map(|text| text.map(|text| (CellForm::Untyped, text.to_owned()))).collect()
            } else {
                return Err(Error::new(ErrorCode::Unsupported, "only numbers and texts can be repaired")
                    .at_column(name)
                    .fix("delete this step of the plan"));
            };
            columns.insert(name.to_owned(), cells);
        }
        Ok(Sheet { rows, columns })
    }

    fn act(&mut self, name: &str, act: &Fitted) -> Result<()> {
        let Some(cells) = self.columns.get(name) else { return Ok(()) };
        let changed: Vec<Option<Written>> = match act {
            Fitted::Cells(action) => {
                let change = |cell: &Option<Written>| {
                    let (form, text) = cell.as_ref()?;
                    match action.apply(*form, text) {
                        None => cell.clone(),
                        Some(CellValue::Missing) => None,
                        Some(CellValue::Text(text)) if text.is_empty() => None,
                        // A number that was made a text stays one; another text may still turn out to be a number.
                        Some(CellValue::Text(text)) if *action == CellAction::ToText => Some((CellForm::Text, text)),
                        Some(CellValue::Text(text)) => Some((CellForm::Untyped, text)),
                        Some(CellValue::Number(number)) => Some((CellForm::Number, number_text(number))),
                    }
                };
                cells.iter().map(change).collect()
            }
            Fitted::FillNumbers(fill) => {
                let own = self.numbers(name)?;
                let filled = fill.fill(name, &own, self)?;
                let put = |(cell, value): (&Option<Written>, Option<f64>)| {
                    cell.clone().or_else(|| value.map(|value| (CellForm::Number, number_text(value))))
                };
                cells.iter().zip(filled).map(put).collect()
            }
            Fitted::FillTexts(fill) => {
                let own = self.texts(name)?;
                let filled = fill.fill(&own, self)?;
                let put = |(cell, value): (&Option<Written>, Option<String>)| {
                    cell.clone().or_else(|| value.map(|value| (CellForm::Untyped, value)))
                };
                cells.iter().zip(filled).map(put).collect()
            }
        };
        self.columns.insert(name.to_owned(), changed);
        Ok(())
    }

    fn fit(&self, name: &str, how: &Imputation, others: &[&str]) -> Result<Fitted> {
        match self.is_numeric(name) && how.fills_numbers() {
            true => Ok(Fitted::FillNumbers(NumberFill::fit(how, name, &self.numbers(name)?, others, self)?)),
            false => Ok(Fitted::FillTexts(TextFill::fit(how, name, &self.texts(name)?, others, self)?)),
        }
    }

    /// Whether a column has values and all of them read as numbers.
    fn is_numeric(&self, name: &str) -> bool {
        let Some(cells) = self.columns.get(name) else {
            let numbers = self.rows.column_by_name(name).and_then(|array| array.as_primitive_opt::<Float64Type>());
            return numbers.is_some_and(|numbers| numbers.null_count() < numbers.len());
        };
        let reads = |(form, text): &Written| *form != CellForm::Text && parse_number(text.as_bytes()).is_some();
        cells.iter().flatten().all(reads) && cells.iter().any(Option::is_some)
    }

    fn has_missing(&self, name: &str) -> bool {
        self.columns.get(name).is_some_and(|cells| cells.iter().any(Option::is_none))
    }

    fn kind(&self, name: &str) -> ColumnKind {
        if self.is_numeric(name) {
            return ColumnKind::Number;
        }
        let cells = self.columns.get(name).map(Vec::as_slice).unwrap_or_default();
        let distinct: HashSet<&str> = cells.iter().flatten().map(|(_, text)| text.as_str()).collect();
        let present = cells.iter().flatten().count();
        if distinct.len() <= most_categories(present) { ColumnKind::Category } else { ColumnKind::Text }
    }
}

impl Columns for Sheet<'_> {
    fn numbers(&self, column: &str) -> Result<Vec<Option<f64>>> {
        match self.columns.get(column) {
            None => BatchColumns(self.rows).numbers(column),
            Some(cells) => cells.iter().enumerate().map(|(row, cell)| number(row, cell.as_ref(), column)).collect(),
        }
    }

    fn texts(&self, column: &str) -> Result<Vec<Option<String>>> {
        match self.columns.get(column) {
            None => BatchColumns(self.rows).texts(column),
            Some(cells) => Ok(cells.iter().map(|cell| cell.as_ref().map(|(_, text)| text.clone())).collect()),
        }
    }
}

fn number(row: usize, cell: Option<&Written>, column: &str) -> Result<Option<f64>> {
    let Some((_, text)) = cell else { return Ok(None) };
    parse_number(text.as_bytes()).map(Some).ok_or_else(|| {
        bad_value(column, row, format!("{} is not a number after the repairs", quoted(text)))
            .fix("leave the value empty where it is missing, or repair it with the plan and train again")
    })
}

fn typed(cells: &[Option<Written>], column: &Column) -> Result<ArrayRef> {
    if column.kind == ColumnKind::Number {
        let numbers = cells.iter().enumerate().map(|(row, cell)| number(row, cell.as_ref(), &column.name));
        return Ok(Arc::new(Float64Array::from(numbers.collect::<Result<Vec<_>>>()?)));
    }
    Ok(Arc::new(cells.iter().map(|cell| cell.as_ref().map(|(_, text)| text.as_str())).collect::<StringArray>()))
}
