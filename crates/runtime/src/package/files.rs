//! Reading files of a package: bare names only, no links, never more bytes than allowed.

use lepton_core::{Error, ErrorCode, Result};
use rustix::fs::{CWD, Mode, OFlags};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Refuses a name that could be anything but a file in the package's own folder.
pub(super) fn check_name(name: &str) -> Result<()> {
    let bare = !name.is_empty()
        && name.len() <= 255
        && !name.starts_with('.')
        && !name.contains(['/', '\\', ':'])
        && !name.chars().any(char::is_control)
        && name != super::MANIFEST;
    if bare {
        return Ok(());
    }
    Err(Error::new(ErrorCode::BadData, format!("{name:?} cannot name a file of a package"))
        .fix("names are bare: no folders, no separators, no leading dot"))
}

/// The bytes of `name` in `dir`, which must be a plain file of at most `limit` bytes.
pub(super) fn read_file(dir: &Path, name: &str, limit: u64) -> Result<Vec<u8>> {
    let path = dir.join(name);
    let refused = |code, text: String| Err(Error::new(code, text).in_file(&path));
    // NOFOLLOW refuses a link at open, so none can be slipped in between a check and the reading; NONBLOCK keeps
    // a named pipe from hanging the open.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = match rustix::fs::openat(CWD, &path, flags, Mode::empty()) {
        Ok(descriptor) => File::from(descriptor),
        Err(rustix::io::Errno::LOOP | rustix::io::Errno::MLINK) => {
            return refused(ErrorCode::Integrity, "is a link; packages hold plain files only".to_owned());
        }
        Err(error) => return Err(Error::io("open", &path, error.into())),
    };
    let metadata = file.metadata().map_err(|source| Error::io("read", &path, source))?;
    if !metadata.is_file() {
        return refused(ErrorCode::Integrity, "is not a plain file".to_owned());
    }
    if metadata.len() > limit {
        return refused(ErrorCode::TooLarge, format!("has {} bytes, more than the limit of {limit}", metadata.len()));
    }
    let mut bytes = Vec::with_capacity(metadata.len() as usize);
    // One byte more than the limit tells a file that grew meanwhile.
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(|source| Error::io("read", &path, source))?;
    if bytes.len() as u64 > limit {
        return refused(ErrorCode::TooLarge, format!("grew past the limit of {limit} bytes"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bare_names_pass() {
        for good in ["model.onnx", "weights.safetensors", "README.md", "MLmodel", "ünï.json"] {
            check_name(good).unwrap();
        }
        let long = "a".repeat(256);
        for bad in
            ["", ".", "..", "../x", "a/b", "a\\b", "/etc/passwd", "C:x", "a\0b", "a\nb", ".x", "manifest.json", &long]
        {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }
}
