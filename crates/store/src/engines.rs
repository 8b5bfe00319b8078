//! Engine libraries: shared objects that lepton-runtime loads, at `home/engines/<engine>/<file>`.

use crate::disk::failed;
use crate::{Store, plain_file_name};
use lepton_core::{Error, Result};
use std::io::{self, Read};
use std::path::PathBuf;

impl Store {
    /// Places a library, whole or not at all, replacing one of the same name, and answers with its path. A
    /// process that has loaded the old one keeps it.
    ///
    /// # Errors
    /// [`lepton_core::ErrorCode::BadInput`] when a name is not a plain file name,
    /// [`lepton_core::ErrorCode::StorageFull`] or [`lepton_core::ErrorCode::Io`].
    pub fn install_engine(&self, engine: &str, file_name: &str, library: &mut dyn Read) -> Result<PathBuf> {
        plain_file_name(engine)?;
        plain_file_name(file_name)?;
        let folder = self.engines_dir().join(engine);
        self.disk().create_folder(&folder)?;
        let target = folder.join(file_name);
        self.disk().write_whole(&target, 0o500, |writer| {
            let mut buffer = vec![0; 1 << 16];
            loop {
                let count = match library.read(&mut buffer) {
                    Ok(0) => return Ok(()),
                    Ok(count) => count,
                    Err(source) if source.kind() == io::ErrorKind::Interrupted => continue,
                    Err(source) => return Err(Error::io("read the library", file_name, source)),
                };
                writer.write_all(&buffer[..count]).map_err(|source| failed("write", &target, source))?;
            }
        })?;
        Ok(target)
    }
}
