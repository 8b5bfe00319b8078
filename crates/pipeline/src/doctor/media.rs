//! Pictures and sounds: profile and findings, repair as a new folder, and undo.

use super::{Examined, ReadSettings, RepairReport, UndoReport};
use lepton_core::{Cancel, Error, ErrorCode, Progress, Result};
use lepton_doctor::Finding;
use lepton_doctor::media::pictures::{PictureChecks, check_pictures, profile_pictures};
use lepton_doctor::media::{Collection, MediaKind, SurveyOptions};
use lepton_store::Store;
use std::path::Path;

/// Profiles a collection, and looks for what is wrong with it.
pub(super) fn examine_media(
    collection: Collection,
    settings: &ReadSettings,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<(Examined, Vec<Finding>)> {
    let options = SurveyOptions { limits: settings.limits.clone(), threads: settings.threads(), progress, cancel };
    match collection.kind {
        MediaKind::Pictures => {
            let profile = profile_pictures(collection, &options)?;
            let findings = check_pictures(&profile, &PictureChecks::default(), &options)?;
            Ok((Examined::Pictures(Box::new(profile)), findings))
        }
        MediaKind::Audio => Err(not_yet("sounds are not looked at")),
    }
}

fn not_yet(what: &str) -> Error {
    Error::new(ErrorCode::Unsupported, format!("{what} by this build"))
}

/// Repairs a collection by a plan, as a new folder.
pub(super) fn repair_media(
    _: &Store,
    _: Collection,
    _: &Path,
    _: &Path,
    _: &ReadSettings,
    _: &dyn Progress,
    _: &Cancel,
) -> Result<RepairReport> {
    Err(not_yet("folders are not repaired"))
}

/// Takes repairs of a folder back.
pub(super) fn undo_media(
    _: &Store,
    _: &Path,
    _: &[String],
    _: &Path,
    _: &dyn Progress,
    _: &Cancel,
) -> Result<UndoReport> {
    Err(not_yet("folders are not repaired"))
}
