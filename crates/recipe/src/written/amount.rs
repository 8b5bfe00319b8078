//! Amounts as people write them: grouped digits, decimal commas, money, percentages, units.

/// A number as people write it: `1,234.50`, `1.234,50`, `€ 12`, `45 %`, `(1,200)`. A comma alone before three digits
/// groups them.
pub fn written_number(text: &str) -> Option<f64> {
    let (negative, inner) = match text.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')) {
        Some(inner) => (true, inner),
        None => (false, text),
    };
    let money = ['$', '€', '£', '¥', '₹', '₩'];
    let inner = inner.trim().trim_start_matches(money).trim_end_matches(money).trim();
    let (percent, inner) = match inner.strip_suffix('%') {
        Some(inner) => (true, inner.trim()),
        None => (false, inner),
    };
    let (minus, inner) = match inner.strip_prefix('-') {
        Some(inner) => (true, inner.trim_start_matches(money).trim()),
        None => (false, inner),
    };
    if inner.is_empty() || !inner.starts_with(|letter: char| letter.is_ascii_digit()) {
        return None;
    }
    let point = decimal_mark(inner)?;
    let mut plain = String::new();
    for letter in inner.chars() {
        match letter {
            '0'..='9' => plain.push(letter),
            _ if Some(letter) == point => plain.push('.'),
            ',' | '.' | ' ' | '\'' | '\u{a0}' | '\u{202f}' => {}
            _ => return None,
        }
    }
    let value: f64 = plain.parse().ok()?;
    let value = if percent { value / 100.0 } else { value };
    Some(if negative != minus { -value } else { value })
}

/// Which of comma and point is the decimal one; none where all of them group three digits.
fn decimal_mark(text: &str) -> Option<Option<char>> {
    let last = text.rfind([',', '.']);
    let Some(last) = last else { return groups_of_three(text).then_some(None) };
    let mark = if text[last..].starts_with(',') { ',' } else { '.' };
    let other = if mark == ',' { '.' } else { ',' };
    let behind = text.len() - last - 1;
    let count = text.matches(mark).count();
    let groups = groups_of_three(text);
    if count > 1 {
        return (groups && !text.contains(other)).then_some(None);
    }
    let whole = &text[..last];
    if behind == 3 && !text.contains(other) && mark == ',' && groups {
        return Some(None);
    }
    groups_of_three(whole).then_some(Some(mark))
}

/// Digits, in groups of three from the right where they are grouped at all, by one mark.
fn groups_of_three(text: &str) -> bool {
    let marks = [',', '.', ' ', '\'', '\u{a0}', '\u{202f}'];
    let groups: Vec<&str> = text.split(marks).collect();
    let digits = |group: &str| !group.is_empty() && group.bytes().all(|byte| byte.is_ascii_digit());
    let mut used = text.chars().filter(|letter| marks.contains(letter));
    let one_mark = used.next().is_none_or(|first| used.all(|next| next == first));
    one_mark
        && groups.iter().all(|group| digits(group))
        && (groups.len() == 1 || (groups[0].len() <= 3 && groups[1..].iter().all(|group| group.len() == 3)))
}

/// Units that a number may have behind it, in lower case, with what one of it is in the first unit of its kind.
pub const UNITS: [(&str, &str, f64); 28] = [
    ("kg", "kg", 1.0),
    ("g", "kg", 1e-3),
    ("mg", "kg", 1e-6),
    ("t", "kg", 1e3),
    ("lb", "kg", 0.453_592_37),
    ("lbs", "kg", 0.453_592_37),
    ("oz", "kg", 0.028_349_523_125),
    ("m", "m", 1.0),
    ("cm", "m", 1e-2),
    ("mm", "m", 1e-3),
    ("km", "m", 1e3),
    ("in", "m", 0.0254),
    ("ft", "m", 0.3048),
    ("mi", "m", 1_609.344),
    ("yd", "m", 0.9144),
    ("s", "s", 1.0),
    ("sec", "s", 1.0),
    ("ms", "s", 1e-3),
    ("min", "s", 60.0),
    ("h", "s", 3_600.0),
    ("hr", "s", 3_600.0),
    ("l", "l", 1.0),
    ("ml", "l", 1e-3),
    ("gal", "l", 3.785_411_784),
    ("usd", "usd", 1.0),
    ("eur", "eur", 1.0),
    ("gbp", "gbp", 1.0),
    ("jpy", "jpy", 1.0),
];

/// A number and the unit behind it: `12 kg`, `3.5cm`.
pub fn measure(text: &str) -> Option<(f64, &'static str)> {
    let end = text.rfind(|letter: char| letter.is_ascii_digit())? + 1;
    let (number, unit) = text.split_at(end);
    let unit = unit.trim().trim_end_matches('.');
    let unit = UNITS.iter().find(|(name, ..)| name.eq_ignore_ascii_case(unit))?.0;
    let value = super::parse_number(number.as_bytes()).or_else(|| written_number(number.trim()))?;
    Some((value, unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_people_write_them_are_read() {
        for (text, value) in [
            ("1,234.50", 1234.5),
            ("1.234,50", 1234.5),
            ("1,234", 1234.0),
            ("1 234,5", 1234.5),
            ("$1,200", 1200.0),
            ("€ 12,5", 12.5),
            ("45 %", 0.45),
            ("(1,200)", -1200.0),
            ("-$5", -5.0),
            ("1'000'000", 1e6),
            ("12,5", 12.5),
        ] {
            assert_eq!(written_number(text), Some(value), "{text}");
        }
        for text in ["1,23,456", "12 Monkeys", "1.2.3", "a", "%", "1,2,3", "$"] {
            assert_eq!(written_number(text), None, "{text}");
        }
        assert_eq!(measure("12 kg"), Some((12.0, "kg")));
        assert_eq!(measure("3.5cm"), Some((3.5, "cm")));
        assert_eq!(measure("1,200 lbs."), Some((1200.0, "lbs")));
        assert_eq!(measure("12 monkeys"), None);
    }
}
