//! Numbers of text, fast where they are short.

/// Powers of ten that a 64-bit float holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// The number that a text is: what Rust's parser makes of it without the white space around it, but for infinities
/// and NaN, which are no numbers here.
#[inline]
pub fn parse_number(text: &[u8]) -> Option<f64> {
    short(text).or_else(|| any(text))
}

/// Digits with at most one point and a sign. Up to 2^53 and 22 places the quotient of two exact floats is rounded
/// once, as it must be (Clinger, "How to read floating point numbers accurately", 1990).
#[inline]
fn short(text: &[u8]) -> Option<f64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    if digits.is_empty() || digits.len() > 17 {
        return None;
    }
    let (mut mantissa, mut places, mut point) = (0u64, 0usize, false);
    for &byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit < 10 {
            mantissa = mantissa * 10 + u64::from(digit);
            places += usize::from(point);
        } else if byte == b'.' && !point {
            point = true;
        } else {
            return None;
        }
    }
    if mantissa > 1 << 53 || (point && digits.len() == 1) {
        return None;
    }
    let value = mantissa as f64 / POWERS[places];
    Some(if negative { -value } else { value })
}

#[cold]
#[inline(never)]
fn any(text: &[u8]) -> Option<f64> {
    // Cheap to refuse: what no number begins with, after white space and signs.
    let first = text.iter().find(|byte| !byte.is_ascii_whitespace())?;
    if !matches!(first, b'0'..=b'9' | b'+' | b'-' | b'.') && first.is_ascii() {
        return None;
    }
    let value: f64 = std::str::from_utf8(text).ok()?.trim().parse().ok()?;
    value.is_finite().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reference(text: &str) -> Option<f64> {
        text.trim().parse::<f64>().ok().filter(|value| value.is_finite())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5_000))]

        #[test]
        fn a_number_is_what_rust_reads(text in "[ ]?[-+]?[0-9]{0,18}[.]?[0-9]{0,6}(e[-+]?[0-9]{1,3})?[ ]?") {
            prop_assert_eq!(parse_number(text.as_bytes()).map(f64::to_bits), reference(&text).map(f64::to_bits), "{:?}", text);
        }

        #[test]
        fn a_float_reads_back(value in prop::num::f64::NORMAL) {
            prop_assert_eq!(parse_number(value.to_string().as_bytes()), Some(value));
        }
    }

    #[test]
    fn what_is_no_number_is_none() {
        for text in
            ["", " ", "-", ".", "1.2.3", "1,5", "0x10", "nan", "inf", "-inf", "1e999", "infinity", "１２", "--1", "1-"]
        {
            assert_eq!(parse_number(text.as_bytes()), None, "{text:?}");
        }
    }
}
