//! The `lepton.toml` that comes of an advice: that of a new project, or a project's own with another `[train]`; its paths
//! start where it will lie. It is read back before it is written.

use crate::Project;
use crate::doctor::place;
use lepton_core::{Error, ErrorCode, ModelName, Result, Seed, TaskKind};
use std::path::{Component, Path, PathBuf};

/// Keys that hold paths, by section.
const PATHS: [(&str, &[&str]); 3] =
    [("collect", &["path", "valid", "test", "images", "tls_ca"]), ("prepare", &["repair"]), ("check", &["file"])];

/// With fewer rows than this a larger part of them validates.
const FEW_ROWS: usize = 10_000;

/// A project over data that had none.
pub(super) struct NewProject {
    pub(super) name: ModelName,
    pub(super) task: TaskKind,
    pub(super) seed: Seed,
    /// A file or folder, absolute.
    pub(super) path: Option<PathBuf>,
    /// A dataset of the catalogue or of this machine.
    pub(super) dataset: Option<String>,
    pub(super) target: Option<String>,
    pub(super) ignored: Vec<String>,
    /// Training rows of the source.
    pub(super) rows: usize,
}

impl NewProject {
    /// The settings without `[train]`. Its paths start at `folder`, or at the root where there is none yet.
    pub(super) fn table(&self, folder: Option<&Path>) -> Result<toml::Table> {
        let mut project = toml::Table::new();
        project.insert("name".to_owned(), self.name.as_str().into());
        project.insert("task".to_owned(), self.task.name().into());
        let seed = i64::try_from(self.seed.0).map_err(|_| {
            Error::new(ErrorCode::Usage, format!("the seed {} is too large", self.seed.0)).fix("take a smaller one")
        })?;
        project.insert("seed".to_owned(), seed.into());
        let mut collect = toml::Table::new();
        if let Some(path) = &self.path {
            let path = match folder {
                Some(folder) => relative(path, &absolute(folder)?),
                None => path.clone(),
            };
            collect.insert("path".to_owned(), text_of(&path)?.into());
        }
        for (key, value) in [("dataset", &self.dataset), ("target", &self.target)] {
            if let Some(value) = value {
                collect.insert(key.to_owned(), value.as_str().into());
            }
        }
        let mut prepare = toml::Table::new();
        let valid = if self.rows < FEW_ROWS { 0.15 } else { 0.1 };
        prepare.insert("test_fraction".to_owned(), toml::Value::Float(0.2));
        prepare.insert("valid_fraction".to_owned(), toml::Value::Float(valid));
        if !self.ignored.is_empty() {
            let names: Vec<toml::Value> = self.ignored.iter().map(|name| name.as_str().into()).collect();
            collect.insert("ignore".to_owned(), names.into());
            // Without what names them two rows may look alike and still be two.
            prepare.insert("remove_duplicates".to_owned(), false.into());
        }
        let sections = [("project", project), ("collect", collect), ("prepare", prepare)];
        Ok(sections.into_iter().map(|(name, section)| (name.to_owned(), toml::Value::Table(section))).collect())
    }
}

/// The settings of a project in `from` for a file that lies in `to`.
///
/// # Errors
/// [`ErrorCode::Io`] where the current folder cannot be told; [`ErrorCode::Config`] for a path that is not UTF-8.
pub(super) fn rebased(mut table: toml::Table, from: &Path, to: &Path) -> Result<toml::Table> {
    let to = absolute(to)?;
    for (section, keys) in PATHS {
        let Some(toml::Value::Table(section)) = table.get_mut(section) else { continue };
        for key in keys {
            match section.get_mut(*key) {
                Some(toml::Value::String(path)) => *path = moved(path, from, &to)?,
                Some(toml::Value::Array(paths)) => {
                    for path in paths {
                        if let toml::Value::String(path) = path {
                            *path = moved(path, from, &to)?;
                        }
                    }
                }
                _ => {}
            }
        }
    }
    Ok(table)
}

/// A path of settings in `from` as it is written in `to`; an address stays as it is.
fn moved(path: &str, from: &Path, to: &Path) -> Result<String> {
    if path.contains("://") || Path::new(path).is_absolute() {
        return Ok(path.to_owned());
    }
    text_of(&relative(&from.join(path), to))
}

/// `path` as it is reached from the folder `from`, both absolute.
fn relative(path: &Path, from: &Path) -> PathBuf {
    let (path, from) = (plain(path), plain(from));
    let shared = path.iter().zip(&from).take_while(|(one, other)| one == other).count();
    let mut found: PathBuf = from[shared..].iter().map(|_| Component::ParentDir).collect();
    found.extend(&path[shared..]);
    if found.as_os_str().is_empty() { PathBuf::from(".") } else { found }
}

/// The parts of a path without `.` and `..`.
fn plain(path: &Path) -> Vec<Component<'_>> {
    let mut parts = Vec::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts
}

/// A folder that may not be there yet, from the root.
fn absolute(folder: &Path) -> Result<PathBuf> {
    let whole = std::path::absolute(folder).map_err(|source| Error::io("find the folder", folder, source))?;
    // What is there is taken without links, like the data's own path.
    let mut there = whole.as_path();
    let mut missing = Vec::new();
    while !there.exists() {
        let (Some(parent), Some(name)) = (there.parent(), there.file_name()) else { break };
        missing.push(name.to_owned());
        there = parent;
    }
    let mut found = there.canonicalize().map_err(|source| Error::io("find the folder", there, source))?;
    found.extend(missing.iter().rev());
    Ok(found)
}

fn text_of(path: &Path) -> Result<String> {
    path.to_str().map(str::to_owned).ok_or_else(|| {
        Error::new(ErrorCode::Config, "a path in a lepton.toml must be UTF-8").in_file(path).fix("rename it")
    })
}

/// The text of the settings with `train`, under `comment`.
pub(super) fn text(table: &toml::Table, train: &toml::Table, comment: &[String], file: &Path) -> Result<String> {
    let mut table = table.clone();
    table.insert("train".to_owned(), toml::Value::Table(train.clone()));
    let body = toml::to_string_pretty(&table).map_err(|source| Error::internal(format!("settings: {source}")))?;
    let comment: String = comment.iter().map(|line| format!("# {line}\n")).collect();
    let text = format!("{comment}\n{body}");
    Project::parse(&text, file, &[])?;
    Ok(text)
}

/// Writes the file, whole or not at all, with the folders above it.
///
/// # Errors
/// [`ErrorCode::Usage`] where a file is there already; [`ErrorCode::Io`].
pub(super) fn write(text: &str, to: &Path) -> Result<()> {
    if to.symlink_metadata().is_ok() {
        return Err(Error::new(ErrorCode::Usage, "there is a settings file already, and nothing is written over it")
            .in_file(to)
            .fix("remove it, or name another folder with --out"));
    }
    if let Some(folder) = to.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(|source| Error::io("make the folder", folder, source))?;
    }
    place(to, |output| {
        output.write_all(text.as_bytes()).map_err(|source| Error::io("write the settings", to, source))
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_told_from_where_the_file_will_lie() {
        let tell = |path: &str, from: &str| relative(Path::new(path), Path::new(from)).display().to_string();
        assert_eq!(tell("/a/b/t.csv", "/a/b/new"), "../t.csv");
        assert_eq!(tell("/a/b/t.csv", "/a/b"), "t.csv");
        assert_eq!(tell("/a/b", "/a/b"), ".");
        assert_eq!(tell("/a/b/./c/../t.csv", "/x"), "../a/b/t.csv");
        assert_eq!(moved("https://x.org/t.csv", Path::new("/a"), Path::new("/b")).unwrap(), "https://x.org/t.csv");
        assert_eq!(moved("/t.csv", Path::new("/a"), Path::new("/b")).unwrap(), "/t.csv");
        assert_eq!(moved("d/*.csv", Path::new("/a"), Path::new("/a/new")).unwrap(), "../d/*.csv");
    }

    #[test]
    fn a_project_moves_with_its_paths_and_gets_another_training() {
        let folder = tempfile::tempdir().unwrap();
        let own = "[project]\nname = \"x\"\ntask = \"tabular-classification\"\n[collect]\npath = [\"a.csv\", \"b.csv\"]\n\
                   target = \"y\"\n[check]\nfile = \"rules.toml\"\n[deploy]\nrequire = { accuracy = 0.9 }\n";
        let table: toml::Table = toml::from_str(own).unwrap();
        let to = folder.path().join("p/advised");
        std::fs::create_dir(folder.path().join("p")).unwrap();
        let from = folder.path().canonicalize().unwrap().join("p");
        let moved = rebased(table, &from, &to).unwrap();
        assert_eq!(moved["collect"]["path"][1].as_str(), Some("../b.csv"));
        assert_eq!(moved["check"]["file"].as_str(), Some("../rules.toml"));
        let train: toml::Table = toml::from_str("architecture = \"mlp\"\nepochs = 3").unwrap();
        let text = text(&moved, &train, &["Why.".to_owned()], &to.join("lepton.toml")).unwrap();
        let read = Project::parse(&text, Path::new("lepton.toml"), &[]).unwrap();
        assert!(text.starts_with("# Why.\n") && read.settings.train.epochs == 3);
        assert_eq!(read.settings.deploy.require["accuracy"], 0.9);
        let file = to.join("lepton.toml");
        write(&text, &file).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
        assert_eq!(write(&text, &file).unwrap_err().code(), ErrorCode::Usage);
    }

    #[test]
    fn a_new_project_reads_back() {
        let new = NewProject {
            name: "t".parse().unwrap(),
            task: TaskKind::TabularRegression,
            seed: Seed(7),
            path: Some(PathBuf::from("/data/t.csv")),
            dataset: None,
            target: Some("y".to_owned()),
            ignored: vec!["id".to_owned()],
            rows: 500,
        };
        let text = text(&new.table(None).unwrap(), &toml::Table::new(), &[], Path::new("lepton.toml")).unwrap();
        let read = Project::parse(&text, Path::new("lepton.toml"), &[]).unwrap().settings;
        assert_eq!((read.project.seed, read.prepare.remove_duplicates), (Seed(7), false));
        assert_eq!((read.collect.ignore, read.prepare.valid_fraction), (vec!["id".to_owned()], 0.15));
        let folder = tempfile::tempdir().unwrap();
        let near = NewProject { path: Some(folder.path().canonicalize().unwrap().join("t.csv")), ..new };
        let table = near.table(Some(&folder.path().join("t-advised"))).unwrap();
        assert_eq!(table["collect"]["path"].as_str(), Some("../t.csv"));
    }
}
