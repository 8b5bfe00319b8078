//! What is found across rows and columns of made tables, and what is not; correlations against pandas and scipy.

#![allow(clippy::unwrap_used, reason = "a test ends where something is missing")]

use lepton_core::{Cancel, Silent};
use lepton_doctor::across::{check_across, correlations};
use lepton_doctor::checks::CheckOptions;
use lepton_doctor::profile::{Profile, ProfileOptions, profile};
use lepton_doctor::repair::Action;
use lepton_doctor::{Finding, FindingKind};
use std::path::Path;

fn profiled(path: &Path, beginning_bytes: usize) -> Profile {
    let (folder, cancel) = (tempfile::tempdir().unwrap(), Cancel::default());
    let options = ProfileOptions { beginning_bytes, ..ProfileOptions::new(folder.path(), 2, &Silent, &cancel) };
    profile(path, &options).unwrap()
}

fn written(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::Builder::new().suffix(".csv").tempfile().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

fn findings_within(text: &str, target: Option<&str>, beginning_bytes: usize) -> Vec<Finding> {
    let file = written(text);
    let options = CheckOptions { target: target.map(str::to_owned) };
    check_across(&profiled(file.path(), beginning_bytes), &options, 2, &Cancel::default()).unwrap()
}

fn findings(text: &str, target: Option<&str>) -> Vec<Finding> {
    findings_within(text, target, 64 << 20)
}

fn of(findings: &[Finding], kind: FindingKind) -> Vec<&Finding> {
    findings.iter().filter(|finding| finding.kind == kind).collect()
}

/// A number from 0 to below `most` that looks random.
fn noise(row: usize, stream: usize, most: usize) -> usize {
    let mixed =
        (row as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (stream as u64 + 7).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 31)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((mixed ^ (mixed >> 29)) % most as u64) as usize
}

const SYLLABLES: [&str; 24] = [
    "ba", "den", "lo", "mar", "shi", "tor", "wen", "ka", "ri", "vel", "no", "pur", "zan", "gol", "mi", "ster", "hun",
    "dra", "fe", "quil", "ost", "bri", "lam", "ci",
];

fn word(row: usize, stream: usize) -> String {
    (0..3).map(|part| SYLLABLES[noise(row, stream * 10 + part, SYLLABLES.len())]).collect()
}

/// A row of people: name, street, town, day of birth, telephone.
fn person(row: usize) -> [String; 5] {
    [
        format!("{} {}", word(row, 1), word(row, 2)),
        format!("{} {} street", 1 + noise(row, 3, 200), word(row, 4)),
        word(noise(row, 5, 60), 6),
        format!("19{:02}-{:02}-{:02}", 30 + noise(row, 7, 70), 1 + noise(row, 8, 12), 1 + noise(row, 9, 28)),
        format!("555-{:03}-{:04}", noise(row, 10, 1000), noise(row, 11, 10_000)),
    ]
}

fn people(rows: impl Iterator<Item = [String; 5]>) -> String {
    let lines = (1..).zip(rows).map(|(id, row)| format!("{id},{}\n", row.join(",")));
    std::iter::once("id,name,street,town,born,phone\n".to_owned()).chain(lines).collect()
}

#[test]
fn rows_with_slips_are_found_and_strangers_are_not() {
    assert_eq!(findings(&people((0..400).map(person)), None), []);
    let mut rows: Vec<[String; 5]> = (0..400).map(person).collect();
    let slipped = |row: usize, field: usize, change: &dyn Fn(&str) -> String| {
        let mut copy = person(row);
        copy[field] = change(&copy[field]);
        copy
    };
    // A letter lost, words exchanged, digits exchanged, a cell lost and another town.
    rows.push(slipped(10, 0, &|name| name[1..].to_owned()));
    rows.push(slipped(20, 0, &|name| name.split(' ').rev().collect::<Vec<_>>().join(" ")));
    rows.push(slipped(30, 4, &|phone| phone.chars().rev().collect()));
    let mut moved = slipped(40, 1, &|_| String::new());
    moved[2] = "elsewhere".to_owned();
    rows.push(moved);
    rows.push(slipped(10, 2, &|town| town.to_uppercase() + "x"));
    let found = findings(&people(rows.into_iter()), None);
    let near = of(&found, FindingKind::NearDuplicates);
    assert_eq!(near.len(), 1, "{found:?}");
    assert_eq!(near[0].evidence.groups, [vec![11, 401, 405], vec![21, 402], vec![31, 403], vec![41, 404]]);
    assert_eq!(near[0].count, 5);
    assert!(near[0].message.contains("name") && !near[0].message.contains("id,"), "{}", near[0].message);
    let repair = near[0].repair.as_ref().unwrap();
    assert!(!repair.safe && matches!(&repair.action, Action::MergeRows { groups, .. } if groups.len() == 4));
}

#[test]
fn a_table_that_does_not_fit_says_how_far_was_looked() {
    // More than one piece of the file, of which the first one fits.
    let rows = (0..60_000).map(|row| person(if row == 50 { 7 } else { row }));
    let mut rows: Vec<[String; 5]> = rows.collect();
    rows[50][2] = "elsewhere".into();
    let text = people(rows.into_iter());
    assert!(text.len() > 4 << 20);
    let found = findings_within(&text, None, 12 << 20);
    let near = of(&found, FindingKind::NearDuplicates);
    assert_eq!(near[0].evidence.groups, [[8, 51]]);
    assert!(near[0].message.contains("looked for among the first 5"), "{}", near[0].message);
    assert_eq!(findings_within(&text, None, 0), [], "without memory nothing is kept and nothing is claimed");
}

#[test]
fn tables_of_measures_have_no_near_duplicates() {
    let mut text = String::from("length,width,kind\n");
    (0..300).for_each(|row| {
        text += &format!(
            "{}.{},{}.{},{}\n",
            noise(row, 1, 4),
            noise(row, 2, 10),
            noise(row, 3, 3),
            noise(row, 4, 10),
            ["a", "b"][row % 2]
        )
    });
    assert_eq!(of(&findings(&text, None), FindingKind::NearDuplicates), [] as [&Finding; 0]);
}

#[test]
fn rows_about_one_thing_are_not_one_row() {
    // Sixty countries in twenty years each, with what is the same in every year.
    let mut panel = String::from("country,capital,currency,region,year,population\n");
    for row in 0..1_200 {
        let country = row / 20;
        let [name, capital, currency] = [1, 2, 3].map(|stream| word(country, 20 + stream));
        panel += &format!(
            "{name},{capital},{currency},{},{},{}\n",
            word(country / 10, 30),
            1990 + row % 20,
            noise(row, 1, 90_000)
        );
    }
    assert_eq!(of(&findings(&panel, None), FindingKind::NearDuplicates), [] as [&Finding; 0]);
    // Customers with five orders each, on other days and of other things.
    let mut orders = String::from("name,street,town,phone,day,item,price\n");
    for row in 0..1_000 {
        let [name, street, town, _, phone] = person(noise(row, 40, 200));
        let day = format!("2024-{:02}-{:02}", 1 + noise(row, 41, 12), 1 + noise(row, 42, 28));
        orders += &format!(
            "{name},{street},{town},{phone},{day},{},{}.5\n",
            word(noise(row, 43, 5_000), 44),
            noise(row, 45, 100)
        );
    }
    // Two orders of one customer may be alike by chance: of some 2,000 pairs a handful.
    let found = findings(&orders, None);
    let alike: u64 = of(&found, FindingKind::NearDuplicates).iter().map(|finding| finding.count).sum();
    assert!(alike <= 4, "{alike}");
}

#[test]
fn texts_that_share_most_of_their_words_are_found() {
    let text = |row: usize| (0..12).map(|part| word(row * 12 + part, 3)).collect::<Vec<_>>().join(" ");
    let mut table = String::from("stars,review\n");
    (0..300).for_each(|row| table += &format!("{},\"{}\"\n", 1 + row % 5, text(row)));
    assert_eq!(findings(&table, None), []);
    table += &format!("3,\"{}!\"\n4,\"{} indeed\"\n", text(7).to_uppercase(), text(9));
    // Half of another one is another text.
    table += &format!("1,\"{} {}\"\n", &text(11)[..text(11).len() / 2], &text(400)[..40]);
    let found = findings(&table, None);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].kind, found[0].column.as_deref()), (FindingKind::NearDuplicates, Some("review")));
    assert_eq!(found[0].evidence.groups, [[8, 301], [10, 302]]);
}

#[test]
fn a_row_that_is_odd_in_two_columns_together_is_found() {
    let mut text = String::from("height,weight,age\n");
    for row in 0..500 {
        let height = 150.0 + noise(row, 1, 500) as f64 / 10.0;
        let weight = height - 100.0 + noise(row, 2, 100) as f64 / 10.0;
        text += &format!("{height:.1},{weight:.1},{}\n", 20 + noise(row, 3, 50));
    }
    assert_eq!(findings(&text, None), []);
    text += "270.5,190.5,99\n-20.0,160.0,-5\n";
    let found = findings(&text, None);
    let far = of(&found, FindingKind::MultivariateOutliers);
    assert_eq!(far.len(), 1, "{found:?}");
    assert_eq!(far[0].evidence.rows, [501, 502]);
    assert!(far[0].message.contains("3 columns"), "{}", far[0].message);
}

#[test]
fn what_gives_the_target_away_is_named_and_what_foretells_well_is_not() {
    let mut text = String::from("id,age,grade,passed,remark,score,label\n");
    for row in 0..400 {
        let label = noise(row, 1, 3);
        let age = 20 + 10 * label + noise(row, 2, 14);
        // A function of the label with many values, a copy in other words, and a measure that overlaps.
        let grade = ["x", "y", "z"][label].to_owned() + ["1", "2"][row % 2];
        let remark = if label == 1 { format!("r{}", row % 3) } else { String::new() };
        text += &format!("{row},{age},{grade},{},{remark},{},{label}\n", label == 2, label * 100 + noise(row, 4, 50));
    }
    let found = findings(&text, Some("label"));
    let names: Vec<&str> =
        of(&found, FindingKind::TargetLeakage).iter().filter_map(|one| one.column.as_deref()).collect();
    assert_eq!(names, ["grade", "score"], "{found:?}");
    assert!(of(&found, FindingKind::TargetLeakage)[0].message.contains("follows from it"));
    // Of two classes, a column that is there only with one of them.
    let found = findings(&text, Some("passed"));
    let names: Vec<&str> =
        of(&found, FindingKind::TargetLeakage).iter().filter_map(|one| one.column.as_deref()).collect();
    assert_eq!(names, ["grade", "score", "label"], "{found:?}");
    assert_eq!(of(&findings(&text, None), FindingKind::TargetLeakage), [] as [&Finding; 0], "without a target");
}

#[test]
fn a_measure_that_is_another_one_under_a_new_name_is_named() {
    let mut text = String::from("metres,feet,rooms,price\n");
    for row in 0..300 {
        let metres = 20.0 + noise(row, 1, 2000) as f64 / 10.0;
        let price = metres * 3000.0 + noise(row, 2, 200_000) as f64;
        text += &format!("{metres},{:.4},{},{price}\n", metres * 3.28084, 1 + (metres / 30.0) as usize);
    }
    let found = findings(&text, Some("metres"));
    let names: Vec<&str> =
        of(&found, FindingKind::TargetLeakage).iter().filter_map(|one| one.column.as_deref()).collect();
    assert_eq!(names, ["feet"]);
    assert_eq!(of(&findings(&text, Some("price")), FindingKind::TargetLeakage), [] as [&Finding; 0]);
}

#[test]
fn times_out_of_order_are_told_by_row() {
    let time = |row: usize| format!("2024-{:02}-{:02} {:02}:00", 1 + row / 280, 1 + row / 10 % 28, row % 10);
    let table = |swap: &[(usize, usize)]| {
        let mut rows: Vec<usize> = (0..600).collect();
        swap.iter().for_each(|(one, other)| rows.swap(*one, *other));
        rows.iter().zip(0..).fold(String::from("at,value\n"), |text, (row, number)| {
            text + &format!("{},{}\n", time(*row), noise(number, 1, 50))
        })
    };
    assert_eq!(findings(&table(&[]), None), []);
    let found = findings(&table(&[(100, 101), (300, 500)]), None);
    let order = of(&found, FindingKind::TimeOrder);
    assert_eq!((order.len(), order[0].count), (1, 3), "{found:?}");
    assert!(order[0].evidence.rows.contains(&301) && order[0].evidence.rows.contains(&501));
    let shuffled: Vec<(usize, usize)> = (0..300).map(|row| (row, noise(row, 3, 600))).collect();
    assert_eq!(of(&findings(&table(&shuffled), None), FindingKind::TimeOrder), [] as [&Finding; 0]);
}

#[test]
fn correlations_are_those_of_pandas_and_scipy() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference");
    let found = correlations(&profiled(&folder.join("correlation.csv"), 0));
    let text = std::fs::read_to_string(folder.join("correlation.json")).unwrap();
    let wanted: Vec<(String, String, String, f64)> = serde_json::from_str(&text).unwrap();
    assert_eq!(found.pairs.len(), wanted.len());
    for (one, other, method, value) in wanted {
        let pair = found.pairs.iter().find(|pair| {
            let names = [pair.columns[0].as_str(), pair.columns[1].as_str()];
            pair.method.name() == method && (names == [&one, &other] || names == [&other, &one])
        });
        let pair = pair.unwrap_or_else(|| panic!("{one} {other} {method}"));
        assert!((pair.value - value).abs() < 1e-9, "{one} {other} {method}: {} is not {value}", pair.value);
    }
    assert!(found.pairs.windows(2).all(|two| two[0].value.abs() >= two[1].value.abs()));
    assert!(!found.is_sample && found.columns_left_out == 0 && found.rows == 300);
}
