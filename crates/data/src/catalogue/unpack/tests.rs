//! Archives that were made to do harm: each is refused, and nothing of it is written.

use super::super::sample::{TABLE, entry};
use super::*;
use std::io::Cursor;

/// Unpacks an archive in a folder of its own, beside which lies a file that nobody may touch.
fn unpacked(client: Client, archive: &[u8], limits: &Limits) -> Result<Vec<FetchedFile>> {
    let folder = tempfile::tempdir().unwrap();
    let [package, output] = ["package", "output"].map(|name| folder.path().join(name));
    fs::create_dir(&package).unwrap();
    fs::create_dir(&output).unwrap();
    fs::write(folder.path().join("canary"), "untouched").unwrap();
    let name = if client == Client::Npm { "small.tgz" } else { "small.whl" };
    fs::write(package.join(name), archive).unwrap();
    let result =
        unpack(&Download::from(&entry(client, TABLE.len() as u64, Digest::of(TABLE))), &package, &output, limits);
    assert_eq!(fs::read(folder.path().join("canary")).unwrap(), b"untouched");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3, "something lies outside of the output");
    let written = fs::read_dir(&output).unwrap().map(|file| file.unwrap().file_name());
    assert!(written.into_iter().all(|name| name == "table"), "something else was written");
    result
}

/// A header with this path as it is: the usual calls refuse what these tests need.
fn header(path: &str, kind: tar::EntryType, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    let name = &mut header.as_old_mut().name;
    name[..path.len()].copy_from_slice(path.as_bytes());
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_cksum();
    header
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

/// A tar of the good member and of another one.
fn tar_with(path: &str, kind: tar::EntryType, link: Option<&str>, body: &[u8]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    tar.append(&header("package/table.csv", tar::EntryType::Regular, TABLE.len() as u64), TABLE).unwrap();
    let mut other = header(path, kind, body.len() as u64);
    if let Some(link) = link {
        other.set_link_name_literal(link).unwrap();
        other.set_cksum();
    }
    tar.append(&other, body).unwrap();
    gzip(&tar.into_inner().unwrap())
}

fn zip_with(path: &str, mode: u32, body: &[u8]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    zip.start_file("package/table.csv", options).unwrap();
    zip.write_all(TABLE).unwrap();
    if mode == MODE_OF_LINK {
        zip.add_symlink(path, std::str::from_utf8(body).unwrap(), options).unwrap();
    } else {
        zip.start_file(path, options.unix_permissions(mode)).unwrap();
        zip.write_all(body).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn refused(client: Client, archive: &[u8], limits: &Limits, code: ErrorCode, says: &str) {
    let error = unpacked(client, archive, limits).unwrap_err();
    assert_eq!(error.code(), code, "{error}");
    assert!(error.to_string().contains(says), "{says}: {error}");
}

const ESCAPES: [&str; 8] =
    ["../canary", "package/../../canary", "/tmp/canary", "..", "..\\canary", "C:\\canary", "C:canary", "\\canary"];

#[test]
fn harmless_archives_are_unpacked() {
    use tar::EntryType::Directory;
    let limits = Limits::default();
    assert!(unpacked(Client::Npm, &tar_with("package/other", Directory, None, b""), &limits).is_ok());
    assert!(unpacked(Client::Pip, &zip_with("package/other", 0o644, b"x"), &limits).is_ok());
}

#[test]
fn members_that_would_lie_elsewhere_are_refused() {
    for path in ESCAPES {
        let tar = tar_with(path, tar::EntryType::Regular, None, b"evil");
        refused(Client::Npm, &tar, &Limits::default(), ErrorCode::Integrity, "outside of its folder");
        let zip = zip_with(path, 0o644, b"evil");
        refused(Client::Pip, &zip, &Limits::default(), ErrorCode::Integrity, "outside of its folder");
    }
}

#[test]
fn links_and_devices_are_refused() {
    use tar::EntryType::{Block, Char, Fifo, Link, Symlink};
    for kind in [Symlink, Link, Char, Block, Fifo] {
        let link = matches!(kind, Symlink | Link).then_some("../canary");
        let tar = tar_with("package/other", kind, link, b"");
        refused(Client::Npm, &tar, &Limits::default(), ErrorCode::Integrity, "neither a file nor a folder");
    }
    let zip = zip_with("package/other", MODE_OF_LINK, b"../canary");
    refused(Client::Pip, &zip, &Limits::default(), ErrorCode::Integrity, "neither a file nor a folder");
    // The wanted member as a link to another file.
    let mut tar = tar::Builder::new(Vec::new());
    let mut link = header("package/table.csv", Symlink, 0);
    link.set_link_name_literal("../../canary").unwrap();
    link.set_cksum();
    tar.append(&link, &b""[..]).unwrap();
    let tar = gzip(&tar.into_inner().unwrap());
    refused(Client::Npm, &tar, &Limits::default(), ErrorCode::Integrity, "neither a file nor a folder");
}

#[test]
fn archives_past_a_limit_are_refused_by_its_name() {
    use tar::EntryType::Regular;
    let bomb = vec![0; 8 << 20];
    for (client, archive) in [
        (Client::Npm, tar_with("package/bomb", Regular, None, &bomb)),
        (Client::Pip, zip_with("package/bomb", 0o644, &bomb)),
    ] {
        assert!(archive.len() < 64 << 10, "it is small when packed");
        refused(client, &archive, &Limits::default(), ErrorCode::TooLarge, "archive_ratio is 100");
        let few = Limits { archive_ratio: 1 << 20, archive_bytes: 4 << 20, ..Limits::default() };
        refused(client, &archive, &few, ErrorCode::TooLarge, "archive_bytes is 4194304");
        let one = Limits { archive_members: 1, ..Limits::default() };
        refused(client, &archive, &one, ErrorCode::TooLarge, "archive_members is 1");
        let high = Limits { archive_ratio: 1 << 20, ..Limits::default() };
        assert!(unpacked(client, &archive, &high).is_ok());
    }
}

#[test]
fn doubled_and_lying_members_are_refused() {
    let doubled = tar_with("package/table.csv", tar::EntryType::Regular, None, TABLE);
    refused(Client::Npm, &doubled, &Limits::default(), ErrorCode::Integrity, "twice");
    // A header that claims far more than there is.
    let mut bytes = header("package/table.csv", tar::EntryType::Regular, 4 << 30).as_bytes().to_vec();
    bytes.extend_from_slice(TABLE);
    refused(Client::Npm, &gzip(&bytes), &Limits::default(), ErrorCode::Integrity, "");
    // A zip whose member is larger than its table of contents says.
    let mut zip = zip_with("package/other", 0o644, b"x");
    let at = zip.windows(4).rposition(|window| window == b"PK\x01\x02").unwrap();
    let first = zip.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
    assert!(first < at);
    zip[first + 24..first + 28].copy_from_slice(&3_u32.to_le_bytes());
    refused(Client::Pip, &zip, &Limits::default(), ErrorCode::Integrity, "");
}
