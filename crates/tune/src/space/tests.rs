//! Spaces as people write them, what is wrong with them, and coordinates.

use super::*;
use proptest::prelude::*;
use serde_json::json;

fn read(text: &str) -> Space {
    toml::from_str(text).unwrap()
}

#[test]
fn a_space_reads_as_a_person_writes_it() {
    let space = read(
        r#"
"train.learning_rate" = { low = 1e-4, high = 1e-1, log = true }
"train.batch_size" = { low = 16, high = 256, log = true }
"train.dropout" = { low = 0.0, high = 0.5, step = 0.1 }
"train.momentum" = { low = 0, high = 1, kind = "float", when = { key = "train.optimizer", equals = "sgd" } }
"train.layers" = { low = 1.0, high = 4, kind = "int" }
"train.optimizer" = { choices = ["adam", "sgd", 3, { kind = "lion" }] }
"#,
    );
    space.validate().unwrap();
    let domain = |key: &str| space.dimensions[key].domain.clone();
    assert_eq!(domain("train.learning_rate"), Domain::Float { low: 1e-4, high: 1e-1, log: true, step: None });
    assert_eq!(domain("train.batch_size"), Domain::Int { low: 16, high: 256, log: true, step: 1 });
    assert_eq!(domain("train.dropout"), Domain::Float { low: 0.0, high: 0.5, log: false, step: Some(0.1) });
    assert_eq!(domain("train.momentum"), Domain::Float { low: 0.0, high: 1.0, log: false, step: None });
    assert_eq!(domain("train.layers"), Domain::Int { low: 1, high: 4, log: false, step: 1 });
    assert_eq!(domain("train.optimizer").count(), Some(4));
    assert_eq!(domain("train.dropout").count(), Some(6));
    let order = space.order().unwrap();
    assert_eq!(order.last(), Some(&"train.momentum"), "what depends comes after what it depends on: {order:?}");
    let again: Space = serde_json::from_str(&serde_json::to_string(&space).unwrap()).unwrap();
    assert_eq!(again, space);
    let again: Space = toml::from_str(&toml::to_string(&space).unwrap()).unwrap();
    assert_eq!(again, space);
}

#[test]
fn what_cannot_be_read_says_why() {
    for (text, words) in [
        ("x = { low = 1, hihg = 2 }", "unknown field `hihg`"),
        ("x = { low = 1 }", "give `low` and `high`, or `choices`"),
        ("x = { low = 1, high = 2, choices = [1] }", "not both"),
        ("x = { choices = [1], log = true }", "neither `log` nor `step`"),
        ("x = { low = 1.5, high = 3.0, kind = \"int\" }", "not a whole number"),
        ("x = { choices = [1], when = { key = \"y\", equal = 1 } }", "unknown field `equal`"),
    ] {
        let error = toml::from_str::<Space>(text).unwrap_err().to_string();
        assert!(error.contains(words), "{text}: {error}");
    }
}

#[test]
fn what_is_wrong_is_named_with_a_remedy() {
    for (text, key, words) in [
        ("", "tune.space", "empty"),
        ("x = { low = 2.0, high = 2.0 }", "tune.space.x", "not below"),
        ("x = { low = 3, high = 2 }", "tune.space.x", "not below"),
        ("x = { low = 0.0, high = 2.0, log = true }", "tune.space.x", "no logarithm"),
        ("x = { low = 0, high = 2, log = true }", "tune.space.x", "no logarithm"),
        ("x = { low = nan, high = 2.0 }", "", "not a JSON number"),
        ("x = { low = 0.0, high = 2.0, step = 0.0 }", "tune.space.x", "step 0"),
        ("x = { low = 0, high = 2, step = -1 }", "tune.space.x", "step -1"),
        ("x = { low = 1.0, high = 2.0, step = 0.1, log = true }", "tune.space.x", "logarithmic scale with steps"),
        ("x = { choices = [] }", "tune.space.x", "no choices"),
        ("x = { choices = [1, 2, 1.0] }", "tune.space.x", "listed twice"),
        ("x = { choices = [1], when = { key = \"y\", equals = 1 } }", "tune.space.x.when", "cannot be sampled"),
        ("x = { choices = [1], when = { key = \"x\", equals = 1 } }", "tune.space.x.when", "cannot be sampled"),
        (
            "x = { choices = [1], when = { key = \"y\", equals = 1 } }\n\
             y = { choices = [1], when = { key = \"x\", equals = 1 } }",
            "tune.space.x.when",
            "cannot be sampled",
        ),
        (
            "x = { choices = [1], when = { key = \"y\", equals = 3 } }\ny = { choices = [1, 2] }",
            "tune.space.x.when",
            "never has the value 3",
        ),
        (
            "x = { choices = [1], when = { key = \"y\", equals = 1.0 } }\ny = { low = 0.0, high = 2.0 }",
            "tune.space.x.when",
            "continuous",
        ),
    ] {
        let Ok(space) = toml::from_str::<Space>(text) else {
            assert!(key.is_empty(), "{text} cannot be read");
            continue;
        };
        let error = space.validate().unwrap_err();
        assert_eq!(error.place().key.as_deref(), Some(key), "{text}: {error}");
        assert!(error.message().contains(words), "{text}: {error}");
        assert!(error.remedy().is_some(), "{text}: {error}");
    }
}

#[test]
fn conditions_decide_what_applies() {
    let space = read(
        r#"
a = { choices = ["on", "off"] }
b = { low = 1, high = 2, when = { key = "a", equals = "on" } }
c = { low = 0.0, high = 1.0, when = { key = "b", equals = 2 } }
"#,
    );
    let on = space.point_at(&[0.0, 0.9, 0.5]).unwrap();
    assert_eq!(on, Point::from([("a".into(), json!("on")), ("b".into(), json!(2)), ("c".into(), json!(0.5))]));
    let off = space.point_at(&[0.9, 0.9, 0.5]).unwrap();
    assert_eq!(off, Point::from([("a".into(), json!("off"))]));
    assert!(space.contains(&on) && space.contains(&off));
    let stray = Point::from([("a".into(), json!("off")), ("b".into(), json!(1))]);
    assert!(!space.contains(&stray), "b does not apply");
    assert!(!space.contains(&Point::from([("a".into(), json!("on"))])), "b is missing");
    assert_eq!(space.coordinates(&off).unwrap(), [Some(0.75), None, None]);
}

#[test]
fn coordinates_have_their_closed_form() {
    let log = Domain::Float { low: 1e-4, high: 1.0, log: true, step: None };
    assert!((log.to_unit(&json!(1e-2)).unwrap() - 0.5).abs() < 1e-12);
    assert!((log.from_unit(0.25).as_f64().unwrap() - 1e-3).abs() < 1e-12);
    assert_eq!((log.from_unit(0.0), log.from_unit(1.0)), (json!(1e-4), json!(1.0)), "the ends are exact");
    let int = Domain::Int { low: 1, high: 4, log: false, step: 1 };
    assert_eq!(int.to_unit(&json!(1)), Some(0.125));
    assert_eq!(int.to_unit(&json!(4.0)), Some(0.875));
    assert_eq!(int.to_unit(&json!(2.5)), None);
    assert_eq!(int.to_unit(&json!(5)), None);
    assert_eq!(int.cell(0.3), Some((0.25, 0.5)));
    let steps = Domain::Float { low: 0.0, high: 0.5, log: false, step: Some(0.2) };
    assert_eq!(steps.count(), Some(3), "0.0, 0.2 and 0.4");
    assert_eq!(steps.to_unit(&json!(0.5)), None);
    assert_eq!(steps.to_unit(&json!("a")), None);
}

fn domains() -> impl Strategy<Value = Domain> {
    let float = (-1e6..1e6f64, 1e-3..1e6f64).prop_map(|(low, width)| Domain::Float {
        low,
        high: low + width,
        log: false,
        step: None,
    });
    let log = (1e-9..1e3f64, 1.001..1e6f64).prop_map(|(low, factor)| Domain::Float {
        low,
        high: low * factor,
        log: true,
        step: None,
    });
    let stepped = (-1e3..1e3f64, 0.01..10.0f64, 1.0..50.0f64).prop_map(|(low, step, count)| Domain::Float {
        low,
        high: low + step * count,
        log: false,
        step: Some(step),
    });
    let int = (-1000..1000i64, 1..1000i64, 1..1000i64).prop_map(|(low, width, step)| Domain::Int {
        low,
        high: low + width,
        log: false,
        step: step.min(width),
    });
    let log_int =
        (1..100i64, 1..10_000i64).prop_map(|(low, width)| Domain::Int { low, high: low + width, log: true, step: 1 });
    let choice = (1..6usize).prop_map(|count| Domain::Choice { choices: (0..count).map(|k| json!(k)).collect() });
    prop_oneof![float, log, stepped, int, log_int, choice]
}

proptest! {
    #[test]
    fn every_coordinate_is_a_value_and_every_value_its_own_coordinate(domain in domains(), coordinate in 0.0..=1.0f64) {
        domain.validate().unwrap();
        let value = domain.from_unit(coordinate);
        let unit = domain.to_unit(&value);
        prop_assert!(unit.is_some_and(|unit| (0.0..=1.0).contains(&unit)), "{domain:?} {value} {unit:?}");
        let again = domain.from_unit(unit.unwrap());
        match domain {
            Domain::Float { .. } => {
                let (left, right) = (value.as_f64().unwrap(), again.as_f64().unwrap());
                prop_assert!((left - right).abs() <= 1e-9 * left.abs().max(1.0), "{domain:?} {left} {right}");
            }
            _ => prop_assert_eq!(&value, &again),
        }
        match domain.cell(coordinate) {
            None => prop_assert!(domain.count().is_none()),
            Some((left, right)) => {
                prop_assert!(left - 1e-9 <= coordinate && coordinate <= right + 1e-9, "{left} {coordinate} {right}");
                prop_assert!(left <= unit.unwrap() && unit.unwrap() <= right);
            }
        }
    }

    #[test]
    fn a_dimension_survives_json(domain in domains()) {
        let dimension = Dimension::new(domain);
        let text = serde_json::to_string(&dimension).unwrap();
        prop_assert_eq!(serde_json::from_str::<Dimension>(&text).unwrap(), dimension);
    }
}
