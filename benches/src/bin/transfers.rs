//! What sockets can do beyond tokio's face, beside what they do without: `transfers [WAY...]`.
//!
//! Both ends are in this process, and the same for each way of a group. Streams end at a thread that throws away what it
//! is sent without copying it, so that what a way copies shows.

use std::fs::File as StdFile;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener as StdListener, TcpStream as StdStream};
use std::num::NonZeroU16;
use std::thread;

use ringway::fs::{self, File};
use ringway::io::{AsyncWriteExt, Interest, copy_bidirectional};
use ringway::net::{Datagram, RecvBatch, TcpListener, TcpStream, UdpSocket, splice_bidirectional};
use ringway::runtime::{Builder, Runtime};
use ringway_benches::Run;
use ringway_benches::datagrams::{self, MESSAGE_BYTES, MESSAGES};
use ringway_benches::ways::{Way, compare};
use rustix::fs::sendfile;
use rustix::net::{RecvFlags, recv};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
/// Bytes of a batch in the groups that move many.
const BULK_BYTES: usize = 32 * MIB;
/// Connections, or requests, of a batch.
const TURNS: u64 = 512;
/// Segments of 1,200 bytes in one send.
const SEGMENTS: usize = 50;
const SEGMENT_BYTES: usize = 1_200;

#[rustfmt::skip] // One row, one line.
const WAYS: &[Way] = &[
    Way { group: "a file of 4 KiB to a socket", name: "read, write", operations: 4 * TURNS, start: || file_to_socket(4 * KIB, by_reading) },
    Way { group: "a file of 4 KiB to a socket", name: "transfer", operations: 4 * TURNS, start: || file_to_socket(4 * KIB, by_transfer) },
    Way { group: "a file of 4 KiB to a socket", name: "sendfile(2)", operations: 4 * TURNS, start: || file_to_socket(4 * KIB, by_sendfile) },
    Way { group: "a file of 64 KiB to a socket", name: "read, write", operations: TURNS, start: || file_to_socket(64 * KIB, by_reading) },
    Way { group: "a file of 64 KiB to a socket", name: "transfer", operations: TURNS, start: || file_to_socket(64 * KIB, by_transfer) },
    Way { group: "a file of 64 KiB to a socket", name: "sendfile(2)", operations: TURNS, start: || file_to_socket(64 * KIB, by_sendfile) },
    Way { group: "a file of 8 MiB to a socket", name: "read, write", operations: 4, start: || file_to_socket(8 * MIB, by_reading) },
    Way { group: "a file of 8 MiB to a socket", name: "transfer", operations: 4, start: || file_to_socket(8 * MIB, by_transfer) },
    Way { group: "a file of 8 MiB to a socket", name: "sendfile(2)", operations: 4, start: || file_to_socket(8 * MIB, by_sendfile) },
    Way { group: "64 KiB through a proxy, bulk", name: "copy", operations: (BULK_BYTES / (64 * KIB)) as u64, start: || bulk(Proxy::Copy) },
    Way { group: "64 KiB through a proxy, bulk", name: "splice", operations: (BULK_BYTES / (64 * KIB)) as u64, start: || bulk(Proxy::Splice) },
    Way { group: "64 bytes through a proxy and back", name: "copy", operations: 4 * TURNS, start: || exchange(64, Proxy::Copy) },
    Way { group: "64 bytes through a proxy and back", name: "splice", operations: 4 * TURNS, start: || exchange(64, Proxy::Splice) },
    Way { group: "4 KiB through a proxy and back", name: "copy", operations: 4 * TURNS, start: || exchange(4 * KIB, Proxy::Copy) },
    Way { group: "4 KiB through a proxy and back", name: "splice", operations: 4 * TURNS, start: || exchange(4 * KIB, Proxy::Splice) },
    Way { group: "a message, no runtime, alone", name: "recvmmsg", operations: MESSAGES, start: || datagrams::by_recvmmsg(1) },
    Way { group: "a message, no runtime, alone", name: "multishot recvmsg", operations: MESSAGES, start: || datagrams::by_multishot(1) },
    Way { group: "a message, no runtime, of 32", name: "recvmmsg", operations: MESSAGES, start: || datagrams::by_recvmmsg(32) },
    Way { group: "a message, no runtime, of 32", name: "multishot recvmsg", operations: MESSAGES, start: || datagrams::by_multishot(32) },
    Way { group: "a message, of 32", name: "send_to, recv_from", operations: MESSAGES, start: || messages(32, false) },
    Way { group: "a message, of 32", name: "send_many, recv_many", operations: MESSAGES, start: || messages(32, true) },
    Way { group: "a message, alone", name: "send_to, recv_from", operations: MESSAGES, start: || messages(1, false) },
    Way { group: "a message, alone", name: "send_many, recv_many", operations: MESSAGES, start: || messages(1, true) },
    Way { group: "50 messages of 1,200 bytes", name: "each by itself", operations: TURNS, start: || segments(false, false) },
    Way { group: "50 messages of 1,200 bytes", name: "cut by the kernel", operations: TURNS, start: || segments(true, false) },
    Way { group: "50 messages of 1,200 bytes", name: "cut and joined", operations: TURNS, start: || segments(true, true) },
    Way { group: "a connection accepted and closed", name: "accept", operations: TURNS, start: || accepts(false) },
    Way { group: "a connection accepted and closed", name: "incoming", operations: TURNS, start: || accepts(true) },
];

fn main() {
    compare(WAYS);
}

fn runtime() -> Runtime {
    let mut builder = Builder::new_current_thread();
    builder.enable_all().build().unwrap()
}

/// A connection whose other end throws away what it is sent. It ends when this end is dropped.
fn sink() -> StdStream {
    let listener = StdListener::bind("127.0.0.1:0").unwrap();
    let near = StdStream::connect(listener.local_addr().unwrap()).unwrap();
    let (far, _) = listener.accept().unwrap();
    thread::spawn(move || {
        let mut nothing = vec![0; MIB];
        // Of a TCP stream, MSG_TRUNC takes bytes without copying them.
        while recv(&far, &mut nothing[..], RecvFlags::TRUNC).is_ok_and(|(_, count)| count > 0) {}
    });
    near
}

fn into_ringway(stream: StdStream) -> TcpStream {
    stream.set_nonblocking(true).unwrap();
    TcpStream::from_std(stream).unwrap()
}

struct Sending {
    file: File,
    same_file: StdFile,
    sink: TcpStream,
    buffer: Vec<u8>,
}

fn file_to_socket<F>(size: usize, send: fn(Sending, usize) -> F) -> Run
where
    F: Future<Output = Sending> + 'static,
{
    let runtime = runtime();
    let folder = tempfile::tempdir_in(".").unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, vec![7; size]).unwrap();
    let mut sending = Some(runtime.block_on(async {
        Sending {
            file: File::open(&path).await.unwrap(),
            same_file: StdFile::open(&path).unwrap(),
            sink: into_ringway(sink()),
            buffer: vec![0; 64 * KIB],
        }
    }));
    let files = match size {
        MIB.. => 4,
        _ if size < 64 * KIB => 4 * TURNS,
        _ => TURNS,
    };
    Box::new(move |batches| {
        let _kept = &folder;
        for _ in 0..batches * files {
            let taken = sending.take().expect("put back after each");
            sending = Some(runtime.block_on(send(taken, size)));
        }
    })
}

async fn by_reading(mut sending: Sending, size: usize) -> Sending {
    let mut at = 0;
    while at < size {
        let room = std::mem::take(&mut sending.buffer);
        let (result, buffer) = sending.file.read_at(room, at as u64).await;
        let count = result.unwrap();
        sending.sink.write_all(&buffer[..count]).await.unwrap();
        sending.buffer = buffer;
        at += count;
    }
    sending
}

async fn by_transfer(sending: Sending, size: usize) -> Sending {
    let sent = fs::transfer(&sending.file, 0, size as u64, &sending.sink).await;
    assert_eq!(sent.unwrap(), size as u64);
    sending
}

async fn by_sendfile(sending: Sending, size: usize) -> Sending {
    let mut at = 0;
    while at < size as u64 {
        let call = || {
            let left = size - at as usize;
            let sent = sendfile(&sending.sink, &sending.same_file, Some(&mut at), left);
            sent.map_err(io::Error::from)
        };
        sending
            .sink
            .async_io(Interest::WRITABLE, call)
            .await
            .unwrap();
    }
    sending
}

#[derive(Clone, Copy)]
enum Proxy {
    Copy,
    Splice,
}

/// A proxy between a listener and `target`, on a thread of its own.
fn proxy(target: SocketAddr, way: Proxy) -> SocketAddr {
    let listener = StdListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (near, _) = listener.accept().unwrap();
        let far = StdStream::connect(target).unwrap();
        near.set_nodelay(true).unwrap();
        far.set_nodelay(true).unwrap();
        runtime().block_on(async {
            let (mut near, mut far) = (into_ringway(near), into_ringway(far));
            // The client breaks off at the end.
            let _ = match way {
                Proxy::Copy => copy_bidirectional(&mut near, &mut far).await,
                Proxy::Splice => splice_bidirectional(&mut near, &mut far).await,
            };
        });
    });
    address
}

/// Bytes from this process to itself, through a proxy.
fn bulk(way: Proxy) -> Run {
    let target = StdListener::bind("127.0.0.1:0").unwrap();
    let mut source = StdStream::connect(proxy(target.local_addr().unwrap(), way)).unwrap();
    let (far, _) = target.accept().unwrap();
    let mut nothing = vec![0; MIB];
    let piece = vec![7; 64 * KIB];
    Box::new(move |batches| {
        thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..batches as usize * BULK_BYTES / piece.len() {
                    source.write_all(&piece).unwrap();
                }
            });
            let mut left = batches as usize * BULK_BYTES;
            while left > 0 {
                left -= recv(&far, &mut nothing[..], RecvFlags::TRUNC).unwrap().1;
            }
        });
    })
}

/// Messages to a server behind a proxy and back, one after the other.
fn exchange(size: usize, way: Proxy) -> Run {
    let target = StdListener::bind("127.0.0.1:0").unwrap();
    let mut client = StdStream::connect(proxy(target.local_addr().unwrap(), way)).unwrap();
    let (mut server, _) = target.accept().unwrap();
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    let mut message = vec![7; size];
    Box::new(move |batches| {
        for _ in 0..batches * 4 * TURNS {
            client.write_all(&message).unwrap();
            server.read_exact(&mut message).unwrap();
            server.write_all(&message).unwrap();
            client.read_exact(&mut message).unwrap();
        }
    })
}

/// Bursts of `burst` messages from one socket to another.
fn messages(burst: usize, many: bool) -> Run {
    let runtime = runtime();
    let sockets = runtime.block_on(async {
        let sender = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        (sender, UdpSocket::bind("127.0.0.1:0").await.unwrap())
    });
    let target = sockets.1.local_addr().unwrap();
    let mut batch = RecvBatch::new(64, 2 * KIB);
    let mut buffer = vec![0; 2 * KIB];
    Box::new(move |batches| {
        let (sender, receiver) = &sockets;
        runtime.block_on(async {
            for _ in 0..batches * MESSAGES / burst as u64 {
                let message = [7; MESSAGE_BYTES];
                let mut left = burst;
                if many {
                    let all = vec![Datagram::to(&message, target); burst];
                    assert_eq!(sender.send_many(&all).await.unwrap(), burst);
                    while left > 0 {
                        left -= receiver.recv_many(&mut batch).await.unwrap();
                    }
                } else {
                    for _ in 0..burst {
                        sender.send_to(&message, target).await.unwrap();
                    }
                    while left > 0 {
                        receiver.recv_from(&mut buffer).await.unwrap();
                        left -= 1;
                    }
                }
            }
        });
    })
}

/// As much as fits into one send, as messages that are cut by the program or by the kernel.
fn segments(cut: bool, joined: bool) -> Run {
    let runtime = runtime();
    let sockets = runtime.block_on(async {
        let sender = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        (sender, UdpSocket::bind("127.0.0.1:0").await.unwrap())
    });
    sockets.1.set_gro(joined).unwrap();
    let target = sockets.1.local_addr().unwrap();
    let mut batch = RecvBatch::new(64, 65_535);
    let bytes = vec![7; SEGMENTS * SEGMENT_BYTES];
    Box::new(move |batches| {
        let (sender, receiver) = &sockets;
        runtime.block_on(async {
            for _ in 0..batches * TURNS {
                let all: Vec<_> = if cut {
                    let size = NonZeroU16::new(SEGMENT_BYTES as u16).unwrap();
                    vec![Datagram::to(&bytes, target).cut_into(size)]
                } else {
                    let pieces = bytes.chunks(SEGMENT_BYTES);
                    pieces.map(|piece| Datagram::to(piece, target)).collect()
                };
                assert_eq!(sender.send_many(&all).await.unwrap(), all.len());
                let mut left = SEGMENTS;
                while left > 0 {
                    receiver.recv_many(&mut batch).await.unwrap();
                    left -= batch
                        .iter()
                        .map(|message| message.segments().count())
                        .sum::<usize>();
                }
            }
        });
    })
}

/// Connections that a thread makes and closes, accepted and closed.
fn accepts(stream: bool) -> Run {
    let runtime = runtime();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    Box::new(move |batches| {
        let clients = thread::spawn(move || {
            for _ in 0..batches * TURNS {
                let mut client = StdStream::connect(address).unwrap();
                // Closed by the server first: it is there that the ports' wait would be.
                let _ = client.read(&mut [0; 1]);
            }
        });
        runtime.block_on(async {
            let mut incoming = listener.incoming();
            for _ in 0..batches * TURNS {
                if stream {
                    drop(incoming.next().await.unwrap());
                } else {
                    drop(listener.accept().await.unwrap());
                }
            }
        });
        clients.join().unwrap();
    })
}
