//! What can be typed. Help, completions and the CLI reference are generated from these types.

use crate::version_arguments::VersionCommand;
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use lepton_core::{ModelName, ModelRef, TaskKind};
use lepton_data::scan::TableFormat;
use lepton_pipeline::{LatencyLimit, MemoryLimit, Stage, TimeLimit};
use std::path::PathBuf;

/// A full-stack AI system in one binary: raw data to a monitored endpoint, through seven stages.
#[derive(Clone, Debug, Parser)]
#[command(name = "lepton", version, max_term_width = 100, propagate_version = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Arguments {
    pub(crate) fn wants_json(&self) -> bool {
        self.global.json || self.global.output == Some(Output::Json)
    }
}

/// Flags of every command.
#[derive(Args, Clone, Debug)]
pub(crate) struct Global {
    /// The folder that keeps runs, datasets, models and engines [default: the platform's data folder]
    #[arg(long, global = true, env = "LEPTON_HOME", value_name = "FOLDER")]
    pub(crate) home: Option<PathBuf>,
    /// Print the result as one JSON object on standard output
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Form of the result
    #[arg(long, short, global = true, value_name = "FORM", conflicts_with = "json")]
    pub(crate) output: Option<Output>,
    /// A libonnxruntime to use in place of the installed one
    #[arg(long, global = true, env = "ORT_DYLIB_PATH", value_name = "FILE")]
    pub(crate) onnxruntime: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    Table,
    Json,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a folder with a commented lepton.toml
    New {
        /// Name of the project and its folder
        name: ModelName,
        /// Kind of problem: image-classification or tabular-classification
        #[arg(long, short)]
        task: TaskKind,
    },
    /// Say which algorithm suits data best, by short trainings of all of them, and write its lepton.toml
    Advise(AdviseArguments),
    /// Run one pilot of an advice
    #[command(hide = true)]
    AdvisePilot,
    /// Run a project: collect, prepare, augment, train, optimize, deploy, monitor
    Run(RunArguments),
    /// Search for good settings: many trainings, judged on the validation split
    Tune(TuneArguments),
    /// Run one trial of a search
    #[command(hide = true)]
    TuneTrial(TrialArguments),
    /// Look at past runs
    #[command(subcommand)]
    Runs(RunsCommand),
    /// Look at datasets, and fetch those of the catalogue
    #[command(subcommand)]
    Data(DataCommand),
    /// Look at models, check them, copy them out
    #[command(subcommand)]
    Model(ModelCommand),
    /// Answer for pictures, rows or tables
    Predict {
        /// NAME, NAME@VERSION, a package folder or a bare .onnx file
        model: ModelRef,
        /// PNG or JPEG files, CSV or JSON files, a typed CSV or JSON row, or - for standard input
        #[arg(required = true, value_name = "INPUT")]
        inputs: Vec<String>,
        #[command(flatten)]
        engine: EngineChoice,
    },
    /// Measure a model on data
    Evaluate {
        /// NAME, NAME@VERSION or a package folder
        model: ModelRef,
        /// A dataset of this machine, a project folder (its test split), or a file or folder of data
        data: String,
        #[command(flatten)]
        engine: EngineChoice,
    },
    /// Serve models over HTTP
    Serve {
        /// NAME, NAME@VERSION, a package folder or a bare .onnx file
        #[arg(required_unless_present = "ingest", value_name = "MODEL")]
        models: Vec<ModelRef>,
        /// Take rows for datasets, from who has a token (`lepton data token`)
        #[arg(long)]
        ingest: bool,
        #[command(flatten)]
        address: Address,
        #[command(flatten)]
        engine: EngineChoice,
    },
    /// Look at what served models saw
    #[command(subcommand)]
    Monitor(MonitorCommand),
    /// Look at inference engines, and install one
    #[command(subcommand)]
    Engine(EngineCommand),
    /// Measure what this machine can do
    #[command(subcommand)]
    Bench(BenchCommand),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the reference of all commands, in Markdown
    #[command(hide = true)]
    Reference,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct RunArguments {
    /// A folder with a lepton.toml, or the file itself
    #[arg(default_value = ".")]
    pub(crate) path: PathBuf,
    /// Allow fetching what the project names: downloads, objects, and rows of database servers
    #[arg(long)]
    pub(crate) fetch: bool,
    /// Allow downloads from this host although its address is not a public one; may be given several times
    #[arg(long, value_name = "HOST[:PORT]")]
    pub(crate) allow_host: Vec<String>,
    /// Run this stage and all later ones again
    #[arg(long, value_name = "STAGE")]
    pub(crate) from: Option<Stage>,
    /// Stop after this stage
    #[arg(long, value_name = "STAGE")]
    pub(crate) until: Option<Stage>,
    /// Change a setting for this run, for example train.epochs=3
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Run once for each of so many folds, and give the mean of the test metrics; no model is registered
    #[arg(long, default_value_t = 1, value_name = "N", conflicts_with_all = ["from", "until", "serve"])]
    pub(crate) folds: usize,
    /// Run with so many seeds, from the project's own upwards, and give the mean of the test metrics
    #[arg(long, default_value_t = 1, value_name = "N", conflicts_with_all = ["from", "until", "serve"])]
    pub(crate) seeds: usize,
    /// Serve the model when the run is done
    #[arg(long)]
    pub(crate) serve: bool,
    #[command(flatten)]
    pub(crate) address: Address,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct AdviseArguments {
    /// A file or folder of data, a dataset of this machine or of the catalogue, or a project (its train section is what
    /// is advised)
    pub(crate) data: String,
    /// The column to predict, of a table that no project speaks of
    #[arg(long, value_name = "COLUMN")]
    pub(crate) target: Option<String>,
    /// Kind of problem [default: what the columns call for]
    #[arg(long, value_name = "TASK")]
    pub(crate) task: Option<TaskKind>,
    /// The time of all pilots together, for example 90s, 10m or 2h
    #[arg(long, default_value = "10m", value_name = "TIME")]
    pub(crate) time: TimeLimit,
    /// The most memory that training may take, for example 512M or 2G
    #[arg(long, value_name = "SIZE")]
    pub(crate) memory: Option<MemoryLimit>,
    /// The longest that one row may take when the model is served, for example 5ms
    #[arg(long, value_name = "TIME")]
    pub(crate) latency: Option<LatencyLimit>,
    /// The metric that decides [default: the task's: accuracy, r2]
    #[arg(long, value_name = "NAME")]
    pub(crate) metric: Option<String>,
    /// Write lepton.toml into this folder [default: beside the data, in a new folder NAME-advised; advised.toml of a
    /// project]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,
    /// Fixes every random choice [default: the project's, else 42]
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Allow fetching what the catalogue or the project names
    #[arg(long)]
    pub(crate) fetch: bool,
    /// Allow downloads from this host although its address is not a public one; may be given several times
    #[arg(long, value_name = "HOST[:PORT]")]
    pub(crate) allow_host: Vec<String>,
    /// Write a page with the data, the candidates and their pilots to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct TuneArguments {
    /// A folder with a lepton.toml, or the file itself; its section "tune" says what may vary
    #[arg(default_value = ".")]
    pub(crate) path: PathBuf,
    /// Trials in all, those of earlier calls included [default: tune.trials]
    #[arg(long, value_name = "N")]
    pub(crate) trials: Option<u64>,
    /// Start no trial after so long, for example 10m or 2h [default: tune.time]
    #[arg(long, value_name = "TIME")]
    pub(crate) time: Option<TimeLimit>,
    /// Trials at the same time, each in a process of its own [default: tune.parallel]
    #[arg(long, value_name = "N")]
    pub(crate) parallel: Option<std::num::NonZeroUsize>,
    /// Allow fetching what the project names: downloads, objects, and rows of database servers
    #[arg(long)]
    pub(crate) fetch: bool,
    /// Allow downloads from this host although its address is not a public one; may be given several times
    #[arg(long, value_name = "HOST[:PORT]")]
    pub(crate) allow_host: Vec<String>,
    /// Change a setting of every trial, for example train.epochs=3
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Write a page with the history, what mattered and all trials to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Write the settings of the best trial to this file, beside the project's lepton.toml
    #[arg(long, value_name = "FILE")]
    pub(crate) to: Option<PathBuf>,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct TrialArguments {
    /// What to try, as JSON
    pub(crate) job: String,
    /// Allow fetching what the project names
    #[arg(long)]
    pub(crate) fetch: bool,
    /// Allow downloads from this host
    #[arg(long, value_name = "HOST[:PORT]")]
    pub(crate) allow_host: Vec<String>,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct Address {
    /// Address to listen on; only loopback addresses are allowed so far
    #[arg(long, default_value = "127.0.0.1")]
    pub(crate) host: String,
    /// Port to listen on; 0 takes a free one
    #[arg(long, default_value_t = 8080, env = "PORT")]
    pub(crate) port: u16,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct EngineChoice {
    /// Inference engine: rten or onnxruntime [default: onnxruntime where it is found, else rten]
    #[arg(long, value_name = "ENGINE")]
    pub(crate) engine: Option<String>,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum RunsCommand {
    /// List the newest runs
    List {
        /// How many
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// Show one run with its stages
    Show {
        /// Its id, the beginning of its id, or latest
        #[arg(default_value = "latest")]
        run: String,
    },
    /// Print where a run's report lies
    Report {
        /// Its id, the beginning of its id, or latest
        #[arg(default_value = "latest")]
        run: String,
    },
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum DataCommand {
    /// Write a contact sheet of augmented training rows
    Preview {
        /// A project (a folder with a lepton.toml, or the file), a folder of pictures, or a table
        path: PathBuf,
        /// Change a setting, for example augment.shift=0.1 or project.seed=7
        #[arg(long, value_name = "KEY=VALUE")]
        set: Vec<String>,
        /// Where to write it: .html, or .png for pictures
        #[arg(long, value_name = "FILE", default_value = "preview.html")]
        to: PathBuf,
    },
    /// List the catalogue and the dataset versions of this machine
    List,
    /// Download a dataset of the catalogue
    Fetch {
        /// Its name
        name: String,
    },
    /// Show one dataset
    Show {
        /// Its name, or NAME@ and the beginning of its hash
        name: String,
    },
    /// Tell what a table, or a folder of pictures or sounds, holds: types and missing cells; sizes, modes, classes
    Profile {
        #[command(flatten)]
        data: DataPath,
        /// Write the profile as a page to this file
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
    },
    /// Find what is wrong with a table, or a folder of pictures or sounds, and write a plan that repairs it
    Doctor {
        #[command(flatten)]
        data: DataPath,
        /// The column to predict, of a table
        #[arg(long, value_name = "COLUMN")]
        target: Option<String>,
        /// Write the proposed repairs to this file, to be edited and given to `lepton data repair`
        #[arg(long, value_name = "FILE")]
        plan: Option<PathBuf>,
        /// Write a page with the findings and the profile to this file
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
    },
    /// Hold a table, a project or a dataset against rules; the exit code is 1 when one is broken
    Check {
        /// A table file, a folder with a lepton.toml, or a dataset of this machine
        target: String,
        #[command(flatten)]
        reading: Reading,
        /// A file of rules [default: those of the project's lepton.toml]
        #[arg(long, value_name = "FILE")]
        rules: Option<PathBuf>,
        /// Print rules that the table file keeps today, as a file of rules to edit
        #[arg(long, conflicts_with = "rules")]
        suggest: bool,
    },
    /// Ask files and datasets in SQL: select ... from titanic, or from "folder/table.csv"
    Sql {
        /// One SELECT, in the SQL of SQLite, which only reads; - for one on standard input
        query: String,
        #[command(flatten)]
        reading: Reading,
        /// Rows to show; all are counted
        #[arg(long, value_name = "N", default_value_t = 1_000)]
        limit: usize,
        /// Write all rows to this file: .csv, .jsonl or .ndjson
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
    #[command(flatten)]
    Versions(VersionCommand),
    /// Repair by a plan, as a new file or folder; what was done is logged and can be undone
    Repair {
        #[command(flatten)]
        data: DataPath,
        /// The plan, from `lepton data doctor --plan`
        #[arg(long, value_name = "FILE")]
        plan: PathBuf,
        /// The new file or folder
        #[arg(long, value_name = "PATH")]
        to: PathBuf,
        /// Write every change to this file, one JSON object per line
        #[arg(long, value_name = "FILE")]
        log: Option<PathBuf>,
    },
    /// Take repairs of a file or folder back, one of them or all
    Undo {
        /// A file or folder that `lepton data repair` wrote
        path: PathBuf,
        /// A repair to take back, by its id in the plan; may be given several times [default: all of them]
        #[arg(long, value_name = "ID")]
        repair: Vec<String>,
        /// The new file or folder
        #[arg(long, value_name = "PATH")]
        to: PathBuf,
    },
}

/// What is looked at, and how it is read.
#[derive(Args, Clone, Debug)]
pub(crate) struct DataPath {
    /// A CSV, JSON, JSON lines, Parquet or Arrow file; a folder of pictures, of sounds or of idx files, or one of
    /// these; - for CSV or JSON lines on standard input; else the name of a dataset
    pub(crate) data: PathBuf,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

/// How it is read.
#[derive(Args, Clone, Debug)]
pub(crate) struct Reading {
    /// Format of a table, where the file's name does not say it: csv, json, parquet or arrow
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<TableFormat>,
    /// Between the fields of a CSV [default: what the header line has of comma, semicolon, tab and bar]
    #[arg(long, value_name = "CHARACTER")]
    pub(crate) delimiter: Option<char>,
    /// Encoding of a text file, for example latin1 [default: UTF-8]
    #[arg(long, value_name = "LABEL")]
    pub(crate) encoding: Option<String>,
    /// Threads [default: all cores]
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<std::num::NonZeroUsize>,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum ModelCommand {
    /// List the registered models
    List,
    /// Show one model: task, signature, metrics, lineage
    Show {
        /// NAME, NAME@VERSION, a package folder or a bare .onnx file
        model: ModelRef,
    },
    /// Show the layers of a network with their shapes, parameters and cost
    Summary {
        /// NAME, NAME@VERSION, a package folder, an architecture.json, a project, or (with --task) a network of a zoo
        what: String,
        /// The task whose zoo the name is looked up in
        #[arg(long)]
        task: Option<TaskKind>,
        /// The shape of one row of a network that is not trained yet, for example 1x28x28
        #[arg(long, value_parser = sides, value_name = "SIDES")]
        input: Option<Sides>,
        /// Numbers that such a network gives for a row: classes, or 1
        #[arg(long)]
        outputs: Option<usize>,
    },
    /// Check every file of a package against its hash
    Verify {
        /// NAME, NAME@VERSION, a package folder or a bare .onnx file
        model: ModelRef,
    },
    /// Copy a package to a new folder
    Export {
        /// NAME, NAME@VERSION or a package folder
        model: ModelRef,
        /// The folder to make
        #[arg(long, short = 'd', visible_alias = "to", value_name = "FOLDER")]
        destination: PathBuf,
    },
}

/// The shape of a row as it is typed.
#[derive(Clone, Debug)]
pub(crate) struct Sides(pub(crate) Vec<usize>);

fn sides(text: &str) -> Result<Sides, String> {
    let sides: Result<Vec<usize>, _> = text.split('x').map(str::parse).collect();
    sides.map(Sides).map_err(|_| "write it as 3x224x224".to_owned())
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum MonitorCommand {
    /// Hold what servers saw against the model's training data
    Report {
        /// NAME or NAME@VERSION
        model: ModelRef,
    },
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// The most float32 and bfloat16 operations and bytes of memory a second, by one thread and by all
    Machine {
        /// Threads [default: all cores]
        #[arg(long, value_name = "N")]
        threads: Option<std::num::NonZeroUsize>,
    },
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum EngineCommand {
    /// List the engines, and say which is in use and why
    List {
        /// Time this model on each engine, at one row and at eight
        #[arg(long, value_name = "MODEL")]
        measure: Option<ModelRef>,
    },
    /// Download an engine's library through the package client
    Install {
        /// onnxruntime or openvino
        name: String,
    },
}
