//! A small entry that the tests of fetching and of unpacking share.

use super::{Client, Entry, File};
use crate::settings::Format;
use lepton_core::Digest;

pub(super) const TABLE: &[u8] = b"a,b\n1,2\n";

/// An entry whose one member is [`TABLE`], unless `sha256` says otherwise.
pub(super) fn entry(client: Client, bytes: u64, sha256: Digest) -> Entry {
    let file =
        File { role: "table", path_in_package: "package/table.csv", bytes, sha256: sha256.hex().leak(), md5: None };
    Entry {
        name: "small",
        about: "",
        licence: "none",
        client,
        package: "small",
        version: "1",
        download_bytes: 1,
        files: vec![file].leak(),
        format: Format::Csv,
        target: Some("b"),
    }
}
