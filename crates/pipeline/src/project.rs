//! `lepton.toml`: the settings tree of a project, read strictly. Each section's type lives in the crate of
//! its stage; this file joins them, applies `--set`, and turns every mistake into an error with its line,
//! its key and the nearest known key.

use crate::tasks::{task, task_over};
use crate::tune::TuneSettings;
use lepton_core::{ColumnKind, Error, ErrorCode, Limits, ModelName, Result, Seed, TaskKind, nearest};
use lepton_data::{AugmentSettings, CollectSettings, PrepareSettings};
use lepton_doctor::rules::{CheckSettings, Rule, RuleSettings, RulesFile};
use lepton_forecast::ForecastSettings;
use lepton_monitor::MonitorSettings;
use lepton_optimize::OptimizeSettings;
use lepton_train::{AdaptSettings, RecipeSettings, Task, TrainSettings};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// `[project]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProjectSettings {
    /// The project's name, which is also the model's unless `[deploy] name` says otherwise.
    pub name: ModelName,
    /// What kind of problem it is.
    pub task: TaskKind,
    /// Fixes every random choice.
    #[serde(default)]
    pub seed: Seed,
}

/// `[deploy]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeploySettings {
    /// The name that the model is registered under; the project's name when absent.
    pub name: Option<ModelName>,
    /// Test metrics that must be reached before the model is registered, for example
    /// `require = { accuracy = 0.98 }`. For `log_loss` the figure is the most that is allowed.
    pub require: BTreeMap<String, f64>,
}

/// `[monitor]`: the settings that serving uses, kept in the run for reference.
pub type MonitorStageSettings = MonitorSettings;

/// Everything that `lepton.toml` can say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Name, task and seed.
    pub project: ProjectSettings,
    /// Stage 1.
    #[serde(default)]
    pub collect: CollectSettings,
    /// What the collected rows must keep before they are prepared.
    #[serde(default)]
    pub check: CheckSettings,
    /// Stage 2: splitting and cleaning.
    #[serde(default)]
    pub prepare: PrepareSettings,
    /// Stage 2: preprocessing, fitted on the training split.
    #[serde(default)]
    pub recipe: RecipeSettings,
    /// Stage 2: what is forecast, from what, and what it is measured on; of forecasting alone.
    #[serde(default)]
    pub forecast: ForecastSettings,
    /// Stage 3; the task's own default when the section is absent.
    #[serde(default)]
    pub augment: Option<AugmentSettings>,
    /// Stage 4.
    #[serde(default)]
    pub train: TrainSettings,
    /// Stages 2 and 4: training for another domain than the one that the labels are of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapt: Option<AdaptSettings>,
    /// Stage 5.
    #[serde(default)]
    pub optimize: OptimizeSettings,
    /// Stage 6.
    #[serde(default)]
    pub deploy: DeploySettings,
    /// Stage 7.
    #[serde(default)]
    pub monitor: MonitorStageSettings,
    /// The search for good settings, for `lepton tune`; a run does not look at it.
    #[serde(default)]
    pub tune: TuneSettings,
    /// Limits on outside input.
    #[serde(default)]
    pub limits: Limits,
}

/// A project: its folder and its settings.
#[derive(Clone, Debug)]
pub struct Project {
    /// The folder that relative paths start from.
    pub folder: PathBuf,
    /// The settings file.
    pub file: PathBuf,
    /// What it says, with `--set` applied.
    pub settings: Settings,
}

impl Project {
    /// Reads `path` (a folder with a `lepton.toml`, or the file itself) and applies `overrides`, each
    /// `a.b=value` with a TOML value or, failing that, plain text.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`] without a file; [`ErrorCode::Config`] with the line and the key otherwise.
    pub fn load(path: &Path, overrides: &[String]) -> Result<Project> {
        let file = if path.is_dir() { path.join("lepton.toml") } else { path.to_path_buf() };
        let text = std::fs::read_to_string(&file).map_err(|source| {
            let missing = source.kind() == std::io::ErrorKind::NotFound;
            let error = Error::io("read the project file", &file, source);
            if missing {
                error.fix("name a folder that holds a lepton.toml, or make one with: lepton new NAME --task TASK")
            } else {
                error
            }
        })?;
        let folder = match file.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
            _ => PathBuf::from("."),
        };
        let folder = folder.canonicalize().map_err(|source| Error::io("find the project folder", &folder, source))?;
        let mut settings = parse(&text, &file, overrides)?;
        if let Some(augment) = &mut settings.augment {
            augment.start_files_at(&folder);
        }
        Ok(Project { folder, file, settings })
    }

    /// A project from the text of a settings file, with absolute paths; `origin` is what errors name.
    pub(crate) fn parse(text: &str, origin: &Path, overrides: &[String]) -> Result<Project> {
        let settings = parse(text, origin, overrides)?;
        Ok(Project { folder: PathBuf::from("."), file: origin.to_path_buf(), settings })
    }

    /// What the settings file says with `overrides` applied, as a table to write down again.
    pub(crate) fn rewritten(&self, overrides: &[String]) -> Result<toml::Table> {
        let text = std::fs::read_to_string(&self.file)
            .map_err(|source| Error::io("read the project file", &self.file, source))?;
        overridden(&text, &self.file, overrides)
    }

    /// The name that the model is registered under.
    pub fn model_name(&self) -> &ModelName {
        self.settings.deploy.name.as_ref().unwrap_or(&self.settings.project.name)
    }

    /// The rules of `[check]` and of the file that it names, in this order, as they are written and as they were
    /// understood.
    ///
    /// # Errors
    /// Those of [`read_rules`]; [`ErrorCode::Config`] and [`ErrorCode::Unsupported`] with the key of a wrong rule.
    pub fn rules(&self) -> Result<(Vec<RuleSettings>, Vec<Rule>)> {
        let check = &self.settings.check;
        let mut settings = check.rules.clone();
        let mut rules = Rule::all(&settings, "check.rules").map_err(|error| error.in_file(&self.file))?;
        if let Some(file) = &check.file {
            let (more, understood) = read_rules(&self.folder.join(file))?;
            settings.extend(more);
            rules.extend(understood);
        }
        Ok((settings, rules))
    }
}

/// A file of rules: `[[rules]]`, as they are written and as they were understood.
///
/// # Errors
/// [`ErrorCode::NotFound`] without the file; [`ErrorCode::Config`] and [`ErrorCode::Unsupported`] with line or key.
pub fn read_rules(file: &Path) -> Result<(Vec<RuleSettings>, Vec<Rule>)> {
    let text = std::fs::read_to_string(file).map_err(|source| Error::io("read the rules", file, source))?;
    let settings = typed::<RulesFile>(&text, file)?.rules;
    let rules = Rule::all(&settings, "rules").map_err(|error| error.in_file(file))?;
    Ok((settings, rules))
}

/// A TOML text as a value, its mistakes with line and key.
fn typed<T: serde::de::DeserializeOwned>(text: &str, file: &Path) -> Result<T> {
    let deserializer = toml::Deserializer::parse(text).map_err(|error| explain(&error, None, text, file))?;
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let path = error.path().to_string();
        explain(error.inner(), Some(&path), text, file)
    })
}

fn parse(text: &str, file: &Path, overrides: &[String]) -> Result<Settings> {
    let settings: Settings = typed(text, file)?;
    if overrides.is_empty() {
        return validate(settings, file);
    }
    let table = overridden(text, file, overrides)?;
    let settings: Settings = serde_path_to_error::deserialize(toml::Value::Table(table)).map_err(|error| {
        let path = error.path().to_string();
        explain(error.inner(), Some(&path), "", Path::new("--set"))
    })?;
    validate(settings, file)
}

/// A settings file as a table, with `overrides` applied.
fn overridden(text: &str, file: &Path, overrides: &[String]) -> Result<toml::Table> {
    let mut table: toml::Table = toml::from_str(text).map_err(|error| explain(&error, None, text, file))?;
    for assignment in overrides {
        let (key, value) = assignment.split_once('=').ok_or_else(|| {
            Error::new(ErrorCode::Usage, format!("--set {assignment}: there is no \"=\""))
                .fix("write it as --set section.key=value, for example --set train.epochs=3")
        })?;
        assign(&mut table, key.trim(), literal(value.trim()))?;
    }
    Ok(table)
}

impl Settings {
    /// The task, for rows that may have several labels each where `recipe.label_separator` says so.
    pub fn task(&self) -> &'static dyn Task {
        let kind = self.project.task;
        task_over(kind, self.recipe.label_separator.is_some()).unwrap_or_else(|| task(kind))
    }
}

fn validate(mut settings: Settings, file: &Path) -> Result<Settings> {
    if let Some(separator) = &settings.recipe.label_separator {
        let wrong = |message: String| {
            Err(Error::new(ErrorCode::Config, message).in_file(file).at_key("recipe.label_separator"))
        };
        if separator.trim().is_empty() && separator != " " {
            return wrong("what separates labels is a text, such as \"|\" or \",\"".to_owned());
        }
        if task_over(settings.project.task, true).is_none() {
            return wrong(format!("{} predicts no labels", settings.project.task));
        }
        if let Some(target) = &settings.collect.target {
            settings.collect.columns.entry(target.clone()).or_insert(ColumnKind::Category);
        }
        settings.prepare.label_separator = Some(separator.clone());
    }
    // The task says what the column to predict is, where the person does not.
    if let Some(target) = settings.collect.target.clone() {
        let kind = settings.task().target_kind();
        if kind == ColumnKind::Number {
            settings.collect.columns.entry(target).or_insert(kind);
        }
    }
    // What rows are split by is collected, and left out of what a model learns from after that.
    let Settings { collect, prepare, .. } = &mut settings;
    collect.ignore.retain(|name| !prepare.steers(name));
    if settings.project.task == TaskKind::Forecasting {
        settings.forecast.validate().map_err(|error| error.in_file(file))?;
    } else if settings.forecast != ForecastSettings::default() {
        let message = format!("{} forecasts nothing", settings.project.task);
        return Err(Error::new(ErrorCode::Config, message)
            .in_file(file)
            .at_key("forecast")
            .fix("remove the section, or set project.task = \"forecasting\""));
    }
    settings.train.validate().map_err(|error| error.in_file(file))?;
    if let Some(adapt) = &settings.adapt {
        adapt.validate().map_err(|error| error.in_file(file))?;
        if settings.collect.target.as_ref() == Some(&adapt.column) {
            return Err(Error::new(ErrorCode::Config, "the column to predict cannot say which domain a row is of")
                .in_file(file)
                .at_key("adapt.column"));
        }
        if settings.train.refit {
            let message = "a training that adapts to other data is not done once more on all rows";
            return Err(Error::new(ErrorCode::Unsupported, message)
                .in_file(file)
                .at_key("train.refit")
                .fix("remove train.refit or [adapt]"));
        }
        if settings.train.from.is_some() {
            let message = "a training adapts to other data or goes on from another network, not both";
            return Err(Error::new(ErrorCode::Unsupported, message)
                .in_file(file)
                .at_key("train.from")
                .fix("remove train.from or [adapt]"));
        }
        settings.prepare.domains = Some(adapt.domains());
    }
    settings.tune.validate(settings.task()).map_err(|error| error.in_file(file))?;
    Rule::all(&settings.check.rules, "check.rules").map_err(|error| error.in_file(file))?;
    if let Some(augment) = &settings.augment {
        augment.check().map_err(|error| error.in_file(file))?;
    }
    for (metric, value) in &settings.deploy.require {
        let names = lepton_core::Metric::ALL.map(lepton_core::Metric::name);
        if !names.contains(&metric.as_str()) {
            let error = Error::new(ErrorCode::Config, format!("there is no metric \"{metric}\""))
                .in_file(file)
                .at_key("deploy.require");
            return Err(match nearest(metric, names) {
                Some(near) => error.fix(format!("did you mean \"{near}\"?")),
                None => error.fix(format!("the metrics are: {}", names.join(", "))),
            });
        }
        if !value.is_finite() {
            return Err(Error::new(ErrorCode::Config, "must be a finite number")
                .in_file(file)
                .at_key(format!("deploy.require.{metric}")));
        }
    }
    Ok(settings)
}

/// A TOML value where the text is one, else the text itself: `--set train.epochs=3 --set collect.target=label`.
fn literal(text: &str) -> toml::Value {
    toml::from_str::<toml::Table>(&format!("value = {text}"))
        .ok()
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| toml::Value::String(text.to_owned()))
}

fn assign(table: &mut toml::Table, key: &str, value: toml::Value) -> Result<()> {
    match key.split_once('.') {
        None if key.is_empty() => Err(Error::new(ErrorCode::Usage, "--set needs a key before the \"=\"")),
        None => {
            table.insert(key.to_owned(), value);
            Ok(())
        }
        Some((section, rest)) => {
            let entry = table.entry(section).or_insert_with(|| toml::Value::Table(toml::Table::new()));
            match entry {
                toml::Value::Table(inner) => assign(inner, rest, value),
                _ => {
                    Err(Error::new(ErrorCode::Usage, format!("--set: \"{section}\" is a value, not a section"))
                        .at_key(key))
                }
            }
        }
    }
}

/// The reader's message with the names of Rust types put in words.
fn in_words(message: &str) -> String {
    let Some((before, kind)) = message.rsplit_once("expected ") else { return message.to_owned() };
    let words = match kind {
        "usize" | "u64" | "u32" | "u16" => "a whole number of at least 0",
        "i64" | "i32" => "a whole number",
        "f64" | "f32" => "a number",
        "a boolean" => "true or false",
        other => other,
    };
    format!("{before}expected {words}")
}

/// Turns the TOML reader's error into ours: line, key, and the nearest known key for an unknown one.
fn explain(error: &toml::de::Error, path: Option<&str>, text: &str, file: &Path) -> Error {
    let message = error.message().trim();
    let names: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let unknown = message.starts_with("unknown field") || message.starts_with("unknown variant");
    let sentence = match names.first() {
        Some(name) if message.starts_with("unknown field") => format!("there is no setting \"{name}\" here"),
        _ => in_words(message.lines().next().unwrap_or(message)),
    };
    let mut ours = Error::new(ErrorCode::Config, sentence).in_file(file);
    if let Some(span) = error.span().filter(|_| !text.is_empty()) {
        let line = text.get(..span.start).map_or(0, |before| before.matches('\n').count());
        ours = ours.at_row(line as u64 + 1);
    }
    if let Some(path) = path.filter(|path| !path.is_empty() && *path != ".") {
        ours = ours.at_key(path);
    }
    let Some((wrong, known)) = names.split_first().filter(|_| unknown) else { return ours };
    match nearest(wrong, known.iter().copied()) {
        Some(near) => ours.fix(format!("did you mean \"{near}\"?")),
        None if known.is_empty() => ours,
        None => ours.fix(format!("known here: {}", known.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[project]\nname = \"digits\"\ntask = \"image-classification\"\n";

    fn read(text: &str, overrides: &[&str]) -> Result<Settings> {
        let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
        parse(text, Path::new("lepton.toml"), &overrides)
    }

    #[test]
    fn a_short_file_takes_defaults_and_set_changes_them() {
        assert_eq!(read(GOOD, &[]).unwrap().train.epochs, 5);
        let changed = read(GOOD, &["train.epochs=3", "collect.target=label", "deploy.require.accuracy=0.9"]).unwrap();
        assert_eq!(changed.train.epochs, 3);
        assert_eq!(changed.collect.target.as_deref(), Some("label"));
        assert_eq!(changed.deploy.require["accuracy"], 0.9);
    }

    #[test]
    fn an_unknown_key_names_itself_its_line_and_the_nearest() {
        let error = read(&format!("{GOOD}[train]\nepoch = 3\n"), &[]).unwrap_err();
        assert_eq!(error.place().row, Some(5));
        assert_eq!(error.place().key.as_deref(), Some("train.epoch"));
        assert_eq!(error.remedy(), Some("did you mean \"epochs\"?"));
        let error = read(GOOD, &["train.epoch=3"]).unwrap_err();
        assert_eq!(error.place().key.as_deref(), Some("train.epoch"));
        let error = read(&format!("{GOOD}[trian]\nepochs = 3\n"), &[]).unwrap_err();
        assert_eq!(error.remedy(), Some("did you mean \"train\"?"));
    }

    #[test]
    fn a_wrong_type_and_broken_toml_name_their_line() {
        let error = read(&format!("{GOOD}[train]\nepochs = \"many\"\n"), &[]).unwrap_err();
        assert_eq!((error.place().row, error.place().key.as_deref()), (Some(5), Some("train.epochs")));
        assert!(error.message().ends_with("expected a whole number of at least 0"), "{error}");
        assert_eq!(read("[project\n", &[]).unwrap_err().place().row, Some(1));
        assert_eq!(read(GOOD, &["train.epochs"]).unwrap_err().code(), ErrorCode::Usage);
        assert_eq!(read(GOOD, &["project.name.x=1"]).unwrap_err().code(), ErrorCode::Usage);
    }

    #[test]
    fn recipe_settings_are_read_in_every_form_and_a_wrong_word_names_the_nearest() {
        let recipe = "[recipe]\nnumbers = { bins = 5 }\nclip = [0.01, 0.99]\ncategories = \"target\"\n\
                      [recipe.columns.age]\nscale = \"robust\"\nmissing = { constant = 0 }\n\
                      [recipe.columns.fare]\nmissing = { group = \"class\" }\n\
                      [recipe.columns.note.clean]\nhtml = false\n\
                      [recipe.columns.joined]\nas = \"date\"\nparts = [\"days\", \"month\"]\n";
        let settings = read(&format!("{GOOD}{recipe}"), &[]).unwrap().recipe;
        let age = &settings.columns["age"];
        assert_eq!(age.missing, Some(lepton_train::Missing::Constant(0.0)));
        assert_eq!(settings.columns["joined"].read_as, Some(lepton_train::ReadAs::Date));
        let wrong = |text: &str, key: &str, remedy: &str| {
            let error = read(&format!("{GOOD}{text}"), &[]).unwrap_err();
            assert_eq!((error.place().key.as_deref(), error.remedy()), (Some(key), Some(remedy)), "{error}");
        };
        wrong("[recipe.columns.age]\nscale = \"robsut\"\n", "recipe.columns.age.scale", "did you mean \"robust\"?");
        wrong("[recipe]\nnumbers = \"log2p\"\n", "recipe.numbers", "did you mean \"log1p\"?");
        wrong("[recipe.columns.age]\nscael = \"none\"\n", "recipe.columns.age.scael", "did you mean \"scale\"?");
    }

    #[test]
    fn an_unknown_metric_in_a_gate_is_refused() {
        let error = read(&format!("{GOOD}[deploy]\nrequire = {{ acuracy = 0.9 }}\n"), &[]).unwrap_err();
        assert_eq!(error.remedy(), Some("did you mean \"accuracy\"?"));
    }
}
