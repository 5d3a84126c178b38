//! How the upgrade agrees on permessage-deflate (RFC 7692 sections 5 and 7.1).

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};

use super::{Deflate, DeflateConfig, MAX_WINDOW_BITS, MIN_WINDOW_BITS, Role};

const NAME: &str = "permessage-deflate";
const CLIENT_BITS: &str = "client_max_window_bits";
const CLIENT_RESETS: &str = "client_no_context_takeover";
const SERVER_BITS: &str = "server_max_window_bits";
const SERVER_RESETS: &str = "server_no_context_takeover";

/// The parameters of one offer or answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Terms {
    client_resets: bool,
    server_resets: bool,
    /// `Some(None)` where it stands without a value.
    client_bits: Option<Option<u8>>,
    server_bits: Option<u8>,
}

impl DeflateConfig {
    /// What a client says in `Sec-WebSocket-Extensions`.
    pub(crate) fn offer(&self) -> String {
        let bits = (self.window_bits < MAX_WINDOW_BITS).then_some(self.window_bits);
        let peer_bits = (self.peer_window_bits < MAX_WINDOW_BITS).then_some(self.peer_window_bits);
        Terms {
            // A hint, so that the server need not keep a window for what we send.
            client_resets: !self.takeover,
            server_resets: !self.peer_takeover,
            client_bits: Some(bits),
            server_bits: peer_bits,
        }
        .to_header()
    }

    /// What a server answers to a client's offers, the first of which that it can accept counts,
    /// and what that comes to. `None` if there is none: then it says nothing.
    pub(crate) fn answer<'a>(
        &self,
        offers: impl Iterator<Item = &'a str>,
    ) -> Option<(String, Deflate)> {
        offers
            .flat_map(|header| split(header, ','))
            .filter_map(Terms::parse)
            .find_map(|offer| self.answer_to(offer.ok()?))
    }

    fn answer_to(&self, offer: Terms) -> Option<(String, Deflate)> {
        let bits = self
            .window_bits
            .min(offer.server_bits.unwrap_or(MAX_WINDOW_BITS));
        if bits < MIN_WINDOW_BITS {
            // Better uncompressed both ways, or another of its offers.
            return None;
        }
        // Only a client that says that it can be told is told.
        let peer_bits = offer
            .client_bits
            .map(|bits| self.peer_window_bits.min(bits.unwrap_or(MAX_WINDOW_BITS)));
        let answer = Terms {
            client_resets: offer.client_resets || !self.peer_takeover,
            server_resets: offer.server_resets || !self.takeover,
            client_bits: peer_bits.filter(|bits| *bits < MAX_WINDOW_BITS).map(Some),
            server_bits: offer.server_bits.map(|_| bits),
        };
        Some((
            answer.to_header(),
            self.agreed(Role::Server, answer, Some(bits)),
        ))
    }

    /// What a server's answer to our offer comes to; `None` if it accepted nothing.
    ///
    /// # Errors
    /// The answer is not one that it may give.
    pub(crate) fn accepted<'a>(
        &self,
        answers: impl Iterator<Item = &'a str>,
    ) -> Result<Option<Deflate>, NotOffered> {
        let mut agreed = None;
        for answer in answers.flat_map(|header| split(header, ',')) {
            if answer.is_empty() {
                continue;
            }
            let terms = Terms::parse(answer).ok_or(NotOffered)??;
            if agreed.is_some() {
                return Err(NotOffered);
            }
            // In an answer it has a value, no larger than that of the offer (section 7.1.2.2).
            let bits = match terms.client_bits {
                None => self.window_bits,
                Some(Some(bits)) if bits <= self.window_bits => bits,
                Some(_) => return Err(NotOffered),
            };
            let within = terms.server_bits.unwrap_or(MAX_WINDOW_BITS) <= self.peer_window_bits;
            if !within || (!self.peer_takeover && !terms.server_resets) {
                return Err(NotOffered);
            }
            let bits = (bits >= MIN_WINDOW_BITS).then_some(bits);
            agreed = Some(self.agreed(Role::Client, terms, bits));
        }
        Ok(agreed)
    }

    fn agreed(&self, role: Role, terms: Terms, window_bits: Option<u8>) -> Deflate {
        let (resets, peer_resets) = match role {
            Role::Client => (terms.client_resets, terms.server_resets),
            Role::Server => (terms.server_resets, terms.client_resets),
        };
        Deflate {
            config: self.clone(),
            takeover: self.takeover && !resets,
            peer_takeover: !peer_resets,
            window_bits,
        }
    }
}

/// Something that was not offered, or that nobody may offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotOffered;

impl Terms {
    /// Reads one element of the header. `None` for another extension; an error where nobody may
    /// accept it: a parameter that is unknown, there twice, or of no legal value.
    fn parse(element: &str) -> Option<Result<Self, NotOffered>> {
        let mut parts = split(element, ';');
        if !parts.next()?.eq_ignore_ascii_case(NAME) {
            return None;
        }
        let mut terms = Self::default();
        for part in parts {
            let (name, value) = match part.split_once('=') {
                Some((name, value)) => (name.trim_ascii(), Some(value.trim_ascii())),
                None => (part, None),
            };
            if !terms.set(name, value) {
                return Some(Err(NotOffered));
            }
        }
        Some(Ok(terms))
    }

    /// Whether it may be set so.
    fn set(&mut self, name: &str, value: Option<&str>) -> bool {
        let flag = |flag: &mut bool| value.is_none() && !core::mem::replace(flag, true);
        match (name, value) {
            (CLIENT_RESETS, _) => flag(&mut self.client_resets),
            (SERVER_RESETS, _) => flag(&mut self.server_resets),
            (CLIENT_BITS, None) => self.client_bits.replace(None).is_none(),
            (CLIENT_BITS, Some(value)) => match window_bits(value) {
                Some(bits) => self.client_bits.replace(Some(bits)).is_none(),
                None => false,
            },
            (SERVER_BITS, Some(value)) => match window_bits(value) {
                Some(bits) => self.server_bits.replace(bits).is_none(),
                None => false,
            },
            _ => false,
        }
    }

    fn to_header(self) -> String {
        let mut header = NAME.to_owned();
        let mut put = |name: &str, value: Option<u8>| {
            header.push_str("; ");
            header.push_str(name);
            if let Some(value) = value {
                header.push('=');
                header.push_str(&value.to_string());
            }
        };
        if self.server_resets {
            put(SERVER_RESETS, None);
        }
        if self.client_resets {
            put(CLIENT_RESETS, None);
        }
        if let Some(bits) = self.server_bits {
            put(SERVER_BITS, Some(bits));
        }
        if let Some(bits) = self.client_bits {
            put(CLIENT_BITS, bits);
        }
        header
    }
}

/// 8 to 15 without leading zeros, perhaps in quotes.
fn window_bits(value: &str) -> Option<u8> {
    let value = value
        .strip_prefix('"')
        .and_then(|value| value.strip_suffix('"'))
        .unwrap_or(value);
    let bits = match value {
        "8" => 8,
        "9" => 9,
        "10" => 10,
        "11" => 11,
        "12" => 12,
        "13" => 13,
        "14" => 14,
        "15" => 15,
        _ => return None,
    };
    Some(bits)
}

/// The pieces between separators that are not in quotes, without blanks around them.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |c: char| {
        let is_escaped = core::mem::take(&mut escaped);
        match c {
            '"' if !is_escaped => quoted = !quoted,
            '\\' if quoted && !is_escaped => escaped = true,
            _ => {}
        }
        c == separator && !quoted
    })
    .map(str::trim_ascii)
}
