//! Values of a configuration with their units: times, sizes, rates, and words for "none".

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;
use std::time::Duration;

use sente_core::Rate;
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};

/// A value that is written as a text, or as a bare number where that has a meaning.
pub(crate) trait Spelled: Sized {
    /// What is expected, for an error: a noun with an example.
    const EXPECTED: &'static str;

    /// Reads the text.
    ///
    /// # Errors
    /// What is wrong with it, and what to write instead.
    fn read(text: &str) -> Result<Self, String>;

    /// The text that reads as this.
    fn spell(&self) -> String;

    /// Reads a bare number.
    fn of_number(_: u64) -> Option<Self> {
        None
    }

    /// The bare number that reads as this, where it is written as one.
    fn to_number(&self) -> Option<u64> {
        None
    }
}

macro_rules! by_spelling {
    ($($type:ty),*) => {$(
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(Reader(PhantomData))
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self.to_number() {
                    Some(number) => serializer.serialize_u64(number),
                    None => serializer.serialize_str(&self.spell()),
                }
            }
        }
    )*};
}
pub(crate) use by_spelling;

by_spelling!(Time, Size, Count, Percent, Pace);

impl<'de, T: Spelled, W: Word> Deserialize<'de> for Or<T, W> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader(PhantomData))
    }
}

impl<T: Spelled, W: Word> Serialize for Or<T, W> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.to_number() {
            Some(number) => serializer.serialize_u64(number),
            None => serializer.serialize_str(&self.spell()),
        }
    }
}

/// Reads any [`Spelled`].
pub(crate) struct Reader<T>(pub(crate) PhantomData<T>);

impl<T: Spelled> Visitor<'_> for Reader<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        T::read(text).map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        let unfit = || E::invalid_value(de::Unexpected::Signed(number), &self);
        let number = u64::try_from(number).map_err(|_| unfit())?;
        T::of_number(number).ok_or_else(unfit)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        T::of_number(number)
            .ok_or_else(|| E::invalid_value(de::Unexpected::Unsigned(number), &self))
    }
}

/// A length of time, `"30s"`; at most a year.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Time(pub(crate) Duration);

impl Time {
    pub(crate) const fn secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }
}

impl Spelled for Time {
    const EXPECTED: &'static str = "a time with its unit, such as \"30s\" or \"500ms\"";

    fn read(text: &str) -> Result<Self, String> {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(format!("a time needs a unit: write {text}s or {text}ms"));
        }
        let duration = humantime::parse_duration(text)
            .map_err(|error| format!("{error}; write times like 2s or 500ms"))?;
        if duration > LONGEST {
            return Err("longer than a year".to_owned());
        }
        Ok(Self(duration))
    }

    fn spell(&self) -> String {
        // `2s 500ms` reads worse than it could.
        let millis = self.0.as_millis();
        if self.0.subsec_nanos() > 0
            && self.0
                == Duration::from_millis(self.0.subsec_millis().into())
                    + Duration::from_secs(self.0.as_secs())
            && millis < 60_000
        {
            return format!("{millis}ms");
        }
        humantime::format_duration(self.0).to_string()
    }
}

/// Bytes, `65536` or `"64KiB"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) usize);

impl Spelled for Size {
    const EXPECTED: &'static str = "a number of bytes, such as 65536 or \"64KiB\"";

    fn read(text: &str) -> Result<Self, String> {
        let end = text
            .find(|letter: char| !letter.is_ascii_digit())
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        let factor = UNITS.iter().find(|(name, _)| *name == unit.trim());
        let size =
            factor.and_then(|(_, factor)| number.parse::<usize>().ok()?.checked_mul(*factor));
        size.map(Self)
            .ok_or_else(|| format!("{text:?} is no size; write 65536, 64KiB, 8MiB or 1GiB"))
    }

    fn spell(&self) -> String {
        let fits = |(_, factor): &&(&str, usize)| self.0 > 0 && self.0.is_multiple_of(*factor);
        match UNITS.iter().rev().find(fits) {
            Some((name, factor)) => format!("{}{name}", self.0 / factor),
            None => self.0.to_string(),
        }
    }

    fn of_number(number: u64) -> Option<Self> {
        usize::try_from(number).ok().map(Self)
    }

    fn to_number(&self) -> Option<u64> {
        let bare = self.spell().bytes().all(|byte| byte.is_ascii_digit());
        bare.then(|| u64::try_from(self.0).ok()).flatten()
    }
}

/// A number of things, `1000`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Count(pub(crate) usize);

impl Spelled for Count {
    const EXPECTED: &'static str = "a number";

    fn read(text: &str) -> Result<Self, String> {
        text.parse()
            .map(Self)
            .map_err(|_| format!("{text:?} is no number; write one like 1000"))
    }

    fn spell(&self) -> String {
        self.0.to_string()
    }

    fn of_number(number: u64) -> Option<Self> {
        usize::try_from(number).ok().map(Self)
    }

    fn to_number(&self) -> Option<u64> {
        u64::try_from(self.0).ok()
    }
}

/// A share of something, `75`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Percent(pub(crate) u8);

impl Spelled for Percent {
    const EXPECTED: &'static str = "a percentage from 0 to 100";

    fn read(text: &str) -> Result<Self, String> {
        let number = text.parse().ok().and_then(Self::of_number);
        number.ok_or_else(|| format!("{text:?} is no percentage; write one from 0 to 100"))
    }

    fn spell(&self) -> String {
        self.0.to_string()
    }

    fn of_number(number: u64) -> Option<Self> {
        u8::try_from(number).ok().filter(|it| *it <= 100).map(Self)
    }

    fn to_number(&self) -> Option<u64> {
        Some(self.0.into())
    }
}

/// How often something may happen: `"10/s"`, `"600/min burst 50"`, `"1MiB/s burst 4MiB"`. Without a
/// burst as many at once as in one period.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    text: String,
    events: u32,
    period: Duration,
    burst: u32,
}

impl Pace {
    /// As the limiters take it.
    pub(crate) fn to_rate(&self) -> Rate {
        Rate::new(self.events, self.period, self.burst)
    }
}

impl PartialEq for Pace {
    fn eq(&self, other: &Self) -> bool {
        (self.events, self.period, self.burst) == (other.events, other.period, other.burst)
    }
}

impl Spelled for Pace {
    const EXPECTED: &'static str = "a rate, such as \"10/s\" or \"600/min burst 50\"";

    fn read(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!("{text:?} is no rate; write 10/s, 600/min or 100/s burst 500, bytes as 1MiB/s")
        };
        let number = |text: &str| {
            let size = Size::read(text.trim()).ok()?;
            u32::try_from(size.0).ok()
        };
        let (rate, burst) = match text.split_once("burst") {
            Some((rate, burst)) => (rate, Some(number(burst).ok_or_else(wrong)?)),
            None => (text, None),
        };
        let (events, period) = rate.split_once('/').ok_or_else(wrong)?;
        let events = number(events).ok_or_else(wrong)?;
        let period = period.trim();
        // `/s` is `/1s`.
        let period = match period.starts_with(|letter: char| letter.is_ascii_digit()) {
            true => Time::read(period),
            false => Time::read(&format!("1{period}")),
        };
        let period = period.map_err(|_| wrong())?.0;
        if period.is_zero() {
            return Err(wrong());
        }
        Ok(Self {
            text: text.to_owned(),
            events,
            period,
            burst: burst.unwrap_or(events),
        })
    }

    fn spell(&self) -> String {
        self.text.clone()
    }
}

/// A value, or the one word that stands for there being none.
pub(crate) struct Or<T, W> {
    value: Option<T>,
    word: PhantomData<W>,
}

impl<T, W> Or<T, W> {
    /// The word.
    pub(crate) const NONE: Self = Self {
        value: None,
        word: PhantomData,
    };

    /// The value.
    pub(crate) const fn some(value: T) -> Self {
        Self {
            value: Some(value),
            word: PhantomData,
        }
    }

    /// The value, if it is not the word.
    pub(crate) const fn value(&self) -> Option<&T> {
        self.value.as_ref()
    }
}

impl<T, W> Default for Or<T, W> {
    fn default() -> Self {
        Self::NONE
    }
}

impl<T: Clone, W> Clone for Or<T, W> {
    fn clone(&self) -> Self {
        Self {
            value: self.value.clone(),
            word: PhantomData,
        }
    }
}

impl<T: fmt::Debug, W> fmt::Debug for Or<T, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl<T: PartialEq, W> PartialEq for Or<T, W> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Spelled, W: Word> Spelled for Or<T, W> {
    const EXPECTED: &'static str = T::EXPECTED;

    fn read(text: &str) -> Result<Self, String> {
        if text == W::WORD {
            return Ok(Self::NONE);
        }
        match T::read(text) {
            Ok(value) => Ok(Self::some(value)),
            Err(error) => Err(format!("{error}, or {:?}", W::WORD)),
        }
    }

    fn spell(&self) -> String {
        match &self.value {
            Some(value) => value.spell(),
            None => W::WORD.to_owned(),
        }
    }

    fn of_number(number: u64) -> Option<Self> {
        T::of_number(number).map(Self::some)
    }

    fn to_number(&self) -> Option<u64> {
        self.value.as_ref().and_then(T::to_number)
    }
}

impl<T: Spelled, W: Word> FromStr for Or<T, W> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::read(text)
    }
}

/// A word that stands for "none" of a kind.
pub(crate) trait Word {
    /// As it is written.
    const WORD: &'static str;
}

/// There is no limit.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unlimited {}

impl Word for Unlimited {
    const WORD: &'static str = "unlimited";
}

/// It does not happen.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Off {}

impl Word for Off {
    const WORD: &'static str = "off";
}

/// As it is without being told.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Standard {}

impl Word for Standard {
    const WORD: &'static str = "default";
}

const UNITS: [(&str, usize); 4] = [
    ("", 1),
    ("KiB", 1024),
    ("MiB", 1024 * 1024),
    ("GiB", 1024 * 1024 * 1024),
];

const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Count, Off, Or, Pace, Size, Spelled, Time, Unlimited};

    #[test]
    fn a_time_has_a_unit_and_reads_back_as_it_is_spelt() {
        for (text, spelt) in [
            ("30s", "30s"),
            ("2500ms", "2500ms"),
            ("0s", "0s"),
            ("90s", "1m 30s"),
            ("12s 500ms", "12500ms"),
            ("3us", "3us"),
        ] {
            let time = Time::read(text).unwrap();
            assert_eq!(time.spell(), spelt);
            assert_eq!(Time::read(spelt).unwrap(), time);
        }
        assert!(Time::read("5").unwrap_err().contains("5s"));
        assert!(Time::read("9999y").is_err());
    }

    #[test]
    fn a_size_reads_back_as_it_is_spelt() {
        for (text, bytes, spelt) in [
            ("0", 0, "0"),
            ("1000", 1000, "1000"),
            ("64KiB", 65536, "64KiB"),
            ("1024 KiB", 1024 * 1024, "1MiB"),
            ("1GiB", 1024 * 1024 * 1024, "1GiB"),
        ] {
            let size = Size::read(text).unwrap();
            assert_eq!((size.0, size.spell().as_str()), (bytes, spelt));
        }
        for wrong in ["", "KiB", "64KB", "-1", "1.5MiB", "99999999999999999999GiB"] {
            assert!(Size::read(wrong).unwrap_err().contains("64KiB"), "{wrong}");
        }
    }

    #[test]
    fn a_rate_has_a_period_and_perhaps_a_burst() {
        let same = |a: &str, b: &str| assert_eq!(Pace::read(a).unwrap(), Pace::read(b).unwrap());
        same("10/s", "10/1s burst 10");
        same("600/min burst 5", "600/60s burst 5");
        same("1MiB/s burst 4MiB", "1048576/s burst 4194304");
        for wrong in ["10", "10/", "/s", "10/0s", "10/s burst", "ten/s", "5GiB/s"] {
            assert!(Pace::read(wrong).unwrap_err().contains("10/s"), "{wrong}");
        }
    }

    #[test]
    fn a_word_stands_for_none() {
        let none = Or::<Count, Unlimited>::read("unlimited").unwrap();
        assert_eq!((none.value(), none.spell().as_str()), (None, "unlimited"));
        let zero = Or::<Count, Unlimited>::read("0").unwrap();
        assert_eq!(zero.value(), Some(&Count(0)));
        let time = Or::<Time, Off>::read("2s").unwrap();
        assert_eq!(time.value(), Some(&Time(Duration::from_secs(2))));
        let error = Or::<Time, Off>::read("of").unwrap_err();
        assert!(error.ends_with("or \"off\""), "{error}");
    }
}
