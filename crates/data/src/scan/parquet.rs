//! Parquet through Arrow, one run of rows of a row group after the other, in batches. A row group may be a whole file,
//! so what a thread works on at once is bounded by rows; pages before its run are passed over by their headers.

use super::batch::{BATCH, chunk};
use super::chunk::Chunk;
use super::{Misread, Names, ScanOptions, check_columns};
use ::parquet::arrow::ProjectionMask;
use ::parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use lepton_core::{Error, ErrorCode, Limits, Result};
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Rows that a thread reads at once.
const MOST_ROWS: usize = 1 << 18;

/// The row groups of a file, and how far they were handed out.
pub(super) struct Groups {
    path: PathBuf,
    metadata: ArrowReaderMetadata,
    mask: ProjectionMask,
    pub(super) names: Names,
    group: usize,
    /// Rows of this group that were handed out.
    row: usize,
    limits: Limits,
}

impl Groups {
    pub(super) fn open(path: &Path, options: &ScanOptions) -> Result<Groups> {
        let file = File::open(path).map_err(|source| Error::io("read the file", path, source))?;
        let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new())
            .map_err(|source| wrong(&source).in_file(path))?;
        let fields = metadata.schema().fields();
        check_columns(fields.len(), &options.limits).map_err(|error| error.in_file(path))?;
        // Columns of types that cannot be used may be ignored, so they are not even decoded.
        let used: Vec<usize> =
            (0..fields.len()).filter(|place| !options.ignore.contains(fields[*place].name())).collect();
        let mask = ProjectionMask::roots(metadata.parquet_schema(), used.iter().copied());
        let names = used.iter().map(|place| fields[*place].name().clone()).collect::<Vec<_>>().into();
        Ok(Groups { path: path.to_path_buf(), mask, names, group: 0, row: 0, limits: options.limits.clone(), metadata })
    }

    /// The names of all columns of the file.
    pub(super) fn all_names(&self) -> Vec<String> {
        self.metadata.schema().fields().iter().map(|field| field.name().clone()).collect()
    }

    /// Rows before the next run, and rows in all.
    pub(super) fn progress(&self) -> (u64, u64) {
        let groups = self.metadata.metadata().row_groups();
        let rows = |until: usize| groups[..until].iter().map(|group| group.num_rows().unsigned_abs()).sum();
        (rows(self.group) + self.row as u64, rows(groups.len()))
    }

    /// The next rows, to be read by whoever asked.
    pub(super) fn next(&mut self) -> Option<Group> {
        let length =
            |group: &::parquet::file::metadata::RowGroupMetaData| usize::try_from(group.num_rows()).unwrap_or_default();
        let (group, rows) = loop {
            let length = length(self.metadata.metadata().row_groups().get(self.group)?);
            if self.row < length {
                // Runs of one length, so that no tiny one is left over.
                let runs = length.div_ceil(MOST_ROWS);
                let end = (self.row + length.div_ceil(runs)).min(length);
                break (self.group, std::mem::replace(&mut self.row, end)..end);
            }
            (self.group, self.row) = (self.group + 1, 0);
        };
        let (path, metadata, mask) = (self.path.clone(), self.metadata.clone(), self.mask.clone());
        Some(Group { path, metadata, mask, names: self.names.clone(), group, rows, limits: self.limits.clone() })
    }
}

/// Rows of one row group.
pub(super) struct Group {
    path: PathBuf,
    metadata: ArrowReaderMetadata,
    mask: ProjectionMask,
    names: Names,
    group: usize,
    rows: Range<usize>,
    limits: Limits,
}

impl Group {
    /// Calls `take` with every batch of these rows.
    pub(super) fn read(self, mut take: impl FnMut(Chunk) -> Result<(), Misread>) -> Result<(), Misread> {
        let file = File::open(&self.path).map_err(|source| Error::io("read the file", &self.path, source))?;
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata)
            .with_projection(self.mask)
            .with_row_groups(vec![self.group])
            .with_offset(self.rows.start)
            .with_limit(self.rows.len())
            .with_batch_size(BATCH)
            .build()
            .map_err(|source| wrong(&source))?;
        for batch in reader {
            take(chunk(&batch.map_err(|source| wrong(&source))?, &self.names, &self.limits)?)?;
        }
        Ok(())
    }
}

pub(super) fn wrong(source: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorCode::BadData, format!("the file cannot be read as Parquet: {source}"))
}
