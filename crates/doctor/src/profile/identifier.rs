//! What names or reaches one person, account or thing: mail addresses, telephone, card and account numbers, UUIDs.

/// A mail address anywhere in a text: letters on both sides of an `@`, and a name with a point behind it.
pub(super) fn has_email(text: &str) -> bool {
    if !text.contains('@') {
        return false;
    }
    let bytes = text.as_bytes();
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"._%+-".contains(byte);
    bytes.iter().enumerate().filter(|(_, byte)| **byte == b'@').any(|(at, _)| {
        let before = bytes[..at].iter().rev().take_while(|byte| is_name(byte)).count();
        let behind = &bytes[at + 1..];
        let host =
            &behind[..behind.iter().take_while(|byte| byte.is_ascii_alphanumeric() || b".-".contains(byte)).count()];
        let last = host.rsplit(|byte| *byte == b'.').find(|part| !part.is_empty()).unwrap_or(&[]);
        before > 0
            && host.contains(&b'.')
            && host[0] != b'.'
            && last.len() >= 2
            && last.iter().all(u8::is_ascii_alphabetic)
    })
}

fn digits(text: &str) -> Vec<u32> {
    text.chars().filter_map(|letter| letter.to_digit(10)).collect()
}

/// Luhn's check (ISO/IEC 7812-1) over 13 to 19 digits in groups, beginning as cards do.
pub(super) fn is_card(text: &str) -> bool {
    if !text.chars().all(|letter| letter.is_ascii_digit() || letter == ' ' || letter == '-') {
        return false;
    }
    let digits = digits(text);
    (13..=19).contains(&digits.len()) && (2..=6).contains(&digits[0]) && luhn(&digits)
}

fn luhn(digits: &[u32]) -> bool {
    let double = |digit: u32| if digit > 4 { 2 * digit - 9 } else { 2 * digit };
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| if place % 2 == 1 { double(*digit) } else { *digit })
        .sum();
    sum.is_multiple_of(10)
}

/// ISO 13616: country, two check digits, up to 30 letters and digits; 1 modulo 97 when the first four go last.
pub(super) fn is_iban(text: &str) -> bool {
    if !text.bytes().take(2).all(|byte| byte.is_ascii_uppercase()) {
        return false;
    }
    let bare: Vec<u8> = text.bytes().filter(|byte| *byte != b' ').collect();
    if !(15..=34).contains(&bare.len())
        || !bare[..2].iter().all(u8::is_ascii_uppercase)
        || !bare[2..4].iter().all(u8::is_ascii_digit)
        || !bare[4..].iter().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
    {
        return false;
    }
    let rest = bare[4..].iter().chain(&bare[..4]).fold(0u32, |rest, byte| match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        _ => (rest * 100 + u32::from(byte - b'A') + 10) % 97,
    });
    rest == 1
}

/// By its form that of the United States: three digits, two, four.
pub(super) fn is_national_id(text: &str) -> bool {
    text.len() == 11
        && text.bytes().enumerate().all(|(place, byte)| match place {
            3 | 6 => byte == b'-',
            _ => byte.is_ascii_digit(),
        })
}

/// A number that is called: with a plus, or in groups with brackets, points, hyphens or spaces; 7 to 15 digits.
pub(super) fn is_phone(text: &str) -> bool {
    if !text.chars().all(|letter| letter.is_ascii_digit() || " +-().".contains(letter)) {
        return false;
    }
    let count = digits(text).len();
    let grouped = text.starts_with('+') || text.starts_with('(') || text.matches(['-', ' ']).count() >= 2;
    (7..=15).contains(&count) && grouped && text.matches('.').count() != 1
}

pub(super) fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(place, byte)| match place {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}
