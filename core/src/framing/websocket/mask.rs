//! How payloads are masked and unmasked (RFC 6455 section 5.3).

/// The high bit of each byte of a word: none is set in ASCII.
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// Applies `mask` to `bytes`, the first of which is byte `position` of its frame's payload, and
/// says whether the result is all ASCII: then it needs no second pass as UTF-8.
pub(super) fn apply(mask: [u8; 4], position: usize, bytes: &mut [u8]) -> bool {
    let mut mask = mask;
    mask.rotate_left(position & 3);
    let [a, b, c, d] = mask;
    let key = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let mut seen = 0;
    // Words of eight, which the compiler turns into whatever vectors the machine has.
    let (words, rest) = bytes.as_chunks_mut::<8>();
    for word in words {
        let plain = u64::from_ne_bytes(*word) ^ key;
        seen |= plain;
        *word = plain.to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key.to_ne_bytes()) {
        *byte ^= key;
        seen |= u64::from(*byte);
    }
    seen & HIGH_BITS == 0
}
