//! Record batches as Arrow IPC files, for caches between stages.

use arrow_array::RecordBatch;
use lepton_core::{Error, ErrorCode, Result};
use std::io::{Cursor, Write};

/// Writes one batch as an Arrow IPC file.
///
/// # Errors
/// What the writer says, as [`ErrorCode::StorageFull`] when the disk is full.
pub fn write_ipc(batch: &RecordBatch, output: &mut dyn Write) -> Result<()> {
    let mut writer = arrow_ipc::writer::FileWriter::try_new(output, batch.schema_ref()).map_err(written)?;
    writer.write(batch).map_err(written)?;
    writer.finish().map_err(written)
}

/// Bytes that are no Arrow IPC.
pub(crate) fn unreadable(source: arrow_schema::ArrowError) -> Error {
    Error::new(ErrorCode::BadData, format!("these are no Arrow IPC rows: {source}")).caused_by(source)
}

fn written(source: arrow_schema::ArrowError) -> Error {
    match source {
        arrow_schema::ArrowError::IoError(_, source) => Error::io("write rows", "", source),
        other => Error::internal(format!("rows cannot be written as Arrow IPC: {other}")),
    }
}

/// Reads what [`write_ipc`] wrote.
///
/// # Errors
/// [`ErrorCode::BadData`] for bytes that are no Arrow IPC file.
pub fn read_ipc(bytes: &[u8]) -> Result<RecordBatch> {
    let reader = arrow_ipc::reader::FileReader::try_new(Cursor::new(bytes), None).map_err(unreadable)?;
    let schema = reader.schema();
    let mut batches = reader.collect::<std::result::Result<Vec<_>, _>>().map_err(unreadable)?;
    match (batches.pop(), batches.is_empty()) {
        (Some(batch), true) => Ok(batch),
        (None, _) => Ok(RecordBatch::new_empty(schema)),
        (Some(last), false) => {
            batches.push(last);
            arrow_select::concat::concat_batches(&schema, &batches).map_err(unreadable)
        }
    }
}
