//! What a Close frame carries, and which codes may be in it (RFC 6455 sections 5.5.1 and 7.4).

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use super::error::Violation;
use super::header::MAX_CONTROL;

/// The code and the reason of a Close frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CloseFrame {
    /// `None` for an empty Close ("1005" in the API of browsers).
    pub(super) code: Option<u16>,
    pub(super) reason: String,
}

impl CloseFrame {
    /// What we would send: the reason cut to fit, and nothing at all where the code must not be on
    /// the wire.
    pub(super) fn new(code: u16, reason: &str) -> Self {
        if !may_be_sent(code) {
            return Self::default();
        }
        let fits = reason.floor_char_boundary(MAX_CONTROL - size_of::<u16>());
        Self {
            code: Some(code),
            reason: reason.get(..fits).unwrap_or_default().to_owned(),
        }
    }

    pub(super) fn parse(payload: &[u8]) -> Result<Self, Violation> {
        match payload {
            [] => Ok(Self::default()),
            [_] => Err(Violation::ShortClose),
            [high, low, reason @ ..] => {
                let code = u16::from_be_bytes([*high, *low]);
                if !may_be_sent(code) {
                    return Err(Violation::BadCloseCode(code));
                }
                let reason = core::str::from_utf8(reason).map_err(|_| Violation::BadCloseReason)?;
                Ok(Self {
                    code: Some(code),
                    reason: reason.to_owned(),
                })
            }
        }
    }

    pub(super) fn payload(&self) -> Vec<u8> {
        let mut payload = Vec::new();
        if let Some(code) = self.code {
            payload.extend_from_slice(&code.to_be_bytes());
            payload.extend_from_slice(self.reason.as_bytes());
        }
        payload
    }
}

/// Whether `code` may be in a Close frame: the registered ones but those that only report what
/// happened locally (1005, 1006, 1015), and the ranges of libraries (3000) and applications (4000).
const fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}
