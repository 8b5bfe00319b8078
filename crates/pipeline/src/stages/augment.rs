//! Stage 3, augment: fixes how training pictures are varied, and shows it. The variants themselves are made
//! while training, on worker threads, from the seed, the row and the epoch.

use super::{Artifacts, Work, earlier, parts};
use crate::Stage;
use crate::artifact::{Augmented, Prepared};
use crate::cache;
use crate::run::Context;
use crate::tasks::task;
use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use lepton_core::image::ImageColumn;
use lepton_core::{CaptionedPicture, ColumnKind, Digest, Error, ErrorCode, Figure, Result, Seed, Split};
use lepton_data::{AugmentSettings, Augmenter};

/// Pictures in the preview, each with [`PREVIEW_VARIANTS`] variants.
const PREVIEW_PICTURES: usize = 5;
const PREVIEW_VARIANTS: u64 = 4;

/// The work of this stage.
pub(crate) struct Augment<'a> {
    prepared: &'a Prepared,
}

impl<'a> Augment<'a> {
    pub(crate) fn new(artifacts: &'a Artifacts) -> Result<Augment<'a>> {
        Ok(Augment { prepared: earlier(&artifacts.prepared, Stage::Prepare)? })
    }
}

impl Work for Augment<'_> {
    type Output = Augmented;
    const STAGE: Stage = Stage::Augment;

    fn key(&self, context: &Context<'_>) -> Result<Digest> {
        let settings = &context.project.settings;
        cache::key(
            Self::STAGE,
            (&settings.augment, settings.project.task, settings.project.seed),
            (self.prepared.digest, &self.prepared.parts),
        )
    }

    fn compute(&self, context: &Context<'_>, _: &Digest) -> Result<Augmented> {
        let settings = &context.project.settings;
        let chosen = settings.augment.unwrap_or_else(|| task(settings.project.task).default_augment());
        chosen.check()?;
        let picture = self.prepared.schema.of_kind(ColumnKind::Image).next();
        if chosen.is_off() {
            return Ok(Augmented { settings: chosen, about: "off".to_owned(), preview: None });
        }
        let Some(column) = picture else {
            return Err(Error::new(ErrorCode::Unsupported, "this dataset has no pictures to rotate, shift or scale")
                .at_key("augment")
                .fix("remove the [augment] section"));
        };
        let train = parts::load(context.store, &self.prepared.parts, Split::Train)?;
        let preview = preview(&train, &column.name, &self.prepared.target, &chosen, settings.project.seed)?;
        Ok(Augmented { about: describe(&chosen), settings: chosen, preview: Some(preview) })
    }
}

fn describe(settings: &AugmentSettings) -> String {
    format!(
        "rotate up to {} degrees, shift up to {:.0} %, scale up to {:.0} %; training split only",
        settings.rotate_degrees,
        100.0 * settings.shift,
        100.0 * settings.scale
    )
}

fn preview(train: &RecordBatch, column: &str, target: &str, settings: &AugmentSettings, seed: Seed) -> Result<Figure> {
    let missing = || Error::internal("the training split lost a column");
    let pictures = ImageColumn::new(train.column_by_name(column).ok_or_else(missing)?)?;
    let labels = train.column_by_name(target).and_then(|column| column.as_string_opt::<i32>()).ok_or_else(missing)?;
    let augmenter = Augmenter::new(settings, seed)?;
    let mut cells = Vec::new();
    for row in 0..pictures.len().min(PREVIEW_PICTURES) {
        let Some(picture) = pictures.get(row) else { continue };
        let truth = labels.value(row).to_owned();
        let original = lepton_core::image::Image {
            height: picture.height,
            width: picture.width,
            channels: picture.channels,
            pixels: picture.pixels.to_vec(),
        };
        let variants = (1..=PREVIEW_VARIANTS).map(|epoch| augmenter.picture(picture, row as u64, epoch));
        for (index, image) in std::iter::once(original).chain(variants).enumerate() {
            let caption = if index == 0 { format!("{truth}, original") } else { format!("epoch {index}") };
            cells.push(CaptionedPicture { image, caption });
        }
    }
    let title = "Training pictures as augmented".to_owned();
    Ok(Figure::Pictures { title, columns: 1 + PREVIEW_VARIANTS as usize, cells })
}
