//! What is piloted: every entry of the task's zoo, in one or two ways, and a project's own `[train]`.

use super::fingerprint::Traits;
use super::rules::{RULES, volume_of, ways};
use lepton_core::{Error, Result};
use lepton_train::{BOOSTING, Task, TrainSettings};

/// The way of a project's own `[train]`.
pub(super) const OWN: &str = "as-written";

/// Something to pilot.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    /// `boosting`, or `boosting/few-leaves` for another way than the usual one.
    pub(super) name: String,
    /// The entry of the zoo; `custom` for layers of a person's own.
    pub(super) entry: String,
    /// One line about the entry.
    pub(super) about: String,
    /// `[train]` as it is written down.
    pub(super) train: toml::Table,
    /// The same, read.
    pub(super) settings: TrainSettings,
    /// What the rules say: more is run first.
    pub(super) points: i32,
    /// Why, from the rules; empty where no rule knows the entry.
    pub(super) reasons: Vec<&'static str>,
}

impl Candidate {
    /// Whether it is trees, which have rounds and no epochs.
    pub(super) fn is_boosting(&self) -> bool {
        self.settings.architecture.as_deref() == Some(BOOSTING)
    }

    /// What the rules say as a sentence's end.
    pub(super) fn prior(&self) -> String {
        if self.reasons.is_empty() {
            return "no rule knows it, so its pilots alone speak for it".to_owned();
        }
        self.reasons.join("; ")
    }
}

/// Every entry of the zoo on data of these traits, whose inputs have so many sides, those first that the rules put
/// first. `kept` are lines of a project's own `[train]` that say what is wanted and not how to get it.
///
/// # Errors
/// [`lepton_core::ErrorCode::Internal`] where a line of the tables is none of `[train]`; a test holds that it is.
pub(super) fn candidates(
    task: &dyn Task,
    traits: &Traits,
    rank: usize,
    kept: &toml::Table,
    own: Option<&toml::Table>,
) -> Result<Vec<Candidate>> {
    let mut all = Vec::new();
    for entry in task.zoo() {
        for way in ways(entry.name, traits) {
            let mut train = toml::Table::new();
            train.insert("architecture".to_owned(), entry.name.into());
            if entry.name != BOOSTING {
                let volume = volume_of(rank, traits.rows);
                train.insert("epochs".to_owned(), whole(volume.epochs));
                train.insert("batch_size".to_owned(), whole(volume.batch_size));
                let patience = toml::Table::from_iter([("patience".to_owned(), whole((volume.epochs / 3).max(10)))]);
                train.insert("early_stopping".to_owned(), toml::Value::Table(patience));
            }
            let lines: toml::Table = toml::from_str(&way.toml())
                .map_err(|source| Error::internal(format!("a way of {}: {source}", entry.name)))?;
            train.extend(lines);
            // The loss of trees is that of their task.
            train.extend(kept.clone().into_iter().filter(|(key, _)| entry.name != BOOSTING || key != "loss"));
            let name = if way.variant.is_empty() { entry.name.to_owned() } else { [entry.name, way.variant].join("/") };
            all.push(candidate(name, entry.name, entry.about, train, traits)?);
        }
    }
    if let Some(own) = own {
        let settings = read(own)?;
        let first = task.zoo().first().map_or("", |entry| entry.name);
        let entry = match &settings.layers {
            Some(_) => "custom",
            None => settings.architecture.as_deref().unwrap_or(first),
        };
        let about =
            task.zoo().iter().find(|known| known.name == entry).map_or("layers of your own", |known| known.about);
        all.push(candidate(format!("{entry}/{OWN}"), entry, about, own.clone(), traits)?);
    }
    all.sort_by_key(|candidate| -candidate.points);
    Ok(all)
}

fn candidate(name: String, entry: &str, about: &str, train: toml::Table, traits: &Traits) -> Result<Candidate> {
    let rules = RULES.iter().filter(|rule| rule.entry == entry && rule.when.holds(traits));
    let (mut points, mut reasons) = (0, Vec::new());
    for rule in rules {
        points += rule.points;
        reasons.push(rule.because);
    }
    let settings = read(&train)?;
    Ok(Candidate { name, entry: entry.to_owned(), about: about.to_owned(), train, settings, points, reasons })
}

fn read(train: &toml::Table) -> Result<TrainSettings> {
    toml::Value::Table(train.clone())
        .try_into()
        .map_err(|source| Error::internal(format!("settings of a candidate cannot be read: {source}")))
}

fn whole(value: usize) -> toml::Value {
    toml::Value::Integer(i64::try_from(value).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::{task, tasks};
    use lepton_core::TaskKind;

    fn traits(rows: usize) -> Traits {
        Traits { rows, inputs: 9, ..Traits::default() }
    }

    #[test]
    fn every_entry_of_every_zoo_is_a_candidate() {
        for task in tasks() {
            let all = candidates(task, &traits(500), 1, &toml::Table::new(), None).unwrap();
            for entry in task.zoo() {
                assert!(all.iter().any(|candidate| candidate.name == entry.name), "{}", entry.name);
            }
            assert!(all.iter().all(|candidate| candidate.settings.validate().is_ok()));
            assert!(all.windows(2).all(|pair| pair[0].points >= pair[1].points), "by their points");
        }
    }

    #[test]
    fn rules_speak_and_an_unknown_entry_says_so() {
        let task = task(TaskKind::TabularClassification);
        let names = |rows: usize| -> Vec<String> {
            let all = candidates(task, &traits(rows), 1, &toml::Table::new(), None).unwrap();
            all.into_iter().map(|candidate| candidate.name).collect()
        };
        assert!(names(50_000)[0].starts_with("boosting"), "{:?}", names(50_000));
        assert!(names(500).iter().position(|name| name == "linear") < names(500).iter().position(|name| name == "mlp"));
        let unknown = candidate("new".to_owned(), "new", "", toml::Table::new(), &traits(9)).unwrap();
        assert_eq!((unknown.points, unknown.prior().contains("no rule")), (0, true));
    }

    #[test]
    fn what_a_project_says_is_kept_and_its_own_training_is_piloted() {
        let task = task(TaskKind::TabularClassification);
        let kept: toml::Table = toml::from_str("threads = 1\nloss = { kind = \"cross_entropy\" }").unwrap();
        let own: toml::Table = toml::from_str("architecture = \"mlp\"\nepochs = 7\nthreads = 1").unwrap();
        let all = candidates(task, &traits(500), 1, &kept, Some(&own)).unwrap();
        assert!(all.iter().all(|candidate| candidate.settings.threads == Some(1)));
        for candidate in all.iter().filter(|candidate| candidate.is_boosting()) {
            assert!(candidate.settings.loss.is_none(), "boosting refuses a loss");
        }
        let own = all.iter().find(|candidate| candidate.name == "mlp/as-written").unwrap();
        assert_eq!((own.settings.epochs, own.entry.as_str()), (7, "mlp"));
    }
}
