//! Stage 4: control of training. The fit loop with its schedules, early stopping, checkpoints and metrics,
//! and the Task trait, by which one kind of problem joins the common path.
//!
//! No tensor is computed here: the arithmetic of a step lives in lepton-nn, batches come from lepton-data,
//! and checkpoints are handed to whoever keeps them.

mod adapt;
mod boosting;
mod bootstrap;
mod checkpoint;
mod early_stopping;
mod ensemble;
mod figures;
mod fit;
mod forecast;
mod history;
mod labelled;
mod metrics;
mod multi_label;
mod outputs;
mod pace;
mod recipe_settings;
mod refit;
mod regression;
mod schedule;
mod settings;
mod target;
mod task;
mod transfer;

pub use adapt::{AdaptMethod, AdaptSettings, Adapted, TargetRows, fit_adapted};
pub use boosting::BOOSTING;
pub use bootstrap::confidence;
pub use checkpoint::{Checkpoints, InMemory};
pub use early_stopping::EarlyStopping;
pub use ensemble::{ENSEMBLE, Ensemble, EnsembleMember, EnsembleScore, EnsembleSettings, MemberScore};
pub use figures::{calibration, class_table, confusion_matrix, label_table};
pub use fit::{Fit, FitJob, fit};
pub use forecast::{Baseline, Forecasted, columns};
pub use history::EpochRecord;
pub use labelled::Labelled;
pub use metrics::{ClassScores, Classified, argmax, class_scores};
pub use multi_label::MultiLabel;
pub use outputs::outputs_over;
pub use recipe_settings::{ColumnSettings, Missing, PictureFit, ReadAs, RecipeSettings};
pub use refit::{check_refit, refit};
pub use regression::{Regressed, regression_figures};
pub use schedule::Schedule;
pub use settings::{ClassWeights, TrainSettings};
pub use target::Target;
pub use task::{
    Cut, EvaluationInput, Learner, Task, ZooEntry, architecture, learner, learner_over_codes, unknown_architecture,
};
pub use transfer::{Start, TransferSettings};
