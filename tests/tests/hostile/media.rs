//! Wrong pictures and sounds: what is broken is a finding with its file and reason, what cannot be looked at is an
//! error, memory is bounded by limits and not by what a header claims, and nothing half-written stays.

use lepton_tests::{Lepton, Project, bomb, digit_png, wav};

fn folder(name: &str) -> Project {
    let project = Project::with("");
    for index in 0..20 {
        project.write(&format!("{name}/{index:02}.png"), &digit_png(index).0);
    }
    project
}

/// The detail that the findings say of a file.
fn said(report: &serde_json::Value, file: &str) -> String {
    let findings = report["findings"].as_array().expect("findings").iter();
    let files = findings.flat_map(|finding| finding["evidence"]["files"].as_array().into_iter().flatten());
    let detail = files.filter(|said| said["file"] == file).find_map(|said| said["detail"].as_str());
    detail.unwrap_or_else(|| panic!("nothing is said of {file}: {report}")).to_owned()
}

#[test]
fn broken_pictures_are_findings_with_their_reasons() {
    let (lepton, project) = (Lepton::new(), folder("set"));
    let (png, _) = digit_png(0);
    project.write("set/truncated.png", &png[..png.len() / 2]);
    project.write("set/text.png", b"GIF89a, in truth");
    project.write("set/bomb.png", &bomb(65_000));
    std::os::unix::fs::symlink("/nowhere/at/all.png", project.folder().join("set/dangling.png")).expect("a link");
    std::os::unix::fs::symlink(project.folder(), project.folder().join("set/loop")).expect("a link");
    let status = std::process::Command::new("mkfifo").arg(project.folder().join("set/pipe.png")).status();
    assert!(status.expect("mkfifo starts").success());
    // 4 GB of address space are no room for a picture of 65,000 by 65,000.
    let command = lepton.command(&["data", "doctor", &project.at("set"), "--threads", "1", "--json"]);
    let mut limited = std::process::Command::new("bash");
    limited.args(["-c", "ulimit -v 4000000; exec \"$@\"", "bash"]).arg(command.get_program()).args(command.get_args());
    let output = limited.env("LEPTON_HOME", lepton.home()).env("NO_COLOR", "1").output().expect("bash starts");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(said(&report, "truncated.png").contains("decode"), "{report}");
    assert!(said(&report, "text.png").contains("GIF"), "{report}");
    assert!(said(&report, "bomb.png").contains("image_pixels"), "{report}");
    assert!(said(&report, "dangling.png").contains("No such file"), "{report}");
    for file in ["loop", "pipe.png"] {
        assert!(said(&report, file).contains("not followed"), "{report}");
    }
    // What would be lost is not repaired: the error names it.
    let plan = project.at("plan.toml");
    lepton.done(&["data", "doctor", &project.at("set"), "--plan", &plan]);
    let answer = lepton.run(&["data", "repair", &project.at("set"), "--plan", &plan, "--to", &project.at("new")]);
    assert_eq!(answer.code, Some(2), "{answer:?}");
    assert!(answer.err.contains("set/"), "{answer:?}");
    assert!(!project.folder().join("new").exists());
    no_scraps(&project);
}

/// No temporary folder stays beside the new one.
fn no_scraps(project: &Project) {
    let hidden = std::fs::read_dir(project.folder()).expect("a folder").flatten();
    let hidden: Vec<_> =
        hidden.map(|entry| entry.file_name()).filter(|name| name.as_encoded_bytes().starts_with(b".")).collect();
    assert!(hidden.is_empty(), "{hidden:?}");
}

#[test]
fn folders_with_nothing_to_look_at_are_errors() {
    let (lepton, project) = (Lepton::new(), Project::with(""));
    std::fs::create_dir(project.folder().join("empty")).expect("a folder");
    lepton.refused(&["data", "doctor", &project.at("empty")], 2, &["neither pictures nor sounds", "empty"]);
    project.write("tables/a.csv", b"a,b\n1,2\n");
    lepton.refused(&["data", "profile", &project.at("tables")], 2, &["neither pictures nor sounds", "a.csv"]);
    project.write("half/train-images-idx3-ubyte", b"\0\0\x08\x03");
    lepton.refused(&["data", "profile", &project.at("half")], 2, &["train-labels-idx1-ubyte"]);
    project.write("half/train-labels-idx1-ubyte", b"\0\0\x08\x01");
    lepton.refused(&["data", "profile", &project.at("half")], 2, &["train-images-idx3-ubyte", "truncated"]);
    lepton.refused(&["data", "profile", &project.at("no/such/place")], 2, &["no/such/place"]);
    // A set of nothing but broken files is profiled, and its doctor says so.
    project.write("bad/a.png", b"");
    let report = lepton.json(&["data", "doctor", &project.at("bad")]);
    assert_eq!(report["findings"][0]["kind"], "broken_files");
    let plan = project.at("plan.toml");
    lepton.done(&["data", "doctor", &project.at("bad"), "--plan", &plan]);
    lepton.refused(
        &["data", "repair", &project.at("bad"), "--plan", &plan, "--to", &project.at("new")],
        2,
        &["leave nothing"],
    );
    no_scraps(&project);
}

#[test]
fn a_sound_that_claims_four_gigabytes_is_a_finding() {
    let (lepton, project) = (Lepton::new(), Project::with(""));
    for index in 0..6_u32 {
        project.write(&format!("words/{index}.wav"), &wav(300 + 50 * index, 8_000, 4_000));
    }
    let mut claims = wav(500, 8_000, 4_000);
    claims[4..8].copy_from_slice(&0xffff_fff0_u32.to_le_bytes());
    claims[40..44].copy_from_slice(&0xffff_ffcc_u32.to_le_bytes());
    project.write("words/claims.wav", &claims);
    project.write("words/noise.mp3", &[0xff; 5_000]);
    let command = lepton.command(&["data", "doctor", &project.at("words"), "--threads", "1", "--json"]);
    let mut limited = std::process::Command::new("bash");
    limited.args(["-c", "ulimit -v 4000000; exec \"$@\"", "bash"]).arg(command.get_program()).args(command.get_args());
    let output = limited.env("LEPTON_HOME", lepton.home()).env("NO_COLOR", "1").output().expect("bash starts");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(said(&report, "claims.wav").contains("claims 4,294,967,280 bytes"), "{report}");
    assert!(!said(&report, "noise.mp3").is_empty());
}

#[test]
fn a_repair_that_is_refused_leaves_nothing() {
    let (lepton, project) = (Lepton::new(), folder("set"));
    let plan = project.at("plan.toml");
    lepton.done(&["data", "doctor", &project.at("set"), "--plan", &plan]);
    let set = project.at("set");
    lepton.refused(&["data", "repair", &set, "--plan", &plan, "--to", &project.at("set/inner")], 2, &["inside"]);
    lepton.refused(&["data", "repair", &set, "--plan", &plan, "--to", &set], 2, &["set"]);
    // A plan for other bytes.
    project.write("set/more.png", &digit_png(30).0);
    lepton.refused(
        &["data", "repair", &set, "--plan", &plan, "--to", &project.at("new")],
        1,
        &["the plan was made for"],
    );
    lepton.refused(
        &["data", "repair", &set, "--plan", &project.at("none.toml"), "--to", &project.at("new")],
        2,
        &["none.toml"],
    );
    // A step about a file that is not there.
    lepton.done(&["data", "doctor", &set, "--plan", &plan]);
    let text = String::from_utf8(project.read("plan.toml")).expect("UTF-8");
    let step =
        "\n[[repair]]\nid = \"mine\"\nreason = \"r\"\nenabled = true\naction = \"drop_files\"\nfiles = [\"00.pgn\"]\n";
    // A folder without findings has a plan without steps.
    project.write("plan.toml", (text.replace("repair = []\n", "") + step).as_bytes());
    lepton.refused(
        &["data", "repair", &set, "--plan", &plan, "--to", &project.at("new")],
        2,
        &["repair.mine", "00.png"],
    );
    assert!(!project.folder().join("new").exists() && !project.folder().join("set/inner").exists());
    no_scraps(&project);
}
