//! The prototype that shows what is left when a server does nothing but the work: messages are read
//! where they lie, data stay packed, all that one read asks for is answered by one write, and what is
//! told to all is framed once. It has no sessions, heartbeats, limits, queues that are bounded, or
//! handlers to look up, so it is no server to use: it is what ours could come to.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::rc::Rc;

use bytes::{Buf, Bytes};
use peer_shapes::{Data, EVENT_ID, frame};
use serde_json::value::RawValue;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::{LocalSet, spawn_local};

use crate::echo::accept_each;
use crate::floor::upgrade_response;

/// How a message is answered.
#[derive(Clone, Copy)]
pub(crate) enum Answer {
    /// With itself.
    Back,
    /// `[[id, data], callback]` with `[data, callback]`, the data as they came.
    AsTheyCame,
    /// The same with the data read into a Rust value, and written anew.
    Typed,
    /// The same in MessagePack.
    TypedMessagePack,
}

/// Answers each message, those of a read together, or with `each_alone` by a write each.
pub(crate) async fn echo(address: String, answer: Answer, each_alone: bool) {
    let frames = if each_alone { 1 } else { usize::MAX };
    accept_each(address, |stream| {
        tokio::spawn(async move {
            // Whatever ends it ends this connection only.
            let _ = echo_client(stream, answer, frames).await;
        });
    })
    .await;
}

async fn echo_client(mut stream: TcpStream, answer: Answer, frames: usize) -> io::Result<()> {
    let mut came = upgrade(&mut stream).await?;
    let (mut out, mut scratch) = (Vec::new(), Vec::new());
    loop {
        let mut used = 0;
        loop {
            let rest = &mut came[used..];
            let read = each_message(rest, frames, |opcode, message| {
                scratch.clear();
                answer.to(message, &mut out, &mut scratch, opcode)
            })?;
            used += read;
            if out.is_empty() {
                break;
            }
            stream.write_all(&out).await?;
            out.clear();
        }
        came.drain(..used);
        came.reserve(READ_BYTES);
        if stream.read_buf(&mut came).await? == 0 {
            return Ok(());
        }
    }
}

impl Answer {
    fn to(
        self,
        message: &[u8],
        out: &mut Vec<u8>,
        scratch: &mut Vec<u8>,
        opcode: u8,
    ) -> io::Result<()> {
        match self {
            Self::Back => {
                frame::put_header(out, opcode, message.len());
                out.extend_from_slice(message);
            }
            Self::AsTheyCame => {
                let Some((data, callback)) = as_they_came(text(message)?)? else {
                    return Ok(());
                };
                frame::put_header(out, opcode, data.len() + callback.len() + 3);
                put_reply(out, data, callback);
            }
            Self::Typed => {
                let ((id, data), callback): ((&str, Data), &RawValue) =
                    serde_json::from_str(text(message)?)?;
                if id == EVENT_ID {
                    serde_json::to_writer(&mut *scratch, &(data, callback))?;
                    frame::put_header(out, opcode, scratch.len());
                    out.extend_from_slice(scratch);
                }
            }
            Self::TypedMessagePack => {
                let ((id, data), callback): ((&str, Data), u64) =
                    rmp_serde::from_slice(message).map_err(io::Error::other)?;
                if id == EVENT_ID {
                    rmp_serde::encode::write_named(&mut *scratch, &(data, callback))
                        .map_err(io::Error::other)?;
                    frame::put_header(out, opcode, scratch.len());
                    out.extend_from_slice(scratch);
                }
            }
        }
        Ok(())
    }
}

/// The data and the callback of `[[id, data], callback]` as JSON, if the id is that of our events.
pub(crate) fn as_they_came(text: &str) -> io::Result<Option<(&str, &str)>> {
    let ((id, data), callback): ((&str, &RawValue), &RawValue) = serde_json::from_str(text)?;
    Ok((id == EVENT_ID).then(|| (data.get(), callback.get())))
}

/// `[data,callback]`.
pub(crate) fn put_reply(out: &mut Vec<u8>, data: &str, callback: &str) {
    out.push(b'[');
    out.extend_from_slice(data.as_bytes());
    out.push(b',');
    out.extend_from_slice(callback.as_bytes());
    out.push(b']');
}

fn text(message: &[u8]) -> io::Result<&str> {
    std::str::from_utf8(message).map_err(io::Error::other)
}

/// Answers the upgrade, and gives what came behind it.
async fn upgrade(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut came = Vec::with_capacity(1024);
    loop {
        if stream.read_buf(&mut came).await? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let end = came.windows(4).position(|four| four == b"\r\n\r\n");
        if let Some(end) = end.map(|at| at + 4) {
            stream.write_all(&upgrade_response(&came[..end])).await?;
            return Ok(came.split_off(end));
        }
    }
}

/// Shows so many of the messages that are whole, in their places and without their masks, and says how
/// many bytes they took. A message is one frame here.
fn each_message(
    came: &mut [u8],
    most: usize,
    mut show: impl FnMut(u8, &[u8]) -> io::Result<()>,
) -> io::Result<usize> {
    let mut at = 0;
    for _ in 0..most {
        let Some(header) = frame::header(&came[at..]) else {
            break;
        };
        let (from, to) = (at + header.bytes, at + header.bytes + header.payload);
        if came.len() < to || !header.masked {
            break;
        }
        let mut key = [0; 4];
        key.copy_from_slice(&came[from - 4..from]);
        fastwebsockets::unmask(&mut came[from..to], key);
        at = to;
        match header.opcode {
            CLOSE => return Err(ErrorKind::UnexpectedEof.into()),
            opcode @ (frame::TEXT | frame::BINARY) => show(opcode, &came[from..to])?,
            _ => {}
        }
    }
    Ok(at)
}

const CLOSE: u8 = 8;

const READ_BYTES: usize = 64 * 1024;

/// Tells all what one says, framed once, and holds no buffer while nobody says anything.
pub(crate) async fn tell(address: String) {
    let everybody = Rc::new(RefCell::new(Vec::new()));
    let accepting = accept_each(address, |stream| {
        let everybody = everybody.clone();
        spawn_local(async move {
            let me = Rc::new(Listener::default());
            // Whatever ends it ends this connection only.
            let _ = tell_client(stream, &everybody, &me).await;
            everybody.borrow_mut().retain(|one| !Rc::ptr_eq(one, &me));
        });
    });
    LocalSet::new().run_until(accepting).await;
}

/// One who is told.
#[derive(Default)]
struct Listener {
    /// Framed.
    news: RefCell<VecDeque<Bytes>>,
    told: Notify,
}

type Everybody = RefCell<Vec<Rc<Listener>>>;

async fn tell_client(
    mut stream: TcpStream,
    everybody: &Everybody,
    me: &Rc<Listener>,
) -> io::Result<()> {
    let mut came = Box::pin(upgrade(&mut stream)).await?;
    everybody.borrow_mut().push(me.clone());
    loop {
        tokio::select! {
            ready = stream.readable() => ready?,
            () = me.told.notified() => {
                me.hear(&mut stream).await?;
                continue;
            }
        }
        came.reserve(READ_BYTES);
        match stream.try_read_buf(&mut came) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        let used = each_message(&mut came, usize::MAX, |opcode, message| {
            let news = Bytes::from(frame::frame(opcode, message, None));
            for one in &*everybody.borrow() {
                one.news.borrow_mut().push_back(news.clone());
                one.told.notify_one();
            }
            Ok(())
        })?;
        came.drain(..used);
        if came.is_empty() {
            came = Vec::new();
        }
    }
}

impl Listener {
    /// Writes all there is, as many frames at once as the system takes.
    async fn hear(&self, stream: &mut TcpStream) -> io::Result<()> {
        loop {
            let mut news = std::mem::take(&mut *self.news.borrow_mut());
            if news.is_empty() {
                return Ok(());
            }
            while !news.is_empty() {
                let slices: Vec<IoSlice<'_>> =
                    news.iter().take(64).map(|one| IoSlice::new(one)).collect();
                let mut written = match &slices[..] {
                    [one] => stream.write(one).await?,
                    many => stream.write_vectored(many).await?,
                };
                while let Some(first) = news.front_mut() {
                    if written < first.len() {
                        first.advance(written);
                        break;
                    }
                    written -= first.len();
                    news.pop_front();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(answer: Answer, opcode: u8, message: &[u8]) -> Vec<u8> {
        let mut came = frame::frame(opcode, message, Some([1, 2, 3, 4]));
        came.extend(frame::frame(opcode, message, Some([5, 6, 7, 8])));
        let whole = came.len();
        came.extend(&frame::frame(opcode, message, Some([9, 9, 9, 9]))[..7]);
        let (mut out, mut scratch) = (Vec::new(), Vec::new());
        let used = each_message(&mut came, usize::MAX, |opcode, message| {
            scratch.clear();
            answer.to(message, &mut out, &mut scratch, opcode)
        });
        assert_eq!(used.unwrap(), whole);
        out
    }

    #[test]
    fn all_that_is_whole_is_answered() {
        let data = peer_shapes::data_json(100);
        let call = format!("[[\"{EVENT_ID}\",{data}],\"cb1\"]");
        let reply = format!("[{data},\"cb1\"]");
        for (answer, expected) in [
            (Answer::Back, &call),
            (Answer::AsTheyCame, &reply),
            (Answer::Typed, &reply),
        ] {
            let once = frame::frame(frame::TEXT, expected.as_bytes(), None);
            let answered = answered(answer, frame::TEXT, call.as_bytes());
            assert_eq!(answered, [&once[..], &once].concat());
        }
    }

    #[test]
    fn messagepack_is_answered_in_messagepack() {
        let data = peer_shapes::data(100);
        let call = rmp_serde::to_vec_named(&((EVENT_ID, &data), 1000_u64)).unwrap();
        let reply = rmp_serde::to_vec_named(&(&data, 1000_u64)).unwrap();
        let once = frame::frame(frame::BINARY, &reply, None);
        let answered = answered(Answer::TypedMessagePack, frame::BINARY, &call);
        assert_eq!(answered, [&once[..], &once].concat());
    }
}
