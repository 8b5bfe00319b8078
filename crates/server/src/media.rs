//! What a predict request carries: its media type, and the file inside a multipart form.

use crate::refusal::Refusal;

/// Parts that one form may have.
const MAX_PARTS: usize = 100;
/// RFC 2046 allows boundaries of at most 70 characters.
const MAX_BOUNDARY: usize = 70;

/// The media types that a prediction takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Media {
    /// PNG or JPEG; which one, its first bytes say.
    Picture,
    /// A row, or `{"rows": [...]}`.
    Json,
    /// A table with a header line.
    Csv,
    /// A form with one file.
    Form,
}

const TAKEN: &str = "image/png, image/jpeg, application/json, text/csv or multipart/form-data with one file";

impl Media {
    /// Reads a `Content-Type`, parameters ignored.
    ///
    /// # Errors
    /// 415 naming what is taken.
    pub(crate) fn of(content_type: Option<&str>) -> Result<Media, Refusal> {
        let Some(content_type) = content_type else {
            return Err(Refusal::new(415, format!("the Content-Type header is missing; send {TAKEN}")));
        };
        let essence = content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
        match essence.as_str() {
            "image/png" | "image/jpeg" => Ok(Media::Picture),
            "application/json" => Ok(Media::Json),
            "text/csv" => Ok(Media::Csv),
            "multipart/form-data" => Ok(Media::Form),
            _ => Err(Refusal::new(415, format!("this media type is not taken; send {TAKEN}"))),
        }
    }

    /// Tells PNG and JPEG by their first bytes, for a form's file that names no type.
    fn sniff(bytes: &[u8]) -> Option<Media> {
        let picture = bytes.starts_with(b"\x89PNG\r\n\x1a\n") || bytes.starts_with(b"\xff\xd8\xff");
        picture.then_some(Media::Picture)
    }
}

/// The one file of a `multipart/form-data` body, and what it is.
///
/// # Errors
/// 400 for a malformed form, no file or several; 415 for a file of another kind.
pub(crate) fn file_of_form<'a>(content_type: &str, body: &'a [u8]) -> Result<(Media, &'a [u8]), Refusal> {
    let malformed = |what: &str| Refusal::new(400, format!("malformed multipart form: {what}"));
    let boundary = parameter(content_type, "boundary").ok_or_else(|| malformed("no boundary in the Content-Type"))?;
    if boundary.is_empty() || boundary.len() > MAX_BOUNDARY {
        return Err(malformed("its boundary must have 1 to 70 characters"));
    }
    let delimiter = [b"\r\n--", boundary.as_bytes()].concat();
    // The first delimiter may stand at the very start, without a line break before it.
    let mut rest = match body.strip_prefix(&delimiter[2..]) {
        Some(rest) => rest,
        None => split(body, &delimiter).ok_or_else(|| malformed("its boundary does not occur"))?.1,
    };
    let mut file = None;
    for _ in 0..MAX_PARTS {
        if rest.starts_with(b"--") {
            return file.ok_or_else(|| Refusal::new(400, "the form has no file"));
        }
        let part = rest.strip_prefix(b"\r\n").ok_or_else(|| malformed("a boundary is not followed by a line break"))?;
        let (part, after) = split(part, &delimiter).ok_or_else(|| malformed("it ends inside a part"))?;
        rest = after;
        let (head, content) = match part.strip_prefix(b"\r\n") {
            Some(content) => (&part[..0], content),
            None => split(part, b"\r\n\r\n").ok_or_else(|| malformed("a part has no empty line after its head"))?,
        };
        let head = std::str::from_utf8(head).map_err(|_| malformed("a part's head is not UTF-8"))?;
        let field = |name: &str| {
            head.split("\r\n")
                .filter_map(|line| line.split_once(':'))
                .find(|(key, _)| key.trim().eq_ignore_ascii_case(name))
        };
        let is_file = field("content-disposition").is_some_and(|(_, value)| parameter(value, "filename").is_some());
        if !is_file {
            continue;
        }
        if file.is_some() {
            return Err(Refusal::new(400, "the form has more than one file; send one request for each"));
        }
        let named =
            field("content-type").map(|(_, value)| value.trim()).filter(|value| *value != "application/octet-stream");
        let media = match named {
            Some(named) => Media::of(Some(named))?,
            None => Media::sniff(content).map_or_else(|| Media::of(None), Ok)?,
        };
        if media == Media::Form {
            return Err(Refusal::new(415, "a form inside a form is not taken"));
        }
        file = Some((media, content));
    }
    Err(malformed("it has more than 100 parts"))
}

/// What stands before and after the first `needle`.
fn split<'a>(bytes: &'a [u8], needle: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let first = *needle.first()?;
    let mut from = 0;
    while let Some(offset) = bytes[from..].iter().position(|&byte| byte == first) {
        let at = from + offset;
        if bytes[at..].starts_with(needle) {
            return Some((&bytes[..at], &bytes[at + needle.len()..]));
        }
        from = at + 1;
    }
    None
}

/// The value of `; name=value` or `; name="value"` in a header.
fn parameter<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = header.split_once(';')?.1;
    loop {
        let (key, after) = rest.split_once('=')?;
        let (value, next) = match after.trim_start().strip_prefix('"') {
            Some(quoted) => {
                let (value, next) = quoted.split_once('"')?;
                (value, next.split_once(';').map_or("", |(_, next)| next))
            }
            None => after.split_once(';').unwrap_or((after, "")),
        };
        if key.trim().eq_ignore_ascii_case(name) {
            return Some(value.trim());
        }
        rest = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\nrest\r\n--not the boundary";

    fn form(parts: &[(&str, &[u8])]) -> Vec<u8> {
        let mut body = Vec::new();
        for (head, content) in parts {
            body.extend_from_slice(format!("--XX\r\n{head}\r\n\r\n").as_bytes());
            body.extend_from_slice(content);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"--XX--\r\n");
        body
    }

    fn file(body: &[u8]) -> Result<(Media, &[u8]), u16> {
        file_of_form("multipart/form-data; charset=\"a;b\"; boundary=\"XX\"", body).map_err(|refusal| refusal.status)
    }

    #[test]
    fn the_file_of_a_form_is_found_byte_for_byte() {
        let note: (&str, &[u8]) = ("Content-Disposition: form-data; name=\"note\"", b"hello");
        let named: (&str, &[u8]) =
            ("content-disposition: form-data; name=\"f\"; filename=\"a.png\"\r\nContent-Type: image/png", PNG);
        let unnamed: (&str, &[u8]) = ("Content-Disposition: form-data; name=\"f\"; filename=\"a\"", PNG);
        let table: (&str, &[u8]) =
            ("Content-Disposition: form-data; filename=\"a.csv\"; name=\"f\"\r\nContent-Type: text/csv", b"a,b\n1,2\n");
        assert_eq!(file(&form(&[note, named])), Ok((Media::Picture, PNG)));
        assert_eq!(file(&form(&[unnamed, note])), Ok((Media::Picture, PNG)));
        assert_eq!(file(&form(&[table])), Ok((Media::Csv, &b"a,b\n1,2\n"[..])));
        assert_eq!(file(&form(&[note])), Err(400));
        assert_eq!(file(&form(&[named, table])), Err(400));
        let program: (&str, &[u8]) = ("Content-Disposition: form-data; name=\"f\"; filename=\"a\"", b"\x7fELF");
        assert_eq!(file(&form(&[program])), Err(415));
        let mut with_preamble = b"for mail readers\r\n".to_vec();
        with_preamble.extend(form(&[named]));
        assert_eq!(file(&with_preamble), Ok((Media::Picture, PNG)));
    }

    #[test]
    fn malformed_forms_are_refused() {
        let good = form(&[("Content-Disposition: form-data; name=\"f\"; filename=\"a.png\"", PNG)]);
        for end in 0..good.len() - 4 {
            assert!(file(&good[..end]).is_err(), "cut at {end}");
        }
        let many = form(&vec![("Content-Disposition: form-data; name=\"a\"", &b"1"[..]); 101]);
        assert_eq!(file(&many), Err(400));
        let long = format!("multipart/form-data; boundary={}", "x".repeat(71));
        assert_eq!(file_of_form(&long, &good).unwrap_err().status, 400);
        assert_eq!(file_of_form("multipart/form-data", &good).unwrap_err().status, 400);
    }

    #[test]
    fn media_types_are_told_apart() {
        assert_eq!(Media::of(Some("Image/PNG")).unwrap(), Media::Picture);
        assert_eq!(Media::of(Some("application/json; charset=utf-8")).unwrap(), Media::Json);
        assert_eq!(Media::of(Some("text/csv;header=present")).unwrap(), Media::Csv);
        for other in
            [None, Some(""), Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("image/svg+xml")]
        {
            assert_eq!(Media::of(other).unwrap_err().status, 415);
        }
    }

    proptest! {
        #[test]
        fn no_form_makes_it_panic(body in "(--XX|\r\n|--|a|:|;|=|\"|filename|Content-Disposition){0,30}", header in "[;=\" a-z]{0,30}") {
            let _ = file(body.as_bytes());
            let _ = file_of_form(&header, body.as_bytes());
        }
    }
}
