//! The project lock between processes.

use super::*;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// Claims the project, says how that went, and lives until its stdin closes.
fn claim_as_child(home: &Path) {
    let store = Store::open(home).unwrap();
    match store.lock_project(home.parent().unwrap()) {
        Ok(lock) => {
            println!("held");
            std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
            drop(lock);
        }
        Err(error) => println!("refused {}", error.headline()),
    }
}

fn claimant(test: &str, home: &Path) -> Child {
    child_of(test, home).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
}

fn verdict(child: &mut Child) -> String {
    let lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    let found = lines
        .map(|line| line.unwrap())
        .find_map(|line| ["held", "refused"].iter().find_map(|word| line.find(word).map(|at| line[at..].to_owned())));
    found.unwrap()
}

#[test]
fn of_many_claimants_one_wins_and_the_others_name_it_at_once() {
    if let Some(home) = child_home() {
        return claim_as_child(&home);
    }
    let test = "tests::locks::of_many_claimants_one_wins_and_the_others_name_it_at_once";
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    let store = Store::open(&home).unwrap();
    for _ in 0..3 {
        let mut claimants: Vec<_> = (0..5).map(|_| claimant(test, &home)).collect();
        let verdicts: Vec<String> = claimants.iter_mut().map(verdict).collect();
        let winner = verdicts.iter().position(|verdict| verdict == "held").unwrap();
        let pid = claimants[winner].id();
        for (index, verdict) in verdicts.iter().enumerate() {
            assert!(index == winner || verdict.contains(&format!("process {pid} is running")), "{verdict}");
        }
        let begin = Instant::now();
        let error = store.lock_project(folder.path()).unwrap_err();
        assert!(begin.elapsed() < Duration::from_secs(1), "refused after {:?}", begin.elapsed());
        assert_eq!(error.code(), ErrorCode::Locked);
        assert!(error.message().contains(&pid.to_string()), "{error}");
        // kill -9: the dead holder does not block, although its pid is still written down.
        claimants[winner].kill().unwrap();
        for mut claimant in claimants {
            claimant.wait().unwrap();
        }
        let begin = Instant::now();
        drop(store.lock_project(folder.path()).unwrap());
        assert!(begin.elapsed() < Duration::from_secs(1));
    }
}

#[test]
fn a_project_is_the_same_by_any_spelling_and_other_projects_are_free() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    std::fs::create_dir(&one).unwrap();
    std::fs::create_dir(&two).unwrap();
    let held = store.lock_project(&one).unwrap();
    assert_eq!(code(store.lock_project(&two.join("../one"))), Some(ErrorCode::Locked));
    let other = store.lock_project(&two).unwrap();
    drop((held, other));
    store.lock_project(&one).unwrap();
    assert_eq!(code(store.lock_project(&folder.path().join("none"))), Some(ErrorCode::NotFound));
}
