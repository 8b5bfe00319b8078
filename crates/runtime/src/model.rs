//! A package that is loaded on an engine: raw rows in, answers out.
//!
//! The road is recipe, signature check, session, decoder. Budgets are applied here, once, for every caller;
//! waiting and batching are the business of `batcher`.

use crate::decode::decode;
use crate::{Engine, Package, Session, SessionOptions};
use arrow_array::RecordBatch;
use lepton_core::{Error, ErrorCode, Limits, Manifest, NamedTensors, Prediction, Result, Schema, Tensor, TensorSpec};
use lepton_recipe::Recipe;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A loaded model. Share it with `Arc`.
pub struct Model {
    manifest: Manifest,
    dir: PathBuf,
    recipe: Option<Recipe>,
    session: Arc<dyn Session>,
    engine: &'static str,
    limits: Limits,
}

impl Model {
    /// Loads the served file of `package`. Without a deadline in `options`, a run may take `limits.request_ms`.
    ///
    /// # Errors
    /// [`ErrorCode::Integrity`] when the file changed since it was opened, and those of [`Engine::load`].
    pub fn load(package: Package, engine: &dyn Engine, options: &SessionOptions, limits: &Limits) -> Result<Model> {
        let options = SessionOptions {
            deadline: options.deadline.or(Some(Duration::from_millis(limits.request_ms))),
            ..*options
        };
        let bytes = package.served_bytes()?;
        let file = package.dir.join(&package.manifest.served);
        let session = catch_unwind(AssertUnwindSafe(|| engine.load(&bytes, &options)))
            .unwrap_or_else(|_| Err(Error::internal(format!("the engine {} panicked at loading", engine.name()))))
            .map_err(|error| error.in_file(file))?;
        Ok(Model::with_session(package, session, engine.name(), limits))
    }

    /// A model over a session that was loaded elsewhere.
    pub fn with_session(package: Package, session: Arc<dyn Session>, engine: &'static str, limits: &Limits) -> Model {
        let Package { manifest, dir, recipe, .. } = package;
        Model { manifest, dir, recipe, session, engine, limits: limits.clone() }
    }

    /// What the package says about itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The package's folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The fitted preprocessing; `None` for a foreign ONNX file.
    pub fn recipe(&self) -> Option<&Recipe> {
        self.recipe.as_ref()
    }

    /// The raw columns that [`Model::predict`] takes.
    pub fn inputs(&self) -> &Schema {
        &self.manifest.inputs
    }

    /// The engine that runs it.
    pub fn engine_name(&self) -> &'static str {
        self.engine
    }

    /// The limits that hold for each request.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Runs the model on tensors and gives the outputs in the signature's order. No rows in gives no rows out.
    ///
    /// # Errors
    /// Those of [`lepton_core::Signature::check_inputs`]; [`ErrorCode::TooLarge`] past `tensor_elements`;
    /// [`ErrorCode::Shape`] when the inputs differ in rows; [`ErrorCode::Timeout`] past the deadline;
    /// [`ErrorCode::Internal`] when the engine panics.
    pub fn infer(&self, inputs: &NamedTensors) -> Result<NamedTensors> {
        self.check(inputs)?;
        if self.free_batch() && inputs.iter().any(|(_, tensor)| tensor.rows() == 0) {
            return self.no_rows();
        }
        let mut outputs = catch_unwind(AssertUnwindSafe(|| self.session.run(inputs)))
            .unwrap_or_else(|_| Err(Error::internal(format!("the engine {} panicked", self.engine))))?;
        let specs = &self.manifest.signature.outputs;
        specs
            .iter()
            .map(|spec| {
                let at = outputs.iter().position(|(name, _)| name == &spec.name);
                let at = at.ok_or_else(|| Error::internal(format!("the engine gave no output \"{}\"", spec.name)))?;
                let (name, tensor) = outputs.swap_remove(at);
                if tensor.dtype() != spec.dtype || !spec.fits(tensor.shape()) {
                    let text = format!(
                        "output \"{name}\" came as {} {:?}, the model declares {} {:?}",
                        tensor.dtype(),
                        tensor.shape(),
                        spec.dtype,
                        spec.shape
                    );
                    return Err(Error::new(ErrorCode::BadData, text));
                }
                self.check_elements("output", &name, &tensor)?;
                Ok((name, tensor))
            })
            .collect()
    }

    /// Refuses tensors that do not fit the signature or go past a limit.
    pub(crate) fn check(&self, inputs: &NamedTensors) -> Result<()> {
        self.manifest.signature.check_inputs(inputs)?;
        for (name, tensor) in inputs {
            self.check_elements("input", name, tensor)?;
        }
        if self.free_batch() {
            let mut rows = inputs.iter().map(|(_, tensor)| tensor.rows());
            let first = rows.next();
            if rows.any(|count| Some(count) != first) {
                return Err(Error::new(ErrorCode::Shape, "the inputs do not have the same number of rows"));
            }
        }
        Ok(())
    }

    /// Answers for raw rows. Long tables are run in pieces of `limits.batch_rows`.
    ///
    /// # Errors
    /// [`ErrorCode::BadData`] with row and column from the recipe; [`ErrorCode::GateFailed`] with the row when
    /// an output is not finite; [`ErrorCode::Unsupported`] for a bare ONNX file; and those of [`Model::infer`].
    pub fn predict(&self, rows: &RecordBatch) -> Result<Vec<Prediction>> {
        let step = self.limits.batch_rows.max(1);
        let mut answers = Vec::with_capacity(rows.num_rows());
        for start in (0..rows.num_rows()).step_by(step) {
            let piece = rows.slice(start, step.min(rows.num_rows() - start));
            let shift = |error: Error| match error.place().row {
                Some(row) => error.at_row(row + start as u64),
                None => error,
            };
            let outputs = self.infer(&self.tensors_of(&piece).map_err(shift)?)?;
            answers.extend(self.decode(&outputs).map_err(shift)?);
        }
        Ok(answers)
    }

    /// The model's input tensors for raw rows: what the recipe makes of them.
    ///
    /// # Errors
    /// [`ErrorCode::BadData`] with row and column; [`ErrorCode::Unsupported`] for a package without a recipe.
    pub fn tensors_of(&self, rows: &RecordBatch) -> Result<NamedTensors> {
        let Some(recipe) = &self.recipe else {
            return Err(Error::new(ErrorCode::Unsupported, "the model has no recipe, so it takes tensors, not rows")
                .fix("send its input tensors, for example through POST /v2/models/{model}/infer"));
        };
        Ok(vec![(recipe.output().name.clone(), recipe.apply(rows)?)])
    }

    /// Answers from output tensors.
    ///
    /// # Errors
    /// [`ErrorCode::GateFailed`] with the row when an output is not finite.
    pub fn decode(&self, outputs: &NamedTensors) -> Result<Vec<Prediction>> {
        decode(&self.manifest.decoder, outputs)
    }

    /// Whether every input and output has a free first side, so that requests can be joined along it.
    pub fn free_batch(&self) -> bool {
        let signature = &self.manifest.signature;
        signature.inputs.iter().chain(&signature.outputs).all(|spec| spec.shape.first() == Some(&-1))
            && !signature.inputs.is_empty()
    }

    fn check_elements(&self, side: &str, name: &str, tensor: &Tensor) -> Result<()> {
        let limit = self.limits.tensor_elements;
        let elements = tensor.data().len() as u64;
        if elements > limit {
            return Err(too_many(side, name, elements, limit).fix("send fewer rows in one request"));
        }
        Ok(())
    }

    /// Outputs of an empty request. Engines disagree about empty tensors, so none is asked.
    fn no_rows(&self) -> Result<NamedTensors> {
        // A free side other than the batch is not known without a row: it is given as 0.
        let empty = |spec: &TensorSpec| Ok((spec.name.clone(), Tensor::zeros(spec.sides(0, 0), spec.dtype)?));
        self.manifest.signature.outputs.iter().map(empty).collect()
    }
}

/// Zeros that fit some inputs, with so many rows; free sides other than the first are `free`. For timing.
///
/// # Errors
/// [`ErrorCode::TooLarge`] past `limits.tensor_elements`, before anything of that size is made: what a model file declares
/// costs its author nothing.
pub fn zeros(specs: &[TensorSpec], rows: usize, free: usize, limits: &Limits) -> Result<NamedTensors> {
    let zeros = |spec: &TensorSpec| {
        let sides = spec.sides(rows, free);
        let elements = sides.iter().fold(1, |product: u64, &side| product.saturating_mul(side as u64));
        if elements > limits.tensor_elements {
            return Err(too_many("input", &spec.name, elements, limits.tensor_elements));
        }
        Ok((spec.name.clone(), Tensor::zeros(sides, spec.dtype)?))
    };
    specs.iter().map(zeros).collect()
}

fn too_many(side: &str, name: &str, elements: u64, limit: u64) -> Error {
    let text = format!("{side} \"{name}\" has {elements} elements, past tensor_elements = {limit}");
    Error::new(ErrorCode::TooLarge, text)
}
