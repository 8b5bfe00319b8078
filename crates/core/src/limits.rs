//! Limits on outside input. Each is a setting, and each error that one causes quotes it by name.

use serde::{Deserialize, Serialize};

/// Limits on outside input, with the defaults of docs/security.md.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Bytes of a request body.
    pub body_bytes: u64,
    /// Bytes of a table that comes through standard input.
    pub upload_bytes: u64,
    /// Bytes of a file with the labels of pictures.
    pub label_file_bytes: u64,
    /// Nesting of JSON.
    pub json_depth: usize,
    /// Pixels of one decoded picture.
    pub image_pixels: u64,
    /// Rows in one request.
    pub batch_rows: usize,
    /// Elements of one tensor.
    pub tensor_elements: u64,
    /// Columns of a table.
    pub csv_columns: usize,
    /// Numbers of one series: its steps times its dimensions.
    pub series_values: usize,
    /// Bytes of one table cell.
    pub cell_bytes: usize,
    /// Bytes of a file with a tokenizer.
    pub tokenizer_bytes: u64,
    /// Bytes of an ONNX file.
    pub model_bytes: u64,
    /// Nodes of an ONNX graph.
    pub graph_nodes: usize,
    /// Graphs inside graphs of an ONNX file: the bodies of If, Loop and Scan.
    pub graph_nesting: usize,
    /// Requests that may wait for one model.
    pub queue_requests: usize,
    /// Milliseconds that one request may take.
    pub request_ms: u64,
    /// Bytes of one download, object or query result.
    pub download_bytes: u64,
    /// Members of an archive.
    pub archive_members: u64,
    /// Bytes of an archive when it is unpacked.
    pub archive_bytes: u64,
    /// How many times its packed size an archive may have when it is unpacked.
    pub archive_ratio: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            body_bytes: 32 << 20,
            upload_bytes: 10 << 30,
            label_file_bytes: 1 << 30,
            json_depth: 64,
            image_pixels: 50_000_000,
            batch_rows: 256,
            tensor_elements: 1 << 28,
            csv_columns: 10_000,
            series_values: 1 << 20,
            cell_bytes: 1 << 20,
            tokenizer_bytes: 64 << 20,
            model_bytes: 2 << 30,
            graph_nodes: 200_000,
            graph_nesting: 16,
            queue_requests: 1_000,
            request_ms: 30_000,
            download_bytes: 10 << 30,
            archive_members: 100_000,
            archive_bytes: 4 << 30,
            archive_ratio: 100,
        }
    }
}
