//! Buffers that are longer than 32 bits can say. Their pages are never touched, so they cost no memory.

mod net_support;

use net_support::*;
use ringway::io::{AsyncReadExt, AsyncWriteExt};
use ringway::net::unix::pipe;
use ringway::net::{UdpSocket, UnixStream};
use ringway::uring;

/// In 32 bits it would be [`REST`].
const LONG: usize = (1 << 32) + REST;
const REST: usize = 100;

/// Zeros, which the kernel reads from a page of its own.
fn zeros() -> Vec<u8> {
    vec![0; LONG]
}

/// Mutant: hand the kernel the lower 32 bits of the length.
#[test]
fn a_buffer_longer_than_32_bits_is_written_as_far_as_there_is_room() {
    on_both_flavours(|| async {
        let bytes = zeros();
        let (mut client, server) = pair().await;
        assert!(client.write(&bytes).await.expect("room") > REST);
        drop(server);
        let (mut one, _two) = UnixStream::pair().expect("a pair");
        assert!(one.write(&bytes).await.expect("room") > REST);
        let (mut sender, _receiver) = pipe::pipe().expect("a pipe");
        assert!(sender.write(&bytes).await.expect("room") > REST);
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        let address = socket.local_addr().expect("an address");
        let error = socket.send_to(&bytes, address).await.expect_err("too long");
        assert_eq!(error.raw_os_error(), Some(libc::EMSGSIZE));
    });
}

/// Mutant: as above, in the receives.
#[test]
fn a_buffer_longer_than_32_bits_is_read_into_as_far_as_there_is_something() {
    const SENT: usize = 3 * REST;
    on_both_flavours(|| async {
        let (mut one, mut two) = UnixStream::pair().expect("a pair");
        one.write_all(&[7; SENT]).await.expect("room");
        let mut bytes = Vec::with_capacity(LONG);
        assert_eq!(two.read_buf(&mut bytes).await.expect("bytes"), SENT);
        let (mut sender, mut receiver) = pipe::pipe().expect("a pipe");
        sender.write_all(&[7; SENT]).await.expect("room");
        bytes.clear();
        assert_eq!(receiver.read_buf(&mut bytes).await.expect("bytes"), SENT);
        assert_eq!(bytes, [7; SENT]);
    });
}

/// Mutant: as above, in the entries of the ring.
#[test]
fn an_operation_takes_of_such_a_buffer_what_one_call_can() {
    on_two_workers(async {
        let (one, two) = UnixStream::pair().expect("a pair");
        let (sent, bytes) = uring::send(&one, zeros()).await;
        assert!(sent.expect("room") > REST);
        drop(bytes);
        let (received, bytes) = uring::recv(&two, Vec::with_capacity(LONG)).await;
        assert!(received.expect("bytes") > REST);
        drop(bytes);
    });
}
