//! The echo server without a runtime: what the kernel's part of an echo costs.
//!
//! As many threads as a runtime has workers, with a ring each, to which the connections are dealt out. Each connection has
//! a multishot poll; an event is answered by `recv(2)` and `send(2)`. Of the loops that were tried (see
//! docs/BENCHMARKS.md) this is the fastest with two threads. Its rings belong to one thread each, as they do
//! not in a runtime that lets a worker serve a ring whose owner is stuck.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::thread::{self, JoinHandle};

use io_uring::{IoUring, cqueue, opcode, types};
use socket2::{Domain, Socket, Type};

use crate::Run;
use crate::echo_client::EchoClient;
use crate::tokio::workloads::net::{BUFFER_BYTES, batch_of};

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
    let accepting = thread::spawn(move || accept(&listener, connections));
    let client = EchoClient::connect(address, connections);
    let mut shares: [Vec<TcpStream>; THREADS] = Default::default();
    for (index, stream) in accepting.join().unwrap().into_iter().enumerate() {
        shares[index % THREADS].push(stream);
    }
    let mut bare = Bare {
        client: Some(client),
        threads: shares.map(|share| Some(thread::spawn(move || serve(&share)))),
    };
    let batch = batch_of(connections);
    Box::new(move |batches| bare.exchange(batches * batch))
}

/// The server with its client.
struct Bare {
    client: Option<EchoClient>,
    threads: [Option<JoinHandle<()>>; THREADS],
}

impl Bare {
    fn exchange(&mut self, echoes: u64) {
        let client = self.client.as_mut().expect("there until the drop");
        client.exchange(echoes);
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        self.client = None; // Its connections end, and with them the threads.
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

fn accept(listener: &TcpListener, connections: usize) -> Vec<TcpStream> {
    let accept = |_| {
        let (stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_nonblocking(true).unwrap();
        stream
    };
    (0..connections).map(accept).collect()
}

/// One thread: echoes until all connections have ended.
fn serve(streams: &[TcpStream]) {
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
fn echo_once(mut stream: &TcpStream, buffer: &mut [u8]) -> io::Result<bool> {
    match stream.read(buffer) {
        Ok(0) => Ok(false),
        Ok(length) => stream.write_all(&buffer[..length]).map(|()| true),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(true),
        Err(error) => Err(error),
    }
}

/// Has the ring tell when there is something to read, again and again.
fn watch(ring: &mut IoUring, index: usize, stream: &TcpStream) {
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
