//! The first line of a recording: what the connection was made with.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;

use sente_edn::Value;

use super::fields::{Reader, Writer, from_hex, hex};
use crate::connection::{ConnectionConfig, Hello, RecvPolicy, keyword};
use crate::extensions::Extensions;
use crate::limits::Limits;
use crate::packer::Packer;
use crate::profile::{Carrier, Dialect, Keepalive, Role};
use crate::queue::Rate;
use crate::time::Instant;

/// The version of the format.
const VERSION: u64 = 1;

/// What the first line says.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) config: Arc<ConnectionConfig>,
    pub(super) seed: [u8; 32],
    pub(super) at: Instant,
}

pub(super) fn header(config: &Arc<ConnectionConfig>, seed: &[u8; 32], now: Instant) -> Value {
    let mut out = Writer::default();
    out.put("sente-recording", VERSION);
    out.put("at", now.as_nanos());
    out.put("seed", hex(seed));
    out.put("config", write_config(config));
    out.finish()
}

pub(super) fn read_header(
    line: &Value,
    packer: &dyn Fn(&str) -> Option<Arc<dyn Packer>>,
) -> Result<Header, String> {
    let line = Reader(line);
    let version = line.need("sente-recording", Reader::u64)?;
    if version != VERSION {
        return Err(format!(
            "it is a recording of version {version}, and this can read version {VERSION}"
        ));
    }
    let seed = line.need("seed", |line, key| {
        from_hex(line.str(key)?)?.try_into().ok()
    })?;
    Ok(Header {
        config: read_config(line.need("config", Reader::inner)?, packer)?,
        seed,
        at: Instant::from_nanos(line.need("at", Reader::u64)?),
    })
}

fn write_config(config: &ConnectionConfig) -> Value {
    let mut out = Writer::default();
    out.put("role", role_word(config.role()));
    out.put("dialect", dialect_word(config.dialect()));
    out.put("carrier", carrier_word(config.carrier()));
    out.put("packer", config.packer().name());
    out.put("limits", write_limits(config.limits()));
    if let Some(keepalive) = config.keepalive {
        out.put_duration("keepalive-interval", keepalive.interval);
        out.put_duration("keepalive-timeout", keepalive.timeout);
    }
    out.put_duration("handshake-timeout", config.handshake_timeout);
    out.put_duration("close-timeout", config.close_timeout);
    if let Some(window) = config.flush_window {
        out.put_duration("flush-window", window);
    }
    if let Some(rate) = config.send_rate {
        let (interval, tolerance) = rate.parts();
        out.put_some("send-interval", interval);
        out.put("send-tolerance", tolerance);
    }
    out.put("keep-dropped", number(config.keep_dropped));
    if config.offers || config.role() == Role::Server {
        out.put("extensions", config.extensions.to_string());
    }
    out.put_true(
        "drop-oldest-received",
        config.on_recv_full == RecvPolicy::DropOldest,
    );
    out.put_true("wrap-received", config.wrap_received);
    if config.small_frames != usize::MAX {
        out.put("small-frames", number(config.small_frames));
    }
    if let Some(hello) = &config.hello {
        let mut map = Writer::default();
        map.put_some("client-id", hello.client_id.as_deref());
        map.put_some("token", hello.token.as_deref());
        map.put_some("dialect", hello.dialect.map(dialect_word));
        out.put("hello", map.finish());
    }
    out.finish()
}

fn read_config(
    from: Reader<'_>,
    packer: &dyn Fn(&str) -> Option<Arc<dyn Packer>>,
) -> Result<Arc<ConnectionConfig>, String> {
    let role = from.need("role", |from, key| match from.word(key)? {
        "client" => Some(Role::Client),
        "server" => Some(Role::Server),
        _ => None,
    })?;
    let dialect = from.need("dialect", |from, key| dialect_of(from.word(key)?))?;
    let carrier = from.need("carrier", |from, key| match from.word(key)? {
        "websocket" => Some(Carrier::WebSocket),
        "lines" => Some(Carrier::Lines),
        "length-prefixed" => Some(Carrier::LengthPrefixed),
        _ => None,
    })?;
    let name = from.need("packer", Reader::str)?;
    let packer = packer(name)
        .ok_or_else(|| format!("its packer {name} is not known here: give it to the replay"))?;
    let keepalive = match (
        from.duration("keepalive-interval"),
        from.duration("keepalive-timeout"),
    ) {
        (Some(interval), Some(timeout)) => Some(Keepalive::new(interval, timeout)),
        _ => None,
    };
    let mut builder = ConnectionConfig::builder(role, dialect, carrier)
        .packer(packer)
        .limits(read_limits(from.need("limits", Reader::inner)?)?)
        .keepalive(keepalive)
        .handshake_timeout(from.need("handshake-timeout", Reader::duration)?)
        .close_timeout(from.need("close-timeout", Reader::duration)?)
        .flush_window(from.duration("flush-window"))
        .keep_dropped(from.need("keep-dropped", read_usize)?)
        .wrap_received(from.is_true("wrap-received"))
        .small_frames(read_usize(from, "small-frames"));
    if let Some(tolerance) = from.u64("send-tolerance") {
        builder = builder.send_rate(Some(Rate::from_parts(from.u64("send-interval"), tolerance)));
    }
    if from.is_true("drop-oldest-received") {
        builder = builder.on_recv_full(RecvPolicy::DropOldest);
    }
    if let Some(map) = from.inner("hello") {
        let mut hello = Hello::new();
        hello.client_id = map.str("client-id").map(String::from);
        hello.token = map.str("token").map(String::from);
        hello.dialect = map.word("dialect").and_then(dialect_of);
        builder = builder.hello(hello);
    }
    if let Some(text) = from.str("extensions") {
        let extensions: Extensions = text
            .parse()
            .map_err(|error| format!(":extensions: {error}"))?;
        builder = match role {
            Role::Client => builder.offer(extensions),
            Role::Server => builder.grant(extensions),
        };
    }
    builder.build().map_err(|error| error.to_string())
}

/// A field of the limits by its name.
type Field = (&'static str, fn(&mut Limits) -> &mut usize);

const SIZES: [Field; 18] = [
    ("max-frame-bytes", |it| &mut it.max_frame_bytes),
    ("warn-frame-bytes", |it| &mut it.warn_frame_bytes),
    ("max-opened-bytes", |it| &mut it.max_opened_bytes),
    ("max-depth", |it| &mut it.max_depth),
    ("max-elements", |it| &mut it.max_elements),
    ("max-send-messages", |it| &mut it.max_send_messages),
    ("max-send-bytes", |it| &mut it.max_send_bytes),
    ("max-reservations", |it| &mut it.max_reservations),
    ("max-flushes", |it| &mut it.max_flushes),
    ("max-recv-messages", |it| &mut it.max_recv_messages),
    ("max-recv-bytes", |it| &mut it.max_recv_bytes),
    ("recv-slow-messages", |it| &mut it.recv_slow_messages),
    ("max-batch-bytes", |it| &mut it.max_batch_bytes),
    ("max-batch-events", |it| &mut it.max_batch_events),
    ("max-pending-calls", |it| &mut it.max_pending_calls),
    ("max-transmit-bytes", |it| &mut it.max_transmit_bytes),
    ("max-bad-frame-excerpt", |it| &mut it.max_bad_frame_excerpt),
    ("max-bad-frames-reported", |it| {
        &mut it.max_bad_frames_reported
    }),
];

fn write_limits(limits: &Limits) -> Value {
    let mut limits = limits.clone();
    let mut out = Writer::default();
    for (name, field) in SIZES {
        out.put(name, number(*field(&mut limits)));
    }
    out.put("send-high-water", u64::from(limits.send_high_water));
    out.put("send-low-water", u64::from(limits.send_low_water));
    out.put_duration("bad-frame-period", limits.bad_frame_period);
    out.finish()
}

fn read_limits(from: Reader<'_>) -> Result<Limits, String> {
    let mut limits = Limits::default();
    for (name, field) in SIZES {
        *field(&mut limits) = from.need(name, read_usize)?;
    }
    limits.send_high_water = from.need("send-high-water", read_u8)?;
    limits.send_low_water = from.need("send-low-water", read_u8)?;
    limits.bad_frame_period = from.need("bad-frame-period", Reader::duration)?;
    Ok(limits)
}

fn number(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}

fn read_usize(from: Reader<'_>, key: &str) -> Option<usize> {
    from.u64(key)
        .map(|size| usize::try_from(size).unwrap_or(usize::MAX))
}

fn read_u8(from: Reader<'_>, key: &str) -> Option<u8> {
    u8::try_from(from.u64(key)?).ok()
}

fn role_word(role: Role) -> Value {
    keyword(match role {
        Role::Client => "client",
        Role::Server => "server",
    })
}

fn carrier_word(carrier: Carrier) -> Value {
    keyword(match carrier {
        Carrier::LengthPrefixed => "length-prefixed",
        Carrier::Lines => "lines",
        Carrier::WebSocket => "websocket",
    })
}

fn dialect_word(dialect: Dialect) -> Value {
    keyword(match dialect {
        Dialect::Sente => "sente",
        Dialect::SenteLite => "sente-lite",
    })
}

fn dialect_of(word: &str) -> Option<Dialect> {
    match word {
        "sente" => Some(Dialect::Sente),
        "sente-lite" => Some(Dialect::SenteLite),
        _ => None,
    }
}

/// A limit that is added later has to be recorded, too: this no longer compiles then.
const _: fn(Limits) = |limits| {
    let Limits {
        max_frame_bytes: _,
        warn_frame_bytes: _,
        max_opened_bytes: _,
        max_depth: _,
        max_elements: _,
        max_send_messages: _,
        max_send_bytes: _,
        send_high_water: _,
        send_low_water: _,
        max_reservations: _,
        max_flushes: _,
        max_recv_messages: _,
        max_recv_bytes: _,
        recv_slow_messages: _,
        max_batch_bytes: _,
        max_batch_events: _,
        max_pending_calls: _,
        max_transmit_bytes: _,
        max_bad_frame_excerpt: _,
        max_bad_frames_reported: _,
        bad_frame_period: _,
    } = limits;
};
