//! Bytes that nobody sent.

use bytes::Bytes;

use crate::world::Rng;

/// Bytes that are nearly right.
pub(super) fn garbage(rng: &mut Rng) -> Bytes {
    const PIECES: &[&[u8]] = &[
        b"[:m/e 1]\n",
        b"[[:m/e 1] nil]\n",
        b"[[:m/e [2 \"x\"]] \"cb\"]\n",
        b"[:chsk/ws-ping nil]\n",
        b"[:chsk/reply {:cb-uuid \"abcdef\" :data 1}]\n",
        b"[[:chsk/handshake [\"u\" nil nil]] nil]\n",
        b"[:sente-lite/hello {:dialect :sente}]\n",
        b"\x81\x05[:a/b",
        b"\x88\x02\x03\xe8",
        b"\x00\x00\x00\x00\x03nil",
        b"\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff",
        b"{:a 1}\n",
        b"\n\n\r\n",
        b"\"",
        b"\xff\xfe",
    ];
    let mut bytes = Vec::new();
    for _ in 0..rng.between(1, 4) {
        if rng.one_in(3) {
            bytes.extend((0..rng.below(20)).map(|_| rng.next().to_le_bytes()[0]));
        } else {
            bytes.extend_from_slice(rng.pick(PIECES));
        }
    }
    Bytes::from(bytes)
}
