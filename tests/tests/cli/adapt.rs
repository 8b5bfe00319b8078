//! Training for another domain than the one that the labels are of: where it helps, where it hurts and says so, every
//! method down to a served model, and what is refused.

use lepton_tests::{Lepton, Project};
use serde_json::Value;

/// Draws that are the same on every machine.
struct Draws(u64);

impl Draws {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    /// Box and Muller.
    fn normal(&mut self, mean: f64, deviation: f64) -> f64 {
        let (length, angle) = ((-2.0 * self.uniform().ln()).sqrt(), std::f64::consts::TAU * self.uniform());
        mean + deviation * length * angle.cos()
    }
}

/// Two domains of one column `x`, each row with `y` of it.
fn table(rows: usize, source: [f64; 2], target: [f64; 2], mut y: impl FnMut(f64, &mut Draws) -> String) -> String {
    let mut draws = Draws(7);
    let mut text = "x,site,y\n".to_owned();
    for row in 0..2 * rows {
        let (site, [mean, deviation]) = if row % 2 == 0 { ("old", source) } else { ("new", target) };
        let x = draws.normal(mean, deviation);
        text += &format!("{x:.6},{site},{}\n", y(x, &mut draws));
    }
    text
}

fn project(task: &str, train: &str, adapt: &str, rows: &str) -> Project {
    let project = Project::with(&format!(
        "[project]\nname = \"shift\"\ntask = \"{task}\"\nseed = 7\n\n[collect]\npath = \"rows.csv\"\ntarget = \"y\"\n\n\
         [prepare]\nleaks = \"warn\"\n\n[train]\nthreads = 1\n{train}\n\n[adapt]\ncolumn = \"site\"\ntarget = \"new\"\n{adapt}\n\n\
         [optimize]\nint8 = false\n"
    ));
    project.write("rows.csv", rows.as_bytes());
    project
}

fn score(report: &Value, trained_on: &str) -> f64 {
    let rows = report["trainings"].as_array().expect("trainings");
    let row = rows.iter().find(|row| row["trained_on"] == trained_on).unwrap_or_else(|| panic!("no {trained_on}"));
    row["score"].as_f64().expect("a score")
}

fn row<'a>(report: &'a Value, trained_on: &str) -> &'a Value {
    let rows = report["trainings"].as_array().expect("trainings");
    rows.iter().find(|row| row["trained_on"] == trained_on).unwrap_or_else(|| panic!("no {trained_on}"))
}

const LINEAR: &str = "architecture = \"linear\"\nepochs = 60\nlearning_rate = 0.02";

/// Shimodaira's example (2000): a line through a cubic is another line where the rows lie elsewhere.
fn cubic() -> String {
    table(600, [0.6, 0.5], [-0.1, 0.35], |x, draws| format!("{:.6}", x.powi(3) - x + draws.normal(0.0, 0.1)))
}

#[test]
fn weights_help_where_the_inputs_have_shifted_and_the_report_says_by_how_much() {
    let lepton = Lepton::new();
    for adapt in ["flatten = 1.0", "flatten = 1.0\nestimator = \"least-squares\"\nregularization = 0.01"] {
        let project = project("tabular-regression", LINEAR, adapt, &cubic());
        let run = lepton.json(&["run", &project.at("")]);
        let report = &run["adapt"];
        let (plain, adapted) = (score(report, "source"), score(report, "adapted"));
        assert!(adapted > plain + 0.1, "{adapt}: {report}");
        let effective = row(report, "adapted")["effective_rows"].as_f64().expect("a number");
        let rows = row(report, "adapted")["rows"].as_f64().expect("a number");
        assert!(effective < rows && effective > 20.0, "{report}");
        let distance = |of: &str| row(report, of)["discrepancy"].as_f64().expect("a distance");
        assert!(distance("adapted") < distance("source"), "{report}");
        assert_eq!((report["labelled_rows"].as_u64(), report["valid_is_target"].as_bool()), (Some(0), Some(false)));
        let page = std::fs::read_to_string(run["report"].as_str().expect("a report")).expect("the report");
        assert!(page.contains("What adaptation to new gained") && page.contains("effective rows"));
    }
    // The person's output has the sentence, and the domain is nothing that the model asks for.
    let project = project("tabular-regression", LINEAR, "flatten = 1.0", &cubic());
    let said = lepton.done(&["run", &project.at("")]).out;
    assert!(said.contains("density-ratio to new") && said.contains("better by"), "{said}");
    assert!(lepton.json(&["predict", "shift", r#"{"x": 0.1}"#])["predictions"][0]["value"].is_f64());
}

#[test]
fn a_shift_of_classes_makes_alignment_hurt_and_the_report_does_not_hide_it() {
    // The rule is the same in both domains, but one has mostly positive rows: moving its mean moves the rule.
    let rows = table(500, [1.0, 1.0], [-1.0, 1.0], |x, _| (if x > 0.0 { "yes" } else { "no" }).to_owned());
    let (lepton, project) = (Lepton::new(), project("tabular-classification", LINEAR, "method = \"coral\"", &rows));
    let run = lepton.json(&["run", &project.at("")]);
    assert!(score(&run["adapt"], "adapted") < score(&run["adapt"], "source") - 0.1, "{}", run["adapt"]);
    let said = lepton.done(&["run", &project.at("")]).out;
    assert!(said.contains("worse by") && said.contains("adaptation did not help"), "{said}");
    let again = lepton.json(&["run", &project.at("")]);
    assert_eq!(again["adapt"], run["adapt"]);
    let alone = lepton.json(&["run", &project.at(""), "--set", "adapt.compare=false"]);
    assert_eq!(alone["adapt"]["trainings"].as_array().map(Vec::len), Some(1), "{}", alone["adapt"]);
}

/// Two classes of two features, moved from one domain to the other.
fn moved() -> String {
    let mut draws = Draws(3);
    let mut text = "a,b,site,y\n".to_owned();
    for row in 0..600 {
        let (site, shift) = if row % 2 == 0 { ("old", 0.0) } else { ("new", 0.8) };
        let class = if (row / 2) % 2 == 0 { -1.0 } else { 1.0 };
        let (a, b) = (draws.normal(class, 0.5), draws.normal(shift, 0.5));
        text += &format!("{a:.5},{b:.5},{site},{}\n", if class > 0.0 { "yes" } else { "no" });
    }
    text
}

#[test]
fn every_method_ends_in_a_model_that_answers() {
    let network = "architecture = \"mlp\"\nepochs = 8\nlearning_rate = 0.01";
    let trees = "architecture = \"boosting\"\nboosting = { rounds = 20 }";
    for (adapt, train) in [
        ("method = \"density-ratio\"\nlabels = 20", network),
        ("method = \"density-ratio\"", trees),
        ("method = \"coral\"\nlabels = 20", network),
        ("method = \"coral\"", trees),
        ("method = \"mmd\"", network),
        ("method = \"adversarial\"\nlabels = 20\nstrength = 0.3", network),
        ("method = \"tradaboost\"\nlabels = 30\nrounds = 4", network),
        ("method = \"tradaboost\"\nlabels = 30\nrounds = 4", trees),
    ] {
        let (lepton, project) = (Lepton::new(), project("tabular-classification", train, adapt, &moved()));
        let run = lepton.json(&["run", &project.at("")]);
        let report = &run["adapt"];
        let accuracy = run["metrics"]["test"]["accuracy"].as_f64().expect("an accuracy");
        assert!(accuracy > 0.85, "{adapt}: {report}");
        assert!((accuracy - score(report, "adapted")).abs() < 1e-9, "{adapt}: the served model is the adapted one");
        let expected = if adapt.contains("labels") { 4 } else { 2 };
        assert_eq!(report["trainings"].as_array().map(Vec::len), Some(expected), "{adapt}: {report}");
        assert_eq!(report["valid_is_target"].as_bool(), Some(adapt.contains("labels")));
        let answer = lepton.json(&["predict", "shift", r#"{"a": 2.0, "b": 0.8}"#]);
        assert_eq!(answer["predictions"][0]["label"], "yes", "{adapt}: {answer}");
        let measured = lepton.json(&["evaluate", "shift", &project.at("")]);
        assert!((measured["metrics"]["accuracy"].as_f64().expect("an accuracy") - accuracy).abs() < 1e-9, "{measured}");
    }
}

#[test]
fn target_rows_may_be_without_labels_and_others_not() {
    let lepton = Lepton::new();
    let train = "architecture = \"linear\"\nepochs = 5";
    let mut lines: Vec<String> = moved().lines().map(str::to_owned).collect();
    for line in lines.iter_mut().filter(|line| line.contains(",new,")).take(150) {
        let end = line.rfind(',').expect("a comma") + 1;
        line.truncate(end);
    }
    let open = lines.join("\n") + "\n";
    let project = project("tabular-classification", train, "", &open);
    let run = lepton.json(&["run", &project.at("")]);
    assert_eq!(run["adapt"]["test_rows"], 30, "a fifth of the 150 with labels: {}", run["adapt"]);
    assert_eq!(run["adapt"]["target_rows"], 270, "{}", run["adapt"]);
    let broken = lines.iter().map(|line| line.replace(",old,yes", ",old,")).collect::<Vec<_>>().join("\n") + "\n";
    project.write("rows.csv", broken.as_bytes());
    lepton.refused(&["run", &project.at("")], 2, &["no label"]);
}

#[test]
fn what_cannot_be_adapted_is_refused_before_anything_is_trained() {
    let lepton = Lepton::new();
    let train = "architecture = \"linear\"\nepochs = 2";
    let refused = |adapt: &str, train: &str, set: &[&str], words: &[&str]| {
        let project = project("tabular-classification", train, adapt, &moved());
        let set: Vec<&str> = set.iter().flat_map(|one| ["--set", one]).collect();
        let path = project.at("");
        lepton.refused(&[&["run", path.as_str()][..], &set].concat(), 2, words);
    };
    refused("", train, &["adapt.target=nwe"], &["no row of column \"site\" is \"nwe\"", "did you mean \"new\"?"]);
    refused("source = [\"odl\"]", train, &[], &["adapt.source", "did you mean \"old\"?"]);
    refused("source = [\"new\"]", train, &[], &["both the source and the target"]);
    refused("", train, &["adapt.column=sit"], &["adapt.column", "site"]);
    refused("", train, &["adapt.column=y"], &["adapt.column", "the column to predict cannot say"]);
    refused("labels = 300", train, &[], &["adapt.labels", "300 labels"]);
    refused("method = \"tradaboost\"", train, &[], &["adapt.labels", "density-ratio, coral, mmd, adversarial"]);
    refused("method = \"corral\"", train, &[], &["did you mean \"coral\"?"]);
    refused("clip = 5\nmethod = \"coral\"", train, &[], &["adapt.clip", "coral has no such setting", "regularization"]);
    refused("method = \"mmd\"", train, &[], &["no hidden layer", "mlp"]);
    refused("method = \"mmd\"", "architecture = \"boosting\"", &[], &["trees have none", "adapt.method"]);
    refused("", train, &["prepare.group=a"], &["prepare.group", "[adapt]"]);
    refused("", train, &["augment.steps=[{ kind = \"smote\" }]"], &["SMOTE"]);
    refused("", "epochs = 2", &["train.from=other"], &["train.from", "not both"]);
    let folder = project("tabular-classification", train, "", &moved());
    lepton.refused(&["run", &folder.at(""), "--folds", "3"], 2, &["prepare.fold"]);
    lepton.refused(&["run", &folder.at(""), "--set", "prepare.domains.column=site"], 2, &["domains"]);
    // All rows of the target are in a test part of their own: nothing is known of it for training.
    let (old, new): (Vec<String>, Vec<String>) =
        moved().lines().skip(1).map(|line| format!("{line}\n")).partition(|line| line.contains(",old,"));
    folder.write("rows.csv", format!("a,b,site,y\n{}", old.concat()).as_bytes());
    folder.write("test.csv", format!("a,b,site,y\n{}", new.concat()).as_bytes());
    let apart = ["run", &folder.at(""), "--set", "collect.test=test.csv"];
    lepton.refused(&apart, 2, &["no training row is of the target domain"]);
    let numbers = project("tabular-regression", train, "method = \"tradaboost\"\nlabels = 20", &cubic());
    lepton.refused(&["run", &numbers.at("")], 2, &["tradaboost is for classes"]);
}
