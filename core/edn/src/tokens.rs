//! Which tokens are keywords, and why a token is no name or number.

use crate::error::{Error, ErrorKind, Inside};
use crate::machine::{Machine, Sink};
use crate::name;
use crate::number::{self, NumFault};

impl<'a, S: Sink> Machine<'a, S> {
    /// Reads a keyword, and gives it without its colon.
    #[inline]
    pub(crate) fn keyword(&mut self, start: usize) -> Result<&'a str, Error> {
        self.lexer.advance(1);
        if let Some(text) = self.lexer.simple_name() {
            return Ok(text);
        }
        let token = self.lexer.token(start)?;
        let text = token.get(1..).unwrap_or_default();
        if name::is_keyword(text, self.limits.dialect) {
            Ok(text)
        } else {
            Err(self.name_error(token, start))
        }
    }

    #[cold]
    pub(crate) fn number_error(&self, token: &str, fault: NumFault, start: usize) -> Error {
        if fault != NumFault::TooManyDigits
            && self.lexer.is_at_end()
            && number::may_become_number(token)
        {
            return self.lexer.end(Inside::Number, start);
        }
        let kind = match fault {
            NumFault::Invalid => ErrorKind::InvalidNumber,
            NumFault::TooManyDigits => ErrorKind::TooManyDigits {
                limit: crate::bignum::MAX_DIGITS,
            },
            NumFault::ZeroDenominator => ErrorKind::ZeroDenominator,
        };
        Error::new(kind, start)
    }

    #[cold]
    pub(crate) fn name_error(&self, token: &str, start: usize) -> Error {
        if self.lexer.is_at_end() && name::may_become_name(token, self.limits.dialect) {
            return self.lexer.end(Inside::Token, start);
        }
        Error::new(ErrorKind::InvalidToken, start)
    }
}
