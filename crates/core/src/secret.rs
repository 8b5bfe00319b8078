//! A value that must not be seen: a password, a key, a token. It is not printed and not recorded; the
//! one way to its text is a call that a reader of the code can look for.

use std::fmt;

/// A secret text. `Debug` and `Display` show a placeholder, and it cannot be serialised.
#[derive(Clone, Default)]
pub struct Secret(String);

impl Secret {
    /// The text, for the call that needs it. It must not be kept, printed or put into an error.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Secret {
        Secret(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Secret {
        Secret(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_shown() {
        let secret = Secret::from("hunter2");
        assert_eq!(format!("{secret} {secret:?} {secret:#?}"), "[redacted] [redacted] [redacted]");
        assert_eq!(format!("{:?}", Some(&secret)), "Some([redacted])");
        assert_eq!((secret.expose(), secret.is_empty(), Secret::default().is_empty()), ("hunter2", false, true));
    }
}
