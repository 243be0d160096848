//! The echo server without a runtime: what the kernel's part of an echo costs.
//!
//! As many threads as a runtime has workers, with a ring each, to which the connections are dealt out. Each connection has
//! a multishot poll; an event is answered by `recv(2)` and `send(2)`. Of the loops that were tried (see
//! docs/BENCHMARKS.md) this is the fastest with two threads. Its rings belong to one thread each, as they do
//! not in a runtime that lets a worker serve a ring whose owner is stuck.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixListener;
use std::thread::{self, JoinHandle};

use io_uring::{IoUring, cqueue, opcode, types};
use socket2::{Domain, Socket, Type};

use crate::Run;
use crate::clients::{Clients, Load};
use crate::tokio::workloads::net::{BUFFER_BYTES, batch_of};
use crate::tokio::workloads::sockets::{ECHOES, MESSAGE_BYTES};

/// As many as a runtime has workers in the other measurements.
const THREADS: usize = 2;

const BACKLOG: i32 = 1_024;

/// SQEs and CQEs of a ring: all polls of a thread are submitted, and may be answered, at once.
const SQ_ENTRIES: u32 = 1_024;
const CQ_ENTRIES: u32 = 4 * SQ_ENTRIES;

/// Echoes the messages of so many connections.
pub fn echo(connections: usize) -> Run {
    let listener = listen().unwrap();
    let address = listener.local_addr().unwrap();
    let accept = move || {
        let (stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_nonblocking(true).unwrap();
        Socket::from(stream)
    };
    let accepting = thread::spawn(move || (0..connections).map(|_| accept()).collect());
    let clients = Clients::start(Load::Echo, &address.to_string(), connections);
    let mut bare = Bare::start(clients, accepting.join().unwrap());
    let batch = batch_of(connections);
    Box::new(move |batches| bare.clients().exchange(batches * batch))
}

/// The same over Unix sockets.
pub fn echo_unix(connections: usize) -> Run {
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
    let load = Load::Unix(MESSAGE_BYTES);
    let clients = Clients::start(load, path.to_str().unwrap(), connections);
    let mut bare = Bare::start(clients, accepting.join().unwrap());
    Box::new(move |batches| {
        let _alive = &folder;
        bare.clients().exchange(batches * ECHOES);
    })
}

/// The server with its clients.
struct Bare {
    clients: Option<Clients>,
    threads: [Option<JoinHandle<()>>; THREADS],
}

impl Bare {
    /// Deals the connections out to the threads.
    fn start(clients: Clients, streams: Vec<Socket>) -> Bare {
        let mut shares: [Vec<Socket>; THREADS] = Default::default();
        for (index, stream) in streams.into_iter().enumerate() {
            shares[index % THREADS].push(stream);
        }
        Bare {
            clients: Some(clients),
            threads: shares.map(|share| Some(thread::spawn(move || serve(&share)))),
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

/// One thread: echoes until all connections have ended.
fn serve(streams: &[Socket]) {
    let mut ring: IoUring = IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_cqsize(CQ_ENTRIES)
        .build(SQ_ENTRIES)
        .unwrap();
    for (index, stream) in streams.iter().enumerate() {
        watch(&mut ring, index, stream);
    }
    let mut buffer = [0; BUFFER_BYTES];
    let mut events = Vec::with_capacity(CQ_ENTRIES as usize);
    // An end may be told more than once, and with the last bytes.
    let mut has_ended = vec![false; streams.len()];
    while has_ended.contains(&false) {
        ring.submit_and_wait(1).unwrap();
        let told = |event: cqueue::Entry| {
            let has_hung_up = event.result() & libc::POLLRDHUP as i32 != 0;
            (event.user_data() as usize, event.flags(), has_hung_up)
        };
        events.extend(ring.completion().map(told));
        for (index, flags, has_hung_up) in events.drain(..) {
            if !echo_once(&streams[index], &mut buffer).unwrap() || has_hung_up {
                has_ended[index] = true;
            } else if !cqueue::more(flags) {
                watch(&mut ring, index, &streams[index]);
            }
        }
    }
}

/// Echoes what there is; `false` at the end of the stream.
fn echo_once(mut stream: &Socket, buffer: &mut [u8]) -> io::Result<bool> {
    match stream.read(buffer) {
        Ok(0) => Ok(false),
        Ok(length) => stream.write_all(&buffer[..length]).map(|()| true),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(true),
        Err(error) => Err(error),
    }
}

/// Has the ring tell when there is something to read, again and again.
fn watch(ring: &mut IoUring, index: usize, stream: &Socket) {
    let events = (libc::POLLIN | libc::POLLRDHUP) as u32;
    let poll = opcode::PollAdd::new(types::Fd(stream.as_raw_fd()), events)
        .multi(true)
        .build()
        .user_data(index as u64);
    // SAFETY: a poll points to no memory.
    while unsafe { ring.submission().push(&poll) }.is_err() {
        ring.submit().unwrap();
    }
}
