//! Rows of a registered dataset: their profile and findings. The doctor reads files, so the rows are written to a scratch
//! file, all parts after each other; what is found bears the name and the hash of the dataset.

use super::ReadSettings;
use super::table::examine_table;
use crate::csv_line::csv_line;
use lepton_core::{Cancel, Digest, Error, Progress, Result};
use lepton_data::scan::{TableFormat, typed_chunks};
use lepton_data::{Dataset, SourceFile};
use lepton_doctor::Finding;
use lepton_doctor::checks::CheckOptions;
use lepton_doctor::profile::Profile;
use lepton_store::Store;
use std::io::{BufWriter, Write};
use std::path::Path;

/// A dataset that is looked at.
pub(super) struct Rows<'a> {
    pub(super) name: &'a str,
    pub(super) digest: Digest,
    pub(super) dataset: &'a Dataset,
}

/// Profiles the rows, and looks for what is wrong with them. The target is that of the dataset, unless one is given.
pub(super) fn examine_rows(
    store: &Store,
    rows: &Rows<'_>,
    settings: &ReadSettings,
    options: &CheckOptions,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<(Profile, Vec<Finding>)> {
    let scratch = store.scratch()?;
    let file = scratch.path().join("rows.csv");
    write(rows.dataset, &file, cancel)?;
    let settings = ReadSettings { format: Some(TableFormat::Csv), delimiter: Some(','), ..settings.clone() };
    let own = Some(rows.dataset.target.clone()).filter(|target| !target.is_empty());
    let options = CheckOptions { target: options.target.clone().or(own) };
    let (mut profile, findings) = examine_table(store, &file, &settings, &options, progress, cancel)
        .map_err(|error| if error.place().file.as_deref() == Some(&file) { error.in_file(rows.name) } else { error })?;
    profile.source = SourceFile { path: rows.name.into(), bytes: profile.source.bytes, sha256: rows.digest };
    Ok((profile, findings))
}

fn write(dataset: &Dataset, file: &Path, cancel: &Cancel) -> Result<()> {
    let failed = |source| Error::io("write the rows", file, source);
    let mut output = BufWriter::with_capacity(1 << 20, std::fs::File::create_new(file).map_err(failed)?);
    let names = dataset.schema.columns.iter().map(|column| column.name.as_str());
    csv_line(names, &mut output).map_err(failed)?;
    for part in dataset.parts.values() {
        typed_chunks(part, &dataset.schema, |chunk| {
            cancel.check()?;
            for row in 0..chunk.rows() {
                let cells: Vec<_> = (0..chunk.names().len()).map(|column| chunk.column(column).cell(row)).collect();
                csv_line(cells.iter().map(|cell| cell.text.as_ref()), &mut output).map_err(failed)?;
            }
            Ok(())
        })?;
    }
    output.flush().map_err(failed)
}
