//! The ways of the completion face beside each other, and what io_uring offers beyond them: `uring [WAY...]`.
//!
//! With `RINGWAY_MASK=6.16` in the environment `recv_multi` goes without bundles.
//!
//! The echo's clients are in a process of their own; in the other groups both ends are in this one, the same for each
//! way.

use std::future::Future;
use std::hint::black_box;

use ringway::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use ringway::net::{TcpListener, TcpStream};
use ringway::runtime::{Builder, Runtime};
use ringway::uring;
use ringway_benches::Run;
use ringway_benches::bundles;
use ringway_benches::clients::{self, Clients, Load};
use ringway_benches::registered::{self, Reads};
use ringway_benches::ways::{Way, compare};

/// Echoes in a batch.
const ECHOES: u64 = 4_096;
/// Bytes of a batch in the groups that move many.
const BULK_BYTES: usize = 64 << 20;
/// The buffer of a connection.
const BUFFER_BYTES: usize = 1 << 16;

#[rustfmt::skip] // One row, one line.
const WAYS: &[Way] = &[
    Way { group: "echo of 64 bytes, 64 connections", name: "traits", operations: ECHOES, start: || echo(64, echo_by_traits) },
    Way { group: "echo of 64 bytes, 64 connections", name: "recv, send", operations: ECHOES, start: || echo(64, echo_by_recv) },
    Way { group: "echo of 64 bytes, 64 connections", name: "recv_multi, send", operations: ECHOES, start: || echo(64, echo_by_multi) },
    Way { group: "echo of 64 bytes, 512 connections", name: "traits", operations: ECHOES, start: || echo(512, echo_by_traits) },
    Way { group: "echo of 64 bytes, 512 connections", name: "recv, send", operations: ECHOES, start: || echo(512, echo_by_recv) },
    Way { group: "echo of 64 bytes, 512 connections", name: "recv_multi, send", operations: ECHOES, start: || echo(512, echo_by_multi) },
    Way { group: "a mebibyte received, 64 KiB at a time", name: "tokio", operations: 64, start: bulk_on_tokio },
    Way { group: "a mebibyte received, 64 KiB at a time", name: "traits", operations: 64, start: || bulk(send_by_traits, receive_by_traits) },
    Way { group: "a mebibyte received, 64 KiB at a time", name: "recv", operations: 64, start: || bulk(send_by_traits, receive_by_recv) },
    Way { group: "a mebibyte received, 64 KiB at a time", name: "recv_multi", operations: 64, start: || bulk(send_by_traits, receive_by_multi) },
    Way { group: "a mebibyte sent, 64 KiB at a time", name: "traits", operations: 64, start: || bulk(send_by_traits, receive_by_traits) },
    Way { group: "a mebibyte sent, 64 KiB at a time", name: "send_all", operations: 64, start: || bulk(send_by_send, receive_by_traits) },
    Way { group: "a mebibyte sent, 64 KiB at a time", name: "send_all_zc", operations: 64, start: || bulk(send_by_zc, receive_by_traits) },
    Way { group: "64 KiB written and received, bare ring", name: "recv(2)", operations: bundles::TRANSFERS, start: || bundles::receive(bundles::Receive::Call) },
    Way { group: "64 KiB written and received, bare ring", name: "one buffer", operations: bundles::TRANSFERS, start: || bundles::receive(bundles::Receive::Whole) },
    Way { group: "64 KiB written and received, bare ring", name: "an answer each 4 KiB", operations: bundles::TRANSFERS, start: || bundles::receive(bundles::Receive::Each) },
    Way { group: "64 KiB written and received, bare ring", name: "bundles", operations: bundles::TRANSFERS, start: || bundles::receive(bundles::Receive::Bundle) },
    Way { group: "64 KiB written and received, bare ring", name: "bundles, bounded", operations: bundles::TRANSFERS, start: || bundles::receive(bundles::Receive::Bounded) },
    Way { group: "64 KiB in 16 pieces sent and read, bare ring", name: "one piece", operations: bundles::TRANSFERS, start: || bundles::send(bundles::Send::Whole) },
    Way { group: "64 KiB in 16 pieces sent and read, bare ring", name: "sendmsg", operations: bundles::TRANSFERS, start: || bundles::send(bundles::Send::Vectored) },
    Way { group: "64 KiB in 16 pieces sent and read, bare ring", name: "bundle", operations: bundles::TRANSFERS, start: || bundles::send(bundles::Send::Bundle) },
    Way { group: "a block of 4 KiB read past the cache, bare ring", name: "plain", operations: registered::READS, start: || registered::read(Reads::PLAIN) },
    Way { group: "a block of 4 KiB read past the cache, bare ring", name: "registered buffers", operations: registered::READS, start: || registered::read(Reads::FIXED_BUFFERS) },
    Way { group: "a block of 4 KiB read past the cache, bare ring", name: "registered file", operations: registered::READS, start: || registered::read(Reads::FIXED_FILE) },
    Way { group: "a block of 4 KiB read past the cache, bare ring", name: "both", operations: registered::READS, start: || registered::read(Reads::BOTH) },
    Way { group: "64 bytes through a socket pair, bare ring", name: "plain", operations: registered::MESSAGES, start: || registered::messages(false) },
    Way { group: "64 bytes through a socket pair, bare ring", name: "registered files", operations: registered::MESSAGES, start: || registered::messages(true) },
];

fn main() {
    clients::run_if_asked();
    compare(WAYS);
}

fn runtime() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().unwrap()
}

fn echo<F>(connections: usize, serve: fn(TcpStream) -> F) -> Run
where
    F: Future<Output = ()> + Send + 'static,
{
    let runtime = runtime();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    runtime.spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            ringway::spawn(serve(stream));
        }
    });
    let mut client = Clients::start(Load::Echo, &address.to_string(), connections);
    Box::new(move |batches| {
        let _alive = &runtime;
        client.exchange(batches * ECHOES);
    })
}

async fn echo_by_traits(mut stream: TcpStream) {
    let mut buffer = vec![0; 1024];
    loop {
        match stream.read(&mut buffer).await.unwrap() {
            0 => return,
            count => stream.write_all(&buffer[..count]).await.unwrap(),
        }
    }
}

async fn echo_by_recv(stream: TcpStream) {
    let mut buffer = Vec::with_capacity(1024);
    loop {
        let result;
        (result, buffer) = uring::recv(&stream, buffer).await;
        if result.unwrap() == 0 {
            return;
        }
        let result;
        (result, buffer) = uring::send_all(&stream, buffer).await;
        result.unwrap();
    }
}

async fn echo_by_multi(stream: TcpStream) {
    let mut received = uring::recv_multi(&stream);
    while let Some(buffer) = received.next().await {
        uring::send_all(&stream, buffer.unwrap()).await.0.unwrap();
    }
}

/// One connection within the process, over which each batch moves its bytes.
fn bulk<S, R>(send: fn(TcpStream) -> S, receive: fn(TcpStream) -> R) -> Run
where
    S: Future<Output = TcpStream> + Send + 'static,
    R: Future<Output = TcpStream> + Send + 'static,
{
    let runtime = runtime();
    let mut ends = Some(runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap());
        (client.await.unwrap(), listener.accept().await.unwrap().0)
    }));
    Box::new(move |batches| {
        for _ in 0..batches {
            let (one, two) = ends.take().expect("put back after each batch");
            let sender = runtime.spawn(send(one));
            let receiver = runtime.spawn(receive(two));
            let both = async { (sender.await.unwrap(), receiver.await.unwrap()) };
            ends = Some(runtime.block_on(both));
        }
    })
}

/// The same on tokio, by its traits.
fn bulk_on_tokio() -> Run {
    use tokio::net::{TcpListener, TcpStream};
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build().unwrap();
    let mut ends = Some(runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap());
        (client.await.unwrap(), listener.accept().await.unwrap().0)
    }));
    Box::new(move |batches| {
        for _ in 0..batches {
            let (one, two) = ends.take().expect("put back after each batch");
            let sender = runtime.spawn(send_by_traits(one));
            let receiver = runtime.spawn(receive_by_traits(two));
            let both = async { (sender.await.unwrap(), receiver.await.unwrap()) };
            ends = Some(runtime.block_on(both));
        }
    })
}

async fn send_by_traits<S: AsyncWrite + Unpin>(mut stream: S) -> S {
    let buffer = vec![7; BUFFER_BYTES];
    for _ in 0..BULK_BYTES / BUFFER_BYTES {
        stream.write_all(&buffer).await.unwrap();
    }
    stream
}

async fn send_by_send(stream: TcpStream) -> TcpStream {
    let mut buffer = vec![7; BUFFER_BYTES];
    for _ in 0..BULK_BYTES / BUFFER_BYTES {
        let result;
        (result, buffer) = uring::send_all(&stream, buffer).await;
        result.unwrap();
    }
    stream
}

async fn send_by_zc(stream: TcpStream) -> TcpStream {
    let mut buffer = vec![7; BUFFER_BYTES];
    for _ in 0..BULK_BYTES / BUFFER_BYTES {
        let result;
        (result, buffer) = uring::send_all_zc(&stream, buffer).await;
        result.unwrap();
    }
    stream
}

async fn receive_by_traits<S: AsyncRead + Unpin>(mut stream: S) -> S {
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut left = BULK_BYTES;
    while left > 0 {
        left -= stream.read(&mut buffer).await.unwrap();
        black_box(&buffer);
    }
    stream
}

async fn receive_by_recv(stream: TcpStream) -> TcpStream {
    let mut buffer = Vec::with_capacity(BUFFER_BYTES);
    let mut left = BULK_BYTES;
    while left > 0 {
        let result;
        (result, buffer) = uring::recv(&stream, buffer).await;
        left -= result.unwrap();
        black_box(&buffer);
    }
    stream
}

async fn receive_by_multi(stream: TcpStream) -> TcpStream {
    let mut received = uring::recv_multi(&stream);
    let mut left = BULK_BYTES;
    while left > 0 {
        let buffer = received.next().await.unwrap().unwrap();
        left -= buffer.len();
        black_box(&buffer);
    }
    received.stop();
    assert!(received.next().await.is_none(), "no more was sent");
    stream
}
