//! Packets from clients: received one by one, and answered each in a task of its own.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use ringway::net::UdpSocket;
use ringway::spawn;
use ringway::sync::OwnedSemaphorePermit;
use ringway::time::sleep;

use crate::limits::{QUERY_BYTES_MAX, REST};
use crate::resolver::Transport;
use crate::server::Server;

/// A socket and what answers its packets.
#[derive(Clone)]
pub(crate) struct Udp {
    pub(crate) server: Arc<Server>,
    pub(crate) socket: Arc<UdpSocket>,
}

impl Udp {
    /// Receives and answers until it is dropped.
    pub(crate) async fn serve(self) -> Infallible {
        let counters = self.server.counters();
        let mut buffer = [0; QUERY_BYTES_MAX];
        loop {
            let (length, client) = match self.socket.recv_from(&mut buffer).await {
                Ok(received) => received,
                Err(error) => {
                    counters.warn(format_args!(
                        "cannot receive packets at the moment: {error}"
                    ));
                    sleep(REST).await;
                    continue;
                }
            };
            counters.udp.add();
            let Some(permit) = self.server.try_enter() else {
                self.answer_at_hand(&buffer[..length], client);
                continue;
            };
            let packet = buffer[..length].to_vec();
            spawn(self.clone().answer(packet, client, permit));
        }
    }

    /// Answers out of the cache or not at all. Questions that wait for an upstream may take all the room there is; those who
    /// ask what is known do not suffer from that.
    fn answer_at_hand(&self, packet: &[u8], client: SocketAddr) {
        let counters = self.server.counters();
        match self.server.resolver().reply_at_hand(packet) {
            Some(reply) => {
                let sent = self.socket.try_send_to(&reply, client);
                counters.unsent.add_if(sent.is_err());
            }
            None => counters.dropped.add(),
        }
    }

    async fn answer(self, packet: Vec<u8>, client: SocketAddr, _permit: OwnedSemaphorePermit) {
        let resolver = self.server.resolver();
        let Some(reply) = resolver.reply(&packet, Transport::Udp).await else {
            return;
        };
        let sent = self.socket.send_to(&reply, client).await;
        // The client may be gone. It asks again if it is not.
        self.server.counters().unsent.add_if(sent.is_err());
    }
}
