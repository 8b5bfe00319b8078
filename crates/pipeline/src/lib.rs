//! The spine: `lepton.toml`, the seven stages in order, the stage cache, resume, and the operations that the
//! command line and the server share.
//!
//! Open [`run`] first: it walks the stages. Each stage is one file under `stages/`, takes the typed output of
//! the stages before it and gives one of its own; what a stage computes lives in the crate of that stage.

mod adapt;
mod advise;
mod artifact;
mod cache;
mod check;
mod csv_line;
mod doctor;
mod engine;
mod evaluate;
mod latency;
mod machine;
mod model;
mod monitor_report;
mod predict;
mod pretrained;
mod preview;
mod project;
mod query;
mod repair;
mod repeat;
pub mod report;
mod run;
mod scaffold;
mod spool;
mod stage;
mod stages;
mod summary;
mod tasks;
mod tokenizer_file;
mod transfer;
mod tune;
mod versions;
mod worker;

pub use adapt::{AdaptReport, AdaptRow, TrainedOn};
pub use advise::{
    AdviceLimits, AdviceReport, AdviseData, AdviseOptions, AdviseSubject, CandidateFacts, ChoiceFacts, ColumnFacts,
    Figure, Fingerprint, Judging, LatencyLimit, MachineFacts, MemoryLimit, NetworkFacts, PilotFacts, PilotJob,
    PilotLine, PilotResult, PilotScore, Prior, Standing, TargetFacts, advise, run_pilot, write_advice,
};
pub use artifact::{Augmented, Collected, Deployed, Monitored, Optimized, Part, Prepared, PreparedDomains, Trained};
pub use check::{Checked, check_data, suggest_rules};
pub use doctor::{
    Examination, Examined, ReadSettings, RepairReport, Subject, UndoReport, examine, repair_data, undo_data,
    write_about,
};
pub use engine::{engines, install_engine, measure_engines};
pub use evaluate::{Evaluation, evaluate};
pub use machine::{environment, now, now_utc};
pub use model::{LoadedModel, export, load_model, open_package};
pub use monitor_report::{MonitorReport, monitor_report};
pub use predict::{PredictInput, predict};
pub use pretrained::{Pretrained, pretrained};
pub use preview::{Preview, preview, write_preview};
pub use project::{DeploySettings, MonitorStageSettings, Project, ProjectSettings, Settings, read_rules};
pub use query::{QueryOptions, QueryReport, WrittenFile, query};
pub use repeat::{Repeat, RepeatReport, Repeats, run_repeated};
pub use run::{RunOptions, RunResult, StageResult, run};
pub use scaffold::scaffold;
pub use spool::{STANDARD_INPUT, Spooled};
pub use stage::Stage;
pub use stages::collect::{catalogue_state, fetch_dataset};
pub use summary::{NetworkShape, summary};
pub use tasks::{task, tasks};
pub use transfer::TransferReport;
pub use tune::{
    BestTrial, Measure, Objective, ObjectiveFacts, PRUNE, Pruning, StudyReport, TimeLimit, TrialFacts, TrialJob,
    TrialLine, TrialResult, TuneOptions, TuneSettings, check_best_place, run_trial, shown_setting, tune, write_best,
};
pub use versions::{
    ChangedColumn, DiffOptions, DiffReport, DifferingRow, LineageReport, ModelUse, PartRows, RepairedSource,
    RowDifference, RunUse, SideView, SourceLineage, StreamThreshold, VersionView, append_rows, check_dataset_name,
    commit_rows, diff, is_full, lineage,
};
pub use worker::WorkerFailure;
