//! A model package on disk: a folder of data files that `manifest.json` lists with size and SHA-256.
//!
//! Opening one checks every byte before anything is believed. Nothing here writes (that is `write`), and no
//! package can name a file outside its folder: names are bare, links are refused.

mod card;
mod files;
mod mlmodel;
mod write;

pub use write::write_package;

use files::{check_name, read_file};
use lepton_core::{
    DType, Decoder, Digest, Error, ErrorCode, FileEntry, Limits, MANIFEST_VERSION, Manifest, Result, Schema,
};
use lepton_recipe::Recipe;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The name of the manifest's file.
pub(crate) const MANIFEST: &str = "manifest.json";
/// Bytes of a manifest: more is hostile.
const MANIFEST_BYTES: u64 = 16 << 20;

/// An opened package.
#[derive(Clone)]
pub struct Package {
    /// What the package says about itself.
    pub manifest: Manifest,
    /// The folder; for a bare ONNX file the folder that it lies in.
    pub dir: PathBuf,
    /// Fitted preprocessing; `None` for a foreign ONNX file.
    pub recipe: Option<Recipe>,
    limits: Limits,
}

impl Package {
    /// Opens the package in the folder `dir` and checks all of it.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`] without a manifest; [`ErrorCode::BadData`] for a manifest, recipe or model that
    /// does not read or does not fit the others; [`ErrorCode::Unsupported`] for a newer manifest version;
    /// [`ErrorCode::Integrity`] for a file that is missing, changed, unlisted or a link, naming it and, for a
    /// changed one, both hashes; [`ErrorCode::TooLarge`] past `limits.model_bytes`.
    pub fn open(dir: &Path, limits: &Limits) -> Result<Package> {
        let bytes = read_file(dir, MANIFEST, MANIFEST_BYTES)?;
        let manifest = read_manifest(&bytes).map_err(|error| error.in_file(dir.join(MANIFEST)))?;
        let mut package = Package { manifest, dir: dir.to_path_buf(), recipe: None, limits: limits.clone() };
        package.check_names()?;
        let contents = package.read_all()?;
        for (name, bytes) in contents.iter().filter(|(name, _)| name.ends_with(".onnx")) {
            let model = read_onnx(&dir.join(name), bytes, limits)?;
            if *name == package.manifest.served && lepton_onnx::signature(&model)? != package.manifest.signature {
                let text = "its inputs and outputs are not those of manifest.json";
                return Err(Error::new(ErrorCode::BadData, text).in_file(dir.join(name)));
            }
        }
        if let Some(bytes) = contents.get("recipe.json") {
            let recipe = Recipe::from_json(bytes).map_err(|error| error.in_file(dir.join("recipe.json")))?;
            package.check_recipe(&recipe)?;
            package.recipe = Some(recipe);
        }
        check_decoder(&package.manifest).map_err(|error| error.in_file(dir.join(MANIFEST)))?;
        Ok(package)
    }

    /// A package around a bare ONNX file: the signature comes from the graph and the answers are its tensors.
    ///
    /// # Errors
    /// As [`Package::open`] for the file; [`ErrorCode::Usage`] when its name does not end in `.onnx`.
    pub fn from_onnx(path: &Path, limits: &Limits) -> Result<Package> {
        let name = path.file_name().and_then(|name| name.to_str()).filter(|name| name.ends_with(".onnx"));
        let Some(name) = name else {
            return Err(Error::new(ErrorCode::Usage, "not a file that ends in .onnx").in_file(path));
        };
        let dir = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let bytes = read_file(dir, name, limits.model_bytes)?;
        let signature =
            lepton_onnx::signature(&read_onnx(path, &bytes, limits)?).map_err(|error| error.in_file(path))?;
        let entry = FileEntry { bytes: bytes.len() as u64, sha256: Digest::of(&bytes) };
        let manifest = Manifest {
            manifest_version: MANIFEST_VERSION,
            name: name.trim_end_matches(".onnx").to_owned(),
            task: None,
            inputs: Schema::default(),
            signature,
            decoder: Decoder::Raw,
            served: name.to_owned(),
            metrics: BTreeMap::new(),
            int8: None,
            engine: None,
            lineage: None,
            files: BTreeMap::from([(name.to_owned(), entry)]),
        };
        Ok(Package { manifest, dir: dir.to_path_buf(), recipe: None, limits: limits.clone() })
    }

    /// The bytes of the served ONNX file, read and hashed anew: what runs is what the manifest names.
    ///
    /// # Errors
    /// [`ErrorCode::Integrity`] when the file changed since the package was opened.
    pub fn served_bytes(&self) -> Result<Vec<u8>> {
        self.read_listed(&self.manifest.served)
    }

    /// Reads one listed file and checks it against the manifest.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`] for a name that the manifest does not list, [`ErrorCode::Integrity`] for other bytes.
    pub fn read_listed(&self, name: &str) -> Result<Vec<u8>> {
        let file = self.dir.join(name);
        let Some(entry) = self.manifest.files.get(name) else {
            return Err(Error::new(ErrorCode::NotFound, "the manifest lists no such file").in_file(file));
        };
        let bytes = read_file(&self.dir, name, self.limits.model_bytes).map_err(|error| match error.code() {
            ErrorCode::NotFound => {
                Error::new(ErrorCode::Integrity, "is listed in the manifest but not there").in_file(&file)
            }
            _ => error,
        })?;
        let found = FileEntry { bytes: bytes.len() as u64, sha256: Digest::of(&bytes) };
        if found != *entry {
            let text = format!(
                "was changed: {} bytes with sha256 {}, the manifest says {} bytes with sha256 {}",
                found.bytes, found.sha256, entry.bytes, entry.sha256
            );
            return Err(Error::new(ErrorCode::Integrity, text)
                .in_file(file)
                .fix("take the package again from where it came; do not edit its files"));
        }
        Ok(bytes)
    }

    /// Reads and hashes every file again.
    ///
    /// # Errors
    /// [`ErrorCode::Integrity`], naming the first file that is not as the manifest says.
    pub fn verify(&self) -> Result<()> {
        for name in self.manifest.files.keys() {
            self.read_listed(name)?;
        }
        Ok(())
    }

    fn check_names(&self) -> Result<()> {
        for name in self.manifest.files.keys() {
            check_name(name).map_err(|error| error.in_file(self.dir.join(MANIFEST)).at_key("files"))?;
        }
        let served = &self.manifest.served;
        if !served.ends_with(".onnx") || !self.manifest.files.contains_key(served) {
            let text = format!("\"{served}\" is not an .onnx file of this package");
            return Err(Error::new(ErrorCode::BadData, text).in_file(self.dir.join(MANIFEST)).at_key("served"));
        }
        Ok(())
    }

    /// Checks every file and gives those that are read further; refuses what is not listed. Files that start with
    /// a dot are the desktop's.
    fn read_all(&self) -> Result<BTreeMap<&str, Vec<u8>>> {
        let total = self.manifest.files.values().fold(0u64, |sum, entry| sum.saturating_add(entry.bytes));
        if total > self.limits.model_bytes {
            let text = format!("its files have {total} bytes, past model_bytes = {}", self.limits.model_bytes);
            return Err(Error::new(ErrorCode::TooLarge, text).in_file(&self.dir));
        }
        let entries = std::fs::read_dir(&self.dir).map_err(|source| Error::io("list", &self.dir, source))?;
        for entry in entries {
            let name = entry.map_err(|source| Error::io("list", &self.dir, source))?.file_name();
            let name = name.to_string_lossy();
            if name != MANIFEST && !name.starts_with('.') && !self.manifest.files.contains_key(&*name) {
                return Err(Error::new(ErrorCode::Integrity, "is in the package but not in its manifest")
                    .in_file(self.dir.join(&*name))
                    .fix("take the package again from where it came, or remove this file"));
            }
        }
        let mut kept = BTreeMap::new();
        for name in self.manifest.files.keys() {
            let bytes = self.read_listed(name)?;
            if name.ends_with(".onnx") || name == "recipe.json" {
                kept.insert(name.as_str(), bytes);
            }
        }
        Ok(kept)
    }

    /// The recipe must take what the manifest announces and give what the model takes.
    fn check_recipe(&self, recipe: &Recipe) -> Result<()> {
        let wrong = |text: &str| Err(Error::new(ErrorCode::BadData, text).in_file(self.dir.join("recipe.json")));
        if recipe.inputs() != &self.manifest.inputs {
            return wrong("its columns are not those of manifest.json");
        }
        let output = recipe.output();
        match self.manifest.signature.inputs.as_slice() {
            // A model may take sequences of any length, where the recipe makes them of one.
            [input]
                if input.name == output.name && input.dtype == output.dtype && takes(&input.shape, &output.shape) =>
            {
                Ok(())
            }
            _ => wrong("its tensor is not the one input of the model"),
        }
    }
}

/// Whether a model that takes `wanted` takes all that has the shape `given`; -1 is a side of any length.
fn takes(wanted: &[i64], given: &[i64]) -> bool {
    wanted.len() == given.len() && wanted.iter().zip(given).all(|(wanted, given)| *wanted == -1 || wanted == given)
}

fn read_manifest(bytes: &[u8]) -> Result<Manifest> {
    #[derive(serde::Deserialize)]
    struct Version {
        manifest_version: u32,
    }
    let bad = |source: serde_json::Error| Error::new(ErrorCode::BadData, format!("not a manifest: {source}"));
    // The version alone first: a newer manifest may have keys that this build does not know.
    let Version { manifest_version } = serde_json::from_slice(bytes).map_err(bad)?;
    if manifest_version > MANIFEST_VERSION {
        let text = format!("has manifest_version {manifest_version}, this build reads up to {MANIFEST_VERSION}");
        return Err(Error::new(ErrorCode::Unsupported, text).fix("use a newer Lepton for this package"));
    }
    serde_json::from_slice(bytes).map_err(bad)
}

fn read_onnx(path: &Path, bytes: &[u8], limits: &Limits) -> Result<lepton_onnx::ModelProto> {
    let model = lepton_onnx::decode(bytes, limits).map_err(|error| error.in_file(path))?;
    lepton_onnx::refuse_external_data(&model).map_err(|error| error.in_file(path))?;
    Ok(model)
}

/// A decoder can only read what the signature promises.
pub(crate) fn check_decoder(manifest: &Manifest) -> Result<()> {
    let wrong = |text: String| Err(Error::new(ErrorCode::BadData, text).at_key("decoder"));
    let output = match &manifest.decoder {
        Decoder::Classification { output, .. }
        | Decoder::Labels { output, .. }
        | Decoder::Regression { output, .. }
        | Decoder::Forecast { output, .. } => output,
        Decoder::Raw => return Ok(()),
    };
    let Some(spec) = manifest.signature.outputs.iter().find(|spec| &spec.name == output) else {
        return wrong(format!("the model has no output \"{output}\""));
    };
    let labels = match &manifest.decoder {
        Decoder::Classification { labels, .. } => labels,
        Decoder::Labels { labels, threshold, .. } => {
            if !(*threshold > 0.0 && *threshold < 1.0) {
                return wrong(format!("the threshold {threshold} of labels is not above 0 and below 1"));
            }
            labels
        }
        Decoder::Regression { scale, offset, .. } => {
            let is_number = matches!(spec.shape[..], [_, 1]) && spec.dtype == DType::Float32;
            if !(is_number && scale.is_finite() && offset.is_finite()) {
                return wrong(format!("output \"{output}\" is not one number a row, or its scale is none"));
            }
            return Ok(());
        }
        Decoder::Forecast { horizon, .. } => {
            let fits = matches!(spec.shape[..], [_, width] if width == horizon.outputs() as i64);
            if !(fits && spec.dtype == DType::Float32 && horizon.check().is_ok()) {
                return wrong(format!("output \"{output}\" is not the forecast that the decoder reads"));
            }
            return Ok(());
        }
        Decoder::Raw => return Ok(()),
    };
    let mut unique: Vec<_> = labels.iter().collect();
    unique.sort_unstable();
    unique.dedup();
    if unique.len() != labels.len() || labels.is_empty() {
        return wrong("labels must be unique and at least one".to_owned());
    }
    match spec.shape.as_slice() {
        [_, classes] if spec.dtype == DType::Float32 && (*classes == labels.len() as i64 || *classes == -1) => Ok(()),
        shape => wrong(format!("{} labels do not fit output \"{output}\", {} {shape:?}", labels.len(), spec.dtype)),
    }
}
