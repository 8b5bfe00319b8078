//! Names that a person gives to models, checked once here so that no text from outside becomes a path.

use crate::{Error, ErrorCode, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// The name of a registered model: 1 to 64 of `a-z A-Z 0-9 - _ .`, starting with a letter or digit.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ModelName(String);

impl ModelName {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ModelName {
    type Err = Error;

    fn from_str(text: &str) -> Result<ModelName> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let starts_well = text.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
        if !starts_well || text.len() > 64 || !text.chars().all(allowed) {
            return Err(Error::new(ErrorCode::Usage, format!("\"{text}\" cannot name a model"))
                .fix("use 1 to 64 letters, digits, '-', '_' or '.', starting with a letter or digit"));
        }
        Ok(ModelName(text.to_owned()))
    }
}

impl TryFrom<String> for ModelName {
    type Error = Error;

    fn try_from(text: String) -> Result<ModelName> {
        text.parse()
    }
}

impl From<ModelName> for String {
    fn from(name: ModelName) -> String {
        name.0
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a person types where a command says MODEL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelRef {
    /// `name` (the newest version) or `name@version`.
    Registered {
        /// The model's name.
        name: ModelName,
        /// The version; `None` is the newest.
        version: Option<u64>,
    },
    /// A package folder or a bare `.onnx` file: anything with a path separator, or ending in `.onnx`.
    Path(PathBuf),
}

impl FromStr for ModelRef {
    type Err = Error;

    fn from_str(text: &str) -> Result<ModelRef> {
        if text.contains(['/', '\\']) || text.ends_with(".onnx") || text == "." || text == ".." {
            return Ok(ModelRef::Path(PathBuf::from(text)));
        }
        let (name, version) = match text.split_once('@') {
            None => (text, None),
            Some((name, version)) => {
                let number = version.parse().map_err(|_| {
                    Error::new(ErrorCode::Usage, format!("\"{version}\" is not a version number"))
                        .fix("write a model as NAME@VERSION, for example mnist@1")
                })?;
                (name, Some(number))
            }
        };
        Ok(ModelRef::Registered { name: name.parse()?, version })
    }
}

impl fmt::Display for ModelRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ModelRef::Registered { name, version: None } => write!(f, "{name}"),
            ModelRef::Registered { name, version: Some(version) } => write!(f, "{name}@{version}"),
            ModelRef::Path(path) => write!(f, "{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_person_types_becomes_what_was_meant() {
        let registered = |name: &str, version| ModelRef::Registered { name: name.parse().unwrap(), version };
        for (text, meant) in [
            ("mnist", registered("mnist", None)),
            ("mnist@3", registered("mnist", Some(3))),
            ("./package", ModelRef::Path("./package".into())),
            ("resnet.onnx", ModelRef::Path("resnet.onnx".into())),
        ] {
            assert_eq!(text.parse::<ModelRef>().unwrap(), meant);
        }
        for text in ["", "..x", "mnist@", "mnist@x", "a b", "é", &"a".repeat(65)] {
            assert!(text.parse::<ModelRef>().is_err(), "{text}");
        }
    }
}
