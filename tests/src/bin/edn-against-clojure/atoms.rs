//! Texts of forms that hold no others, in every way they can be written, and at times a way in
//! which they can not.

use crate::random::Random;

/// Any atom.
pub(crate) fn atom(random: &mut Random) -> String {
    match random.below(17) {
        0 => random.pick(&["nil", "true", "false"]).to_owned(),
        1..=4 => number(random),
        5..=6 => string(random),
        7..=8 => character(random),
        9..=11 => format!(":{}", name(random)),
        12..=13 => name(random),
        14 => format!("#inst{}\"{}\"", blank(random), date(random)),
        15 => format!("#uuid{}\"{}\"", blank(random), uuid(random)),
        _ => random
            .pick(&["##Inf", "##-Inf", "##NaN", "## Inf"])
            .to_owned(),
    }
}

fn blank(random: &mut Random) -> &'static str {
    random.pick(&[" ", " ", " ", "", ",", " \n"])
}

/// Any number.
pub(crate) fn number(random: &mut Random) -> String {
    let sign = random.pick(&["", "", "-", "+"]);
    let unsigned = match random.below(16) {
        0..=2 => random.below(1000).to_string(),
        3 => digits(random, 30),
        4 => edge(random),
        5 => format!("0{}", digits_of(random, "01234567", 26)),
        6 => {
            let x = random.pick(&["0x", "0X"]);
            format!("{x}{}", digits_of(random, "0123456789abcdefABCDEF", 20))
        }
        7 => {
            let radix = random.between(2, 36);
            let all = &"0123456789abcdefghijklmnopqrstuvwxyz"[..radix];
            let upper = all.to_uppercase();
            let r = random.pick(&["r", "R"]);
            let all = if random.one_in(2) { all } else { &upper };
            format!("{radix}{r}{}", digits_of(random, all, 30))
        }
        8..=10 => float(random),
        11 => format!("{}M", float(random)),
        12 => format!("{}M", random.below(1000)),
        13 => format!("{}/{}", random.below(50), random.between(1, 50)),
        14 => format!("{}/{}", digits(random, 24), digits(random, 24)),
        _ if random.one_in(3) => return unusual_number(random),
        _ => "0".to_owned(),
    };
    let big = if !unsigned.contains(['.', 'M', 'r', 'R', '/', 'e', 'E']) && random.one_in(4) {
        "N"
    } else {
        ""
    };
    format!("{sign}{unsigned}{big}")
}

fn digits_of(random: &mut Random, from: &str, most: usize) -> String {
    let count = random.between(1, most);
    random.chars(from, count)
}

/// Digits of which the first is not zero.
fn digits(random: &mut Random, most: usize) -> String {
    let count = random.below(most);
    format!(
        "{}{}",
        random.between(1, 9),
        random.chars("0123456789", count)
    )
}

/// A number at the edge of what 64 bits hold.
fn edge(random: &mut Random) -> String {
    let power = random.pick(&["9223372036854775807", "18446744073709551615", "4294967295"]);
    let number: u128 = power.parse().unwrap_or_default();
    (number + 2 - u128::try_from(random.below(5)).unwrap_or(0)).to_string()
}

fn float(random: &mut Random) -> String {
    let most = if random.one_in(4) { 25 } else { 4 };
    let whole = if random.one_in(3) {
        "0".to_owned()
    } else {
        digits(random, most)
    };
    let fraction = match random.below(4) {
        0 => String::new(),
        1 => ".".to_owned(),
        _ => format!(".{}", digits_of(random, "0123456789", most)),
    };
    let e = random.pick(&["e", "E", "e-", "e+", "E-"]);
    match random.below(6) {
        0..=2 if !fraction.is_empty() => format!("{whole}{fraction}"),
        3 => format!("{whole}{fraction}{e}{}", random.between(280, 345)),
        _ => format!("{whole}{fraction}{e}{}", random.below(30)),
    }
}

/// Numbers that are hard to get right, or not allowed, or beyond what we take.
fn unusual_number(random: &mut Random) -> String {
    match random.below(14) {
        0 => format!(
            "{}e{}M",
            random.below(20),
            random.pick(&["2147483647", "-2147483648"])
        ),
        1 => format!(
            "{}.5e-{}M",
            random.below(20),
            random.between(2_147_483_645, 2_147_483_648)
        ),
        2 => "2.2250738585072011e-308".to_owned(),
        3 => "4.9E-324".to_owned(),
        4 => "1.7976931348623159e308".to_owned(),
        5 => "9007199254740993.0".to_owned(),
        // Refused.
        6 => format!("0{}", random.between(8, 99)),
        7 => format!("{}/0", random.below(3)),
        8 => format!("{}r12", random.pick(&["1", "37", "99", "0"])),
        9 => format!(
            "{}{}",
            random.below(99),
            random.pick(&["a", "NN", "MM", "-", "/", "e", "x1"])
        ),
        10 => format!("2r{}", random.below(40)),
        // Long ones.
        11 => {
            let length = random.between(4000, 4200);
            format!("1/1{}", random.chars("0123456789", length))
        }
        12 => {
            let length = random.between(4000, 4200);
            format!("0x1{}", random.chars("0123456789abcdef", length))
        }
        _ => {
            let length = random.between(300, 5000);
            format!(
                "7{}{}",
                random.chars("0123456789", length),
                random.pick(&["", "N", "M"])
            )
        }
    }
}

/// A name without the colon of a keyword: mostly a plain one.
pub(crate) fn name(random: &mut Random) -> String {
    match random.below(40) {
        0..=20 => plain_name(random),
        21..=35 => format!("{}/{}", plain_name(random), plain_name(random)),
        36..=38 => {
            let names = [
                "/",
                "+",
                "-",
                "*",
                ".",
                "..",
                "...",
                "-a",
                "+a",
                "-.",
                "->",
                "<=",
                "a.b/c.d",
                "a'",
                "a#",
                "%",
                "%1",
                "&",
                "$",
                "|",
                "a//",
                "a//b",
                "a/b/c",
                "nil?",
                "nilx",
                "true/a",
                "a/nil",
                "_",
                "_/a",
                "a:b",
                "a/b:c",
                "=",
                "ns/+",
                "ns/-1",
                "ns//",
                "a\u{a0}b",
                "a\u{200b}",
                "a=b",
                "!",
                "?",
                "NaN",
                "Inf",
                "N",
                "M",
                "é",
                "ß/Ω",
                "日本/語",
                "a😀",
                "😀",
                "٣",
                "a٣",
                "a\u{301}",
                "\u{feff}a",
                "a\u{85}b",
                "a\u{7f}",
            ];
            random.pick(&names).to_owned()
        }
        _ => {
            let count = random.between(1, 6);
            random.chars("abcN1e8:/.'#%&*+!-_?<>=$|é\u{a0}", count)
        }
    }
}

/// A name without a namespace.
pub(crate) fn plain_name(random: &mut Random) -> String {
    let count = random.below(5);
    let first = random.chars("abcdefgxyzABZ*!_?<>=$λé", 1);
    format!(
        "{first}{}",
        random.chars("abcnrtux0189*+!-_?<>=.'#$", count)
    )
}

/// Any string, with its quotes.
pub(crate) fn string(random: &mut Random) -> String {
    let mut text = "\"".to_owned();
    let most = if random.one_in(6) { 40 } else { 6 };
    for _ in 0..random.below(most) {
        match random.below(24) {
            0..=9 => text.push_str(&random.chars("abc xyz019;,#()[]{}:/'", 3)),
            10..=11 => text.push(match random.char() {
                '"' | '\\' => ' ',
                c => c,
            }),
            12..=15 => {
                text.push_str(random.pick(&[r"\n", r"\t", r"\r", r"\b", r"\f", r"\\", r#"\""#]))
            }
            16..=18 => text.push_str(&format!("\\u{:04x}", unit(random))),
            19 => text.push_str(r"\ud83d\uDE00"),
            20 => text.push_str(&format!("\\{:03o}", random.below(0o400))),
            21 => text.push_str(&format!("\\{:o} ", random.below(0o400))),
            22 => text.push_str(random.pick(&[
                "\n", "\r\n", "\t", "\u{0}", "\u{7f}", "\u{85}", "\u{2028}", "\u{feff}", "😀",
            ])),
            _ if random.one_in(12) => text.push_str(random.pick(&[
                r"\x", r"\u12", r"\400", r"\8", r"\u{1}", r"\U0041", r"\ud83d", r"\udc00 ", r"\e",
                r"\'", r"\78",
            ])),
            _ => {}
        }
    }
    text.push('"');
    text
}

/// The code of a UTF-16 unit that stands for itself.
fn unit(random: &mut Random) -> u32 {
    loop {
        let c = random.char();
        if u32::from(c) <= 0xffff {
            return u32::from(c);
        }
    }
}

/// Any character, with its backslash.
fn character(random: &mut Random) -> String {
    match random.below(12) {
        0..=2 => format!("\\{}", random.chars("abcxyzABZ019", 1)),
        3 => format!("\\{}", random.chars("()[]{}\";,#@^`~'\\/:%&uoN", 1)),
        4..=5 => format!(
            "\\{}",
            random.pick(&["newline", "space", "tab", "backspace", "formfeed", "return"])
        ),
        6 => format!("\\u{:04X}", unit(random)),
        7 => format!("\\u{:04x}", unit(random)),
        8 => format!("\\o{:o}", random.below(0o400)),
        9..=10 => match random.char() {
            c if c <= '\u{ffff}' => format!("\\{c}"),
            _ => "\\é".to_owned(),
        },
        _ if random.one_in(12) => random
            .pick(&[
                "\\ud800",
                "\\uDFFF",
                "\\u12",
                "\\u12345",
                "\\o400",
                "\\o8",
                "\\o1234",
                "\\ab",
                "\\Newline",
                "\\nul",
                "\\delete",
                "\\ ",
                "\\\n",
                "\\😀",
                "\\u٣٣٣٣",
                "\\o",
                "\\u",
            ])
            .to_owned(),
        _ => "\\u0041".to_owned(),
    }
}

/// What stands in the string behind `#inst`.
pub(crate) fn date(random: &mut Random) -> String {
    let year = match random.below(10) {
        0 => random.below(3),
        1 => random.between(1500, 1700),
        2 => random.between(1580, 1583),
        3 => random.below(10_000),
        4 => random.between(9998, 9999),
        5 => 100 * random.below(100),
        _ => random.between(1950, 2050),
    };
    let part = |random: &mut Random, first, last, wrong: usize| {
        if random.one_in(80) {
            wrong
        } else {
            random.between(first, last)
        }
    };
    let month = part(random, 1, 12, 13);
    let last = if random.one_in(12) { 31 } else { 28 };
    let day = if year == 1582 {
        random.between(1, 31)
    } else {
        part(random, 1, last, 0)
    };
    let february = random.one_in(15);
    let (month, day) = if february { (2, 29) } else { (month, day) };
    let hour = part(random, 0, 23, 24);
    let minute = if random.one_in(8) {
        59
    } else {
        part(random, 0, 59, 60)
    };
    let leap = if minute == 59 { 2 } else { 100 };
    let second = if random.one_in(leap) {
        60
    } else {
        part(random, 0, 59, 61)
    };
    let parts = [
        format!("{year:04}"),
        format!("-{month:02}"),
        format!("-{day:02}"),
        format!("T{hour:02}"),
        format!(":{minute:02}"),
        format!(":{second:02}"),
        format!(".{}", digits_of(random, "0123456789", 11)),
    ];
    let count = if random.one_in(2) {
        7
    } else {
        random.between(1, 7)
    };
    let offset = match random.below(8) {
        0..=2 => "Z".to_owned(),
        3 => String::new(),
        4 if random.one_in(2) => random
            .pick(&["-00:00", "+23:59", "-23:59", "+24:00", "+00:60", "+1", "z"])
            .to_owned(),
        _ => {
            let sign = random.pick(&["+", "-"]);
            format!("{sign}{:02}:{:02}", random.below(24), random.below(60))
        }
    };
    let mut date = format!("{}{offset}", parts[..count].concat());
    if random.one_in(60) {
        let at = random.below(date.len());
        date.replace_range(
            at..=at,
            random.pick(&["", " ", "-", "T", "1", "٣", ".", "+"]),
        );
    }
    date
}

/// What stands in the string behind `#uuid`.
pub(crate) fn uuid(random: &mut Random) -> String {
    let hex = random.pick(&["0123456789abcdef", "0123456789ABCDEF"]);
    let usual = !random.one_in(4);
    let parts: Vec<String> = [8, 4, 4, 4, 12]
        .into_iter()
        .map(|length| match random.below(8) {
            _ if usual => random.chars(hex, length),
            0 => random.chars(hex, length + 1),
            _ => digits_of(random, hex, length),
        })
        .collect();
    let mut uuid = parts.join("-");
    if random.one_in(60) {
        let at = random.below(uuid.len());
        uuid.replace_range(at..=at, random.pick(&["", "g", "-", " ", "+", "٣"]));
    }
    uuid
}
