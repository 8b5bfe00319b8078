//! Dates as people write them: the parts, their order, and the time of the day behind them.

use serde::{Deserialize, Serialize};

/// The order of a date's parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DateOrder {
    /// `2021-03-04`
    YearMonthDay,
    /// `31.12.2021`
    DayMonthYear,
    /// `12/31/2021`
    MonthDayYear,
    /// `03/04/2021`: one of the two before.
    DayOrMonthFirst,
    /// `4 March 2021`
    DayNameYear,
    /// `Mar 4 2021`
    NameDayYear,
}

/// The parts of a date as they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayParts<'a> {
    /// In which order they stand.
    pub order: DateOrder,
    /// The year.
    pub year: u32,
    /// Of [`DateOrder::DayOrMonthFirst`]: what is written in the middle.
    pub month: u32,
    /// Of [`DateOrder::DayOrMonthFirst`]: what is written first.
    pub day: u32,
    /// The time of the day as it is written.
    pub time: Option<&'a str>,
}

/// A day of the calendar with the hour where one was written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Date {
    /// The year.
    pub year: u32,
    /// The month, from 1.
    pub month: u32,
    /// The day, from 1.
    pub day: u32,
    /// The hour as it is written, whatever the zone, with minutes as its fraction: 0 to below 24.
    pub hour: Option<f64>,
}

impl DayParts<'_> {
    /// Month and day, where `03/04/2021` is in April when `day_first`.
    pub fn month_and_day(&self, day_first: bool) -> (u32, u32) {
        let swap = self.order == DateOrder::DayOrMonthFirst && !day_first;
        if swap { (self.day, self.month) } else { (self.month, self.day) }
    }

    /// The day that is meant, where `03/04/2021` is in April when `day_first`; `None` for a day that was not, such as
    /// the 29th of February 2021.
    pub fn date(&self, day_first: bool) -> Option<Date> {
        let (month, day) = self.month_and_day(day_first);
        let leap = self.year.is_multiple_of(4) && (!self.year.is_multiple_of(100) || self.year.is_multiple_of(400));
        if month == 2 && day == 29 && !leap {
            return None;
        }
        Some(Date { year: self.year, month, day, hour: self.time.and_then(hour) })
    }
}

impl Date {
    /// Days since 1970-01-01 in the Gregorian calendar (Hinnant, "chrono-compatible low-level date algorithms").
    pub fn days(&self) -> i64 {
        let year = i64::from(self.year) - i64::from(self.month <= 2);
        let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
        let month = i64::from((self.month + 9) % 12);
        let day_of_year = (153 * month + 2) / 5 + i64::from(self.day) - 1;
        era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + day_of_year - 719_468
    }

    /// The day of the week, 0 for Monday.
    pub fn weekday(&self) -> u32 {
        (self.days() + 3).rem_euclid(7) as u32
    }
}

/// Hours and minutes of a time of the day.
fn hour(time: &str) -> Option<f64> {
    let mut parts = time.trim().split(':');
    let hour: f64 = parts.next()?.trim().parse().ok()?;
    let minutes: String = parts.next()?.chars().take_while(char::is_ascii_digit).collect();
    Some(hour + minutes.parse::<f64>().ok()? / 60.0)
}

/// A date's parts, when a text is one.
pub fn day_parts(text: &str) -> Option<DayParts<'_>> {
    // A date begins with a digit or with the name of a month; few other texts do.
    let name = text.find(|letter: char| !letter.is_alphabetic()).map_or(text, |end| &text[..end]);
    if !name.is_empty() && month(name).is_none() {
        return None;
    }
    if let Some(parts) = iso_parts(text) {
        return Some(parts);
    }
    let with_time = text.split_once('T').or_else(|| text.rsplit_once(' ').filter(|(_, time)| time.contains(':')));
    let (day, time) = match with_time {
        Some((day, time)) => (day.trim(), Some(time.trim())),
        None => (text, None),
    };
    if time.is_some_and(|time| !is_time(time)) {
        return None;
    }
    let of = |order, year, month, day| Some(DayParts { order, year, month, day, time });
    let number = |part: &str| -> Option<u32> {
        let is_number = !part.is_empty() && part.len() <= 4 && part.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| part.parse().ok())?
    };
    if let Some(mark) = ['-', '/', '.'].into_iter().find(|mark| day.matches(*mark).count() == 2) {
        let parts: Vec<&str> = day.split(mark).collect();
        let [first, second, third] = parts[..] else { return None };
        if let Some(month) = month(second) {
            let (day, year) = (number(first)?, year(third)?);
            return is_day(day, month).then_some(of(DateOrder::DayNameYear, year, month, day))?;
        }
        if first.len() == 4 {
            let (year, month, day) = (year(first)?, number(second)?, number(third)?);
            return is_day(day, month).then_some(of(DateOrder::YearMonthDay, year, month, day))?;
        }
        let (year, one, two) = (year(third)?, number(first)?, number(second)?);
        return match (is_day(one, two), is_day(two, one)) {
            (true, true) => of(DateOrder::DayOrMonthFirst, year, two, one),
            (true, false) => of(DateOrder::DayMonthYear, year, two, one),
            (false, true) => of(DateOrder::MonthDayYear, year, one, two),
            (false, false) => None,
        };
    }
    let words: Vec<&str> = day.split([' ', ',']).filter(|word| !word.is_empty()).collect();
    let [first, second, third] = words[..] else { return None };
    let year = year(third)?;
    let day_of = |word: &str| number(word.trim_end_matches('.'));
    match (month(first), month(second)) {
        (Some(month), None) => {
            let day = day_of(second)?;
            is_day(day, month).then_some(of(DateOrder::NameDayYear, year, month, day))?
        }
        (None, Some(month)) => {
            let day = day_of(first)?;
            is_day(day, month).then_some(of(DateOrder::DayNameYear, year, month, day))?
        }
        _ => None,
    }
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

fn month(word: &str) -> Option<u32> {
    let word = word.trim_end_matches(['.', ',']);
    let start = word.get(..3)?;
    let place = MONTHS.iter().position(|month| month.eq_ignore_ascii_case(start))?;
    let long = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ][place];
    let is_name = word.len() == 3 || word.eq_ignore_ascii_case(long) || word.eq_ignore_ascii_case("sept");
    is_name.then_some(place as u32 + 1)
}

/// `2021-03-04`, perhaps with `T10:20:30` or ` 10:20` behind it: what machines write, read without any search.
fn iso_parts(text: &str) -> Option<DayParts<'_>> {
    let [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, rest @ ..] = text.as_bytes() else { return None };
    let number = |digits: &[u8]| {
        digits.iter().try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + u32::from(byte - b'0')))
    };
    let (year, month, day) = (number(&[*y0, *y1, *y2, *y3])?, number(&[*m0, *m1])?, number(&[*d0, *d1])?);
    let time = match rest {
        [] => None,
        [b'T' | b' ', time @ ..] if !time.contains(&b' ') => Some(text.get(11..)?),
        _ => return None,
    };
    let holds = (1_000..=2_999).contains(&year) && is_day(day, month) && time.is_none_or(is_time);
    holds.then_some(DayParts { order: DateOrder::YearMonthDay, year, month, day, time })
}

/// Four digits, or two: 70 to 99 are of the twentieth century, as POSIX has it.
fn year(text: &str) -> Option<u32> {
    let value = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u32>().ok())??;
    match (text.len(), value) {
        (4, 1_000..=2_999) => Some(value),
        (2, 69..) => Some(1_900 + value),
        (2, _) => Some(2_000 + value),
        _ => None,
    }
}

fn is_day(day: u32, month: u32) -> bool {
    let longest = match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    (1..=longest).contains(&day)
}

fn is_time(text: &str) -> bool {
    if let [h0, h1, b':', m0, m1, b':', s0, s1] = text.as_bytes()
        && [h0, h1, m0, m1, s0, s1].iter().all(|byte| byte.is_ascii_digit())
    {
        let number = |tens: &u8, ones: &u8| 10 * (tens - b'0') + (ones - b'0');
        return number(h0, h1) < 24 && number(m0, m1) < 60 && number(s0, s1) < 61;
    }
    let bare = text.trim().trim_end_matches('Z');
    let bare = bare.rfind(['+', '-']).map_or(bare, |zone| &bare[..zone]);
    let parts: Vec<&str> = bare.split(':').collect();
    let number = |text: &str| text.split('.').next().and_then(|whole| whole.parse::<u32>().ok());
    matches!(parts.len(), 2 | 3)
        && parts.iter().zip([24, 60, 61]).all(|(part, most)| number(part).is_some_and(|value| value < most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_told_by_the_order_of_their_parts() {
        for (text, order) in [
            ("2021-03-04", DateOrder::YearMonthDay),
            ("2021-03-04T10:20:30Z", DateOrder::YearMonthDay),
            ("2021/3/4 10:20", DateOrder::YearMonthDay),
            ("31.12.2021", DateOrder::DayMonthYear),
            ("12/31/2021", DateOrder::MonthDayYear),
            ("03/04/2021", DateOrder::DayOrMonthFirst),
            ("4 March 2021", DateOrder::DayNameYear),
            ("04-Mar-21", DateOrder::DayNameYear),
            ("Jun 12 1998", DateOrder::NameDayYear),
            ("June 12, 1998", DateOrder::NameDayYear),
        ] {
            assert_eq!(day_parts(text).map(|parts| parts.order), Some(order), "{text}");
        }
        for text in ["2021-13-04", "31.02.2021", "1.2.3", "12/31", "June 1998", "Juniper 12 1998", "3-4-3021"] {
            assert_eq!(day_parts(text), None, "{text}");
        }
    }

    #[test]
    fn days_are_counted_as_the_calendar_has_them() {
        let date = |text: &str, day_first| day_parts(text).and_then(|parts| parts.date(day_first));
        let days = |text: &str| date(text, true).map(|date| (date.days(), date.weekday()));
        assert_eq!(days("1970-01-01"), Some((0, 3)), "a Thursday");
        assert_eq!(days("2000-03-01"), Some((11_017, 2)));
        assert_eq!(days("2024-02-29"), Some((19_782, 3)));
        assert_eq!(days("2021-02-29"), None);
        assert_eq!(date("03/04/2021", true).map(|date| (date.month, date.day)), Some((4, 3)));
        assert_eq!(date("03/04/2021", false).map(|date| (date.month, date.day)), Some((3, 4)));
        assert_eq!(date("2021-03-04 10:30", true).and_then(|date| date.hour), Some(10.5));
        assert_eq!(date("2021-03-04T23:45:10.5+02:00", true).and_then(|date| date.hour), Some(23.75));
    }
}
