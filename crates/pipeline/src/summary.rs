//! The layers of a network before it trains, or after: `lepton model summary`.

use crate::model::open_package;
use crate::{Project, tasks::task};
use lepton_core::{Error, ErrorCode, Limits, ModelRef, Result, TaskKind};
use lepton_nn::{Architecture, Summary};
use lepton_store::Store;
use std::path::Path;

/// Rows and answers of a network that is not trained yet.
#[derive(Clone, Debug, Default)]
pub struct NetworkShape {
    /// The task whose zoo a name is looked up in.
    pub task: Option<TaskKind>,
    /// The shape of one row, for example `[1, 28, 28]`.
    pub input: Option<Vec<usize>>,
    /// Numbers out: classes, or 1.
    pub outputs: Option<usize>,
}

/// The summary of `what`: a model of this machine or a package; an `architecture.json`; a project, whose network needs
/// [`NetworkShape::input`] and [`NetworkShape::outputs`]; or a name of a task's zoo, which needs the task too.
///
/// # Errors
/// [`ErrorCode::NotFound`] for what is none of these, [`ErrorCode::Usage`] for a shape that is needed, and shape errors
/// with the layer's name.
pub fn summary(store: &Store, what: &str, shape: &NetworkShape, limits: &Limits) -> Result<Summary> {
    architecture(store, what, shape, limits)?.summary()
}

fn architecture(store: &Store, what: &str, shape: &NetworkShape, limits: &Limits) -> Result<Architecture> {
    let path = Path::new(what);
    if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json")) {
        let bytes = std::fs::read(path).map_err(|source| Error::io("read the architecture", path, source))?;
        return Architecture::from_json(&bytes).map_err(|error| error.in_file(path));
    }
    if path.join("lepton.toml").is_file() || path.extension().is_some_and(|ending| ending == "toml") {
        let project = Project::load(path, &[])?;
        let (input, outputs) = needed(shape)?;
        let settings = &project.settings;
        return lepton_train::architecture(settings.task(), &settings.train, input, outputs)
            .map_err(|error| error.in_file(&project.file));
    }
    if let Some(kind) = shape.task {
        let (input, outputs) = needed(shape)?;
        return task(kind).architecture(Some(what), input, outputs);
    }
    let model: ModelRef = what.parse()?;
    let (name, version, package) = open_package(store, &model, limits)?;
    let bytes = package.read_listed("architecture.json").map_err(|_| {
        Error::new(ErrorCode::Unsupported, format!("{name}@{version} is a bare file: it does not say its layers"))
            .fix("name a package that was trained here")
    })?;
    Architecture::from_json(&bytes)
}

fn needed(shape: &NetworkShape) -> Result<(&[usize], usize)> {
    match (&shape.input, shape.outputs) {
        (Some(input), Some(outputs)) => Ok((input, outputs)),
        _ => Err(Error::new(ErrorCode::Usage, "a network that is not trained yet has no shapes")
            .fix("say them, for example --input 1x28x28 --outputs 10")),
    }
}
