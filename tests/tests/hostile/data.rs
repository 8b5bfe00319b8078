//! Wrong data: truncated, ragged, not what its name says, not finite, never seen.

use lepton_tests::{Lepton, Project, bomb, digit_png};
use std::os::unix::fs::PermissionsExt as _;

/// Runs a project that must fail, and checks that no model and no dataset of it stays.
fn refuse(project: &Project, code: i32, words: &[&str]) {
    let lepton = Lepton::new();
    lepton.refused(&["run", &project.at("")], code, words);
    assert_eq!(lepton.json(&["model", "list"])["models"], serde_json::json!([]));
    let status = lepton.json(&["runs", "show", "latest"]);
    assert_eq!(status["status"], "failed", "{status}");
    // A second look at the folder finds nothing to sweep: what was scratch is gone.
    let scratch = lepton.home().join("scratch");
    let left = std::fs::read_dir(&scratch).map(|entries| entries.count()).unwrap_or(0);
    assert_eq!(left, 0, "scratch folders stayed in {}", scratch.display());
}

#[test]
fn idx_files_are_held_to_their_headers() {
    let project = Project::digits();
    let whole = project.read("train-images-idx3-ubyte");
    project.write("train-images-idx3-ubyte", &whole[..whole.len() - 100]);
    refuse(&project, 2, &["train-images-idx3-ubyte"]);
    let mut claims = whole.clone();
    claims[4..8].copy_from_slice(&u32::MAX.to_be_bytes());
    project.write("train-images-idx3-ubyte", &claims);
    refuse(&project, 2, &["train-images-idx3-ubyte"]);
    project.write("train-images-idx3-ubyte", &[whole.as_slice(), &[0]].concat());
    refuse(&project, 2, &["train-images-idx3-ubyte"]);
    project.write("train-images-idx3-ubyte", b"\x1f\x8bnot idx");
    refuse(&project, 2, &["train-images-idx3-ubyte"]);
    project.write("train-images-idx3-ubyte", &whole);
    let labels = project.read("train-labels-idx1-ubyte");
    let mut fewer = labels.clone();
    fewer[4..8].copy_from_slice(&1000u32.to_be_bytes());
    fewer.truncate(1008);
    project.write("train-labels-idx1-ubyte", &fewer);
    refuse(&project, 2, &["1000"]);
}

#[test]
fn pictures_must_be_pictures() {
    let project = Project::with(
        "[project]\nname = \"shapes\"\ntask = \"image-classification\"\n[collect]\npath = \"pictures\"\n[train]\nepochs = 1\n",
    );
    for index in 0..60 {
        let (png, label) = digit_png(index);
        project.write(&format!("pictures/{}/{index}.png", if label < 5 { "low" } else { "high" }), &png);
    }
    Lepton::new().done(&["run", &project.at(""), "--until", "prepare"]);
    project.write("pictures/low/broken.png", b"GIF89a, in truth");
    refuse(&project, 2, &["broken.png"]);
    let (png, _) = digit_png(0);
    project.write("pictures/low/broken.png", &png[..png.len() / 2]);
    refuse(&project, 2, &["broken.png"]);
    project.write("pictures/low/broken.png", &bomb(60_000));
    refuse(&project, 2, &["broken.png", "image_pixels"]);
}

#[test]
fn tables_name_the_row_and_the_column() {
    let project = Project::table(100);
    let text = String::from_utf8(project.read("table.csv")).expect("UTF-8");
    let with = |text: &str, words: &[&str]| {
        project.write("table.csv", text.as_bytes());
        refuse(&project, 2, &[&["table.csv"], words].concat());
    };
    with(&text.replacen("0,red,small", "0,red,small,extra", 1), &["row 2"]);
    with(&(text.clone() + "1,red\n"), &["row 102"]);
    with(&text.replacen("3.7", "NaN", 1), &["row 3", "size"]);
    with(&text.replacen("3.7", "inf", 1), &["row 3", "size"]);
    with("", &[]);
    with("size,colour,label\n", &[]);
    with(&text.replacen("size,colour", "size,size", 1), &["size"]);
    with(&("x".repeat(2 << 20) + ",colour,label\n1,red,small\n"), &["cell_bytes"]);
    project.write("table.csv", &[b"size,colour,label\n1,\xff\xfe,small\n".as_slice(), text.as_bytes()].concat());
    refuse(&project, 2, &["table.csv"]);
    project.write("table.csv", text.as_bytes());
    project.edit("target = \"label\"", "target = \"lable\"");
    refuse(&project, 2, &["lable", "label"]);
    project.edit("path = \"table.csv\"", "path = \"tabel.csv\"");
    refuse(&project, 2, &["tabel.csv"]);
}

#[test]
fn a_label_that_training_never_saw_is_refused_with_its_row() {
    let (lepton, project) = (Lepton::new(), Project::table(300));
    project.write("test.csv", b"size,colour,label\n1,red,small\n9,red,enormous\n");
    project.edit("path = \"table.csv\"", "path = \"table.csv\"\ntest = \"test.csv\"");
    lepton.refused(&["run", &project.at("")], 2, &["enormous", "row"]);
    project.edit("\ntest = \"test.csv\"", "");
    lepton.done(&["run", &project.at("")]);
    lepton.refused(&["evaluate", "table", &project.at("test.csv")], 2, &["enormous"]);
}

#[test]
fn a_loss_that_is_not_finite_stops_the_training() {
    let lepton = Lepton::new();
    let project = Project::digits();
    lepton.refused(
        &["run", &project.at(""), "--set", "train.learning_rate=1e30"],
        3,
        &["diverged", "last good checkpoint"],
    );
    assert_eq!(lepton.json(&["model", "list"])["models"], serde_json::json!([]));
    lepton.done(&["run", &project.at("")]);
}

#[test]
fn a_data_folder_that_cannot_be_written_is_named() {
    let project = Project::digits();
    project.write("plain-file", b"");
    Lepton::at(&project.folder().join("plain-file")).refused(&["runs", "list"], 3, &["plain-file"]);
    // Root may write anywhere, so the permission only binds others.
    if rustix_is_root() {
        return;
    }
    let folder = project.folder().join("sealed");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o500)).expect("permissions");
    Lepton::at(&folder.join("home")).refused(&["runs", "list"], 3, &["sealed"]);
}

fn rustix_is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn a_full_disk_is_said_and_forgotten_once_there_is_room() {
    let (lepton, project) = (Lepton::new(), Project::digits());
    // A limit on the size of files stands in for a disk without room: writes fail with an error, not a signal.
    let script = "trap '' XFSZ; ulimit -f 64; exec \"$@\"";
    let command = lepton.command(&["run", &project.at("")]);
    let mut limited = std::process::Command::new("bash");
    limited.args(["-c", script, "bash"]).arg(command.get_program()).args(command.get_args());
    let output = limited.env("LEPTON_HOME", lepton.home()).env("NO_COLOR", "1").output().expect("bash starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    lepton.done(&["run", &project.at("")]);
}
