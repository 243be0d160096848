//! The life of one connection: receive a head, answer it, go on or end.
//!
//! 1. Responses leave in the order of their requests. Small ones of a pipelined batch wait in one
//!    buffer and leave together: before the connection waits for more input, before a body that is
//!    not small, and when the buffer is full enough.
//! 2. A response that cannot be completed ends the connection. What a client receives is whole or
//!    visibly cut off, never padded; the whole ones before it arrive.
//! 3. Every wait has a bound: a deadline for the head and for idleness, a least rate for what is
//!    sent.
//! 4. Where the client may still be sending, or has not received everything yet, the end lingers: see `linger`.
//! 5. Every connection has a task with room for what a request may need. What hardly any needs, and is large, gets a place of its own
//!    for that while (`Box::pin`).

use std::borrow::Cow;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::mem;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use ringway::fs::{File, Transfer};
use ringway::task::yield_now;
use ringway::time::{Instant, sleep_until, timeout};

use crate::clock::{self, Clock};
use crate::content::{Bytes, Content};
use crate::input::Input;
use crate::journal::Access;
use crate::limits::{
    COPIED_BODY_BYTES_MAX, COPY_BYTES, ONE_SEND_BYTES, OUTPUT_FLUSH_BYTES, REQUESTS_PER_TURN,
    SMALL_BODY_BYTES_MAX, STALL_CHUNK_BYTES,
};
use crate::linger::linger;
use crate::listener::Peer;
use crate::listing::Listing;
use crate::multipart::Multipart;
use crate::range::Part;
use crate::reply::{Body, Persistence, Reply, Status};
use crate::request::{self, Refusal};
use crate::server::Server;
use crate::spare;
use crate::status::Answered;
use crate::terms::Terms;
use crate::transport::Transport;
use crate::waits::{Cause, Waits};

/// Serves a connection until it ends, for whatever reason.
pub(crate) async fn serve(server: &Server, stream: Transport, peer: Peer) {
    let mut stop = server.subscribe_to_stop();
    let timer = pin!(sleep_until(Instant::now() + server.limits().head));
    let stopping = pin!(async move { stop.wait_for(|&stops| stops).await.is_ok() });
    let mut waits = Waits::new(timer, stopping);
    let mut connection = Connection::new(server, stream, peer);
    let end = connection.exchange_all(&mut waits).await;
    // A head that a failed write left in the buffers is lost with the connection; its log line is
    // not.
    connection.log_lines();
    match end {
        Ok(end) => Box::pin(connection.end(end)).await,
        Err(error) if is_timeout(&error) => connection.reset(),
        Err(_) if connection.is_reset => {}
        // A file ended before its time, behind answers that were whole; or the peer is gone, which the end finds out.
        Err(_) => Box::pin(connection.end(End::Close)).await,
    }
}

struct Connection<'s> {
    server: &'s Server,
    stream: Transport,
    peer: Peer,
    input: Input,
    /// Finished responses that were not written yet. The buffer is lent, see [`spare`].
    output: Vec<u8>,
    /// The log lines of these responses.
    lines: Vec<u8>,
    /// No request came yet.
    is_new: bool,
    /// The kernel was told to reset the connection when it is closed.
    is_reset: bool,
}

/// How the exchange of requests and responses came to its end.
enum End {
    /// As far as is known here the peer sends nothing more.
    Close,
    /// The peer may still be sending.
    Linger,
}

/// What came of waiting for a head.
enum Arrival {
    /// Its length.
    Head(usize),
    Refused(Status),
    /// The peer, the time or the server ended the connection between two requests.
    Nothing,
}

/// What came of waiting for bytes.
enum Received {
    Bytes,
    End,
    TimedOut,
    Stopping,
}

impl<'s> Connection<'s> {
    fn new(server: &'s Server, stream: Transport, peer: Peer) -> Connection<'s> {
        Connection {
            server,
            stream,
            peer,
            input: Input::new(server.limits().pipelined_bytes),
            output: Vec::new(),
            lines: Vec::new(),
            is_new: true,
            is_reset: false,
        }
    }

    async fn exchange_all<S: Future>(&mut self, waits: &mut Waits<'_, S>) -> io::Result<End> {
        let mut in_turn = 0;
        loop {
            let ended = match self.receive_head(waits).await? {
                Arrival::Head(head_bytes) => self.exchange(head_bytes).await?,
                Arrival::Refused(status) => Some(Box::pin(self.refuse(status)).await?),
                Arrival::Nothing => Some(End::Close),
            };
            if let Some(end) = ended {
                return Ok(end);
            }
            self.is_new = false;
            in_turn += 1;
            if in_turn == REQUESTS_PER_TURN {
                in_turn = 0;
                yield_now().await;
            }
        }
    }

    /// Waits until a head is complete, and writes what was finished before it waits.
    async fn receive_head<S: Future>(&mut self, waits: &mut Waits<'_, S>) -> io::Result<Arrival> {
        let limits = self.server.limits();
        let idle = if self.is_new {
            limits.head
        } else {
            limits.idle
        };
        let (mut scanned, mut deadline, mut may_skip_line) = (0, None, true);
        loop {
            if may_skip_line && self.input.received().starts_with(b"\r\n") {
                // RFC 9112, 2.2: one empty line before a request is forgiven.
                self.input.consume(2);
                (scanned, deadline, may_skip_line) = (0, None, false);
            }
            match request::find_head_end(self.input.received(), scanned, &limits.head_size) {
                Ok(Some(head_bytes)) => return Ok(Arrival::Head(head_bytes)),
                Ok(None) => scanned = self.input.received().len(),
                Err(Refusal(status)) => return Ok(Arrival::Refused(status)),
            }
            self.flush().await?;
            let now = Instant::now();
            let until = match self.input.is_empty() {
                true => now + idle,
                false => *deadline.get_or_insert(now + limits.head),
            };
            match self.receive(waits, now, until).await? {
                Received::Bytes => {}
                Received::TimedOut if !self.input.is_empty() => {
                    return Ok(Arrival::Refused(Status::RequestTimeout));
                }
                Received::End | Received::TimedOut | Received::Stopping => {
                    return Ok(Arrival::Nothing);
                }
            }
        }
    }

    /// Receives some bytes; `now` is a moment since the task was last woken. The stop of the server is heeded only between
    /// two requests.
    async fn receive<S: Future>(
        &mut self,
        waits: &mut Waits<'_, S>,
        now: Instant,
        deadline: Instant,
    ) -> io::Result<Received> {
        waits.set_deadline(deadline);
        let is_between = self.input.is_empty();
        let (server, stream, room) = (self.server, &mut self.stream, self.input.room());
        let mut begins = true;
        let received = poll_fn(|context| {
            if let Poll::Ready(count) = stream.poll_read(context, room) {
                return Poll::Ready(count.map(Ok));
            }
            let begins = mem::take(&mut begins);
            if begins && waits.will_wake(context, now) && !server.stops() {
                return Poll::Pending;
            }
            let ended = waits.poll(context, deadline, is_between);
            ended.map(|cause| Ok(Err(cause)))
        });
        Ok(match received.await? {
            Ok(0) => Received::End,
            Ok(count) => {
                self.input.add(count);
                Received::Bytes
            }
            Err(Cause::TimedOut) => Received::TimedOut,
            Err(Cause::Stopping) => Received::Stopping,
        })
    }

    /// Answers the head at the beginning of the input; returns how the connection ends, if it does.
    async fn exchange(&mut self, head_bytes: usize) -> io::Result<Option<End>> {
        let started = Instant::now();
        let now = clock::at(started, Clock::second);
        let (reply, terms) = {
            let head = &self.input.received()[..head_bytes];
            let parsed = request::parse(head, &self.server.limits().head_size);
            match &parsed {
                Ok(request) => {
                    let terms = Terms::of(request, self.server.stops(), started, now);
                    let site = self.server.site();
                    (site.answer(request, started, now).await, terms)
                }
                Err(Refusal(status)) => {
                    (Reply::notice(*status), Terms::refused(head, started, now))
                }
            }
        };
        let persistence = self.send(reply, &terms, head_bytes).await?;
        self.input.consume(head_bytes);
        if persistence != Persistence::Close {
            return Ok(None);
        }
        self.flush().await?;
        let lingers = terms.must_linger || !self.input.is_empty();
        Ok(Some(if lingers { End::Linger } else { End::Close }))
    }

    /// Answers a head that never became complete.
    async fn refuse(&mut self, status: Status) -> io::Result<End> {
        let head_bytes = self.input.received().len();
        let now = Instant::now();
        let second = clock::at(now, Clock::second);
        let terms = Terms::refused(self.input.received(), now, second);
        self.send(Reply::notice(status), &terms, head_bytes).await?;
        self.flush().await?;
        Ok(End::Linger)
    }

    /// Sends a response, or puts it into the output buffer; logs it. The head that it answers is
    /// the first `head_bytes` of the input.
    async fn send(
        &mut self,
        mut reply: Reply,
        terms: &Terms,
        head_bytes: usize,
    ) -> io::Result<Persistence> {
        if self.output.is_empty() {
            self.output = spare::take();
        }
        let start = self.output.len();
        reply.take_form_for(&self.input.received()[..head_bytes]);
        let persistence = reply.persistence(terms.persistence);
        self.write_head(&reply, terms, persistence);
        let (mut status, mut persistence) = (reply.status, persistence);
        let body = match terms.with_body {
            true => mem::replace(&mut reply.body, Body::Nothing),
            false => Body::Nothing,
        };
        let mut sent_bytes = 0;
        let mut result = Ok(());
        match body {
            Body::Nothing => {}
            Body::Notice(text) => {
                self.output.extend_from_slice(text.as_bytes());
                sent_bytes = text.len() as u64;
            }
            Body::NoticePage(page) | Body::Page(page) => {
                result = self.send_bytes(page.as_bytes(), &mut sent_bytes).await;
            }
            Body::Pieces { listing, chunked } => {
                result = Box::pin(self.send_pieces(listing, chunked, &mut sent_bytes)).await;
            }
            Body::File(part) => {
                let content = reply.content();
                match small_bytes(content, part).await {
                    Ok(Some(bytes)) => result = self.send_bytes(&bytes, &mut sent_bytes).await,
                    Ok(None) => result = self.transfer(content, part, &mut sent_bytes).await,
                    Err(error) => {
                        // Nothing was sent yet, so the error can be told as one.
                        self.output.truncate(start);
                        (status, persistence) = self.append_failure(&error, terms);
                    }
                }
            }
            Body::FileParts(multipart) => {
                let content = reply.content();
                result = Box::pin(self.send_parts(content, &multipart, &mut sent_bytes)).await;
            }
        }
        let aborted = result.is_err();
        self.log(terms, head_bytes, status, sent_bytes, aborted);
        match &result {
            // Who takes nothing is waited for no longer.
            Err(error) if is_timeout(error) => {}
            Ok(()) if self.output.len() < OUTPUT_FLUSH_BYTES => {}
            // With what is cut off leave the whole answers before it.
            Ok(()) | Err(_) => self.flush().await?,
        }
        result.map(|()| persistence)
    }

    /// Puts a head into the output buffer.
    fn write_head(&mut self, reply: &Reply, terms: &Terms, persistence: Persistence) {
        let output = &mut self.output;
        clock::at(terms.started, |clock| {
            reply.write_head(output, clock.http(), persistence);
        });
    }

    /// Sends a body that is in memory, or puts it behind its head if it is short.
    async fn send_bytes(&mut self, bytes: &[u8], sent_bytes: &mut u64) -> io::Result<()> {
        if bytes.len() <= COPIED_BODY_BYTES_MAX {
            self.output.extend_from_slice(bytes);
        } else {
            self.flush_with(bytes).await?;
        }
        *sent_bytes += bytes.len() as u64;
        Ok(())
    }

    /// Sends several parts of a file, each behind its heading. If one cannot be read, what would
    /// follow is never sent, and the connection ends.
    async fn send_parts(
        &mut self,
        content: &Content,
        multipart: &Multipart,
        sent_bytes: &mut u64,
    ) -> io::Result<()> {
        for &part in &multipart.parts {
            if self.output.len() >= OUTPUT_FLUSH_BYTES {
                self.flush().await?;
            }
            let start = self.output.len();
            multipart.write_heading(part, &mut self.output);
            *sent_bytes += (self.output.len() - start) as u64;
            match small_bytes(content, part).await? {
                Some(bytes) => self.send_bytes(&bytes, sent_bytes).await?,
                None => self.transfer(content, part, sent_bytes).await?,
            }
        }
        let start = self.output.len();
        multipart.write_end(&mut self.output);
        *sent_bytes += (self.output.len() - start) as u64;
        Ok(())
    }

    /// Sends a page whose pieces are made one after the other. If one cannot be made, the page is visibly cut off.
    async fn send_pieces(
        &mut self,
        mut listing: Box<Listing>,
        chunked: bool,
        sent_bytes: &mut u64,
    ) -> io::Result<()> {
        let stall = self.server.limits().stall;
        // What the disk takes for a piece is not the client's fault: only the time is counted in which it is sent.
        let (mut patience, mut allowance) = (stall, STALL_CHUNK_BYTES);
        while let Some(mut piece) = self.next_piece(&mut listing, chunked).await? {
            let length = piece.len() as u64;
            if allowance < length {
                (patience, allowance) = (stall, STALL_CHUNK_BYTES);
            }
            allowance = allowance.saturating_sub(length);
            if chunked {
                let heading = format!("{length:x}\r\n");
                self.output.extend_from_slice(heading.as_bytes());
                piece.push_str("\r\n");
            }
            let begin = Instant::now();
            timeout(patience, self.flush_with(piece.as_bytes()))
                .await
                .map_err(|_| io::ErrorKind::TimedOut)??;
            patience = patience.saturating_sub(begin.elapsed());
            *sent_bytes += length;
        }
        if chunked {
            self.output.extend_from_slice(b"0\r\n\r\n");
        }
        Ok(())
    }

    /// The next piece of a page. An error is told on standard error; where the end of the connection would look like the
    /// end of the page, the connection is reset.
    async fn next_piece(
        &mut self,
        listing: &mut Listing,
        chunked: bool,
    ) -> io::Result<Option<String>> {
        let next = listing.next().await;
        if let Err(error) = &next {
            let journal = self.server.journal();
            journal.warn(format_args!("cannot go on reading a directory: {error}"));
            if !chunked {
                self.reset();
            }
        }
        next
    }

    /// Answers 500 in place of a file that could not be read.
    fn append_failure(&mut self, error: &io::Error, terms: &Terms) -> (Status, Persistence) {
        self.server
            .journal()
            .warn(format_args!("cannot read a file: {error}"));
        let (reply, persistence) = (
            Reply::notice(Status::InternalServerError),
            Persistence::Close,
        );
        self.write_head(&reply, terms, persistence);
        if let Body::Notice(text) = reply.body {
            self.output.extend_from_slice(text.as_bytes());
        }
        (reply.status, persistence)
    }

    /// Lets the kernel move a part of a file to the socket, or copies it where descriptors are short.
    /// A file that has become shorter is an error.
    async fn transfer(
        &mut self,
        content: &Content,
        part: Part,
        sent_bytes: &mut u64,
    ) -> io::Result<()> {
        let Bytes::File(file) = content.bytes() else {
            unreachable!("what is in memory is sent from there");
        };
        self.flush_before_more().await?;
        let stall = self.server.limits().stall;
        let leave = match self.stream.is_plain() {
            true => self.server.admit_transfer(),
            false => None,
        };
        if leave.is_some() {
            return send_by_kernel(file, part, &self.stream, stall, sent_bytes).await;
        }
        let (mut next, end) = (part.offset, part.end());
        while next < end {
            let length = (end - next).min(STALL_CHUNK_BYTES);
            let copied = timeout(stall, copy(file, next, length, &mut self.stream)).await;
            let count = copied.map_err(|_| io::ErrorKind::TimedOut)??;
            next += count;
            *sent_bytes += count;
        }
        Ok(())
    }

    /// Writes the finished responses.
    async fn flush(&mut self) -> io::Result<()> {
        if self.output.is_empty() {
            // Of a body that was sent by itself nothing is left but its line.
            self.log_lines();
            return Ok(());
        }
        self.flush_with(&[]).await
    }

    /// Writes the finished responses and the body of the last of them, by one system call if there
    /// is room.
    async fn flush_with(&mut self, body: &[u8]) -> io::Result<()> {
        let pieces = [IoSlice::new(&self.output), IoSlice::new(body)];
        let tried = match body {
            [] => self.stream.try_write(&self.output),
            _ => self.stream.try_write_vectored(&pieces),
        };
        self.finish_flush(tried, body).await
    }

    /// Writes the finished responses, of which the last has a head whose body follows at once.
    async fn flush_before_more(&mut self) -> io::Result<()> {
        let tried = self.stream.try_write_before_more(&self.output);
        self.finish_flush(tried, &[]).await
    }

    /// Waits until all is written of which a first try wrote a part, or nothing.
    async fn finish_flush(&mut self, tried: io::Result<usize>, body: &[u8]) -> io::Result<()> {
        let stall = self.server.limits().stall;
        let written = match tried {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            Ok(count) if count == self.output.len() + body.len() => Ok(()),
            tried => {
                let done = tried.unwrap_or(0);
                let of_output = done.min(self.output.len());
                let output = &self.output[of_output..];
                match write_all(&mut self.stream, output, stall).await {
                    Ok(()) => write_all(&mut self.stream, &body[done - of_output..], stall).await,
                    failed => failed,
                }
            }
        };
        spare::give_back(mem::take(&mut self.output));
        self.log_lines();
        written
    }

    fn log(
        &mut self,
        terms: &Terms,
        head_bytes: usize,
        status: Status,
        body_bytes: u64,
        aborted: bool,
    ) {
        let gauges = self.server.gauges();
        let logs_access = self.server.journal().logs_access();
        if gauges.is_none() && !logs_access {
            return;
        }
        let duration = terms.started.elapsed();
        if let Some(gauges) = gauges {
            gauges.note_answer(&Answered {
                status,
                body_bytes,
                duration,
                aborted,
            });
        }
        if !logs_access {
            return;
        }
        clock::at(terms.started, |clock| {
            let access = Access {
                peer: self.peer,
                time: &clock.log(terms.second),
                request_line: request::first_line(&self.input.received()[..head_bytes]),
                status: status.code(),
                body_bytes,
                duration,
                aborted,
            };
            access.write_line(&mut self.lines);
        });
    }

    fn log_lines(&mut self) {
        self.server.journal().append(&mut self.lines);
    }

    /// Closes the connection, now or when nothing of what was sent can be lost by it any more. A client over TLS is always told
    /// that this is the end and nothing was cut off; without TLS the socket's own end says so.
    async fn end(mut self, end: End) {
        let stream = &mut self.stream;
        let lingers = matches!(end, End::Linger)
            || !stream.is_plain()
            || stream.has_unread()
            || stream.unacknowledged() > 0;
        if lingers {
            self.input.consume(self.input.received().len());
            let (stall, room) = (self.server.limits().stall, self.input.room());
            linger(stream, room, stall, || self.server.stops()).await;
        }
    }

    /// Lets the kernel forget what a stalled peer did not take, in place of offering it for minutes
    /// more.
    fn reset(&mut self) {
        self.is_reset = true;
        // Without effect on a socket that is gone already.
        let _ = self.stream.socket().set_linger(Some(Duration::ZERO));
    }
}

/// Whether the peer took less than it has to.
fn is_timeout(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::TimedOut
}

/// The bytes of a part, if it is small or they are in memory anyway.
async fn small_bytes(content: &Content, part: Part) -> io::Result<Option<Cow<'_, [u8]>>> {
    match content.bytes() {
        Bytes::Memory(bytes) => Ok(Some(Cow::Borrowed(part.of(bytes)))),
        Bytes::File(file) if part.length <= SMALL_BODY_BYTES_MAX => {
            let length = usize::try_from(part.length).expect("a small body fits into memory");
            let room = Vec::with_capacity(length);
            let (result, mut bytes) = file.read_exact_at(room, part.offset).await;
            result?;
            bytes.truncate(length);
            Ok(Some(Cow::Owned(bytes)))
        }
        Bytes::File(_) => Ok(None),
    }
}

/// Has the kernel move a part of a file to the socket: [`STALL_CHUNK_BYTES`] at least within `stall`.
async fn send_by_kernel(
    file: &File,
    part: Part,
    stream: &Transport,
    stall: Duration,
    sent_bytes: &mut u64,
) -> io::Result<()> {
    let sent_before = *sent_bytes;
    let is_corked = part.length > ONE_SEND_BYTES;
    if is_corked {
        stream.set_cork(true)?;
    }
    let mut transfer = stream.transfer(file, part.offset, part.length)?;
    while transfer.left() > 0 {
        let moved = timeout(stall, advance(&mut transfer)).await;
        *sent_bytes = sent_before + transfer.sent();
        moved.map_err(|_| io::ErrorKind::TimedOut)??;
    }
    if is_corked {
        stream.set_cork(false)?;
    }
    Ok(())
}

/// Moves [`STALL_CHUNK_BYTES`] at least, or all that is left.
async fn advance(transfer: &mut Transfer<'_>) -> io::Result<()> {
    let enough = transfer.sent() + STALL_CHUNK_BYTES;
    while transfer.left() > 0 && transfer.sent() < enough {
        transfer.advance().await?;
    }
    Ok(())
}

/// Moves `length` bytes through memory; returns how many that are.
async fn copy(file: &File, offset: u64, length: u64, stream: &mut Transport) -> io::Result<u64> {
    let mut moved = 0;
    let mut bytes = Vec::with_capacity(COPY_BYTES);
    while moved < length {
        let (result, read) = file.read_at(bytes, offset + moved).await;
        bytes = read;
        let left = usize::try_from(length - moved).unwrap_or(usize::MAX);
        bytes.truncate(result?.min(left));
        if bytes.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        stream.write_all(&bytes).await?;
        moved += bytes.len() as u64;
        bytes.clear();
    }
    Ok(moved)
}

/// Writes `bytes`, of which each [`STALL_CHUNK_BYTES`] must leave within `stall`.
async fn write_all(stream: &mut Transport, bytes: &[u8], stall: Duration) -> io::Result<()> {
    for chunk in bytes.chunks(STALL_CHUNK_BYTES as usize) {
        timeout(stall, stream.write_all(chunk))
            .await
            .map_err(|_| io::ErrorKind::TimedOut)??;
    }
    Ok(())
}
