//! As much YAML as a `data.yaml` of YOLO has: keys at the margin with a text, a list or a map from numbers to texts.
//! Anything else is an error with its line, so that nothing is misread.

use lepton_core::{Error, ErrorCode, Result};

/// What a key has.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Text(String),
    List(Vec<String>),
    /// Numbered entries, as they stand.
    Map(Vec<(String, String)>),
}

/// The keys in order, with their lines from 1.
pub(super) fn parse(text: &str) -> Result<Vec<(String, Value, u64)>> {
    let mut keys: Vec<(String, Value, u64)> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let number = index as u64 + 1;
        let wrong = |message: &str| {
            Error::new(ErrorCode::BadData, message.to_owned())
                .at_row(number)
                .fix("write `key: value`, `key: [a, b]`, or `key:` with `- a` or `0: a` on the lines below")
        };
        let content = without_comment(line).trim_end();
        if content.trim().is_empty() || content == "---" {
            continue;
        }
        let inner = content.trim_start();
        if inner.len() == content.len() && !inner.starts_with("- ") {
            let (key, value) = entry(inner).ok_or_else(|| wrong("this is no key with a value"))?;
            if keys.iter().any(|(known, ..)| *known == key) {
                return Err(wrong("the key is there twice").at_key(key));
            }
            let value = match value.strip_prefix('[') {
                Some(list) => {
                    let list = list.strip_suffix(']').ok_or_else(|| wrong("a list must end on its line"))?;
                    let items = list.split(',').map(|item| unquoted(item.trim())).filter(|item| !item.is_empty());
                    Value::List(items.collect())
                }
                None if value.starts_with(['{', '&', '*', '|', '>', '!']) => {
                    return Err(wrong("this form of YAML is not supported"));
                }
                None => Value::Text(unquoted(value)),
            };
            keys.push((key, value, number));
            continue;
        }
        let Some((_, value, _)) = keys.last_mut() else { return Err(wrong("an entry without a key above it")) };
        match (inner.strip_prefix("- "), &mut *value) {
            (Some(item), Value::List(items)) => items.push(unquoted(item.trim())),
            (Some(item), Value::Text(text)) if text.is_empty() => *value = Value::List(vec![unquoted(item.trim())]),
            (None, Value::Map(entries)) => {
                let (key, item) = entry(inner).ok_or_else(|| wrong("this is no key with a value"))?;
                entries.push((key, unquoted(item)));
            }
            (None, Value::Text(text)) if text.is_empty() => {
                let (key, item) = entry(inner).ok_or_else(|| wrong("this is no key with a value"))?;
                *value = Value::Map(vec![(key, unquoted(item))]);
            }
            _ => return Err(wrong("this entry does not go with the key above it")),
        }
    }
    Ok(keys)
}

fn entry(text: &str) -> Option<(String, &str)> {
    let (key, value) = text.split_once(':')?;
    (value.is_empty() || value.starts_with(' ')).then(|| (unquoted(key.trim()), value.trim()))
}

/// A `#` begins a comment at the margin and after a space, outside of quotes.
fn without_comment(line: &str) -> &str {
    let (mut quote, mut before) = (None, ' ');
    for (place, letter) in line.char_indices() {
        match (quote, letter) {
            (None, '#') if before.is_whitespace() => return &line[..place],
            (None, '\'' | '"') => quote = Some(letter),
            (Some(open), _) if open == letter => quote = None,
            _ => {}
        }
        before = letter;
    }
    line
}

fn unquoted(text: &str) -> String {
    for quote in ['\'', '"'] {
        if let Some(inner) = text.strip_prefix(quote).and_then(|text| text.strip_suffix(quote)) {
            return inner.to_owned();
        }
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_data_yaml_are_read() {
        let text = "# set\ntrain: images/train  # here\nnc: 2\nnames: ['cat', \"dog # 2\"]\nlist:\n  - a\n  - b\nmap:\n  0: x y\n  1: 'z'\n";
        let keys: Vec<_> = parse(text).unwrap().into_iter().map(|(key, value, _)| (key, value)).collect();
        let text = |text: &str| text.to_owned();
        assert_eq!(keys[0], (text("train"), Value::Text(text("images/train"))));
        assert_eq!(keys[2], (text("names"), Value::List(vec![text("cat"), text("dog # 2")])));
        assert_eq!(keys[3], (text("list"), Value::List(vec![text("a"), text("b")])));
        assert_eq!(keys[4], (text("map"), Value::Map(vec![(text("0"), text("x y")), (text("1"), text("z"))])));
    }

    #[test]
    fn other_forms_are_refused_with_their_line() {
        for (text, line) in
            [("a: 1\na: 2", 2), ("a: {b: 1}", 1), ("  - a", 1), ("a: [1,\n2]", 1), ("a: 1\n  - b", 2), ("x", 1)]
        {
            assert_eq!(parse(text).unwrap_err().place().row, Some(line), "{text}");
        }
    }
}
