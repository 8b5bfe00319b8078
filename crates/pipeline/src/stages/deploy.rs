//! Stage 6, deploy: the gate, the model package, the registry.
//!
//! The package is a pure function of the artifacts before it (its date is the date of training), so a deploy
//! that was killed and is run again registers the same version, not a second one.

use super::{Artifacts, Work, earlier, parts};
use crate::Stage;
use crate::artifact::{Augmented, Collected, Deployed, Optimized, Prepared, Trained};
use crate::cache;
use crate::engine::engines;
use crate::model::REFERENCE;
use crate::run::Context;
use lepton_core::{
    Digest, Error, ErrorCode, Lineage, MANIFEST_VERSION, Manifest, Metric, Metrics, Result, Schema, Split,
};
use lepton_monitor::Reference;
use lepton_runtime::{Model, Package, SessionOptions};
use lepton_store::Store;
use std::collections::BTreeMap;
use std::path::Path;

/// The work of this stage.
pub(crate) struct Deploy<'a> {
    collected: &'a Collected,
    prepared: &'a Prepared,
    augmented: &'a Augmented,
    trained: &'a Trained,
    optimized: &'a Optimized,
}

impl<'a> Deploy<'a> {
    pub(crate) fn new(artifacts: &'a Artifacts) -> Result<Deploy<'a>> {
        Ok(Deploy {
            collected: earlier(&artifacts.collected, Stage::Collect)?,
            prepared: earlier(&artifacts.prepared, Stage::Prepare)?,
            augmented: earlier(&artifacts.augmented, Stage::Augment)?,
            trained: earlier(&artifacts.trained, Stage::Train)?,
            optimized: earlier(&artifacts.optimized, Stage::Optimize)?,
        })
    }

    fn manifest(&self, context: &Context<'_>, signature: lepton_core::Signature) -> Result<Manifest> {
        let settings = &context.project.settings;
        let output = signature
            .outputs
            .first()
            .ok_or_else(|| Error::internal("the exported network has no output"))?
            .name
            .clone();
        Ok(Manifest {
            manifest_version: MANIFEST_VERSION,
            name: context.project.model_name().to_string(),
            task: Some(settings.project.task),
            inputs: Schema { columns: self.recipe_inputs(context.store)? },
            signature,
            decoder: self.prepared.target_of().decoder(&output),
            served: if self.optimized.serves_int8() { "model.int8.onnx" } else { "model.onnx" }.to_owned(),
            metrics: self.optimized.metrics.clone(),
            int8: self.optimized.verdict.clone(),
            engine: Some(self.optimized.choice.clone()),
            lineage: Some(Lineage {
                dataset: self.collected.dataset.clone(),
                dataset_sha256: self.collected.digest,
                prepared_sha256: self.prepared.digest,
                recipe_sha256: self.prepared.recipe,
                settings_sha256: Digest::of_json(&(&settings.train, &self.augmented.settings, &settings.optimize))?,
                seed: settings.project.seed,
                command: self.trained.command.clone(),
                run: self.trained.run.clone(),
                created: self.trained.created.clone(),
                environment: self.trained.environment.clone(),
            }),
            files: BTreeMap::new(),
        })
    }

    fn recipe_inputs(&self, store: &Store) -> Result<Vec<lepton_core::Column>> {
        Ok(self.prepared.load_recipe(store)?.inputs().columns.clone())
    }

    /// The gate: every required test metric must be reached.
    fn gate(&self, require: &BTreeMap<String, f64>) -> Result<()> {
        let test: &Metrics = self
            .optimized
            .metrics
            .get(Split::Test.name())
            .ok_or_else(|| Error::internal("there are no test metrics"))?;
        for (name, wanted) in require {
            let got = *test.get(name).ok_or_else(|| {
                Error::new(ErrorCode::Config, format!("this task does not compute \"{name}\"")).at_key("deploy.require")
            })?;
            let higher =
                Metric::ALL.into_iter().find(|metric| metric.name() == name).is_none_or(Metric::higher_is_better);
            let reached = if higher { got >= *wanted } else { got <= *wanted };
            if !reached {
                return Err(Error::new(
                    ErrorCode::GateFailed,
                    format!("test {name} is {got:.4}, and deploy.require asks for {wanted}: nothing was registered"),
                )
                .at_key("deploy.require")
                .fix("improve the model, or change the requirement on purpose"));
            }
        }
        Ok(())
    }

    /// Sketches of the training rows and of the served model's answers on the validation rows.
    fn reference(&self, context: &Context<'_>, staged: &Path) -> Result<Reference> {
        let limits = &context.project.settings.limits;
        let engine =
            engines(context.store, context.options.onnxruntime.as_deref()).get(Some(&self.optimized.choice.engine))?;
        let model = Model::load(Package::open(staged, limits)?, &*engine, &SessionOptions::default(), limits)?;
        let train = parts::load(context.store, &self.prepared.parts, Split::Train)?;
        let valid = parts::load(context.store, &self.prepared.parts, Split::Valid)?;
        Reference::new(model.inputs(), &train, &model.predict(&valid)?)
    }
}

impl Work for Deploy<'_> {
    type Output = Deployed;
    const STAGE: Stage = Stage::Deploy;

    fn key(&self, context: &Context<'_>) -> Result<Digest> {
        cache::key(
            Self::STAGE,
            (&context.project.settings.deploy, context.project.model_name(), context.project.settings.project.seed),
            (self.collected.digest, self.prepared.recipe, self.trained, self.optimized),
        )
    }

    fn still_good(&self, context: &Context<'_>, output: &Deployed) -> bool {
        context
            .store
            .model(&output.model, Some(output.version))
            .is_ok_and(|record| record.manifest == output.manifest && record.dir.is_dir())
    }

    fn compute(&self, context: &Context<'_>, _: &Digest) -> Result<Deployed> {
        self.gate(&context.project.settings.deploy.require)?;
        let (store, limits) = (context.store, &context.project.settings.limits);
        let blobs = store.blobs();
        let float32 = blobs.get(&self.optimized.float32)?;
        let signature = lepton_onnx::signature(&lepton_onnx::decode(&float32, limits)?)?;
        let mut files = BTreeMap::from([
            ("model.onnx".to_owned(), float32),
            ("architecture.json".to_owned(), blobs.get(&self.trained.architecture)?),
            ("weights.safetensors".to_owned(), blobs.get(&self.trained.weights)?),
            ("recipe.json".to_owned(), blobs.get(&self.prepared.recipe)?),
        ]);
        if let Some(int8) = self.optimized.int8.filter(|_| self.optimized.serves_int8()) {
            files.insert("model.int8.onnx".to_owned(), blobs.get(&int8)?);
        }
        let manifest = self.manifest(context, signature)?;

        // Written twice: the reference needs the served model's own answers, and the package needs the reference.
        let draft = store.scratch()?;
        lepton_runtime::write_package(draft.path(), manifest.clone(), files.clone())?;
        let reference = self.reference(context, draft.path())?;
        files.insert(REFERENCE.to_owned(), reference.to_json()?);
        let staged = store.scratch()?;
        let (manifest, digest) = lepton_runtime::write_package(staged.path(), manifest, files)?;
        context.cancel.check()?;

        let name = context.project.model_name();
        let record = store.publish_model(name, staged.path(), &digest, Some(&self.trained.run))?;
        Ok(Deployed {
            model: name.clone(),
            version: record.version,
            manifest: digest,
            bytes: manifest.files.values().map(|file| file.bytes).sum(),
        })
    }
}
