//! Points in time as `#inst` has them: which texts are dates, and which millisecond they mean.

use core::fmt;

/// A point in time in milliseconds, as `java.util.Date`: `#inst "2026-01-02T03:04:05.678-00:00"`.
///
/// Clojure reads dates before 15 October 1582 in the Julian calendar, and so does this crate.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Inst(i64);

impl Inst {
    /// Takes the milliseconds since 1970 in UTC.
    ///
    /// # Errors
    ///
    /// If no `#inst` means this instant: what can be written is a little more than the years 0 to
    /// 9999.
    pub fn from_millis(millis: i64) -> Result<Self, InvalidInst> {
        if (FIRST..=LAST).contains(&millis) {
            Ok(Self(millis))
        } else {
            Err(InvalidInst(()))
        }
    }

    /// The milliseconds since 1970 in UTC.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Reads what stands in the string behind `#inst`: `2026`, `2026-01-02T03:04Z` and between.
    ///
    /// # Errors
    ///
    /// If Clojure would refuse the date.
    pub fn parse(text: &str) -> Result<Self, InvalidInst> {
        parse_usual(text.as_bytes())
            .or_else(|| parse(text))
            .map(Self)
            .ok_or(InvalidInst(()))
    }

    /// How long [`text`](Self::text) is.
    #[cfg(feature = "serde")]
    pub(crate) const TEXT_LENGTH: usize = 29;

    /// What stands in the string behind `#inst`: milliseconds and the offset `-00:00`.
    #[inline]
    pub(crate) fn text(self) -> [u8; 29] {
        // An instant that no date in UTC can say is written from a day's distance.
        let (local, offset) = match self.0 {
            ..YEAR_ZERO => (self.0.saturating_add(FARTHEST), b"+23:59"),
            YEAR_10000.. => (self.0.saturating_sub(FARTHEST), b"-23:59"),
            leap if is_julian_leap_day(leap) && leap.rem_euclid(DAY) < MINUTE => {
                (leap.saturating_sub(FARTHEST), b"-23:59")
            }
            leap if is_julian_leap_day(leap) => (leap.saturating_add(FARTHEST), b"+23:59"),
            _ => (self.0, b"-00:00"),
        };
        let time = local.rem_euclid(DAY);
        let mut text = *b"9999-12-31T23:59:60.000-00:00";
        // Only the last year's leap second is past its end.
        if local < YEAR_10000 {
            let (year, month, day) = date_of(local.div_euclid(DAY));
            put(&mut text, 0, [year / 1000, year / 100, year / 10, year]);
            put(&mut text, 5, [month / 10, month]);
            put(&mut text, 8, [day / 10, day]);
            let (hour, minute, second) = (time / HOUR, time / MINUTE % 60, time / SECOND % 60);
            put(&mut text, 11, [hour / 10, hour]);
            put(&mut text, 14, [minute / 10, minute]);
            put(&mut text, 17, [second / 10, second]);
        }
        let milli = time % SECOND;
        put(&mut text, 20, [milli / 100, milli / 10, milli]);
        if let Some(place) = text.last_chunk_mut() {
            *place = *offset;
        }
        text
    }
}

/// Puts the last digit of each number into a text.
#[inline]
fn put<const N: usize>(text: &mut [u8; 29], at: usize, numbers: [i64; N]) {
    if let Some(place) = text.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<N>) {
        // The numbers are small, so none is cut off; as 32 bits they are divided at half the price.
        *place = numbers.map(|number| {
            let [digit, ..] = (u32::try_from(number).unwrap_or_default() % 10).to_le_bytes();
            b'0' | digit
        });
    }
}

/// What stands in the string behind `#inst`: milliseconds and the offset `-00:00`.
impl fmt::Display for Inst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // There is nothing but ASCII in it.
        f.write_str(core::str::from_utf8(&self.text()).unwrap_or_default())
    }
}

impl fmt::Debug for Inst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#inst \"{self}\"")
    }
}

/// A text or number that is no date an `#inst` can have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a date that `#inst` can have")]
#[non_exhaustive]
pub struct InvalidInst(());

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// The largest offset, 23:59.
const FARTHEST: i64 = DAY - MINUTE;
/// `0000-01-01T00:00Z` in the Julian calendar.
const YEAR_ZERO: i64 = -719_530 * DAY;
/// `10000-01-01T00:00Z`.
const YEAR_10000: i64 = 2_932_897 * DAY;
const FIRST: i64 = YEAR_ZERO - FARTHEST;
/// A leap second may push the last year's last millisecond one second on.
const LAST: i64 = YEAR_10000 + FARTHEST + SECOND - 1;
/// `1582-10-15`, the first day of the Gregorian calendar, in days since 1970.
const CUTOVER: i64 = -141_427;

/// What Clojure and ClojureScript print: to the millisecond, in UTC.
fn parse_usual(text: &[u8]) -> Option<i64> {
    let (text, offset) = text.split_first_chunk::<23>()?;
    if !matches!(offset, b"-00:00" | b"Z") {
        return None;
    }
    let [
        y0,
        y1,
        y2,
        y3,
        b'-',
        mo0,
        mo1,
        b'-',
        d0,
        d1,
        b'T',
        h0,
        h1,
        b':',
        mi0,
        mi1,
        b':',
        s0,
        s1,
        b'.',
        m0,
        m1,
        m2,
    ] = *text
    else {
        return None;
    };
    let mut faults = false;
    let mut number = |digits: &[u8]| {
        let mut value: i64 = 0;
        for byte in digits {
            let digit = byte.wrapping_sub(b'0');
            faults |= digit > 9;
            value = value.wrapping_mul(10).wrapping_add(i64::from(digit));
        }
        value
    };
    let (year, month, day) = (
        number(&[y0, y1, y2, y3]),
        number(&[mo0, mo1]),
        number(&[d0, d1]),
    );
    let (hour, minute) = (number(&[h0, h1]), number(&[mi0, mi1]));
    let (second, milli) = (number(&[s0, s1]), number(&[m0, m1, m2]));
    if faults {
        return None;
    }
    millis_of((year, month, day), (hour, minute, second), milli)
}

fn parse(text: &str) -> Option<i64> {
    let mut scan = Scan(text);
    let year = scan.digits(4)?;
    let (mut month, mut day, mut hour, mut minute, mut second, mut nanos) = (1, 1, 0, 0, 0, 0);
    // Each part may only follow the one before it.
    if scan.take_dash()
        && {
            month = scan.digits(2)?;
            scan.take_dash()
        }
        && {
            day = scan.digits(2)?;
            scan.take('T')
        }
        && {
            hour = scan.digits(2)?;
            scan.take(':')
        }
        && {
            minute = scan.digits(2)?;
            scan.take(':')
        }
        && {
            second = scan.digits(2)?;
            scan.take('.')
        }
    {
        nanos = scan.fraction()?;
    }
    let offset = scan.offset()?;
    if !scan.0.is_empty() {
        return None;
    }
    millis_of(
        (year, month, day),
        (hour, minute, second),
        nanos / 1_000_000,
    )?
    .checked_sub(offset)
}

/// The milliseconds since 1970 at which a date and time in UTC is, if there is one like it.
fn millis_of(
    (year, month, day): (i64, i64, i64),
    (hour, minute, second): (i64, i64, i64),
    milli: i64,
) -> Option<i64> {
    let valid = (1..=12).contains(&month)
        && (1..=month_length(year, month)).contains(&day)
        && hour <= 23
        && minute <= 59
        // A leap second may end any hour.
        && second <= if minute == 59 { 60 } else { 59 };
    if !valid {
        return None;
    }
    let time = hour
        .checked_mul(HOUR)?
        .checked_add(minute.checked_mul(MINUTE)?)?
        .checked_add(second.checked_mul(SECOND)?)?
        .checked_add(milli)?;
    day_of(year, month, day)?
        .checked_mul(DAY)?
        .checked_add(time)
}

/// What is left of a date.
struct Scan<'a>(&'a str);

impl Scan<'_> {
    fn take(&mut self, c: char) -> bool {
        match self.0.strip_prefix(c) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    /// Takes the dash before a month or day, unless it is the sign of the offset.
    fn take_dash(&mut self) -> bool {
        let is_offset = self.0.len() == 6 && self.0.as_bytes().get(3) == Some(&b':');
        !is_offset && self.take('-')
    }

    fn digits(&mut self, count: usize) -> Option<i64> {
        let (digits, rest) = self.0.split_at_checked(count)?;
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        self.0 = rest;
        digits.parse().ok()
    }

    /// Any number of digits behind the point, of which nine count, as nanoseconds.
    fn fraction(&mut self) -> Option<i64> {
        let rest = self.0.trim_start_matches(|c: char| c.is_ascii_digit());
        let length = self.0.len().checked_sub(rest.len())?;
        let digits = self.0.get(..length.min(9))?;
        self.0 = rest;
        if digits.is_empty() {
            return None;
        }
        let missing = u32::try_from(9_usize.saturating_sub(length)).ok()?;
        digits
            .parse::<i64>()
            .ok()?
            .checked_mul(10_i64.checked_pow(missing)?)
    }

    /// How far ahead of UTC the clock is, in milliseconds.
    fn offset(&mut self) -> Option<i64> {
        if self.0.is_empty() || self.take('Z') {
            return Some(0);
        }
        let sign = if self.take('-') {
            -1
        } else if self.take('+') {
            1
        } else {
            return None;
        };
        let hours = self.digits(2)?;
        let minutes = if self.take(':') {
            self.digits(2)?
        } else {
            return None;
        };
        if hours > 23 || minutes > 59 {
            return None;
        }
        hours
            .checked_mul(HOUR)?
            .checked_add(minutes.checked_mul(MINUTE)?)?
            .checked_mul(sign)
    }
}

/// How long a month is by the Gregorian rule, which Clojure checks for every year.
fn month_length(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Whether it is a day that Clojure refuses to read, but can get to: 29 February 1500 and the like.
fn is_julian_leap_day(millis: i64) -> bool {
    let days = millis.div_euclid(DAY);
    if days >= CUTOVER {
        return false;
    }
    let (year, month, day) = date_of(days);
    day > month_length(year, month)
}

/// The day since 1970, in the Gregorian calendar if that has the day, else in the Julian.
fn day_of(year: i64, month: i64, day: i64) -> Option<i64> {
    // Years that start in March end with the leap day.
    let year = if month <= 2 {
        year.checked_sub(1)?
    } else {
        year
    };
    let month = month.checked_add(if month <= 2 { 9 } else { -3 })?;
    let in_year = month
        .checked_mul(153)?
        .checked_add(2)?
        .checked_div(5)?
        .checked_add(day)?;
    let julian = year
        .checked_mul(365)?
        .checked_add(year.div_euclid(4))?
        .checked_add(in_year)?;
    let centuries = year.div_euclid(400).checked_sub(year.div_euclid(100))?;
    let gregorian = julian.checked_add(centuries)?.checked_sub(719_469)?;
    if gregorian >= CUTOVER {
        Some(gregorian)
    } else {
        julian.checked_sub(719_471)
    }
}

/// The year, month and day of a day since 1970; all are within a year or so of four digits.
fn date_of(day: i64) -> (i64, i64, i64) {
    // Days since 1 March of the year 0 of the calendar in force.
    let (year, in_year) = if day >= CUTOVER {
        let days = day.saturating_add(719_468);
        let era = days.div_euclid(146_097);
        let in_era = days.rem_euclid(146_097);
        let year = (in_era - in_era / 1_460 + in_era / 36_524 - in_era / 146_096) / 365;
        let in_year = in_era - (365 * year + year / 4 - year / 100);
        (era.saturating_mul(400).saturating_add(year), in_year)
    } else {
        let days = day.saturating_add(719_470);
        let era = days.div_euclid(1_461);
        let in_era = days.rem_euclid(1_461);
        let year = (in_era - in_era / 1_460) / 365;
        (
            era.saturating_mul(4).saturating_add(year),
            in_era - 365 * year,
        )
    };
    let month = (5 * in_year + 2) / 153;
    let day = in_year - (153 * month + 2) / 5 + 1;
    if month < 10 {
        (year, month + 3, day)
    } else {
        (year.saturating_add(1), month - 9, day)
    }
}
