//! Projects to run and to break: a copy of the digits data with a short training, and tables of any content.

use crate::workspace_root;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A project folder that is removed with the value.
pub struct Project {
    folder: TempDir,
}

/// Two epochs on one thread: a second or two, and the same weights every time.
const DIGITS: &str = r#"[project]
name = "digits"
task = "image-classification"
seed = 7

[collect]
path = "."

[train]
epochs = 2
threads = 1
checkpoint_steps = 5
checkpoint_seconds = 0

[optimize]
int8 = false
"#;

const TABLE: &str = r#"[project]
name = "table"
task = "tabular-classification"
seed = 7

[collect]
path = "table.csv"
target = "label"

[train]
epochs = 2
threads = 1
"#;

impl Project {
    /// An empty folder with this `lepton.toml`.
    pub fn with(settings: &str) -> Project {
        let project = Project { folder: tempfile::tempdir().expect("a scratch folder") };
        project.write("lepton.toml", settings.as_bytes());
        project
    }

    /// The 1,797 digits with two epochs of training on one thread.
    pub fn digits() -> Project {
        let project = Project::with(DIGITS);
        for name in
            ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "test-images-idx3-ubyte", "test-labels-idx1-ubyte"]
        {
            project
                .write(name, &std::fs::read(digits_folder().join(name)).expect("examples/digits is in the repository"));
        }
        project
    }

    /// A table of `rows` rows with a number, a category and a label that follows from them, missing values
    /// included.
    pub fn table(rows: usize) -> Project {
        let project = Project::with(TABLE);
        project.write("table.csv", table(rows).as_bytes());
        project
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The path of a file in the folder, as text for a command line.
    pub fn at(&self, name: &str) -> String {
        let path = if name.is_empty() { self.folder().to_path_buf() } else { self.folder().join(name) };
        path.into_os_string().into_string().expect("a UTF-8 path")
    }

    /// Writes a file, with the folders above it.
    pub fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.folder().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("folders can be made");
        std::fs::write(path, bytes).expect("a file can be written");
    }

    /// A file's bytes.
    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.folder().join(name)).expect("the file is there")
    }

    /// Replaces text in `lepton.toml`.
    ///
    /// # Panics
    /// When `from` does not stand there.
    pub fn edit(&self, from: &str, to: &str) {
        let text = String::from_utf8(self.read("lepton.toml")).expect("UTF-8");
        assert!(text.contains(from), "lepton.toml has no {from:?}");
        self.write("lepton.toml", text.replace(from, to).as_bytes());
    }
}

/// The CSV text of [`Project::table`].
fn table(rows: usize) -> String {
    let mut text = String::from("size,colour,label\n");
    for row in 0..rows {
        let size = if row % 11 == 3 { String::new() } else { format!("{}", (row * 37 % 100) as f64 / 10.0) };
        let colour = ["red", "green", "blue", ""][row % 4];
        let label = if row * 37 % 100 > 50 { "large" } else { "small" };
        text += &format!("{size},{colour},{label}\n");
    }
    text
}

fn digits_folder() -> PathBuf {
    workspace_root().join("examples/digits")
}

/// Picture `index` of the digits' test part as PNG, and its label.
pub fn digit_png(index: usize) -> (Vec<u8>, u8) {
    let images = std::fs::read(digits_folder().join("test-images-idx3-ubyte")).expect("examples/digits");
    let labels = std::fs::read(digits_folder().join("test-labels-idx1-ubyte")).expect("examples/digits");
    let side = |at: usize| u32::from_be_bytes([images[at], images[at + 1], images[at + 2], images[at + 3]]);
    let (height, width) = (side(8), side(12));
    let length = (height * width) as usize;
    let pixels = images[16 + index * length..16 + (index + 1) * length].to_vec();
    let picture = image::GrayImage::from_raw(width, height, pixels).expect("as many pixels as the sides say");
    let mut png = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut png, image::ImageFormat::Png).expect("a PNG");
    (png.into_inner(), labels[8 + index])
}
