//! Clients by TCP (RFC 7766): messages with their length before them, as many under way as a client likes,
//! within a bound, and answered in the order in which the answers are found.

use std::io;
use std::sync::Arc;

use ringway::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use ringway::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use ringway::net::{TcpListener, TcpStream};
use ringway::sync::{Mutex, OwnedSemaphorePermit, Semaphore, watch};
use ringway::time::{sleep, timeout};
use ringway::{select, spawn};

use crate::limits::{PIPELINED_MAX, READ_BYTES, REST, TCP_STALL};
use crate::resolver::Transport;
use crate::server::Server;

/// Accepts and serves clients until it is dropped. Who comes while there are as many as may be waits.
pub(crate) async fn serve(server: Arc<Server>, listener: TcpListener) {
    loop {
        let permit = server.wait_for_client_room().await;
        match listener.accept().await {
            Ok((stream, _)) => {
                server.counters().clients.add();
                spawn(converse(Arc::clone(&server), stream, permit));
            }
            Err(error) if concerns_one_client(&error) => {}
            Err(error) => {
                let counters = server.counters();
                counters.warn(format_args!(
                    "cannot accept connections at the moment: {error}"
                ));
                sleep(REST).await;
            }
        }
    }
}

/// Errors of a connection that ended before it was accepted; the next one may be well.
fn concerns_one_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionReset)
}

/// A connection, shared by the tasks that answer its queries.
struct Conversation {
    server: Arc<Server>,
    writer: Mutex<OwnedWriteHalf>,
    /// One permit for each query that may still come. Closed when the client takes no answers.
    room: Arc<Semaphore>,
}

/// Serves one client until he or the gateway ends it, and all he has asked is answered.
async fn converse(server: Arc<Server>, stream: TcpStream, _permit: OwnedSemaphorePermit) {
    // It costs some latency if it fails, and nothing else.
    let _ = stream.set_nodelay(true);
    let (reader, writer) = stream.into_split();
    let conversation = Arc::new(Conversation {
        server,
        writer: Mutex::new(writer),
        room: Arc::new(Semaphore::new(PIPELINED_MAX as usize)),
    });
    // Whatever ended it ends this connection and no other.
    let _ = conversation.listen(reader).await;
    // Closed, or free when the last answer has left.
    let _ = conversation.room.acquire_many(PIPELINED_MAX).await;
}

impl Conversation {
    /// Takes queries until there will be none.
    async fn listen(self: &Arc<Self>, reader: OwnedReadHalf) -> io::Result<()> {
        let mut reader = BufReader::with_capacity(READ_BYTES, reader);
        let mut stop = self.server.subscribe_to_stop();
        while self.wait_for_query(&mut reader, &mut stop).await? {
            let packet = timeout(TCP_STALL, read_message(&mut reader)).await??;
            self.server.counters().tcp.add();
            let room = Arc::clone(&self.room).acquire_owned().await;
            let room = room.map_err(io::Error::other)?;
            let permit = self.server.enter().await;
            spawn(Arc::clone(self).answer(packet, room, permit));
        }
        Ok(())
    }

    /// Whether there is the first byte of a query. Who waits for an answer has time to ask the next.
    async fn wait_for_query(
        &self,
        reader: &mut BufReader<OwnedReadHalf>,
        stop: &mut watch::Receiver<bool>,
    ) -> io::Result<bool> {
        let idle = self.server.idle_time();
        loop {
            select! {
                // First of all: a client may have sent more queries than there is time for.
                biased;
                _ = stop.wait_for(|stops| *stops) => return Ok(false),
                bytes = timeout(idle, reader.fill_buf()) => match bytes {
                    Ok(bytes) => return Ok(!bytes?.is_empty()),
                    Err(_) if self.waits_for_answers() => {}
                    Err(_) => return Ok(false),
                },
            }
        }
    }

    fn waits_for_answers(&self) -> bool {
        self.room.available_permits() < PIPELINED_MAX as usize
    }

    async fn answer(
        self: Arc<Self>,
        packet: Vec<u8>,
        _room: OwnedSemaphorePermit,
        _permit: OwnedSemaphorePermit,
    ) {
        let resolver = self.server.resolver();
        let Some(reply) = resolver.reply(&packet, Transport::Tcp).await else {
            return;
        };
        let sent = self.send(&reply).await;
        self.server.counters().unsent.add_if(sent.is_err());
    }

    async fn send(&self, reply: &[u8]) -> io::Result<()> {
        let length = u16::try_from(reply.len()).map_err(io::Error::other)?;
        // In one write, so that length and message leave in one packet.
        let message = [&length.to_be_bytes()[..], reply].concat();
        let mut writer = self.writer.lock().await;
        if self.room.is_closed() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let sent = timeout(TCP_STALL, writer.write_all(&message)).await;
        let sent = sent.unwrap_or_else(|late| Err(late.into()));
        if sent.is_err() {
            // A part of it may have left: nothing that follows would be understood.
            self.room.close();
        }
        sent
    }
}

async fn read_message(reader: &mut BufReader<OwnedReadHalf>) -> io::Result<Vec<u8>> {
    let length = reader.read_u16().await?;
    let mut packet = vec![0; usize::from(length)];
    reader.read_exact(&mut packet).await?;
    Ok(packet)
}
