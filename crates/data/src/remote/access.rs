//! What the person who runs a command allows and knows, as values. The binary fills it; none of it is in `lepton.toml`.

use crate::settings::CollectSettings;
use lepton_core::{Error, ErrorCode, Result, Secret};
use std::collections::BTreeMap;

/// Permission and credentials for sources that lie elsewhere.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Permission to fetch (`--fetch`).
    pub fetch: bool,
    /// Hosts, or `host:port`, that may be downloaded from although their address is not a public one.
    pub hosts: Vec<String>,
    /// Variables of the environment by name, those that [`Access::wants`].
    pub variables: BTreeMap<String, Secret>,
    /// The text of PostgreSQL's password file.
    pub passfile: Option<Secret>,
}

/// Beginnings of the variables that object stores are configured by.
const STORES: [&str; 3] = ["AWS_", "AZURE_", "GOOGLE_"];

impl Access {
    /// Whether a variable of the environment is of use to sources with these settings.
    pub fn wants(settings: &CollectSettings, name: &str) -> bool {
        settings.password_env.as_deref() == Some(name)
            || ["PGPASSWORD", "MYSQL_PWD"].contains(&name)
            || STORES.iter().any(|store| name.starts_with(store))
    }

    /// The variable `named` in the settings, else that of `usual`.
    ///
    /// # Errors
    /// [`ErrorCode::NotAllowed`] where a variable is named and not set.
    pub(super) fn password(&self, named: Option<&str>, usual: &str) -> Result<Option<Secret>> {
        match named {
            None => Ok(self.variables.get(usual).cloned()),
            Some(name) => match self.variables.get(name) {
                Some(password) => Ok(Some(password.clone())),
                None => Err(Error::new(ErrorCode::NotAllowed, format!("the variable {name} is not set"))
                    .at_key("collect.password_env")
                    .fix(format!("set {name} to the password of the database"))),
            },
        }
    }

    /// The password that PostgreSQL's password file has for a connection: the first line of
    /// `host:port:database:user:password` that fits, where `*` fits everything and `\` takes the next character as it is.
    pub(super) fn password_of_file(&self, host: &str, port: u16, database: &str, user: &str) -> Option<Secret> {
        let text = self.passfile.as_ref()?.expose();
        let wanted = [host, &port.to_string(), database, user];
        text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
            let fields = fields(line);
            let fits = |(field, wanted): (&String, &&str)| field == "*" || field == wanted;
            (fields.len() == 5 && fields.iter().zip(&wanted).all(fits)).then(|| Secret::from(fields[4].as_str()))
        })
    }
}

fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        let last = fields.len() - 1;
        match character {
            ':' if fields.len() < 5 => fields.push(String::new()),
            '\\' => fields[last].extend(characters.next()),
            other => fields[last].push(other),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_fitting_line_of_a_password_file_counts() {
        let text = "# a comment\nother:5432:shop:ann:no\nlocalhost:*:shop:ann:a\\:b\\\\c\n*:*:*:*:last:one\nshort:1\n";
        let access = Access { passfile: Some(text.into()), ..Access::default() };
        let find =
            |host, user| access.password_of_file(host, 5433, "shop", user).map(|found| found.expose().to_owned());
        assert_eq!(find("localhost", "ann").as_deref(), Some("a:b\\c"));
        assert_eq!(find("localhost", "bob").as_deref(), Some("last:one"));
        assert!(Access::default().password_of_file("localhost", 1, "a", "b").is_none());
    }

    #[test]
    fn a_named_variable_must_be_set_and_is_not_shown() {
        let variables = [("SHOP".to_owned(), Secret::from("hunter2")), ("PGPASSWORD".to_owned(), "other".into())];
        let access = Access { variables: variables.into(), ..Access::default() };
        assert_eq!(access.password(Some("SHOP"), "PGPASSWORD").unwrap().unwrap().expose(), "hunter2");
        assert_eq!(access.password(None, "PGPASSWORD").unwrap().unwrap().expose(), "other");
        assert!(access.password(None, "MYSQL_PWD").unwrap().is_none());
        let error = access.password(Some("ABSENT"), "PGPASSWORD").unwrap_err();
        assert_eq!((error.code(), error.code().exit_code()), (ErrorCode::NotAllowed, 2));
        assert!(!format!("{access:?}").contains("hunter2"));
    }

    #[test]
    fn only_variables_of_use_are_wanted() {
        let settings = CollectSettings { password_env: Some("SHOP".into()), ..Default::default() };
        for (name, wanted) in [("SHOP", true), ("PGPASSWORD", true), ("AWS_REGION", true), ("HOME", false)] {
            assert_eq!(Access::wants(&settings, name), wanted, "{name}");
        }
    }
}
