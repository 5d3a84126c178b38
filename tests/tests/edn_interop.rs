//! EDN's own types and those of `uuid`, `jiff`, `num-bigint` and `bigdecimal`.

use std::fmt::Debug;
use std::str::FromStr;

use bigdecimal::BigDecimal;
use jiff::{Timestamp, Unit};
use num_bigint::BigInt as Big;
use proptest::prelude::*;
use sente_edn::interop::ConversionError;
use sente_edn::serde::{from_str, from_value, to_string, to_value};
use sente_edn::{BigInt, Decimal, Inst, Ratio, Shape, Uuid, Value};
use serde::{Deserialize, Serialize};

fn read(text: &str) -> Value {
    sente_edn::from_str(text).unwrap()
}

fn timestamp(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[track_caller]
fn of_value<T: TryFrom<Value, Error = ConversionError> + Debug>(
    text: &str,
) -> Result<T, ConversionError> {
    T::try_from(read(text))
}

#[test]
fn a_uuid_is_the_same_bits_in_the_same_order() {
    let there = uuid::uuid!("f81d4fae-7dec-11d0-a765-00a0c91e6bf6");
    let value = Value::from(there);
    assert_eq!(
        value.to_string(),
        r#"#uuid "f81d4fae-7dec-11d0-a765-00a0c91e6bf6""#
    );
    assert_eq!(uuid::Uuid::try_from(&value), Ok(there));
    assert_eq!(Uuid::from(there).as_u128(), there.as_u128());
}

#[test]
fn a_value_of_another_form_says_what_it_is() {
    let found = |found| {
        Err(ConversionError::Form {
            expected: "a UUID",
            found,
        })
    };
    assert_eq!(of_value::<uuid::Uuid>("nil"), found(Shape::Nil));
    assert_eq!(of_value::<uuid::Uuid>("{}"), found(Shape::Map));
    assert_eq!(
        of_value::<uuid::Uuid>("\"f81d4fae-7dec-11d0-a765-00a0c91e6bf6\""),
        found(Shape::String)
    );
    let message = |result: Result<Timestamp, ConversionError>| result.unwrap_err().to_string();
    assert_eq!(
        message(of_value("7")),
        "found a number, expected an instant"
    );
    assert!(of_value::<Big>("7.0").is_err());
    assert!(of_value::<BigDecimal>("7").is_err());
    assert!(of_value::<BigDecimal>("7.0").is_err());
    assert!(of_value::<(Big, Big)>("7.0").is_err());
}

#[test]
fn digits_below_the_millisecond_are_refused() {
    for text in [
        "2026-01-02T03:04:05.678901Z",
        "2026-01-02T03:04:05.000000001Z",
        "1969-12-31T23:59:59.999999999Z",
        "1900-01-01T00:00:00.0001Z",
    ] {
        assert_eq!(
            Inst::try_from(timestamp(text)),
            Err(ConversionError::Precision)
        );
        let rounded = timestamp(text).round(Unit::Millisecond).unwrap();
        assert_eq!(
            Timestamp::try_from(Inst::try_from(rounded).unwrap()),
            Ok(rounded)
        );
    }
}

#[test]
fn instants_beyond_either_range_are_refused() {
    let below = timestamp("-000002-01-01T00:00:00Z");
    assert_eq!(
        Inst::try_from(below),
        Err(ConversionError::OutOfRange("#inst"))
    );
    assert!(Value::try_from(Timestamp::MIN).is_err());
    let last = timestamp("9999-12-30T22:00:00.999Z");
    assert_eq!(Timestamp::try_from(Inst::try_from(last).unwrap()), Ok(last));
    let beyond = Inst::from_millis(last.as_millisecond() + 1).unwrap();
    assert_eq!(
        Timestamp::try_from(beyond),
        Err(ConversionError::OutOfRange("jiff::Timestamp"))
    );
    assert!(of_value::<Timestamp>("#inst \"9999-12-31T23:59:60.999-23:59\"").is_err());
}

#[test]
fn an_instant_before_the_gregorian_calendar_is_the_same_instant() {
    let there = of_value::<Timestamp>("#inst \"1066-10-14\"").unwrap();
    assert_eq!(there, timestamp("1066-10-20T00:00:00Z"));
    assert_eq!(
        Value::try_from(there).unwrap().to_string(),
        "#inst \"1066-10-14T00:00:00.000-00:00\""
    );
}

#[test]
fn integers_are_taken_with_and_without_their_n() {
    assert_eq!(of_value::<Big>("7"), Ok(7.into()));
    assert_eq!(of_value::<Big>("-7N"), Ok((-7).into()));
    assert_eq!(of_value::<Big>("0x1F"), Ok(31.into()));
    assert_eq!(Value::from(Big::from(7)).to_string(), "7N");
    let long = "123456789012345678901234567890";
    assert_eq!(of_value::<Big>(long), Ok(long.parse().unwrap()));
}

#[test]
fn numbers_of_4097_digits_are_refused() {
    let (most, more) = ("9".repeat(4096), "9".repeat(4097));
    assert_eq!(
        of_value::<Big>(&format!("-{most}N")).unwrap().to_string(),
        format!("-{most}")
    );
    assert_eq!(
        of_value::<Big>(&format!("-{more}N")),
        Err(ConversionError::TooManyDigits)
    );
    let decimal = |digits: &str| of_value::<BigDecimal>(&format!("-0.00{digits}e7M"));
    assert_eq!(decimal(&most).unwrap().decimal_digit_count(), 4096);
    assert_eq!(decimal(&more), Err(ConversionError::TooManyDigits));
    // The other way there is nothing to fear.
    let there = Big::from_str(&more).unwrap();
    assert_eq!(BigInt::from(there).as_str(), more);
}

#[test]
fn a_million_digits_are_refused_before_they_are_looked_at() {
    let text = "7".repeat(1 << 20);
    let here = BigInt::new(&text).unwrap();
    assert_eq!(Big::try_from(&here), Err(ConversionError::TooManyDigits));
    let error = from_str::<Count>(&format!("{{:count {}N}}", &text[..1_000_000])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a number of more than 4096 digits at byte 8 in [:count]"
    );
}

#[derive(Debug, Deserialize)]
struct Count {
    #[serde(rename = "count", with = "sente_edn::serde::num_bigint")]
    _count: Big,
}

#[test]
fn a_ratio_is_two_integers_and_comes_back_in_lowest_terms() {
    let pair = |a: i32, b: i32| (Big::from(a), Big::from(b));
    assert_eq!(of_value::<(Big, Big)>("-4/6"), Ok(pair(-2, 3)));
    assert_eq!(of_value::<(Big, Big)>("4/2"), Ok(pair(2, 1)));
    assert_eq!(Value::try_from(pair(4, -6)).unwrap().to_string(), "-2/3");
    assert_eq!(Value::try_from(pair(4, 2)).unwrap().to_string(), "2");
    assert!(Value::try_from(pair(4, 0)).is_err());
    let most = "7".repeat(4096);
    let (above, below) = of_value::<(Big, Big)>(&format!("{most}/{}2", &most[1..])).unwrap();
    assert_eq!(above.to_string(), most);
    assert!(below.to_string().ends_with("72"));
}

#[test]
fn decimals_keep_their_trailing_zeros() {
    for text in [
        "1.50",
        "0.00",
        "0",
        "-7",
        "1E+3",
        "-0.000000000000001",
        "100",
    ] {
        let there = BigDecimal::try_from(Decimal::new(text).unwrap()).unwrap();
        let here = Decimal::try_from(&there).unwrap();
        assert!(Value::from(here).identical(&Value::from(Decimal::new(text).unwrap())));
        let (_, scale) = there.as_bigint_and_scale();
        assert_eq!(
            scale,
            BigDecimal::from_str(text).unwrap().fractional_digit_count()
        );
    }
}

#[test]
fn a_power_of_ten_is_never_written_out() {
    for text in [
        "1e999999999",
        "-7.5e-999999999",
        "1e2147483647",
        "1e-2147483647",
    ] {
        let here = Decimal::new(text).unwrap();
        let there = BigDecimal::try_from(&here).unwrap();
        assert!(there.decimal_digit_count() <= 2);
        assert!(there.to_string().len() < 20 && format!("{there:?}").len() < 60);
        // These compare and strip without writing zeros, as the documentation says.
        assert!(there != 1 && there.normalized() == there);
        let back = Decimal::try_from(there).unwrap();
        assert_eq!((back.to_string(), &back), (here.to_string(), &here));
        let price: Price = from_str(&format!("{{:price {text}M}}")).unwrap();
        assert!(to_string(&price).unwrap().len() < 40);
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Price {
    #[serde(with = "sente_edn::serde::bigdecimal")]
    price: BigDecimal,
}

#[test]
fn powers_of_ten_that_java_lacks_are_refused() {
    for scale in [i64::MIN, i64::MAX, -2_147_483_648, 2_147_483_648] {
        let there = BigDecimal::from_bigint(1.into(), scale);
        let error = ConversionError::OutOfRange("Java's BigDecimal");
        assert_eq!(Decimal::try_from(&there), Err(error));
        let error = to_string(&Price { price: there }).unwrap_err();
        assert_eq!(
            error.to_string(),
            "out of the range of Java's BigDecimal in [:price]"
        );
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct All {
    #[serde(with = "sente_edn::serde::uuid")]
    id: uuid::Uuid,
    #[serde(with = "sente_edn::serde::jiff")]
    at: Timestamp,
    #[serde(with = "sente_edn::serde::num_bigint")]
    count: Big,
    #[serde(with = "sente_edn::serde::bigdecimal")]
    price: BigDecimal,
    #[serde(with = "sente_edn::serde::uuid::option", default)]
    maybe_id: Option<uuid::Uuid>,
    #[serde(with = "sente_edn::serde::jiff::option", default)]
    maybe_at: Option<Timestamp>,
    #[serde(with = "sente_edn::serde::num_bigint::option", default)]
    maybe_count: Option<Big>,
    #[serde(with = "sente_edn::serde::bigdecimal::option", default)]
    maybe_price: Option<BigDecimal>,
}

fn some() -> All {
    All {
        id: uuid::Uuid::from_u128(1),
        at: Timestamp::UNIX_EPOCH,
        count: 2.into(),
        price: "3.0".parse().unwrap(),
        maybe_id: None,
        maybe_at: Some(Timestamp::UNIX_EPOCH),
        maybe_count: None,
        maybe_price: Some("4e9".parse().unwrap()),
    }
}

const SOME: &str = "{:id #uuid \"00000000-0000-0000-0000-000000000001\", \
     :at #inst \"1970-01-01T00:00:00.000-00:00\", :count 2N, :price 3.0M, :maybe_id nil, \
     :maybe_at #inst \"1970-01-01T00:00:00.000-00:00\", :maybe_count nil, :maybe_price 4E+9M}";

#[test]
fn fields_of_foreign_types_have_edns_own_forms() {
    assert_eq!(to_string(&some()).unwrap(), SOME);
    assert_eq!(from_str::<All>(SOME).unwrap(), some());
    let value = to_value(&some()).unwrap();
    assert!(value.identical(&read(SOME)));
    assert_eq!(from_value::<All>(&value).unwrap(), some());
}

#[test]
fn an_optional_field_may_be_missing() {
    let text = "{:id #uuid \"0-0-0-0-1\" :at #inst \"1970\" :count 2 :price 3.0M}";
    let all: All = from_str(text).unwrap();
    assert_eq!((all.maybe_id, all.maybe_at), (None, None));
    assert_eq!((all.maybe_count, all.maybe_price), (None, None));
    assert_eq!((all.id, all.count), (some().id, some().count));
}

#[test]
fn a_field_that_cannot_be_written_names_itself() {
    let now = timestamp("2026-01-02T03:04:05.0000001Z");
    let error = to_string(&All { at: now, ..some() }).unwrap_err();
    assert_eq!(
        error.to_string(),
        "an instant that is not a whole number of milliseconds in [:at]"
    );
    let error = to_value(&All {
        maybe_at: Some(now),
        ..some()
    })
    .unwrap_err();
    assert_eq!(error.path(), "[:maybe_at]");
    let error = from_str::<All>("{:id \"0-0-0-0-1\"}").unwrap_err();
    assert!(error.to_string().contains("expected a UUID"), "{error}");
}

#[test]
fn fields_of_foreign_types_survive_json() {
    let text = serde_json::to_string(&some()).unwrap();
    assert_eq!(serde_json::from_str::<All>(&text).unwrap(), some());
}

fn all() -> impl Strategy<Value = All> {
    let at = || {
        (-62_000_000_000_000..253_000_000_000_000_i64)
            .prop_map(|millis| Timestamp::from_millisecond(millis).unwrap())
    };
    let count = || {
        (any::<i128>(), 0..40_u32)
            .prop_map(|(base, power)| Big::from(base) * Big::from(7).pow(power))
    };
    let price = || {
        (
            any::<i128>(),
            any::<i32>().prop_filter("Java's", |scale| *scale > i32::MIN),
        )
            .prop_map(|(digits, scale)| BigDecimal::from_bigint(digits.into(), scale.into()))
    };
    (
        (any::<u128>(), at(), count(), price()),
        proptest::option::of(any::<u128>()),
        proptest::option::of(at()),
        proptest::option::of(count()),
        proptest::option::of(price()),
    )
        .prop_map(
            |((id, at, count, price), maybe_id, maybe_at, maybe_count, maybe_price)| All {
                id: uuid::Uuid::from_u128(id),
                at,
                count,
                price,
                maybe_id: maybe_id.map(uuid::Uuid::from_u128),
                maybe_at,
                maybe_count,
                maybe_price,
            },
        )
}

proptest! {
    #[test]
    fn every_struct_of_foreign_types_survives(all in all()) {
        let text = to_string(&all).unwrap();
        let back: All = from_str(&text).unwrap();
        prop_assert_eq!(&back, &all, "{}", text);
        // Equal decimals need not have the same zeros.
        prop_assert_eq!(back.price.fractional_digit_count(), all.price.fractional_digit_count());
        prop_assert_eq!(&from_value::<All>(&to_value(&all).unwrap()).unwrap(), &all);
    }

    #[test]
    fn every_timestamp_is_the_same_instant_or_an_error(nanos in Timestamp::MIN.as_nanosecond()..=Timestamp::MAX.as_nanosecond()) {
        for nanos in [nanos, nanos / 1_000_000 * 1_000_000] {
            let there = Timestamp::from_nanosecond(nanos).unwrap();
            match Inst::try_from(there) {
                Ok(here) => prop_assert_eq!(i128::from(here.as_millis()) * 1_000_000, nanos),
                Err(ConversionError::Precision) => prop_assert!(nanos % 1_000_000 != 0),
                Err(error) => {
                    prop_assert_eq!(error, ConversionError::OutOfRange("#inst"));
                    prop_assert!(there.as_millisecond() < -62_000_000_000_000);
                }
            }
        }
    }

    #[test]
    fn every_instant_survives_jiff_or_is_beyond_it(millis in -62_200_000_000_000..253_500_000_000_000_i64) {
        if let Ok(here) = Inst::from_millis(millis) {
            match Timestamp::try_from(here) {
                Ok(there) => prop_assert_eq!(Inst::try_from(there), Ok(here)),
                Err(_) => prop_assert!(millis > Timestamp::MAX.as_millisecond()),
            }
        }
    }

    #[test]
    fn every_integer_survives_as_its_digits(bytes in any::<Vec<u8>>()) {
        let there = Big::from_signed_bytes_be(&bytes);
        let here = BigInt::from(&there);
        prop_assert_eq!(here.as_str(), &there.to_string());
        prop_assert_eq!(Big::try_from(here), Ok(there));
    }

    #[test]
    fn every_pair_of_integers_is_the_ratio_of_its_digits(above in any::<i128>(), below in any::<i64>()) {
        let value = Value::try_from((Big::from(above), Big::from(below))).ok();
        let expected = Ratio::divide(&BigInt::from(above), &BigInt::from(below)).ok();
        prop_assert_eq!(&value, &expected);
        if let Some(value) = value {
            let (a, b) = <(Big, Big)>::try_from(&value).unwrap();
            prop_assert_eq!(a * below, b * above);
        }
    }

    #[test]
    fn every_decimal_survives_with_its_zeros(text in "-?[0-9]{1,30}(\\.[0-9]{0,30})?(e-?[0-9]{1,9})?") {
        let here = Decimal::new(&text).unwrap();
        let there = BigDecimal::try_from(&here).unwrap();
        let back = Decimal::try_from(&there).unwrap();
        prop_assert_eq!(&here.to_string(), &back.to_string());
        prop_assert!(Value::from(here).identical(&Value::from(back)));
    }
}
