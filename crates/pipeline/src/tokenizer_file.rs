//! A tokenizer that `[recipe] tokenizer` names: a file, the one in a folder, or that of a model of the catalogue.

use crate::pretrained::pretrained;
use crate::run::Context;
use lepton_core::{Digest, Error, ErrorCode, Result};
use std::io::Read;
use std::path::PathBuf;

/// The name of the file in a folder.
const NAME: &str = "tokenizer.json";

/// The bytes of a tokenizer.
pub(crate) struct TokenizerFile {
    pub(crate) path: PathBuf,
    pub(crate) bytes: Vec<u8>,
    pub(crate) digest: Digest,
}

impl TokenizerFile {
    /// The tokenizer of a project whose recipe names one; relative paths start at the project's folder, and what is no
    /// path there is a model of the catalogue.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`] and the like for a file that cannot be read; [`ErrorCode::TooLarge`] past
    /// `tokenizer_bytes`; those of [`pretrained`].
    pub(crate) fn of(context: &Context<'_>) -> Result<Option<TokenizerFile>> {
        let project = context.project;
        let Some(written) = project.settings.recipe.tokenizer_path() else { return Ok(None) };
        let mut path = project.folder.join(&written);
        if path.is_dir() {
            path.push(NAME);
        } else if !path.exists() {
            let Context { store, options, progress, cancel, .. } = *context;
            let (name, limits) = (written.to_string_lossy(), &project.settings.limits);
            let placed = |error: Error| error.at_key("recipe.tokenizer");
            let fetch = options.access.fetch;
            if let Some(model) =
                pretrained(store, &project.folder, &name, limits, fetch, progress, cancel).map_err(placed)?
            {
                path = model.file(NAME).map_err(placed)?;
            }
        }
        let limit = project.settings.limits.tokenizer_bytes;
        let failed = |source| Error::io("read the tokenizer", &path, source).at_key("recipe.tokenizer");
        let mut bytes = Vec::new();
        let file = std::fs::File::open(&path).map_err(failed)?;
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > limit {
            let message = format!("the tokenizer is larger than {limit} bytes, the limit tokenizer_bytes");
            return Err(Error::new(ErrorCode::TooLarge, message).in_file(&path).at_key("recipe.tokenizer"));
        }
        let digest = Digest::of(&bytes);
        Ok(Some(TokenizerFile { path, bytes, digest }))
    }
}
