//! Stage 5, optimize: exports ONNX, checks it against the trained network, makes an INT8 version, measures
//! both on this machine, and decides which one is served.

use super::train::threads;
use super::{Artifacts, Work, earlier, parts};
use crate::Stage;
use crate::artifact::{Optimized, Prepared, Trained};
use crate::cache;
use crate::engine::{Picked, engines, pick};
use crate::run::Context;
use arrow_array::RecordBatch;
use lepton_core::{
    Digest, Error, ErrorCode, Int8Verdict, Metrics, MetricsBySplit, NamedTensors, Result, Split, Tensor,
};
use lepton_nn::{Network, StepKind};
use lepton_optimize::{Loaded, OptimizeSettings};
use lepton_recipe::Recipe;
use lepton_runtime::{Engine, Session, SessionOptions};
use lepton_train::{EvaluationInput, Target, Task};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Rows per call when a whole split goes through a network.
const ROWS_PER_CALL: usize = 256;

/// The work of this stage.
pub(crate) struct Optimize<'a> {
    prepared: &'a Prepared,
    trained: &'a Trained,
    /// Those that may serve, the preferred one first.
    engines: Vec<Arc<dyn Engine>>,
}

impl<'a> Optimize<'a> {
    pub(crate) fn new(context: &Context<'_>, artifacts: &'a Artifacts) -> Result<Optimize<'a>> {
        let found = engines(context.store, context.options.onnxruntime.as_deref());
        let engines = match context.project.settings.optimize.engine.as_deref() {
            Some(named) => vec![found.get(Some(named))?],
            None => found.available().collect(),
        };
        Ok(Optimize {
            prepared: earlier(&artifacts.prepared, Stage::Prepare)?,
            trained: earlier(&artifacts.trained, Stage::Train)?,
            engines,
        })
    }
}

fn label(engine: &dyn Engine) -> String {
    format!("{} {}", engine.name(), engine.version())
}

impl Work for Optimize<'_> {
    type Output = Optimized;
    const STAGE: Stage = Stage::Optimize;

    /// What is measured here holds for this machine and its engines, so both are part of the key.
    fn key(&self, context: &Context<'_>) -> Result<Digest> {
        let settings = &context.project.settings;
        let machine = crate::environment(threads(&settings.train), "").processor;
        let labels: Vec<String> = self.engines.iter().map(|engine| label(&**engine)).collect();
        cache::key(
            Self::STAGE,
            (&settings.optimize, settings.project.task, labels, machine),
            (self.trained.architecture, self.trained.weights, self.prepared.recipe, &self.prepared.parts),
        )
    }

    fn compute(&self, context: &Context<'_>, _: &Digest) -> Result<Optimized> {
        let settings = &context.project.settings;
        let (store, task) = (context.store, settings.task());
        let blobs = store.blobs();
        let recipe = self.prepared.load_recipe(store)?;
        let architecture = lepton_nn::Architecture::from_json(&blobs.get(&self.trained.architecture)?)?;
        let network = Network::from_weights(&architecture, &blobs.get(&self.trained.weights)?)?;
        let threads = threads(&settings.train);

        let onnx = network.to_onnx()?;
        let options = SessionOptions { threads: Some(threads), ..SessionOptions::default() };
        let mut splits = BTreeMap::new();
        for split in self.prepared.parts.keys() {
            context.cancel.check()?;
            splits.insert(*split, Rows::load(context, self.prepared, &recipe, *split)?);
        }
        context.cancel.check()?;
        let requests = requests(rows_of(&splits, Split::Valid)?, &recipe)?;
        let Picked { choice, loaded: Loaded { engine, session } } =
            pick(&self.engines, &onnx, &options, settings.optimize.repeats, (&requests.0, &requests.1))?;
        let test = rows_of(&splits, Split::Test)?;
        let mut trained_network = network.answering(StepKind::Auto)?;
        let trained_outputs = over(&test.inputs, |rows| trained_network.forward(rows))?;
        let float_outputs = over(&test.inputs, |rows| first_output(&*session, &recipe, rows))?;
        let agreement = lepton_optimize::agreement(&trained_outputs, &float_outputs)?;
        let target = self.prepared.target_of();
        match target {
            Target::Horizon(_) | Target::Labels(_) => agreement.check_values()?,
            _ => agreement.check()?,
        }
        let measured = Measured { task, target, splits, recipe, engine, session, options };
        context.cancel.check()?;
        let made = int8(&settings.optimize, &measured, &onnx, &requests)?;

        let (served, mut known): (&dyn Session, _) = match &made {
            Int8::Made { verdict, session, .. } if verdict.kept => (&**session, None),
            // The test rows went through this session already.
            _ => (&*measured.session, Some(float_outputs)),
        };
        let mut metrics = MetricsBySplit::new();
        let (mut figures, mut confidence) = (Vec::new(), None);
        for split in measured.splits.keys() {
            // Rows that were learned from tell nothing of rows that were not.
            if *split == Split::Valid && self.trained.refitted_rows.is_some() {
                continue;
            }
            context.cancel.check()?;
            let known = if *split == Split::Test { known.take() } else { None };
            let (outputs, values) = measured.evaluate(served, *split, known)?;
            metrics.insert(split.to_string(), values);
            if *split == Split::Test {
                let Rows { raw, targets, .. } = rows_of(&measured.splits, *split)?;
                let given = EvaluationInput { outputs: &outputs, targets, target, rows: raw };
                confidence = lepton_train::confidence(task, &given, context.project.settings.project.seed)?;
                figures = task.figures(&given)?;
            }
        }
        let figures = serde_json::to_vec(&figures).map_err(|source| Error::internal(format!("figures: {source}")))?;
        let (int8, verdict, no_int8) = match made {
            Int8::Made { onnx, verdict, .. } => (Some(blobs.put_bytes(&onnx)?), Some(verdict), None),
            Int8::None { why } => (None, None, Some(why)),
        };
        Ok(Optimized {
            float32: blobs.put_bytes(&onnx)?,
            int8,
            agreement,
            verdict,
            no_int8,
            engine: label(&*measured.engine),
            choice,
            metrics,
            confidence,
            figures: blobs.put_bytes(&figures)?,
        })
    }
}

/// What both versions of the network are measured on.
struct Measured<'a> {
    task: &'a dyn Task,
    target: Target<'a>,
    splits: BTreeMap<Split, Rows>,
    recipe: Recipe,
    engine: Arc<dyn Engine>,
    /// The float32 version.
    session: Arc<dyn Session>,
    options: SessionOptions,
}

impl Measured<'_> {
    /// Outputs `[rows, classes]`, where they are not `known`, and metrics of a session on one split.
    fn evaluate(&self, session: &dyn Session, split: Split, known: Option<Tensor>) -> Result<(Tensor, Metrics)> {
        let rows = rows_of(&self.splits, split)?;
        let outputs = match known {
            Some(outputs) => outputs,
            None => over(&rows.inputs, |rows| first_output(session, &self.recipe, rows))?,
        };
        let (targets, target) = (&rows.targets, self.target);
        let given = EvaluationInput { outputs: &outputs, targets, target, rows: &rows.raw };
        let metrics = self.task.evaluate(&given)?;
        Ok((outputs, metrics))
    }
}

/// The INT8 version, or why there is none.
enum Int8 {
    Made { onnx: Vec<u8>, session: Arc<dyn Session>, verdict: Int8Verdict },
    None { why: String },
}

fn int8(
    settings: &OptimizeSettings,
    measured: &Measured<'_>,
    onnx: &[u8],
    (one, eight): &(NamedTensors, NamedTensors),
) -> Result<Int8> {
    let Measured { splits, recipe, engine, session: float32, options, .. } = measured;
    if !settings.int8 {
        return Ok(Int8::None { why: "INT8 is switched off by optimize.int8 = false".to_owned() });
    }
    let train = rows_of(splits, Split::Train)?;
    let wanted = settings.calibration_rows.min(train.inputs.rows());
    let calibration: Vec<NamedTensors> = (0..wanted)
        .step_by(ROWS_PER_CALL)
        .map(|start| {
            let rows = train.inputs.slice_rows(start, (start + ROWS_PER_CALL).min(wanted))?;
            Ok(vec![(recipe.output().name, rows)])
        })
        .collect::<Result<_>>()?;
    let quantized = match lepton_optimize::quantize(onnx, &calibration, &**engine) {
        Ok(bytes) => bytes,
        Err(error) if error.code() == ErrorCode::Unsupported => {
            return Ok(Int8::None { why: format!("no INT8 version was made: {}", error.headline()) });
        }
        Err(error) => return Err(error),
    };
    let session = engine.load(&quantized, options)?;
    let (_, float_metrics) = measured.evaluate(&**float32, Split::Valid, None)?;
    let (_, int8_metrics) = measured.evaluate(&*session, Split::Valid, None)?;
    let (float32, int8) = lepton_optimize::measure(
        settings,
        lepton_optimize::Candidate { session: &**float32, bytes: onnx.len() as u64, metrics: float_metrics },
        lepton_optimize::Candidate { session: &*session, bytes: quantized.len() as u64, metrics: int8_metrics },
        one,
        eight,
    )?;
    let verdict = lepton_optimize::decide(settings, float32, int8, &label(&**engine))?;
    Ok(Int8::Made { onnx: quantized, session, verdict })
}

/// One row and eight as an engine takes them. Eight copies of one row: the time does not depend on the values, and a part
/// may have fewer rows.
fn requests(sample: &Rows, recipe: &Recipe) -> Result<(NamedTensors, NamedTensors)> {
    let named = |rows: Tensor| vec![(recipe.output().name, rows)];
    let one = sample.inputs.slice_rows(0, 1)?;
    let eight = Tensor::concat_rows(&[&one; 8])?;
    Ok((named(one), named(eight)))
}

/// One split as tensors.
struct Rows {
    raw: RecordBatch,
    inputs: Tensor,
    targets: Tensor,
}

impl Rows {
    fn load(context: &Context<'_>, prepared: &Prepared, recipe: &Recipe, split: Split) -> Result<Rows> {
        let batch = parts::load(context.store, &prepared.parts, split)?;
        Ok(Rows { inputs: recipe.apply(&batch)?, targets: recipe.encode_target(&batch)?, raw: batch })
    }
}

fn rows_of(splits: &BTreeMap<Split, Rows>, split: Split) -> Result<&Rows> {
    splits.get(&split).ok_or_else(|| Error::internal(format!("there is no {split} split")))
}

/// `forward` over all rows, a few hundred at a time. Inputs `[n, ...]`, result `[n, ...]`.
fn over(inputs: &Tensor, mut forward: impl FnMut(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
    let mut outputs = Vec::new();
    for start in (0..inputs.rows()).step_by(ROWS_PER_CALL) {
        outputs.push(forward(&inputs.slice_rows(start, (start + ROWS_PER_CALL).min(inputs.rows()))?)?);
    }
    Tensor::concat_rows(&outputs.iter().collect::<Vec<_>>())
}

fn first_output(session: &dyn Session, recipe: &Recipe, rows: &Tensor) -> Result<Tensor> {
    let outputs = session.run(&vec![(recipe.output().name, rows.clone())])?;
    outputs.into_iter().next().map(|(_, tensor)| tensor).ok_or_else(|| Error::internal("the engine gave no output"))
}
