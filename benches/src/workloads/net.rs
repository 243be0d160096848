//! A TCP echo server, with its clients in another process.

use super::{rt, runtime};
use crate::Run;
use crate::clients::{Clients, Load};
use rt::io::{AsyncReadExt, AsyncWriteExt};
use rt::net::{TcpListener, TcpStream};

/// Echoes in a batch, over all connections together.
pub const ECHOES: u64 = 2_048;

/// Echoes in a batch over so many connections that each of them has some.
pub const MANY: u64 = 32_768;

/// The server's buffer for each connection: larger than a message, as it is in most programs.
pub const BUFFER_BYTES: usize = 1_024;

/// Echoes the messages of so many connections.
pub fn echo(connections: usize) -> Run {
    let runtime = runtime();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    runtime.spawn(serve(listener));
    let mut client = Clients::start(Load::Echo, &address.to_string(), connections);
    let batch = batch_of(connections);
    Box::new(move |batches| {
        let _alive = &runtime;
        client.exchange(batches * batch);
    })
}

/// Echoes in a batch over `connections`.
pub fn batch_of(connections: usize) -> u64 {
    match connections as u64 * 4 > ECHOES {
        true => MANY,
        false => ECHOES,
    }
}

async fn serve(listener: TcpListener) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        rt::spawn(echo_all(stream));
    }
}

pub(super) async fn echo_all(mut stream: TcpStream) {
    let mut buffer = [0; BUFFER_BYTES];
    loop {
        let length = stream.read(&mut buffer).await.unwrap();
        if length == 0 {
            return;
        }
        stream.write_all(&buffer[..length]).await.unwrap();
    }
}
