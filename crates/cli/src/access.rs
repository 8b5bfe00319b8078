//! Permission and credentials for sources that lie elsewhere: flags, variables of the environment and PostgreSQL's
//! password file become the values that the libraries take.

use lepton_core::{Error, ErrorCode, Result, Secret};
use lepton_data::CollectSettings;
use lepton_data::remote::Access;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What a run with these settings may do and knows.
pub(crate) fn access(settings: &CollectSettings, fetch: bool, hosts: &[String]) -> Result<Access> {
    let variables: BTreeMap<String, Secret> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| Access::wants(settings, name))
        .map(|(name, value)| (name, Secret::from(value)))
        .collect();
    let is_postgres = settings.database.as_deref().is_some_and(|database| database.starts_with("postgres"));
    let knows_password = settings.password_env.is_some() || variables.contains_key("PGPASSWORD");
    let passfile = if is_postgres && !knows_password { passfile()? } else { None };
    Ok(Access { fetch, hosts: hosts.to_vec(), variables, passfile })
}

/// The text of the file that PGPASSFILE names, else of ~/.pgpass where there is one.
fn passfile() -> Result<Option<Secret>> {
    let named = std::env::var_os("PGPASSFILE").map(PathBuf::from);
    let usual = directories::BaseDirs::new().map(|folders| folders.home_dir().join(".pgpass"));
    let path = match (named, usual) {
        (Some(named), _) => named,
        (None, Some(usual)) if usual.is_file() => usual,
        _ => return Ok(None),
    };
    read(&path).map(Some)
}

fn read(path: &Path) -> Result<Secret> {
    let failed = |source| Error::io("read the password file", path, source);
    let mode = std::fs::metadata(path).map_err(failed)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(Error::new(ErrorCode::NotAllowed, "others can read the password file")
            .in_file(path)
            .fix(format!("chmod 600 {}", path.display())));
    }
    std::fs::read_to_string(path).map(Secret::from).map_err(failed)
}
