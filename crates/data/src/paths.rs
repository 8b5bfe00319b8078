//! Where data lies, as a person names it: one path, a pattern such as `logs/2024-*/part-*.csv`, or a list of both.
//! Patterns know `*`, `?`, `[a-z]` and `[!a-z]` inside of a name, and `**` for folders at any depth.

use lepton_core::{Error, ErrorCode, Result};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Component, Path, PathBuf};

/// More files than a pattern can mean by intent.
const MOST_FILES: usize = 1_000_000;

/// One path or pattern, or a list of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Paths {
    /// One.
    One(PathBuf),
    /// Several, in this order.
    Many(Vec<PathBuf>),
}

impl<T: Into<PathBuf>> From<T> for Paths {
    fn from(path: T) -> Paths {
        Paths::One(path.into())
    }
}

impl Paths {
    /// The path, where there is only one.
    pub fn one(&self) -> Option<&Path> {
        match self.written() {
            [path] => Some(path),
            _ => None,
        }
    }

    /// What was written, in order.
    pub fn written(&self) -> &[PathBuf] {
        match self {
            Paths::One(path) => std::slice::from_ref(path),
            Paths::Many(paths) => paths,
        }
    }

    /// The files or folders that are meant, below `base`: those of a pattern in byte order, those of a list in its
    /// order. A path that is there as it is written is no pattern.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`] for what is not there and for a pattern that nothing fits; [`ErrorCode::Config`] for an
    /// empty list, a file that is named twice and a pattern that is none.
    pub fn resolve(&self, base: &Path) -> Result<Vec<PathBuf>> {
        let mut found: Vec<PathBuf> = Vec::new();
        for written in self.written() {
            let path = base.join(written);
            if path.exists() || !is_pattern(written) {
                fs::metadata(&path).map_err(|source| Error::io("find the data", &path, source))?;
                found.push(path);
                continue;
            }
            let fitting = expand(base, written)?;
            if fitting.is_empty() {
                return Err(Error::new(ErrorCode::NotFound, "no file fits this pattern")
                    .in_file(path)
                    .fix("`*` stands for any text inside of a name, `**` for folders at any depth"));
            }
            found.extend(fitting);
        }
        if found.is_empty() {
            return Err(Error::new(ErrorCode::Config, "the list of files is empty").fix("name at least one file"));
        }
        let mut seen = std::collections::HashSet::new();
        match found.iter().find(|path| !seen.insert(path.as_path())) {
            Some(twice) => {
                Err(Error::new(ErrorCode::Config, "this file is named twice").in_file(twice).fix("name it once"))
            }
            None => Ok(found),
        }
    }
}

/// Whether any part of a path has a letter that stands for others.
pub(crate) fn is_pattern(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().iter().any(|byte| matches!(byte, b'*' | b'?' | b'['))
}

fn expand(base: &Path, pattern: &Path) -> Result<Vec<PathBuf>> {
    let mut found = vec![base.to_path_buf()];
    let mut parts = pattern.components().peekable();
    while let Some(part) = parts.next() {
        let name = match part {
            Component::Normal(name) => name,
            other => {
                found.iter_mut().for_each(|path| path.push(other));
                continue;
            }
        };
        if !is_pattern(Path::new(name)) {
            found.iter_mut().for_each(|path| path.push(name));
            found.retain(|path| path.exists());
            continue;
        }
        let text = name
            .to_str()
            .ok_or_else(|| Error::new(ErrorCode::Config, "a pattern must be UTF-8").in_file(base.join(pattern)))?;
        let last = parts.peek().is_none();
        let mut next = Vec::new();
        if text == "**" {
            for folder in found {
                folders_below(&folder, &mut next)?;
            }
            if last {
                return Err(Error::new(ErrorCode::Config, "a pattern cannot end in `**`")
                    .in_file(base.join(pattern))
                    .fix("say which files, for example `**/*.csv`"));
            }
        } else {
            let pieces = pieces(text).map_err(|error| error.in_file(base.join(pattern)))?;
            for folder in found {
                for entry in names(&folder)? {
                    // As in a shell, `*` leaves hidden names out.
                    if (!entry.starts_with('.') || text.starts_with('.')) && fits(&pieces, &entry) {
                        next.push(folder.join(&entry));
                    }
                }
            }
        }
        if !last {
            next.retain(|path| path.is_dir());
        }
        if next.len() > MOST_FILES {
            let message = format!("more than {MOST_FILES} files fit this pattern");
            return Err(Error::new(ErrorCode::TooLarge, message).in_file(base.join(pattern)));
        }
        found = next;
    }
    found.retain(|path| path.is_file());
    found.sort();
    found.dedup();
    Ok(found)
}

/// The names in a folder; a file has none.
fn names(folder: &Path) -> Result<Vec<String>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let failed = |source| Error::io("look into the folder", folder, source);
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        // A name that is not UTF-8 fits no pattern.
        names.extend(entry.map_err(failed)?.file_name().into_string().ok());
    }
    Ok(names)
}

/// A folder and all folders below it. Links to folders are not followed, so the walk ends.
fn folders_below(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    found.push(folder.to_path_buf());
    for name in names(folder)? {
        let path = folder.join(&name);
        if !name.starts_with('.') && path.is_dir() && !path.is_symlink() {
            folders_below(&path, found)?;
        }
    }
    Ok(())
}

/// Whether a name fits a pattern of a name.
///
/// # Errors
/// [`ErrorCode::Config`] for a pattern that is none.
pub(crate) fn fits_pattern(pattern: &str, name: &str) -> Result<bool> {
    Ok(fits(&pieces(pattern)?, name))
}

/// A piece of a pattern.
#[derive(Debug, PartialEq)]
enum Piece {
    Letter(char),
    /// Any one letter.
    One,
    /// Any text.
    Any,
    /// One of these ranges, or none of them.
    Of(Vec<(char, char)>, bool),
}

fn pieces(text: &str) -> Result<Vec<Piece>> {
    let mut letters = text.chars().peekable();
    let mut pieces = Vec::new();
    while let Some(letter) = letters.next() {
        pieces.push(match letter {
            '*' if pieces.last() == Some(&Piece::Any) => continue,
            '*' => Piece::Any,
            '?' => Piece::One,
            '[' => {
                let without = letters.next_if(|letter| matches!(letter, '!' | '^')).is_some();
                let mut ranges = Vec::new();
                loop {
                    let Some(from) = letters.next() else {
                        return Err(Error::new(
                            ErrorCode::Config,
                            format!("a `[` of the pattern {text:?} is not closed"),
                        )
                        .fix("close it with `]`, or write `[[]` for the letter itself"));
                    };
                    if from == ']' && !ranges.is_empty() {
                        break;
                    }
                    let mut ahead = letters.clone();
                    match (ahead.next(), ahead.next()) {
                        (Some('-'), Some(to)) if to != ']' => {
                            ranges.push((from, to));
                            letters = ahead;
                        }
                        _ => ranges.push((from, from)),
                    }
                }
                Piece::Of(ranges, without)
            }
            letter => Piece::Letter(letter),
        });
    }
    Ok(pieces)
}

/// Whether a name fits: with one place to go back to, so that no pattern takes more than length times length steps.
fn fits(pattern: &[Piece], name: &str) -> bool {
    let letters: Vec<char> = name.chars().collect();
    let (mut at, mut letter) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    loop {
        let fit = match (pattern.get(at), letters.get(letter)) {
            (None, None) => return true,
            (Some(Piece::Any), _) => {
                back = Some((at + 1, letter));
                at += 1;
                continue;
            }
            (Some(Piece::Letter(wanted)), Some(found)) => wanted == found,
            (Some(Piece::One), Some(_)) => true,
            (Some(Piece::Of(ranges, without)), Some(found)) => {
                ranges.iter().any(|(from, to)| (from..=to).contains(&found)) != *without
            }
            _ => false,
        };
        if fit {
            (at, letter) = (at + 1, letter + 1);
        } else {
            match back {
                Some((piece, from)) if from < letters.len() => {
                    back = Some((piece, from + 1));
                    (at, letter) = (piece, from + 1);
                }
                _ => return false,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(pattern: &str, name: &str) -> bool {
        fits(&pieces(pattern).unwrap(), name)
    }

    #[test]
    fn patterns_mean_what_a_shell_means() {
        for (pattern, yes, no) in [
            ("*.csv", "a.csv", "a.csv.gz"),
            ("part-??.csv", "part-01.csv", "part-1.csv"),
            ("[a-c]*", "berlin", "delhi"),
            ("[!a-c]*", "delhi", "berlin"),
            ("*a*b*", "xxaxxbxx", "xxbxxaxx"),
            ("[[]x]", "[x]", "x"),
            ("*", "", "\0no"),
        ] {
            assert!(fit(pattern, yes), "{pattern} {yes}");
            assert!(pattern == "*" || !fit(pattern, no), "{pattern} {no}");
        }
        assert!(pieces("[ab").is_err());
        // Quadratic, not exponential.
        assert!(!fit(&"*a".repeat(50), &"a".repeat(49)));
    }

    #[test]
    fn files_are_found_in_order_below_the_base_only() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path();
        for file in ["2024-02/part-1.csv", "2024-01/part-2.csv", "2024-01/part-1.csv", "2023-01/part-1.csv", ".h/x.csv"]
        {
            fs::create_dir_all(base.join(file).parent().unwrap()).unwrap();
            fs::write(base.join(file), "a\n1\n").unwrap();
        }
        fs::write(base.join("odd[1].csv"), "a\n1\n").unwrap();
        let found = |paths: Paths| -> Vec<String> {
            let found = paths.resolve(base).unwrap();
            found.iter().map(|path| path.strip_prefix(base).unwrap().display().to_string()).collect()
        };
        let wanted = ["2024-01/part-1.csv", "2024-01/part-2.csv", "2024-02/part-1.csv"];
        assert_eq!(found("2024-*/part-*.csv".into()), wanted);
        assert_eq!(found("**/part-1.csv".into()), ["2023-01/part-1.csv", wanted[0], wanted[2]]);
        assert_eq!(found("odd[1].csv".into()), ["odd[1].csv"], "what is there is no pattern");
        assert_eq!(found(Paths::Many(vec!["2024-02/*.csv".into(), "2023-01/part-1.csv".into()])).len(), 2);
        for (wrong, code) in [
            (Paths::from("*.parquet"), ErrorCode::NotFound),
            (Paths::from("none.csv"), ErrorCode::NotFound),
            (Paths::Many(vec![]), ErrorCode::Config),
            (Paths::from("**"), ErrorCode::Config),
            (Paths::Many(vec!["2024-02/*.csv".into(), "2024-02/part-1.csv".into()]), ErrorCode::Config),
        ] {
            assert_eq!(wrong.resolve(base).unwrap_err().code(), code, "{wrong:?}");
        }
    }

    #[test]
    fn one_path_and_a_list_are_read_from_settings() {
        let read = |text: &str| serde_json::from_str::<Paths>(text).unwrap();
        assert_eq!(read("\"a.csv\"").written(), [PathBuf::from("a.csv")]);
        assert_eq!(read("[\"a.csv\", \"b.csv\"]").written().len(), 2);
    }
}
