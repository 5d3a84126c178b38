//! The work done by `sente-edn`.

use sente_edn::{Cursor, Limits, Tree, Value};
use serde::{Deserialize, Serialize};

/// What is read of a frame: the event's id, its payload as text, and the callback's id.
pub type Frame<'a> = (&'a str, &'a [u8], &'a [u8]);

/// Reads `[[:event payload] "callback"]`: the payload is checked, but nothing is made of it.
#[must_use]
pub fn frame(text: &[u8]) -> Frame<'_> {
    read_frame(text).expect("the document is such a frame")
}

fn read_frame(text: &[u8]) -> Result<Frame<'_>, sente_edn::Error> {
    let mut cursor = Cursor::new(text, &Limits::default());
    cursor.enter()?;
    cursor.enter()?;
    let id = cursor.keyword()?;
    let payload = cursor.skip()?.text();
    cursor.leave()?;
    let callback = cursor.skip()?.text();
    cursor.leave()?;
    assert_eq!(cursor.peek()?, None, "the document is one frame");
    Ok((id, payload, callback))
}

/// Checks a document completely, repeated keys included, and gives how long it is.
#[must_use]
pub fn scan(text: &[u8]) -> usize {
    let mut cursor = Cursor::new(text, &Limits::default());
    cursor.skip().expect("the document is EDN").end()
}

/// Reads a document into a tree that borrows from it, repeated keys checked.
#[must_use]
pub fn tree_parse(text: &[u8]) -> Tree<'_> {
    Tree::parse(text).expect("the document is EDN")
}

/// Reads a document into a value of its own.
#[must_use]
pub fn value(text: &[u8]) -> Value {
    sente_edn::from_slice(text).expect("the document is EDN")
}

/// Reads a document into a Rust type.
#[must_use]
pub fn typed<'a, T: Deserialize<'a>>(text: &'a [u8]) -> T {
    sente_edn::serde::from_slice(text).expect("the document is what the type takes")
}

/// Writes a Rust value.
#[must_use]
pub fn typed_write<T: Serialize>(value: &T) -> Vec<u8> {
    sente_edn::serde::to_vec(value).expect("the value can be written")
}

/// Prints a value into a buffer that is used again.
pub fn print(value: &Value, out: &mut Vec<u8>) {
    out.clear();
    sente_edn::write(value, out);
}
