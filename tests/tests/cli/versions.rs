//! `lepton data diff|lineage|ingest|token`, standard input, and what versions cost on the disk.

use lepton_tests::{Lepton, Project};
use std::path::Path;

fn stored(lepton: &Lepton) -> u64 {
    fn bytes(folder: &Path) -> u64 {
        let entries = std::fs::read_dir(folder).expect("a folder").flatten();
        entries
            .map(
                |entry| {
                    if entry.path().is_dir() { bytes(&entry.path()) } else { entry.metadata().expect("a file").len() }
                },
            )
            .sum()
    }
    bytes(&lepton.home().join("blobs"))
}

fn shown(lepton: &Lepton, project: &Project) -> String {
    lepton.json(&["run", &project.at(""), "--until", "collect"])["dataset"].as_str().expect("a hash").to_owned()
}

#[test]
fn a_picture_more_stores_its_own_bytes_and_little_else() {
    let (lepton, project) = (
        Lepton::new(),
        Project::with("[project]\nname = \"noise\"\ntask = \"image-classification\"\n[collect]\npath = \"pictures\"\n"),
    );
    let picture = |index: u32| {
        let pixel = |x: u32, y: u32| {
            let mixed = x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503) ^ index.wrapping_mul(2_246_822_519);
            image::Luma([(mixed.wrapping_mul(3_266_489_917) >> 24) as u8])
        };
        let mut png = std::io::Cursor::new(Vec::new());
        let noise = image::GrayImage::from_fn(64, 64, pixel);
        noise.write_to(&mut png, image::ImageFormat::Png).expect("a picture");
        project.write(
            &format!("pictures/{}/{index:04}.png", if index.is_multiple_of(2) { "even" } else { "odd" }),
            &png.into_inner(),
        );
    };
    (0..600).filter(|index| *index != 300).for_each(picture);
    let first = shown(&lepton, &project);
    let before = stored(&lepton);
    picture(300);
    let second = shown(&lepton, &project);
    let added = stored(&lepton) - before;
    // 4,096 bytes of pixels, the chunk around it (64 KiB on average, 256 KiB at most) and the index of chunks.
    assert!(before > 2_400_000 && added < 300_000, "{added} bytes were added to {before}");
    let name = lepton.json(&["data", "list"])["datasets"][0]["name"].as_str().expect("a name").to_owned();
    let version = |hash: &str| format!("{name}@{}", &hash[..12]);
    let report = lepton.json(&["data", "diff", &version(&first), &version(&second)]);
    assert_eq!((&report["rows"]["added"], &report["rows"]["removed"]), (&1.into(), &0.into()), "{report}");
    assert_eq!(report["labels"]["even"], serde_json::json!({"before": 299, "after": 300}));
}

#[test]
fn diff_and_lineage_tell_what_changed_and_why() {
    let (lepton, project) = (Lepton::new(), Project::table(200));
    let first = shown(&lepton, &project);
    let text = String::from_utf8(project.read("table.csv")).expect("UTF-8");
    let changed = text.replacen("red", "blue", 1);
    project.write("other.csv", changed.as_bytes());
    let report = lepton.json(&["data", "diff", &project.at("table.csv"), &project.at("other.csv")]);
    assert_eq!((&report["rows"]["added"], &report["rows"]["removed"]), (&1.into(), &1.into()), "{report}");
    assert_eq!(report["same"], false);
    let same = lepton.json(&["data", "diff", &project.at("table.csv"), &project.at("table.csv")]);
    assert_eq!(same["same"], true);
    let name = lepton.json(&["data", "list"])["datasets"][0]["name"].as_str().expect("a name").to_owned();
    let lineage = lepton.json(&["data", "lineage", &name]);
    assert_eq!(lineage["version"], first.as_str());
    assert_eq!(lineage["source"].as_array().map(Vec::len), Some(1));
    assert_eq!(lineage["runs"].as_array().map(Vec::len), Some(1));
    assert!(lepton.done(&["data", "lineage", &name]).out.contains("table.csv"));
    lepton.refused(&["data", "diff", &name, "nowhere"], 2, &["nowhere"]);
}

#[test]
fn standard_input_is_looked_at_like_a_file() {
    let lepton = Lepton::new();
    let answer = lepton.run_with_input(&["data", "profile", "-", "--json"], b"a,b\n1,x\n2,\n");
    assert_eq!((answer.code, &answer.json()["rows"]), (Some(0), &2.into()), "{answer:?}");
    let answer = lepton.run_with_input(&["data", "doctor", "-"], b"{\"a\": 1}\n{\"a\": \"x\"}\n");
    assert_eq!(answer.code, Some(0), "{answer:?}");
    let answer = lepton.run_with_input(&["data", "profile", "-"], b"a,a\n1,2\n");
    assert!(answer.code == Some(2) && answer.err.contains("standard input"), "{answer:?}");
}

#[test]
fn rows_arrive_in_whole_batches_and_become_versions() {
    let lepton = Lepton::new();
    let send = |rows: &str, flags: &[&str]| {
        lepton.run_with_input(&[&["data", "ingest", "clicks", "-"], flags].concat(), rows.as_bytes())
    };
    let rows: String = (0..50).map(|row| format!("{{\"id\": {row}, \"page\": \"p{}\"}}\n", row % 3)).collect();
    assert_eq!(send(&rows, &["--batch-rows", "20"]).code, Some(0));
    // Lines 41 to 60 are the third batch: it is refused as a whole, the two before it are kept.
    let wrong = rows.lines().chain(std::iter::once("{\"id\": \"x\"}")).collect::<Vec<_>>().join("\n");
    let answer = send(&wrong, &["--batch-rows", "20"]);
    assert_eq!(answer.code, Some(2), "{answer:?}");
    for says in ["row 51", "column \"id\"", "40 rows before it are kept"] {
        assert!(answer.err.contains(says), "{says}: {}", answer.err);
    }
    let answer = send("{\"id\": 1, \"new\": 2}\n", &[]);
    assert!(answer.code == Some(2) && answer.err.contains("--new-columns"), "{answer:?}");
    assert_eq!(send("{\"id\": 1, \"new\": 2}\n", &["--new-columns"]).code, Some(0));
    let version = lepton.json(&["data", "ingest", "clicks", "--commit"])["versions"][0].clone();
    assert_eq!(version["rows"], 91);
    let again = lepton.json(&["data", "ingest", "clicks", "--commit"])["versions"][0].clone();
    assert_eq!(again["version"], version["version"], "nothing arrived, nothing new");
    assert_eq!(send("{\"id\": 7}\n", &["--commit"]).code, Some(0));
    let names = lepton.json(&["data", "list"])["datasets"].as_array().map(Vec::len);
    assert_eq!(names, Some(2));
    // A project may train on a version.
    let project = Project::with(
        "[project]\nname = \"clicks\"\ntask = \"tabular-classification\"\n[collect]\ndataset = \"clicks\"\ntarget = \"page\"\n",
    );
    let run = lepton.run(&["run", &project.at(""), "--until", "collect", "--json"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    lepton.refused(&["data", "ingest", "a/b", "-"], 2, &["a/b"]);
    lepton.refused(&["data", "ingest", "clicks"], 2, &["--commit"]);
}
