//! idx files row by row, for who looks at all pictures and holds few of them.

use super::idx::{header, label_rows, picture_sides};
use lepton_core::{Error, ErrorCode, Limits, Result};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// An open idx file of pictures.
#[derive(Debug)]
pub struct IdxPictures {
    file: File,
    path: PathBuf,
    body: u64,
    /// How many pictures.
    pub rows: usize,
    /// Rows of pixels of each.
    pub height: usize,
    /// Pixels per row.
    pub width: usize,
    /// 1 grey or 3 RGB.
    pub channels: usize,
}

impl IdxPictures {
    /// Opens a file and holds its header against its length.
    ///
    /// # Errors
    /// [`ErrorCode::BadData`] for what is no idx file of pictures or has another length than its header says;
    /// [`ErrorCode::TooLarge`] past `image_pixels`; [`ErrorCode::NotFound`] and [`ErrorCode::Io`].
    pub fn open(path: &Path, limits: &Limits) -> Result<IdxPictures> {
        let (file, sides, body) = open(path)?;
        let [rows, height, width, channels] = picture_sides(&sides, limits).map_err(|error| error.in_file(path))?;
        Ok(IdxPictures { file, path: path.to_path_buf(), body, rows, height, width, channels })
    }

    /// The bytes of one picture, height-width-channel order.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`] past the last row, [`ErrorCode::Io`].
    pub fn read(&self, row: usize) -> Result<Vec<u8>> {
        if row >= self.rows {
            return Err(Error::new(ErrorCode::NotFound, format!("the file has {} pictures", self.rows))
                .in_file(&self.path)
                .at_row(row as u64 + 1));
        }
        let length = self.height * self.width * self.channels;
        let mut pixels = vec![0; length];
        self.file
            .read_exact_at(&mut pixels, self.body + row as u64 * length as u64)
            .map_err(|source| Error::io("read a picture", &self.path, source).at_row(row as u64 + 1))?;
        Ok(pixels)
    }
}

/// The labels of `picture_rows` pictures of the file `images`.
///
/// # Errors
/// [`ErrorCode::BadData`] for what is no idx file of labels, or another number of them.
pub fn idx_labels(path: &Path, images: &Path, picture_rows: usize) -> Result<Vec<u8>> {
    let (file, sides, body) = open(path)?;
    label_rows(&sides, picture_rows, images).map_err(|error| error.in_file(path))?;
    let mut labels = vec![0; picture_rows];
    file.read_exact_at(&mut labels, body).map_err(|source| Error::io("read the labels", path, source))?;
    Ok(labels)
}

/// The header of an idx file of unsigned bytes. Sides past 32 bits cannot be written and come out as the largest.
pub fn idx_header(sides: &[usize]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, sides.len() as u8];
    for side in sides {
        bytes.extend(u32::try_from(*side).unwrap_or(u32::MAX).to_be_bytes());
    }
    bytes
}

fn open(path: &Path) -> Result<(File, Vec<usize>, u64)> {
    let failed = |source| Error::io("read the file", path, source);
    let file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    let mut start = vec![0; length.min(20) as usize];
    file.read_exact_at(&mut start, 0).map_err(failed)?;
    let (sides, body) = header(&start, length).map_err(|error| error.in_file(path))?;
    Ok((file, sides, body as u64))
}
