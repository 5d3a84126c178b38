//! Instants of the crate `jiff`.

use ::jiff::Timestamp;

use super::{ConversionError, owned};
use crate::inst::Inst;
use crate::value::Value;

const NANOS: i128 = 1_000_000;

impl TryFrom<Timestamp> for Inst {
    type Error = ConversionError;

    /// The same instant.
    ///
    /// # Errors
    ///
    /// [`Precision`](ConversionError::Precision) if it is not a whole number of milliseconds, and
    /// [`OutOfRange`](ConversionError::OutOfRange) if it is before the year 0.
    ///
    /// ```
    /// use jiff::{Timestamp, Unit};
    /// use sente_edn::Inst;
    ///
    /// let exact: Timestamp = "2026-01-02T03:04:05.678901Z".parse().unwrap();
    /// assert!(Inst::try_from(exact).is_err());
    /// let rounded = exact.round(Unit::Millisecond).unwrap();
    /// let inst = Inst::try_from(rounded).unwrap();
    /// assert_eq!(inst.to_string(), "2026-01-02T03:04:05.679-00:00");
    /// assert_eq!(Timestamp::try_from(inst).unwrap(), rounded);
    /// ```
    fn try_from(there: Timestamp) -> Result<Self, ConversionError> {
        let nanos = there.as_nanosecond();
        if nanos.rem_euclid(NANOS) != 0 {
            return Err(ConversionError::Precision);
        }
        let millis = i64::try_from(nanos.div_euclid(NANOS)).ok();
        millis
            .and_then(|millis| Self::from_millis(millis).ok())
            .ok_or(ConversionError::OutOfRange("#inst"))
    }
}

impl TryFrom<Inst> for Timestamp {
    type Error = ConversionError;

    /// The same instant.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`](ConversionError::OutOfRange) if it is after
    /// `9999-12-30T22:00:00.999Z`, which is where jiff ends: no time zone gets to the year 10000.
    fn try_from(here: Inst) -> Result<Self, ConversionError> {
        // `from_millisecond` refuses the last 999 milliseconds of its range.
        let nanos = i128::from(here.as_millis()).saturating_mul(NANOS);
        Self::from_nanosecond(nanos).map_err(|_| ConversionError::OutOfRange("jiff::Timestamp"))
    }
}

impl TryFrom<Timestamp> for Value {
    type Error = ConversionError;

    /// `#inst "…"`, if the timestamp can be an [`Inst`].
    fn try_from(there: Timestamp) -> Result<Self, ConversionError> {
        Inst::try_from(there).map(Self::Inst)
    }
}

impl TryFrom<&Value> for Timestamp {
    type Error = ConversionError;

    /// Takes a [`Value::Inst`]; a string or a number is none.
    fn try_from(value: &Value) -> Result<Self, ConversionError> {
        match value {
            Value::Inst(here) => (*here).try_into(),
            other => Err(ConversionError::form("an instant", other)),
        }
    }
}

owned! {
    Value => Timestamp;
}
