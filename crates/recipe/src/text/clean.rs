//! Cleaning of a text, one pass for each thing that is cleaned, in the order of the settings.

use crate::settings::TextCleaning;
use std::borrow::Cow;
use unicode_normalization::{UnicodeNormalization, is_nfc};

/// Entities of HTML that have a name here; all that are numbers are read too, others stay as they are.
const ENTITIES: [(&str, char); 14] = [
    ("amp", '&'),
    ("lt", '<'),
    ("gt", '>'),
    ("quot", '"'),
    ("apos", '\''),
    ("nbsp", '\u{a0}'),
    ("copy", '©'),
    ("reg", '®'),
    ("euro", '€'),
    ("pound", '£'),
    ("deg", '°'),
    ("ndash", '–'),
    ("mdash", '—'),
    ("hellip", '…'),
];

/// A text, cleaned as the settings say.
pub fn clean(text: &str, how: TextCleaning) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    if how.html && text.contains(['<', '&']) {
        text = Cow::Owned(entities(&without_tags(&text)));
    }
    if how.urls && (text.contains("://") || text.contains("www.") || text.contains("WWW.")) {
        text = Cow::Owned(without_urls(&text));
    }
    if how.control && text.chars().any(shows_nothing) {
        text = Cow::Owned(text.chars().filter(|letter| !shows_nothing(*letter)).collect());
    }
    if how.nfc && !is_nfc(&text) {
        text = Cow::Owned(text.nfc().collect());
    }
    if how.lower_case && text.chars().any(char::is_uppercase) {
        text = Cow::Owned(text.to_lowercase());
    }
    if how.white_space {
        let joined = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if joined != *text {
            text = Cow::Owned(joined);
        }
    }
    text
}

/// Control and format characters that are no white space: they change how a word is stored and not how it looks.
fn shows_nothing(letter: char) -> bool {
    let format = matches!(letter,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{feff}');
    format || (letter.is_control() && !letter.is_whitespace())
}

/// Tags and comments become a space; what stands in a script or a style is no text.
fn without_tags(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        let tag = &rest[start + 1..];
        let is_tag = tag.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '/' || letter == '!');
        let close =
            if tag.starts_with("!--") { tag.find("-->").map(|end| end + 3) } else { tag.find('>').map(|end| end + 1) };
        let Some(mut end) = close.filter(|_| is_tag) else {
            kept.push_str(&rest[..=start]);
            rest = tag;
            continue;
        };
        for name in ["script", "style"] {
            let opens = tag.get(..name.len()).is_some_and(|word| word.eq_ignore_ascii_case(name))
                && !tag[name.len()..].starts_with(|letter: char| letter.is_ascii_alphanumeric());
            if opens {
                let behind = tag[end..].to_ascii_lowercase();
                let closing = behind.find(&format!("</{name}"));
                end = closing
                    .and_then(|at| behind[at..].find('>').map(|close| end + at + close + 1))
                    .unwrap_or(tag.len());
            }
        }
        kept.push_str(&rest[..start]);
        kept.push(' ');
        rest = &tag[end..];
    }
    kept.push_str(rest);
    kept
}

fn entities(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('&') {
        kept.push_str(&rest[..start]);
        rest = &rest[start..];
        // The longest entity that is read is a number of seven digits.
        let end = rest.bytes().take(10).position(|byte| byte == b';');
        match end.and_then(|end| Some((end, entity(&rest[1..end])?))) {
            Some((end, letter)) => {
                kept.push(letter);
                rest = &rest[end + 1..];
            }
            None => {
                kept.push('&');
                rest = &rest[1..];
            }
        }
    }
    kept.push_str(rest);
    kept
}

fn entity(name: &str) -> Option<char> {
    let code = match name.strip_prefix('#') {
        None => return ENTITIES.iter().find(|(known, _)| *known == name).map(|(_, letter)| *letter),
        Some(digits) => match digits.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => digits.parse().ok()?,
        },
    };
    char::from_u32(code)
}

/// Addresses, up to the next white space.
fn without_urls(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    loop {
        let starts =
            ["http://", "https://", "ftp://", "www."].iter().filter_map(|start| find_ignoring_case(rest, start));
        let Some(start) = starts.min() else { break };
        kept.push_str(&rest[..start]);
        let address = &rest[start..];
        rest = &address[address.find(char::is_whitespace).unwrap_or(address.len())..];
    }
    kept.push_str(rest);
    kept
}

fn find_ignoring_case(text: &str, ascii: &str) -> Option<usize> {
    text.as_bytes().windows(ascii.len()).position(|window| window.eq_ignore_ascii_case(ascii.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_setting_cleans_its_own() {
        let all = TextCleaning::default();
        assert_eq!(clean("<p>Fish &amp; Chips&#33;</p>", all), "fish & chips!");
        assert_eq!(clean("a<script>if (a < b) {}</script >b<style>x</style>c", all), "a b c");
        assert_eq!(clean("1 < 2 & 3 > 2 &unknown; <!-- no --> yes", all), "1 < 2 & 3 > 2 &unknown; yes");
        assert_eq!(clean("See HTTPS://x.y/z?q=1 and www.a.b, now", all), "see and now");
        assert_eq!(clean("zero\u{200b}width\u{feff} be\u{7}ll", all), "zerowidth bell");
        assert_eq!(clean("Cafe\u{301}", all), "café");
        assert_eq!(clean("  a\t\n b\u{a0}c ", all), "a b c");
        let none = TextCleaning {
            html: false,
            urls: false,
            nfc: false,
            lower_case: false,
            control: false,
            white_space: false,
        };
        let dirty = " <b>A</b> www.x.y \u{200b}e\u{301} ";
        assert_eq!(clean(dirty, none), dirty);
        assert!(matches!(clean("already clean", all), Cow::Borrowed(_)));
    }

    proptest! {
        #[test]
        fn any_text_is_cleaned(text in "(\\PC|<script>|</style|<!--|&#x1F600;|https://|&amp;|[<>&; ]){0,12}") {
            let _ = clean(&text, TextCleaning::default());
        }
    }
}
