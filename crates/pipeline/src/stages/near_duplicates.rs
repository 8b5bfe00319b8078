//! Part of stage 2, where the settings ask for it: pictures outside training that look nearly like a training picture.

use crate::run::Context;
use lepton_core::{ColumnKind, Error, ErrorCode, Result};
use lepton_data::{Dataset, Finding, FindingKind, Severity};
use lepton_doctor::media::pictures::{NearOptions, near_training, profile_pictures};
use lepton_doctor::media::{Collection, SurveyOptions};
use std::collections::BTreeMap;

/// Examples that the finding carries.
const SHOWN: usize = 10;

/// One finding, or none.
///
/// # Errors
/// [`ErrorCode::Config`] for a dataset without pictures.
pub(super) fn find(context: &Context<'_>, dataset: &Dataset) -> Result<Option<Finding>> {
    let image = dataset.schema.of_kind(ColumnKind::Image).next().ok_or_else(|| {
        Error::new(ErrorCode::Config, "near duplicates are looked for among pictures, and this dataset has none")
            .at_key("prepare.near_duplicates")
            .fix("remove the setting")
    })?;
    let collection = Collection::rows(dataset.name.clone(), dataset.parts.clone(), &image.name, &dataset.target)?;
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    let options = SurveyOptions {
        limits: context.project.settings.limits.clone(),
        threads,
        progress: context.progress,
        cancel: context.cancel,
    };
    let profile = profile_pictures(collection, &options)?;
    let found: BTreeMap<usize, usize> = near_training(&profile, &NearOptions::default(), threads)?;
    let name = |item: &usize| profile.collection.items[*item].name.replace('#', " row ");
    Ok((!found.is_empty()).then(|| Finding {
        kind: FindingKind::NearDuplicates,
        severity: Severity::Warning,
        count: found.len() as u64,
        message: format!(
            "{} pictures outside training look nearly like a training picture; they were kept",
            found.len()
        ),
        evidence: found
            .iter()
            .take(SHOWN)
            .map(|(item, train)| format!("{} is like {}", name(item), name(train)))
            .collect(),
    }))
}
