//! A preview as a file: a page of HTML, or a PNG that carries the seed and the settings as its description.

use super::{Preview, draw};
use crate::doctor::place;
use crate::report;
use flate2::Crc;
use image::{ExtendedColorType, ImageEncoder as _, codecs::png::PngEncoder};
use lepton_core::image::Image;
use lepton_core::{CaptionedPicture, Error, ErrorCode, Figure, Result};
use std::path::Path;

/// Pixels between the pictures of a sheet.
const GAP: usize = 6;

/// Small pictures are enlarged to at least so many pixels, in whole steps.
const LEAST_SIDE: usize = 96;

/// Paper.
const WHITE: u8 = 250;

/// Writes the sheet, as the ending of `file` says: `.html`, or `.png` for pictures.
///
/// # Errors
/// [`ErrorCode::Usage`] for another ending or a PNG of what is no picture; [`ErrorCode::Io`].
pub fn write_preview(preview: &Preview, file: &Path) -> Result<()> {
    let ending = file.extension().map(|ending| ending.to_string_lossy().to_lowercase()).unwrap_or_default();
    let bytes = match (ending.as_str(), &preview.figures[..]) {
        ("html" | "htm", figures) => {
            let title = format!("{}: augmented rows", preview.dataset);
            report::sheet(&title, &facts(preview), figures).into_bytes()
        }
        ("png", [Figure::Pictures { columns, cells, .. }]) => png(&contact_sheet(cells, *columns), preview)?,
        ("png", _) => {
            return Err(Error::new(ErrorCode::Usage, "these rows are no pictures, so there is no PNG of them")
                .in_file(file)
                .fix("name an .html file"));
        }
        _ => {
            return Err(Error::new(ErrorCode::Usage, "a sheet is written as .html or .png")
                .in_file(file)
                .fix("give the file one of these endings"));
        }
    };
    place(file, |output| output.write_all(&bytes).map_err(|source| Error::io("write the sheet", file, source)))?;
    Ok(())
}

/// What the sheet came from, name and value.
fn facts(preview: &Preview) -> Vec<(String, String)> {
    let settings = serde_json::to_string(&preview.settings).unwrap_or_default();
    [
        ("data", format!("{} sha256:{}", preview.dataset, preview.sha256.short())),
        ("seed", preview.seed.0.to_string()),
        ("augment", preview.about.clone()),
        ("settings", settings),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

/// All pictures on one, `columns` in a row, each enlarged by a whole number.
fn contact_sheet(cells: &[CaptionedPicture], columns: usize) -> Image {
    let pictures: Vec<Image> = cells.iter().map(|cell| enlarged(&draw::coloured(&cell.image))).collect();
    let cell_height = pictures.iter().map(|picture| picture.height).max().unwrap_or(0) + GAP;
    let cell_width = pictures.iter().map(|picture| picture.width).max().unwrap_or(0) + GAP;
    let columns = columns.max(1);
    // The originals stand a little apart.
    let (height, width) = (pictures.len().div_ceil(columns) * cell_height + GAP, columns * cell_width + 3 * GAP);
    let mut sheet = Image { height, width, channels: 3, pixels: vec![WHITE; height * width * 3] };
    for (index, picture) in pictures.iter().enumerate() {
        let (row, column) = (index / columns, index % columns);
        let left = GAP + column * cell_width + if column > 0 { 2 * GAP } else { 0 };
        for (y, line) in picture.pixels.chunks_exact(picture.width * 3).enumerate() {
            let start = ((GAP + row * cell_height + y) * width + left) * 3;
            sheet.pixels[start..start + line.len()].copy_from_slice(line);
        }
    }
    sheet
}

fn enlarged(picture: &Image) -> Image {
    let factor = (LEAST_SIDE / picture.height.max(picture.width).max(1)).max(1);
    let (height, width) = (picture.height * factor, picture.width * factor);
    let mut pixels = Vec::with_capacity(height * width * 3);
    for y in 0..height {
        for x in 0..width {
            let start = ((y / factor) * picture.width + x / factor) * 3;
            pixels.extend_from_slice(&picture.pixels[start..start + 3]);
        }
    }
    Image { height, width, channels: 3, pixels }
}

fn png(sheet: &Image, preview: &Preview) -> Result<Vec<u8>> {
    let refuse = |source: image::ImageError| Error::internal(format!("the sheet cannot be written: {source}"));
    let mut bytes = Vec::new();
    PngEncoder::new(&mut bytes)
        .write_image(&sheet.pixels, sheet.width as u32, sheet.height as u32, ExtendedColorType::Rgb8)
        .map_err(refuse)?;
    let description: Vec<String> = facts(preview).into_iter().map(|(name, value)| format!("{name}: {value}")).collect();
    // Behind the signature and the header, which are 33 bytes.
    bytes.splice(33..33, text_chunk("Description", &description.join("\n")));
    Ok(bytes)
}

/// A PNG chunk of text (`iTXt`, uncompressed UTF-8).
fn text_chunk(keyword: &str, text: &str) -> Vec<u8> {
    let mut body = b"iTXt".to_vec();
    body.extend_from_slice(keyword.as_bytes());
    body.extend_from_slice(&[0; 5]);
    body.extend_from_slice(text.as_bytes());
    let mut chunk = ((body.len() - 4) as u32).to_be_bytes().to_vec();
    chunk.extend_from_slice(&body);
    chunk.extend_from_slice(&crc32(&body).to_be_bytes());
    chunk
}

/// The checksum of PNG, which is that of gzip: CRC-32 of ISO 3309.
fn crc32(bytes: &[u8]) -> u32 {
    let mut sum = Crc::new();
    sum.update(bytes);
    sum.sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lepton_core::{Digest, Seed};
    use lepton_data::AugmentSettings;

    fn sample() -> Preview {
        let cell = |level| CaptionedPicture {
            image: Image { height: 8, width: 8, channels: 1, pixels: vec![level; 64] },
            caption: "a".to_owned(),
        };
        let settings = AugmentSettings { shift: 0.25, ..AugmentSettings::default() };
        Preview {
            dataset: "made".to_owned(),
            sha256: Digest::of(b"made"),
            seed: Seed(42),
            about: settings.describe(),
            settings,
            figures: vec![Figure::Pictures {
                title: "Pictures".to_owned(),
                columns: 2,
                cells: vec![cell(10), cell(20), cell(30), cell(40)],
            }],
        }
    }

    #[test]
    fn a_png_holds_every_picture_its_seed_and_its_settings() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sheet.png");
        write_preview(&sample(), &file).unwrap();
        let bytes = std::fs::read(&file).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.contains("seed: 42") && text.contains("\"shift\":0.25"));
        let read = image::load_from_memory(&bytes).unwrap().into_rgb8();
        let levels = [(GAP, GAP, 10), (3 * GAP + GAP + 96, GAP, 20), (GAP, 2 * GAP + 96, 30)];
        for (x, y, level) in levels {
            assert_eq!(read.get_pixel(x as u32 + 1, y as u32 + 1).0, [level; 3]);
        }
        assert_eq!(read.get_pixel(1, 1).0, [WHITE; 3]);
    }

    #[test]
    fn a_page_names_seed_and_settings_and_other_endings_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sheet.html");
        write_preview(&sample(), &file).unwrap();
        let page = std::fs::read_to_string(&file).unwrap();
        assert!(page.contains("<dt>seed</dt><dd>42</dd>") && page.contains("shift up to 25 %"));
        assert_eq!(page.matches("data:image/png").count(), 4);
        assert_eq!(write_preview(&sample(), &folder.path().join("sheet.gif")).unwrap_err().code(), ErrorCode::Usage);
        let table = Figure::Table { title: String::new(), columns: vec![], rows: vec![] };
        let table = Preview { figures: vec![table], ..sample() };
        let error = write_preview(&table, &folder.path().join("sheet.png")).unwrap_err();
        assert_eq!(error.remedy(), Some("name an .html file"));
    }

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }
}
