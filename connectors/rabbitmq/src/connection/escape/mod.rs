//! Makes readable for the client library what AMQP allows and the library cannot read.
//!
//! AMQP's short strings (routing keys, exchanges, properties, names of headers) are any bytes, the client library's are UTF-8:
//! a message with another one would end its connection, again and again, for as long as it is in its queue. So what the
//! broker sends goes through here first.
//!
//! - A string that is not UTF-8 is written anew, as [`text`] says. Everything else passes byte by byte, in order.
//! - Only frames that can hold such a string are looked at. Bodies pass where they were read to, without a copy.
//! - Memory: at most one frame that has not come whole, of at most [`frame::LARGEST`] bytes.

mod frame;
mod text;

use std::{
    io::{self, IoSlice},
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, BufMut as _, BytesMut};
use futures_io::{AsyncRead, AsyncWrite};

use frame::{Frame, OVERHEAD};

/// The caller's room is used when there is at least so much of it, or else a buffer of our own of that size.
const ROOM: usize = 16 << 10;

/// A stream from a broker whose short strings are all UTF-8.
pub(super) struct Escaping<S> {
    inner: S,
    /// For the log.
    endpoint: Box<str>,
    /// Bytes of a frame that pass, still to come.
    passing: usize,
    /// The beginning of a frame that has not come whole.
    held: BytesMut,
    /// To be handed out before anything else is read.
    ready: BytesMut,
    /// The largest frame that both sides agreed on; 0 before that, and for any.
    frame_max: usize,
    is_told: bool,
}

impl<S> Escaping<S> {
    /// `frame_max` is what we ask for; the broker may say less.
    pub(super) fn new(inner: S, endpoint: &str, frame_max: u32) -> Self {
        let (held, ready) = (BytesMut::new(), BytesMut::new());
        let frame_max = frame_max as usize;
        Self { inner, endpoint: endpoint.into(), passing: 0, held, ready, frame_max, is_told: false }
    }

    /// How much of the beginning of `data` goes on as it is.
    fn clean(&mut self, data: &[u8]) -> usize {
        let mut at = 0;
        loop {
            let passes = self.passing.min(data.len() - at);
            self.passing -= passes;
            at += passes;
            if at == data.len() {
                return at;
            }
            match frame::read(&data[at..]) {
                Frame::Passes(length) => self.passing = length,
                Frame::Whole { kind, payload } if frame::is_readable(kind, payload) => {
                    self.note_tuning(kind, payload);
                    at += payload.len() + OVERHEAD;
                }
                Frame::Whole { .. } | Frame::Part => return at,
            }
        }
    }

    fn note_tuning(&mut self, kind: u8, payload: &[u8]) {
        let Some(told) = frame::tuned(kind, payload).filter(|told| *told > 0) else { return };
        self.frame_max = if self.frame_max == 0 { told } else { self.frame_max.min(told) };
    }

    /// Makes ready what has come whole of what is held.
    fn settle(&mut self) {
        loop {
            let mut held = mem::take(&mut self.held);
            let clean = self.clean(&held);
            self.ready.extend_from_slice(&held[..clean]);
            held.advance(clean);
            self.held = held;
            let Frame::Whole { kind, payload } = frame::read(&self.held) else { return };
            let length = payload.len() + OVERHEAD;
            match frame::escaped(kind, payload, self.frame_max.saturating_sub(OVERHEAD)) {
                Some(escaped) => {
                    self.ready.extend_from_slice(&self.held[..3]);
                    self.ready.put_u32(u32::try_from(escaped.len()).unwrap_or(u32::MAX));
                    self.ready.extend_from_slice(&escaped);
                    self.ready.put_u8(self.held[length - 1]);
                    self.tell();
                }
                None => self.ready.extend_from_slice(&self.held[..length]),
            }
            self.held.advance(length);
        }
    }

    fn tell(&mut self) {
        if !mem::replace(&mut self.is_told, true) {
            tracing::warn!(
                endpoint = &*self.endpoint,
                "a routing key, property or header name is not UTF-8; it is shown with such bytes written as %XX"
            );
        }
    }
}

impl<S: AsyncRead + Unpin> Escaping<S> {
    /// Reads behind what is held; `None` at the end of the stream.
    fn poll_more(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Option<()>>> {
        let before = self.held.len();
        self.held.resize(before + ROOM, 0);
        let read = Pin::new(&mut self.inner).poll_read(context, &mut self.held[before..]);
        let count = if let Poll::Ready(Ok(count)) = &read { *count } else { 0 };
        self.held.truncate(before + count);
        ready!(read)?;
        Poll::Ready(Ok((count > 0).then_some(())))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Escaping<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        loop {
            if !this.ready.is_empty() {
                let count = buffer.len().min(this.ready.len());
                buffer[..count].copy_from_slice(&this.ready[..count]);
                this.ready.advance(count);
                return Poll::Ready(Ok(count));
            }
            let held = this.held.len();
            let more = if buffer.len() < held + ROOM {
                ready!(this.poll_more(context))?
            } else {
                buffer[..held].copy_from_slice(&this.held);
                let count = ready!(Pin::new(&mut this.inner).poll_read(context, &mut buffer[held..]))?;
                if count > 0 {
                    this.held.clear();
                    let clean = this.clean(&buffer[..held + count]);
                    this.held.extend_from_slice(&buffer[clean..held + count]);
                    if clean > 0 {
                        this.settle();
                        return Poll::Ready(Ok(clean));
                    }
                }
                (count > 0).then_some(())
            };
            match more {
                Some(()) => this.settle(),
                None if this.held.is_empty() => return Poll::Ready(Ok(0)),
                // The end came inside a frame: the library may see for itself.
                None => this.ready.unsplit(this.held.split()),
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Escaping<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, data)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(context, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(context)
    }
}

#[cfg(test)]
mod tests;
