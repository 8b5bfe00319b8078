//! The nesting limit of JSON, checked on the bytes before any parser sees them.

use lepton_core::{Error, ErrorCode, Limits, Result};

/// Refuses JSON that nests deeper than [`Limits::json_depth`].
///
/// Brackets inside strings do not count. Malformed JSON passes: the parser that follows says what is wrong.
pub(crate) fn check_depth(bytes: &[u8], limits: &Limits) -> Result<()> {
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for &byte in bytes {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'[' | b'{' => {
                depth += 1;
                if depth > limits.json_depth {
                    return Err(Error::new(
                        ErrorCode::BadInput,
                        format!("the JSON nests deeper than the limit: limits.json_depth = {}", limits.json_depth),
                    ));
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_itself_passes_and_one_more_does_not() {
        let limits = Limits::default();
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(check_depth(nested(64).as_bytes(), &limits).is_ok());
        let error = check_depth(nested(65).as_bytes(), &limits).unwrap_err();
        assert!(error.message().contains("limits.json_depth = 64"));
        assert!(check_depth(nested(100_000).as_bytes(), &limits).is_err());
    }

    #[test]
    fn brackets_in_strings_do_not_count() {
        let text = format!(r#"{{"a": "{}\"{}\\"}}"#, "[".repeat(500), "{".repeat(500));
        assert!(check_depth(text.as_bytes(), &Limits::default()).is_ok());
        let after = format!(r#"{{"a": "\\", "b": {}}}"#, "[".repeat(500));
        assert!(check_depth(after.as_bytes(), &Limits::default()).is_err());
    }
}
