//! Packages of earlier builds: a `recipe.json` of version 1 that such a build wrote still opens, and makes the bytes
//! that its formulas say.

#![allow(clippy::unwrap_used)]

use lepton_core::Limits;
use lepton_recipe::{RECIPE_VERSION, Recipe, raw};
use serde_json::Value;

const DOCUMENT: &[u8] = include_bytes!("reference/version1.json");

#[test]
fn a_recipe_of_version_1_makes_the_bytes_that_it_made() {
    let document: Value = serde_json::from_slice(DOCUMENT).unwrap();
    assert_eq!(document["version"], 1);
    let recipe = Recipe::from_json(DOCUMENT).unwrap();
    assert_eq!(
        recipe.feature_names(),
        [
            "size",
            "size (missing)",
            "weight",
            "colour = blue",
            "colour = green",
            "colour = red",
            "colour (other)",
            "colour (missing)"
        ]
    );
    assert_eq!(recipe.labels(), ["large", "small"]);
    let csv = b"size,weight,colour\n3.25,0.5,red\n,1e3,violet\n-7,,\n0.1,8.25,blue\n";
    let rows = raw::rows_from_csv(recipe.inputs(), csv, &Limits::default()).unwrap();
    let ours = recipe.apply(&rows).unwrap();
    // Version 1: (value or fill, minus offset) over scale, in 64 bits, rounded once.
    let number = |step: usize, value: Option<f64>| {
        let of = |key: &str| document["steps"][step][key].as_f64().unwrap();
        ((value.unwrap_or_else(|| of("fill")) - of("offset")) / of("scale")) as f32
    };
    let expected = [
        [number(0, Some(3.25)), 0.0, number(1, Some(0.5)), 0.0, 0.0, 1.0, 0.0, 0.0],
        [number(0, None), 1.0, number(1, Some(1e3)), 0.0, 0.0, 0.0, 1.0, 0.0],
        [number(0, Some(-7.0)), 0.0, number(1, None), 0.0, 0.0, 0.0, 0.0, 1.0],
        [number(0, Some(0.1)), 0.0, number(1, Some(8.25)), 1.0, 0.0, 0.0, 0.0, 0.0],
    ];
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(ours.as_float32().unwrap()), bits(&expected.concat()));

    // Written again it is of this version, and makes the same.
    let written = recipe.to_json().unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&written).unwrap()["version"], RECIPE_VERSION);
    let again = Recipe::from_json(&written).unwrap().apply(&rows).unwrap();
    assert_eq!(bits(again.as_float32().unwrap()), bits(ours.as_float32().unwrap()));
}

#[test]
fn what_version_1_did_not_have_is_refused() {
    let changed = |change: fn(&mut Value)| {
        let mut document: Value = serde_json::from_slice(DOCUMENT).unwrap();
        change(&mut document);
        Recipe::from_json(&serde_json::to_vec(&document).unwrap())
    };
    assert!(changed(|_| {}).is_ok());
    assert!(changed(|document| document["steps"][0]["scale"] = 0.into()).is_err());
    assert!(changed(|document| document["steps"][0]["kind"] = "text".into()).is_err());
    assert!(changed(|document| document["repairs"] = Value::Null).is_err());
    assert!(changed(|document| document["steps"][2]["categories"] = serde_json::json!(["b", "a"])).is_err());
}
