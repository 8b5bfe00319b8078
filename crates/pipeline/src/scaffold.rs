//! `lepton new`: a commented `lepton.toml` to start from.

use lepton_core::{Error, ErrorCode, ModelName, Result, TaskKind};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Makes the folder `parent/name` with a commented `lepton.toml`.
///
/// # Errors
/// [`ErrorCode::Usage`] when the folder holds a project already.
pub fn scaffold(parent: &Path, name: &ModelName, task: TaskKind) -> Result<PathBuf> {
    let folder = parent.join(name.as_str());
    std::fs::create_dir_all(&folder).map_err(|source| Error::io("make the folder", &folder, source))?;
    let file = folder.join("lepton.toml");
    let mut writer = std::fs::OpenOptions::new().write(true).create_new(true).open(&file).map_err(|source| {
        if source.kind() == std::io::ErrorKind::AlreadyExists {
            return Error::new(ErrorCode::Usage, "there is a project here already")
                .in_file(&file)
                .fix("choose another name, or edit that file");
        }
        Error::io("write the project file", &file, source)
    })?;
    writer
        .write_all(template(name, task).as_bytes())
        .and_then(|()| writer.sync_all())
        .map_err(|source| Error::io("write the project file", &file, source))?;
    Ok(file)
}

fn template(name: &ModelName, task: TaskKind) -> String {
    let collect = match task {
        TaskKind::Forecasting => {
            "\
# The values along time: CSV, JSONL or Parquet, the oldest row first; relative paths start at this folder.
path = \"series.csv\"
# The column of the values.
target = \"value\"
# ignore = [\"note\"]                         columns to leave out
"
        }
        TaskKind::ImageClassification => {
            "\
# Where the pictures are. One of:
#   dataset = \"mnist\"                       a dataset of the catalogue (lepton data list); needs --fetch once
#   path = \"pictures\"                       a folder per class of PNG or JPEG, optionally under train/ and test/
#   path = \"idx\"                            a folder of idx files (train-images-idx3-ubyte, ...)
path = \"pictures\"
# unreadable = \"drop\"                       leave broken pictures out and report them; \"refuse\" stops the run
"
        }
        TaskKind::SeriesClassification => {
            "\
# The series. One of:
#   dataset = \"gunpoint\"                    a dataset of the catalogue (lepton data list); needs --fetch once
#   path = \"moves_TRAIN.ts\"                a file of the UCR and UEA archives' form: docs/guide.md shows it
path = \"moves_TRAIN.ts\"
# test = \"moves_TEST.ts\"                   the test part, where there is one; else a part is cut off
"
        }
        TaskKind::TextClassification => {
            "\
# The texts: CSV, JSONL or Parquet with a column of texts and one of labels. One of:
#   dataset = \"sentiment\"                   a dataset of the catalogue (lepton data list); needs --fetch once
#   path = \"texts.csv\"                     relative paths start at this folder
path = \"texts.csv\"
# The column to predict.
target = \"label\"
# test = \"test.csv\"                         a test table, where there is one; else a part is cut off
# ignore = [\"id\"]                           columns to leave out: one column of texts stays
# columns = { review = \"text\" }             where few texts look like categories
"
        }
        TaskKind::TabularClassification | TaskKind::TabularRegression => {
            "\
# The table: CSV, JSONL or Parquet; relative paths start at this folder.
path = \"table.csv\"
# The column to predict.
target = \"label\"
# test = \"test.csv\"                         a test table, where there is one; else a part is cut off
# ignore = [\"id\"]                           columns to leave out
# columns = { zip = \"category\" }            kinds that the values do not show: number, category, text
"
        }
    };
    let recipe = match task {
        TaskKind::Forecasting => {
            "\
[forecast]                                  # how far ahead, from what, and what it is measured on
horizon = 12                                # steps ahead
# time = \"month\"                            # the column of times, which are checked: in order, no gaps
# series = \"shop\"                           # the column that tells several series apart
# season = 12                               # else it is guessed, and the report says so
# window = 24                               # steps that a forecast is made from
# transform = \"log\"                        # for values above 0 that swing in proportion to their size
# quantiles = [0.1, 0.5, 0.9]

"
        }
        TaskKind::ImageClassification => "",
        TaskKind::TextClassification => {
            "\
# [recipe]
# tokenizer = \"wordpiece\"                   # pieces of words; or words, bpe, or the path of a tokenizer.json
# vocabulary = 10000                        # most words that are told apart
# max_length = 256                          # most words of one text; longer ones are cut

"
        }
        TaskKind::SeriesClassification => {
            "\
# [recipe]
# series_length = 100                       # steps of every series; else as many as the longest of training
# standardize = \"each\"                    # by its own mean; or training, none

"
        }
        TaskKind::TabularClassification | TaskKind::TabularRegression => {
            "\
# [recipe.columns.age]                      # preprocessing of one column, where the default is not wanted
# scale = \"robust\"
# missing = { nearest = 5 }

"
        }
    };
    let augment = match task {
        TaskKind::TextClassification => {
            "\
# [[augment.steps]]                         # stage 3: varies training texts; docs/guide.md has the table
# kind = \"delete_words\"

"
        }
        TaskKind::ImageClassification => {
            "\
# [augment]                                 # stage 3: varies training pictures; 0 switches one off
# rotate_degrees = 10
# shift = 0.07                              # share of the side
# scale = 0.07
# [[augment.steps]]                         # and more, in this order: docs/guide.md has the table
# kind = \"flip_horizontal\"
# probability = 0.5

"
        }
        TaskKind::Forecasting | TaskKind::TabularRegression => "",
        TaskKind::SeriesClassification => {
            "\
# [[augment.steps]]                         # stage 3: varies training series; docs/guide.md has the table
# kind = \"jitter\"

"
        }
        TaskKind::TabularClassification => {
            "\
# [[augment.steps]]                         # stage 3: varies training rows; docs/guide.md has the table
# kind = \"smote\"                            # new rows of rare classes

"
        }
    };
    let prepare = match task {
        TaskKind::Forecasting => "",
        _ => {
            "\
[prepare]                                   # stage 2
valid_fraction = 0.1                        # cut from the training rows, stratified
test_fraction = 0.2                         # only where the source has no test part
# group = \"patient\"                         # no value of this column in two parts; or time = \"date\"

"
        }
    };
    let require = if task == TaskKind::Forecasting {
        "# require = { mase = 1.5 }                  # the gate: above this nothing is registered"
    } else {
        "# require = { accuracy = 0.9 }              # the gate: below this nothing is registered"
    };
    format!(
        "\
# A Lepton project. Run it with: lepton run {name}
# Every key has a default; an unknown key is an error that names the nearest known one.

[project]
name = \"{name}\"
task = \"{task}\"
seed = 42                                   # fixes every random choice

[collect]                                   # stage 1
{collect}
# [[check.rules]]                           # what the rows must keep; a broken rule ends the run
# rule = \"row_count\"                        # not_null, unique, between, in_set, matches, type, fresh_within
# min = 100

{prepare}{recipe}{augment}[train]                                     # stage 4
# architecture = \"...\"                      # a network of the task's zoo; an unknown name lists them
epochs = 20
batch_size = 32
learning_rate = 0.001
early_stopping = {{ patience = 3 }}

[optimize]                                  # stage 5
accuracy_budget = 0.005                     # INT8 is kept only within this loss of accuracy, and only if faster

[deploy]                                    # stage 6
{require}

[monitor]                                   # stage 7: thresholds of drift; see the reference
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Project;

    #[test]
    fn every_template_reads_back_and_nothing_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        for task in TaskKind::ALL {
            let name: ModelName = task.name().parse().unwrap();
            let file = scaffold(folder.path(), &name, task).unwrap();
            assert_eq!(Project::load(&file, &[]).unwrap().settings.project.task, task);
            assert_eq!(scaffold(folder.path(), &name, task).unwrap_err().code(), ErrorCode::Usage);
        }
    }
}
