//! Repairs at the head of a recipe: raw, dirty rows get in serving what training rows got.

#![allow(clippy::unwrap_used)]

use arrow_array::RecordBatch;
use lepton_core::{Column, ColumnKind, ErrorCode, Limits, Result, Schema};
use lepton_recipe::*;
use std::collections::BTreeMap;

const DIRTY: &str = "weight,city,when,y\n\
    12 kg,Bonn ,03/04/2021,a\n\
    500 g,bonn,31.12.2020,b\n\
    N/A,Köln,2020-01-05,a\n\
    3.5 kg,,2020-02-05,b\n\
    9000 kg,Köln,2020-03-05,a\n\
    ,Bonn,2020-04-05,b\n";

/// Columns as collecting gives them: whatever is no plain number is text.
fn schema(target: bool) -> Schema {
    let column = |name: &str, kind| Column { name: name.into(), kind, nullable: true };
    let mut columns = vec![
        column("weight", ColumnKind::Text),
        column("city", ColumnKind::Category),
        column("when", ColumnKind::Text),
    ];
    columns.extend(target.then(|| column("y", ColumnKind::Category)));
    Schema { columns }
}

fn rows(target: bool, csv: &str) -> RecordBatch {
    raw::rows_from_csv(&schema(target), csv.as_bytes(), &Limits::default()).unwrap()
}

fn cells(id: &str, column: &str, action: CellAction) -> RepairPlan {
    RepairPlan { id: id.into(), column: column.into(), action: RepairAction::Cells(action) }
}

fn impute(id: &str, column: &str, how: Imputation) -> RepairPlan {
    RepairPlan { id: id.into(), column: column.into(), action: RepairAction::Impute(how) }
}

fn plan() -> Vec<RepairPlan> {
    let map = BTreeMap::from([("bonn".to_owned(), "Bonn".to_owned())]);
    vec![
        cells("gaps", "weight", CellAction::SetMissing { values: vec!["N/A".into()] }),
        cells("trim", "city", CellAction::Trim),
        cells("unit", "weight", CellAction::ToNumber { unit: Some("kg".into()) }),
        cells("iso", "when", CellAction::ToIsoDate { day_first: true }),
        cells("map", "city", CellAction::MapValues { map }),
        cells("outliers", "weight", CellAction::Winsorise { low: 0.0, high: 100.0 }),
        impute("fill", "weight", Imputation::Group { by: "city".into() }),
        impute("mode", "city", Imputation::Mode),
    ]
}

fn fit(plan: &[RepairPlan]) -> Result<Repairs> {
    Repairs::fit(plan, &schema(true), "y", &BTreeMap::new(), &rows(true, DIRTY))
}

fn recipe() -> Recipe {
    let repairs = fit(&plan()).unwrap();
    assert_eq!(repairs.repaired().column("weight").unwrap().kind, ColumnKind::Number);
    assert!(!repairs.repaired().column("weight").unwrap().nullable, "every gap is filled");
    let steps = vec![
        StepPlan::Number(NumberPlan { normalize: NumberNormalize::None, ..NumberPlan::new("weight") }),
        StepPlan::Category(CategoryPlan::new("city")),
        StepPlan::Date(DatePlan::new("when")),
    ];
    let plan = RecipePlan { steps, target: Some(TargetPlan::Classes { column: "y".into() }) };
    plan.fit_after(repairs, &schema(true), &rows(true, DIRTY)).unwrap()
}

#[test]
fn a_dirty_row_becomes_what_its_repaired_row_becomes() {
    let recipe = Recipe::from_json(&recipe().to_json().unwrap()).unwrap();
    assert_eq!(recipe.inputs().column("weight").unwrap().kind, ColumnKind::Text, "raw rows are dirty rows");
    let features = |csv: &str| {
        let rows = raw::rows_from_csv(recipe.inputs(), csv.as_bytes(), &Limits::default()).unwrap();
        recipe.apply(&rows).unwrap()
    };
    let dirty = features("weight,city,when\n2000 g, bonn,03/04/2021\nN/A,Köln,31.12.2020\n7 t,,Mar 5 2020\n");
    // Köln weighs 100 kg, cut from 9,000; a missing city is the most frequent one.
    let clean = features("weight,city,when\n2,Bonn,2021-04-03\n100,Köln,2020-12-31\n100,Bonn,2020-03-05\n");
    assert_eq!(dirty, clean);
    let other = features("weight,city,when\n2001 g, bonn,03/04/2021\nN/A,Köln,31.12.2020\n7 t,,Mar 5 2020\n");
    assert_ne!(other, clean, "the comparison can fail");
    // A JSON number in a column of texts is the same as its text.
    let json = serde_json::json!({"weight": 2, "city": "Bonn", "when": "2021-04-03"});
    let rows = raw::rows_from_json(recipe.inputs(), &[json], &Limits::default()).unwrap();
    let width = recipe.feature_names().len();
    assert_eq!(recipe.apply(&rows).unwrap().as_float32().unwrap(), &clean.as_float32().unwrap()[..width]);
}

#[test]
fn what_stays_dirty_is_an_error_with_its_place() {
    let recipe = recipe();
    let rows = raw::rows_from_csv(recipe.inputs(), b"weight,city,when\n1,Bonn,\nheavy,Bonn,\n", &Limits::default());
    let error = recipe.apply(&rows.unwrap()).unwrap_err();
    assert_eq!((error.code(), error.place().row), (ErrorCode::BadData, Some(2)));
    assert_eq!(error.place().column.as_deref(), Some("weight"));
    assert!(error.message().contains("heavy"), "{error}");
}

#[test]
fn labels_are_repaired_before_they_are_encoded() {
    let map = BTreeMap::from([("A ".to_owned(), "a".to_owned())]);
    let repairs = fit(&[cells("labels", "y", CellAction::MapValues { map })]).unwrap();
    let plan = RecipePlan {
        steps: vec![StepPlan::Category(CategoryPlan::new("city"))],
        target: Some(TargetPlan::Classes { column: "y".into() }),
    };
    let recipe = plan.fit_after(repairs, &schema(true), &rows(true, DIRTY)).unwrap();
    let later = rows(true, "weight,city,when,y\n,Bonn,,A \n,Bonn,,b\n");
    assert_eq!(recipe.encode_target(&later).unwrap().as_int64().unwrap(), [0, 1]);
}

#[test]
fn repairs_that_cannot_be_done_name_their_step() {
    let key = |plan: RepairPlan| {
        let error = fit(&[plan]).unwrap_err();
        (error.code(), error.place().key.clone().unwrap_or_default())
    };
    let config = |id: &str| (ErrorCode::Config, format!("repair.{id}"));
    let unit = cells("u", "weight", CellAction::ToNumber { unit: Some("parsec".into()) });
    assert_eq!(key(unit), config("u"));
    assert_eq!(key(impute("y", "y", Imputation::Mode)), config("y"));
    assert_eq!(key(impute("m", "city", Imputation::Median)), config("m"));
    assert_eq!(key(impute("n", "city", Imputation::Nearest { k: 3 })), config("n"));
    assert_eq!(key(impute("g", "city", Imputation::Group { by: "y".into() })), config("g"));
    let unknown = cells("t", "wieght", CellAction::Trim);
    assert_eq!(key(unknown.clone()), (ErrorCode::NotFound, "repair.t".to_owned()));
    assert_eq!(fit(&[unknown]).unwrap_err().remedy(), Some("did you mean \"weight\"?"));
    let drop = RepairPlan { id: "d".into(), column: "when".into(), action: RepairAction::Drop };
    let dropped = fit(std::slice::from_ref(&drop)).unwrap();
    assert!(dropped.repaired().column("when").is_err());
    assert_eq!(fit(&[drop, cells("t", "when", CellAction::Trim)]).unwrap_err().code(), ErrorCode::Config);
}

#[test]
fn a_fill_that_reads_a_column_outside_of_the_recipe_is_refused() {
    let plan = RecipePlan { steps: vec![StepPlan::Number(NumberPlan::new("weight"))], target: None };
    let error = plan.fit_after(fit(&plan_of_weight()).unwrap(), &schema(true), &rows(true, DIRTY)).unwrap_err();
    assert_eq!((error.code(), error.place().column.as_deref()), (ErrorCode::Config, Some("weight")));
    assert!(error.message().contains("city"), "{error}");
}

fn plan_of_weight() -> Vec<RepairPlan> {
    plan().into_iter().filter(|repair| repair.column == "weight").collect()
}
