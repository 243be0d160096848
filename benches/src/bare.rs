//! The echo server without a runtime: what the kernel's part of an echo costs.
//!
//! As many threads as a runtime has workers, with a ring each, to which the connections are dealt out. Each connection has
//! a multishot poll; an event is answered by `recv(2)` and `send(2)`. Of the loops that were tried (see
//! docs/BENCHMARKS.md) this is the fastest with two threads. Its rings belong to one thread each, as they do
//! not in a runtime that lets a worker serve a ring whose owner is stuck.
//!
//! A thread has one buffer, as large as a message. What of a large message a socket does not take is kept until a poll of its
//! own says that there is room; the client has no other message under way, so nothing has to be read meanwhile.

use std::io::{self, ErrorKind, Read};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixListener;
use std::thread::{self, JoinHandle};

use io_uring::{IoUring, cqueue, opcode, squeue, types};
use socket2::{Domain, Socket, Type};

use crate::Run;
use crate::clients::{Clients, Load};
use crate::tokio::workloads::net::{BUFFER_BYTES, batch_of};
use crate::tokio::workloads::sockets::{ECHOES, LARGE_BYTES, MESSAGE_BYTES, large_batch_of};

/// As many as a runtime has workers in the other measurements.
const THREADS: usize = 2;

const BACKLOG: i32 = 1_024;

/// SQEs and CQEs of a ring: all polls of a thread are submitted, and may be answered, at once.
const SQ_ENTRIES: u32 = 1_024;
const CQ_ENTRIES: u32 = 4 * SQ_ENTRIES;

/// What tells an event of room to send from one of bytes to receive, among the bits of its user data.
const HAS_ROOM: u64 = 1 << 63;

/// Echoes the messages of so many connections.
pub fn echo(connections: usize) -> Run {
    over_tcp(Load::Echo, BUFFER_BYTES, connections, batch_of(connections))
}

/// The same with large messages.
pub fn echo_large(connections: usize) -> Run {
    let load = Load::Tcp(LARGE_BYTES);
    over_tcp(load, LARGE_BYTES, connections, large_batch_of(connections))
}

/// Echoes the messages of so many connections over Unix sockets.
pub fn echo_unix(connections: usize) -> Run {
    over_unix(Load::Unix(MESSAGE_BYTES), BUFFER_BYTES, connections, ECHOES)
}

/// The same with large messages.
pub fn echo_unix_large(connections: usize) -> Run {
    let load = Load::Unix(LARGE_BYTES);
    over_unix(load, LARGE_BYTES, connections, large_batch_of(connections))
}

fn over_tcp(load: Load, buffer_bytes: usize, connections: usize, batch: u64) -> Run {
    let listener = listen().unwrap();
    let address = listener.local_addr().unwrap();
    let accept = move || {
        let (stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_nonblocking(true).unwrap();
        Socket::from(stream)
    };
    let accepting = thread::spawn(move || (0..connections).map(|_| accept()).collect());
    let clients = Clients::start(load, &address.to_string(), connections);
    let mut bare = Bare::start(clients, accepting.join().unwrap(), buffer_bytes);
    Box::new(move |batches| bare.clients().exchange(batches * batch))
}

fn over_unix(load: Load, buffer_bytes: usize, connections: usize, batch: u64) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("echo");
    let listener = UnixListener::bind(&path).unwrap();
    let accept = move || {
        let (stream, _) = listener.accept().unwrap();
        stream.set_nonblocking(true).unwrap();
        // Its calls are recv(2) and send(2), which cost less than read(2) and write(2).
        Socket::from(stream)
    };
    let accepting = thread::spawn(move || (0..connections).map(|_| accept()).collect());
    let clients = Clients::start(load, path.to_str().unwrap(), connections);
    let mut bare = Bare::start(clients, accepting.join().unwrap(), buffer_bytes);
    Box::new(move |batches| {
        let _alive = &folder;
        bare.clients().exchange(batches * batch);
    })
}

/// The server with its clients.
struct Bare {
    clients: Option<Clients>,
    threads: [Option<JoinHandle<()>>; THREADS],
}

impl Bare {
    /// Deals the connections out to the threads.
    fn start(clients: Clients, streams: Vec<Socket>, buffer_bytes: usize) -> Bare {
        let mut shares: [Vec<Socket>; THREADS] = Default::default();
        for (index, stream) in streams.into_iter().enumerate() {
            shares[index % THREADS].push(stream);
        }
        Bare {
            clients: Some(clients),
            threads: shares.map(|share| Some(thread::spawn(move || serve(share, buffer_bytes)))),
        }
    }

    fn clients(&mut self) -> &mut Clients {
        self.clients.as_mut().expect("there until the drop")
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        self.clients = None; // Their connections end, and with them the threads.
        for thread in self.threads.iter_mut().filter_map(Option::take) {
            let served = thread.join();
            assert!(thread::panicking() || served.is_ok());
        }
    }
}

/// A listener that keeps as many connections as the runtimes' do until they are accepted. Beyond that number a client takes
/// itself for connected, and waits, while the server knows nothing of it.
fn listen() -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// A connection.
struct Connection {
    socket: Socket,
    /// What was received and not yet taken back.
    unsent: Vec<u8>,
    /// An end may be told more than once, and with the last bytes.
    has_ended: bool,
}

/// One thread: echoes until all connections have ended.
fn serve(streams: Vec<Socket>, buffer_bytes: usize) {
    let mut ring: IoUring = IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_cqsize(CQ_ENTRIES)
        .build(SQ_ENTRIES)
        .unwrap();
    let connection = |socket| Connection {
        socket,
        unsent: Vec::new(),
        has_ended: false,
    };
    let mut connections: Vec<_> = streams.into_iter().map(connection).collect();
    for (index, connection) in connections.iter().enumerate() {
        watch(&mut ring, index, &connection.socket);
    }
    let mut buffer = vec![0; buffer_bytes];
    let mut events = Vec::with_capacity(CQ_ENTRIES as usize);
    while connections.iter().any(|connection| !connection.has_ended) {
        ring.submit_and_wait(1).unwrap();
        let told = |event: cqueue::Entry| (event.user_data(), event.flags(), event.result());
        events.extend(ring.completion().map(told));
        for (place, flags, result) in events.drain(..) {
            let index = (place & !HAS_ROOM) as usize;
            let connection = &mut connections[index];
            let is_news = place & HAS_ROOM == 0;
            if is_news && result & libc::POLLRDHUP as i32 != 0 {
                connection.has_ended = true;
                continue;
            }
            let waited = !connection.unsent.is_empty();
            if !connection.echo_once(&mut buffer).unwrap() {
                connection.has_ended = true;
                continue;
            }
            let waits = !connection.unsent.is_empty();
            if waits && (!waited || !is_news) {
                await_room(&mut ring, index, &connection.socket);
            }
            if is_news && !cqueue::more(flags) {
                watch(&mut ring, index, &connection.socket);
            }
        }
    }
}

impl Connection {
    /// Echoes what there is, once what was there before has been; `false` at the end of the stream.
    fn echo_once(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        if !self.unsent.is_empty() {
            let sent = unless_blocked(self.socket.send(&self.unsent))?;
            self.unsent.drain(..sent.unwrap_or(0));
            if !self.unsent.is_empty() {
                return Ok(true);
            }
        }
        let Some(length) = unless_blocked(self.socket.read(buffer))? else {
            return Ok(true);
        };
        let mut left = &buffer[..length];
        while !left.is_empty() {
            match unless_blocked(self.socket.send(left))? {
                Some(sent) => left = &left[sent..],
                None => {
                    self.unsent.extend_from_slice(left);
                    break;
                }
            }
        }
        Ok(length > 0)
    }
}

/// What a call has moved, or nothing if it would have had to wait.
pub fn unless_blocked(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        result => result.map(Some),
    }
}

/// Has the ring tell when there is something to read, again and again.
fn watch(ring: &mut IoUring, index: usize, stream: &Socket) {
    let events = (libc::POLLIN | libc::POLLRDHUP) as u32;
    let poll = opcode::PollAdd::new(types::Fd(stream.as_raw_fd()), events).multi(true);
    push(ring, &poll.build().user_data(index as u64));
}

/// Has the ring tell once when there is room to send.
fn await_room(ring: &mut IoUring, index: usize, stream: &Socket) {
    let poll = opcode::PollAdd::new(types::Fd(stream.as_raw_fd()), libc::POLLOUT as u32);
    push(ring, &poll.build().user_data(index as u64 | HAS_ROOM));
}

fn push(ring: &mut IoUring, poll: &squeue::Entry) {
    // SAFETY: a poll points to no memory.
    while unsafe { ring.submission().push(poll) }.is_err() {
        ring.submit().unwrap();
    }
}
