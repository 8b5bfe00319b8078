//! As much XML as a Pascal VOC file has: elements with texts and elements in them. Attributes, comments and the
//! declaration are passed over; a document type, which could define entities, is refused.

use lepton_core::{Error, ErrorCode, Result};

/// Elements in elements.
const DEPTH: usize = 16;

/// One element.
#[derive(Debug, Default)]
pub(super) struct Element {
    pub(super) name: String,
    /// The text in it, without that of its elements and without white space around it.
    pub(super) text: String,
    pub(super) children: Vec<Element>,
    /// Its line, from 1.
    pub(super) line: u64,
}

impl Element {
    /// The first element of that name in it.
    pub(super) fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }
}

/// The root element.
pub(super) fn parse(text: &str) -> Result<Element> {
    let mut open: Vec<Element> = vec![Element::default()];
    let mut at = 0;
    let line_at = |place: usize| text[..place].bytes().filter(|byte| *byte == b'\n').count() as u64 + 1;
    let wrong = |place: usize, message: &str| {
        Error::new(ErrorCode::BadData, format!("this XML cannot be read: {message}")).at_row(line_at(place))
    };
    while at < text.len() {
        let rest = &text[at..];
        let Some(content) = rest.strip_prefix('<') else {
            let end = rest.find('<').unwrap_or(rest.len());
            let place = open.len() - 1;
            let words = unescaped(&rest[..end]).ok_or_else(|| wrong(at, "an entity that is not known"))?;
            open[place].text.push_str(&words);
            at += end;
            continue;
        };
        let skipped = [("!--", "-->"), ("?", "?>")].into_iter().find(|(begin, _)| content.starts_with(begin));
        if let Some((_, end)) = skipped {
            let length = rest.find(end).ok_or_else(|| wrong(at, "it is cut off"))?;
            at += length + end.len();
            continue;
        }
        if content.starts_with('!') {
            return Err(wrong(at, "a document type and CDATA are not supported"));
        }
        let length = content.find('>').ok_or_else(|| wrong(at, "it is cut off"))?;
        let tag = &content[..length];
        if let Some(name) = tag.strip_prefix('/') {
            let closed = open.pop().filter(|element| element.name == name.trim() && !open.is_empty());
            let mut closed = closed.ok_or_else(|| wrong(at, &format!("</{}> closes nothing", name.trim())))?;
            closed.text = closed.text.trim().to_owned();
            let place = open.len() - 1;
            open[place].children.push(closed);
        } else {
            let empty = tag.ends_with('/');
            let name = tag.trim_end_matches('/').split_whitespace().next().unwrap_or_default();
            if name.is_empty() || name.contains(['<', '"', '\'']) {
                return Err(wrong(at, "an element without a name"));
            }
            let element = Element { name: name.to_owned(), line: line_at(at), ..Element::default() };
            let place = open.len() - 1;
            if empty {
                open[place].children.push(element);
            } else if open.len() > DEPTH {
                return Err(wrong(at, "its elements are nested too deep"));
            } else {
                open.push(element);
            }
        }
        at += length + 2;
    }
    let document = open.pop().filter(|_| open.is_empty()).ok_or_else(|| wrong(text.len(), "it is cut off"))?;
    let mut roots = document.children.into_iter();
    match (roots.next(), roots.next()) {
        (Some(root), None) if document.text.trim().trim_start_matches('\u{feff}').is_empty() => Ok(root),
        _ => Err(wrong(text.len(), "it has no single root element")),
    }
}

/// The five entities that XML itself has.
fn unescaped(text: &str) -> Option<String> {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(place) = rest.find('&') {
        plain.push_str(&rest[..place]);
        let end = rest[place..].find(';')? + place;
        plain.push(match &rest[place + 1..end] {
            "lt" => '<',
            "gt" => '>',
            "amp" => '&',
            "quot" => '"',
            "apos" => '\'',
            _ => return None,
        });
        rest = &rest[end + 1..];
    }
    plain.push_str(rest);
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_texts_and_lines_are_read() {
        let root = parse("<?xml version=\"1.0\"?>\n<!-- a -->\n<a x=\"1\">\n <b> c &amp; d </b><e/>\n</a>\n").unwrap();
        assert_eq!((root.name.as_str(), root.line, root.children.len()), ("a", 3, 2));
        let child = root.child("b").unwrap();
        assert_eq!((child.text.as_str(), child.line), ("c & d", 4));
        assert!(root.child("c").is_none());
    }

    #[test]
    fn what_is_no_plain_xml_is_refused() {
        for text in
            ["", "<a>", "<a></b>", "</a>", "<a/><b/>", "x<a/>", "<a>&x;</a>", "<!DOCTYPE a><a/>", "<a", "< >", "<!-- "]
        {
            let error = parse(text).unwrap_err();
            assert_eq!((error.code(), error.place().row), (ErrorCode::BadData, Some(1)), "{text}");
        }
        assert!(parse(&"<a>".repeat(100_000)).unwrap_err().message().contains("too deep"));
    }
}
