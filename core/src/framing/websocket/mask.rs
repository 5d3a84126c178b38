//! How payloads are masked and unmasked (RFC 6455 section 5.3).

/// The high bit of each byte of a word: none is set in ASCII.
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// Applies `mask` to `bytes`, the first of which is byte `position` of its frame's payload, and
/// says whether the result is all ASCII: then it needs no second pass as UTF-8.
pub(super) fn apply(mask: [u8; 4], position: usize, bytes: &mut [u8]) -> bool {
    let turn = u32::try_from(position & 3).unwrap_or_default();
    let key = u32::from_le_bytes(mask).rotate_right(turn.wrapping_mul(8));
    let key = u64::from(key) | (u64::from(key) << 32);
    let mut seen = 0;
    // The last eight bytes as one word, of which some may be in the words before it as well.
    let last = bytes.last_chunk().map(|word| {
        let turn = (bytes.len() & 3).wrapping_mul(8);
        let key = key.rotate_right(u32::try_from(turn).unwrap_or_default());
        u64::from_le_bytes(*word) ^ key
    });
    // Words of eight, which the compiler turns into whatever vectors the machine has.
    let (words, _) = bytes.as_chunks_mut::<8>();
    for word in words {
        let plain = u64::from_le_bytes(*word) ^ key;
        seen |= plain;
        *word = plain.to_le_bytes();
    }
    if let (Some(plain), Some(word)) = (last, bytes.last_chunk_mut()) {
        seen |= plain;
        *word = plain.to_le_bytes();
    } else {
        for (byte, key) in bytes.iter_mut().zip(key.to_le_bytes()) {
            *byte ^= key;
            seen |= u64::from(*byte);
        }
    }
    seen & HIGH_BITS == 0
}
