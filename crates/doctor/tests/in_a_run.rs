//! What a run does of a plan: rows that training leaves out, labels and merged cells that are corrected, and what is
//! left to the recipe.

#![allow(clippy::unwrap_used)]

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use lepton_core::{Column, ColumnKind, Digest, Error, ErrorCode, Limits, Result, Schema};
use lepton_doctor::repair::{
    Action, EditedRows, Imputation, Mask, Plan, Step, Survivor, edit_rows, for_recipe, repair_target,
};
use lepton_recipe::{RepairAction, raw};

const TABLE: &str = "n,city,y\n5 kg,Bonn,a\n-,Ulm ,b\n7 kg,Ulm,b\n900 kg,,\n7 kg,Ulm,b\n1 kg,Jena,A\n";

fn schema() -> Schema {
    let column = |name: &str, kind| Column { name: name.into(), kind, nullable: true };
    Schema {
        columns: vec![
            column("n", ColumnKind::Text),
            column("city", ColumnKind::Category),
            column("y", ColumnKind::Category),
        ],
    }
}

fn table() -> RecordBatch {
    raw::rows_from_csv(&schema(), TABLE.as_bytes(), &Limits::default()).unwrap()
}

fn plan(actions: Vec<Action>) -> Plan {
    let step = |(place, action)| Step { id: format!("s{place}"), reason: String::new(), enabled: true, action };
    Plan { sha256: Digest::of(""), salt: String::new(), steps: actions.into_iter().enumerate().map(step).collect() }
}

fn edit(actions: Vec<Action>) -> Result<EditedRows> {
    edit_rows(&plan(actions), &schema(), "y", &table())
}

fn dropped(actions: Vec<Action>) -> Vec<usize> {
    edit(actions).unwrap().dropped.into_iter().collect()
}

fn cells(rows: &RecordBatch, column: &str) -> Vec<String> {
    let texts = rows.column_by_name(column).unwrap().as_string::<i32>();
    texts.iter().map(|text| text.unwrap_or_default().to_owned()).collect()
}

fn to_missing() -> Action {
    Action::SetMissing { column: "n".into(), values: vec!["-".into()] }
}

fn to_number() -> Action {
    Action::ToNumber { column: "n".into(), unit: Some("kg".into()) }
}

#[test]
fn rows_are_dropped_by_what_the_steps_before_left() {
    let without = || Action::DropRowsWithMissing { column: "n".into() };
    assert_eq!(dropped(vec![without()]), [0; 0], "a hyphen is there");
    assert_eq!(dropped(vec![to_missing(), without()]), [1]);
    let outside = || Action::DropRowsOutside { column: "n".into(), low: 2.0, high: 100.0 };
    assert_eq!(dropped(vec![outside()]), [0; 0], "no cell is a number yet");
    assert_eq!(dropped(vec![to_number(), outside()]), [4], "row 4 has no label and is gone, row 6 is the fifth");
    assert_eq!(dropped(vec![Action::DropRows { rows: vec![1, 6] }]), [0, 5]);
    assert_eq!(dropped(vec![Action::DropDuplicates]), [4]);
    let trim = Action::Trim { column: "city".into() };
    let rewrite = Action::MapValues { column: "n".into(), map: [("-".to_owned(), "7 kg".to_owned())].into() };
    assert_eq!(dropped(vec![trim, rewrite, Action::DropDuplicates]), [2, 4], "repaired, row 2 is row 3");
}

#[test]
fn the_raw_cells_that_survive_a_merge_stand_in_the_row_that_stays() {
    let merge = |keep| Action::MergeRows { groups: vec![vec![2, 3], vec![4, 6]], keep };
    let edited = edit(vec![to_missing(), merge(Survivor::FirstPresent)]).unwrap();
    assert_eq!(edited.dropped.iter().copied().collect::<Vec<_>>(), [2, 5]);
    assert_eq!(cells(&edited.rows, "n"), ["5 kg", "7 kg", "7 kg", "900 kg", "7 kg", "1 kg"], "raw, for the recipe");
    assert_eq!(cells(&edited.rows, "city"), ["Bonn", "Ulm ", "Ulm", "Jena", "Ulm", "Jena"]);
    assert_eq!(cells(&edited.rows, "y")[3], "A");
    let longest = edit(vec![merge(Survivor::Longest)]).unwrap();
    assert_eq!(cells(&longest.rows, "n")[1], "7 kg");
}

#[test]
fn labels_are_corrected_and_rows_without_one_can_go() {
    let relabel = Action::Relabel { column: "y".into(), labels: [("1".to_owned(), "b".to_owned())].into() };
    let edited = edit(vec![relabel, Action::DropRowsWithMissing { column: "y".into() }]).unwrap();
    assert_eq!(cells(&edited.rows, "y"), ["b", "b", "b", "b", "A"], "a row without a label stands in no part");
    assert!(edited.dropped.is_empty());
    let map = |map: &[(&str, &str)]| {
        let map = map.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect();
        repair_target(&plan(vec![Action::MapValues { column: "y".into(), map }]), &schema(), "y", &table())
    };
    assert_eq!(cells(&map(&[("A", "a")]).unwrap(), "y"), ["a", "b", "b", "", "b", "a"]);
    let error = map(&[("a", "b"), ("b", "a")]).unwrap_err();
    assert_eq!((error.code(), error.place().column.as_deref()), (ErrorCode::Config, Some("y")));
}

#[test]
fn cells_are_left_to_the_recipe_and_rows_are_not() {
    let fill = Action::Impute { column: "n".into(), with: Imputation::Median };
    let gone = Action::DropColumn { column: "city".into() };
    let mut plan = plan(vec![to_missing(), Action::DropRows { rows: vec![1] }, to_number(), fill, gone]);
    let names = |plan: &Plan| for_recipe(plan).unwrap().into_iter().map(|repair| repair.id).collect::<Vec<_>>();
    assert_eq!(names(&plan), ["s0", "s2", "s3", "s4"]);
    assert_eq!(for_recipe(&plan).unwrap()[3].action, RepairAction::Drop);
    plan.steps[2].enabled = false;
    assert_eq!(names(&plan), ["s0", "s3", "s4"]);
}

#[test]
fn what_a_run_cannot_do_names_the_step() {
    let place = |error: Error| (error.code(), error.place().key.clone().unwrap_or_default());
    let refused = |actions| place(edit(actions).map(|_| ()).unwrap_err());
    let mask = Action::Mask { column: "city".into(), method: Mask::Hash };
    assert_eq!(refused(vec![mask]), (ErrorCode::Unsupported, "repair.s0".to_owned()));
    assert_eq!(refused(vec![Action::DropRaggedRows]), (ErrorCode::Unsupported, "repair.s0".to_owned()));
    let fill = Action::Impute { column: "n".into(), with: Imputation::Mode };
    let late = Action::DropRowsWithMissing { column: "n".into() };
    assert_eq!(refused(vec![fill, late]), (ErrorCode::Config, "repair.s1".to_owned()));
    assert_eq!(refused(vec![Action::DropRows { rows: vec![7] }]), (ErrorCode::NotFound, "repair.s0".to_owned()));
    let unknown = Action::DropRowsWithMissing { column: "ctiy".into() };
    assert_eq!(refused(vec![unknown]), (ErrorCode::NotFound, "repair.s0".to_owned()));
}
