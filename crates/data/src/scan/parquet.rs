//! Parquet through Arrow, one row group after the other, in batches.

use super::batch::{BATCH, chunk};
use super::chunk::Chunk;
use super::{Misread, Names, ScanOptions, check_columns};
use ::parquet::arrow::ProjectionMask;
use ::parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use lepton_core::{Error, ErrorCode, Limits, Result};
use std::fs::File;
use std::path::{Path, PathBuf};

/// The row groups of a file.
pub(super) struct Groups {
    path: PathBuf,
    metadata: ArrowReaderMetadata,
    mask: ProjectionMask,
    pub(super) names: Names,
    next: usize,
    limits: Limits,
}

impl Groups {
    pub(super) fn open(path: &Path, options: &ScanOptions) -> Result<Groups> {
        let file = File::open(path).map_err(|source| Error::io("read the file", path, source))?;
        let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()).map_err(|source| {
            Error::new(ErrorCode::BadData, format!("the file cannot be read as Parquet: {source}")).in_file(path)
        })?;
        let fields = metadata.schema().fields();
        check_columns(fields.len(), &options.limits).map_err(|error| error.in_file(path))?;
        // Columns of types that cannot be used may be ignored, so they are not even decoded.
        let used: Vec<usize> =
            (0..fields.len()).filter(|place| !options.ignore.contains(fields[*place].name())).collect();
        let mask = ProjectionMask::roots(metadata.parquet_schema(), used.iter().copied());
        let names = used.iter().map(|place| fields[*place].name().clone()).collect::<Vec<_>>().into();
        Ok(Groups { path: path.to_path_buf(), mask, names, next: 0, limits: options.limits.clone(), metadata })
    }

    /// The names of all columns of the file.
    pub(super) fn all_names(&self) -> Vec<String> {
        self.metadata.schema().fields().iter().map(|field| field.name().clone()).collect()
    }

    /// Rows before the next group, and rows in all.
    pub(super) fn progress(&self) -> (u64, u64) {
        let groups = self.metadata.metadata().row_groups();
        let rows = |until: usize| groups[..until].iter().map(|group| group.num_rows().unsigned_abs()).sum();
        (rows(self.next), rows(groups.len()))
    }

    /// The next row group, to be read by whoever asked.
    pub(super) fn next(&mut self) -> Option<Group> {
        if self.next == self.metadata.metadata().num_row_groups() {
            return None;
        }
        self.next += 1;
        let (path, metadata, mask) = (self.path.clone(), self.metadata.clone(), self.mask.clone());
        Some(Group {
            path,
            metadata,
            mask,
            names: self.names.clone(),
            group: self.next - 1,
            limits: self.limits.clone(),
        })
    }
}

/// One row group.
pub(super) struct Group {
    path: PathBuf,
    metadata: ArrowReaderMetadata,
    mask: ProjectionMask,
    names: Names,
    group: usize,
    limits: Limits,
}

impl Group {
    /// Calls `take` with every batch of the group.
    pub(super) fn read(self, mut take: impl FnMut(Chunk) -> Result<(), Misread>) -> Result<(), Misread> {
        let file = File::open(&self.path).map_err(|source| Error::io("read the file", &self.path, source))?;
        let wrong = |source: &dyn std::fmt::Display| {
            Error::new(ErrorCode::BadData, format!("the file cannot be read as Parquet: {source}"))
        };
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata)
            .with_projection(self.mask)
            .with_row_groups(vec![self.group])
            .with_batch_size(BATCH)
            .build()
            .map_err(|source| wrong(&source))?;
        for batch in reader {
            take(chunk(&batch.map_err(|source| wrong(&source))?, &self.names, &self.limits)?)?;
        }
        Ok(())
    }
}
