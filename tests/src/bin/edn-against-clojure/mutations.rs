//! Changes to a document after which it may be none.

use crate::random::Random;

/// Pieces that mean something to the reader, or once did.
const PIECES: &[&str] = &[
    "(", ")", "[", "]", "{", "}", "#{", "#_", "^", "#^", "##", "##NaN", "##Inf", "##-Inf", "#:a{",
    "#:a ", "#a ", "#inst ", "#uuid ", "#", "\"", "\\", "\\a", "\\u", "\\o7", ";", "; c\n", "#!",
    "\n", "\r", " ", ",", ":", "::", ":a", "/", "//", "a/", "_", ":_/a", "'", "`", "~", "~@", "@",
    "%", "&", "|", "$", "=", ".", "..", "-", "+", "+1", "-0", "0", "1", "08", "0x", "1N", "1M",
    "1.", ".5", "1/2", "1/0", "1e", "37r1", "nil", "true", "N", "M", "e5", "é", "λ", "😀", "٣",
    "\u{0}", "\u{85}", "\u{a0}", "\u{2028}", "\u{3000}", "\u{feff}", "\u{fffd}", "#=", "#\"a\"",
    "#(", "#'a", "#?", "#<",
];

/// Bytes of which each means something somewhere.
const BYTES: &[u8] =
    b"()[]{}\"\\#;:/^_@`~',.+-0179aeEnNMrRxXuo \n\t\r\x00\x0c\x1c\x7f\x80\xc3\xa9\xed\xff";

/// Changes a document in one to four places.
pub(crate) fn mutate(random: &mut Random, text: &str) -> String {
    let mut text = text.to_owned();
    for _ in 0..random.between(1, 4) {
        text = if random.one_in(2) {
            mutate_tokens(random, &text)
        } else {
            mutate_bytes(random, text.into_bytes())
        };
        if random.one_in(2) {
            break;
        }
    }
    text
}

fn mutate_tokens(random: &mut Random, text: &str) -> String {
    let mut tokens = tokens(text);
    if tokens.is_empty() {
        return random.pick(PIECES).to_owned();
    }
    let at = random.below(tokens.len());
    let other = random.below(tokens.len());
    match random.below(7) {
        0 => drop(tokens.remove(at)),
        1 => tokens.insert(other, tokens[at]),
        2 => tokens.swap(at, other),
        3 => tokens[at] = random.pick(PIECES),
        4 => tokens.insert(at, random.pick(PIECES)),
        5 => tokens.truncate(at),
        _ => tokens[at] = tokens[other],
    }
    tokens.concat()
}

/// Brackets, blanks, and what is between them.
fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut start = 0;
    for (at, c) in text.char_indices() {
        if "()[]{}\", \n".contains(c) {
            if start < at {
                tokens.push(&text[start..at]);
            }
            start = at + c.len_utf8();
            tokens.push(&text[at..start]);
        }
    }
    if start < text.len() {
        tokens.push(&text[start..]);
    }
    tokens
}

/// What is no UTF-8 afterwards gets U+FFFD there, since Clojure's texts are not of bytes.
fn mutate_bytes(random: &mut Random, mut bytes: Vec<u8>) -> String {
    let at = random.below(bytes.len() + 1);
    let byte = if random.one_in(4) {
        random.next().to_le_bytes()[0]
    } else {
        BYTES[random.below(BYTES.len())]
    };
    match random.below(6) {
        0 => bytes.insert(at, byte),
        1 => bytes.truncate(at),
        2 => {
            let c = random.char().to_string();
            bytes.splice(at..at, c.into_bytes());
        }
        3 => {
            let end = at + random.below((bytes.len() - at).min(8) + 1);
            let piece = bytes[at..end].to_vec();
            let to = random.below(bytes.len() + 1);
            bytes.splice(to..to, piece);
        }
        choice => match bytes.get_mut(at) {
            Some(found) if choice == 4 => *found = byte,
            Some(_) => drop(bytes.remove(at)),
            None => bytes.push(byte),
        },
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
