//! JSON text, read step by step and written: what the packers `json` and `transit-json` stand on.
//!
//! Reading is [`TextCursor`]: over one value and everything in it, from front to back, without
//! recursion and without building anything. It can be used in two ways, and they mix:
//!
//! - as a *cursor* ([`peek`](TextCursor::peek), [`enter`](TextCursor::enter),
//!   [`leave`](TextCursor::leave), [`skip`](TextCursor::skip), [`string`](TextCursor::string)),
//!   which is what a packer's `walk` needs;
//! - as a stream of [`Token`]s ([`next`](TextCursor::next)), which is what building a value on a
//!   stack of one's own needs: `Open`, then the items, then `Close`; in an object [`Token::Key`]
//!   and the value in turn.
//!
//! ```text
//! let mut cursor = TextCursor::new(br#"["^ ","~:a\n",[1]]"#, &limits);
//! while let Some(token) = cursor.next()? {
//!     match token {
//!         Token::Open(kind) => { /* push, it starts at cursor.start() */ }
//!         Token::Close => { /* pop, it ends at cursor.pos() */ }
//!         Token::Key(text) | Token::String(text) => { let text: Cow<'_, str> = text.decode(); }
//!         Token::Number(number) => { number.to_i64(); number.to_f64(); number.text(); }
//!         Token::Null | Token::Bool(_) => {}
//!     }
//! }
//! ```
//!
//! What has been stepped over is proven: UTF-8, the grammar of RFC 8259 and nothing more (no
//! comments, no trailing commas, no `NaN`), escapes, and the limits of depth and elements. What
//! stands behind the first value is not looked at, but for whether a number or a word ends there.
//! Errors are [`TextError`], which `?` makes an `UnpackError`; after one the cursor stays where it
//! is and repeats it. Being asked for a kind that is not there is an error too, but the cursor goes
//! on.
//!
//! An unpaired surrogate in an escape, as in `"\ud83d"`, is read as U+FFFD, one for each: Rust's
//! strings hold none, and `sente_edn` reads the same way. It is no error, because Java and
//! JavaScript peers send what a user typed or a cut has left of it.
//!
//! Writing is [`write_string`], [`write_body`] (without the quotes) and [`write_f64`], in the style
//! of JavaScript or of Jackson, see [`Style`].

mod cursor;
mod error;
mod levels;
mod number;
mod scan;
mod string;
#[cfg(test)]
mod tests;
mod write;

pub(crate) use cursor::{Container, Kind, TextCursor, TextSpan, Token};
pub(crate) use error::TextError;
pub(crate) use number::Number;
pub(crate) use string::Text;
pub(crate) use write::{Style, write_body, write_f64, write_string};
