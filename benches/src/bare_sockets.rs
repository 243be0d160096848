//! Other sockets without a runtime: system calls in a loop, on one thread.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::thread;

use socket2::{Domain, SockRef, Socket, Type};

use crate::Run;
use crate::clients::{Clients, Load};
use crate::tokio::workloads::sockets::{
    ACCEPTS, COMING, ECHOES, LARGE_BYTES, MESSAGE_BYTES, PIECES, SENDERS, UNPACED,
};

/// Accepts connections and closes them, until the process ends.
pub fn accept() -> Run {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        loop {
            drop(listener.accept().unwrap());
        }
    });
    let mut clients = Clients::start(Load::Connect, &address, COMING);
    Box::new(move |batches| clients.exchange(batches * ACCEPTS))
}

/// Answers datagrams, until the process ends.
pub fn datagrams() -> Run {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    thread::spawn(move || {
        let mut buffer = [0; MESSAGE_BYTES];
        loop {
            let (length, sender) = socket.recv_from(&mut buffer).unwrap();
            socket.send_to(&buffer[..length], sender).unwrap();
        }
    });
    let mut clients = Clients::start(Load::Datagram(MESSAGE_BYTES), &address, SENDERS);
    Box::new(move |batches| clients.exchange(batches * ECHOES))
}

/// Writes a piece of a stream and reads it, by turns.
pub fn stream() -> Run {
    stream_with(|_| Ok(()))
}

/// The same, with a congestion control that does not pace what it sends by timers.
pub fn stream_reno() -> Run {
    stream_with(|writer| writer.set_tcp_congestion(UNPACED))
}

fn stream_with(prepare: fn(SockRef<'_>) -> io::Result<()>) -> Run {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    prepare(SockRef::from(&socket)).unwrap();
    let address = listener.local_addr().unwrap();
    socket.connect(&address.into()).unwrap();
    let mut writer = TcpStream::from(socket);
    let (mut reader, _) = listener.accept().unwrap();
    writer.set_nodelay(true).unwrap();
    let (written, mut read) = (vec![7; LARGE_BYTES], vec![0; LARGE_BYTES]);
    Box::new(move |batches| {
        for _ in 0..batches * PIECES {
            writer.write_all(&written).unwrap();
            reader.read_exact(&mut read).unwrap();
        }
    })
}
