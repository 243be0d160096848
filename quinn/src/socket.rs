//! The UDP socket below an endpoint: our socket says when a call is worth making, and quinn's own system calls, which know
//! of ECN, GSO and GRO, are made on it.
//!
//! One task, the endpoint's, receives. Any number of tasks, one for each connection, send, and each of them may wait for
//! room.

use std::fmt;
use std::future::Future;
use std::io::{self, IoSliceMut};
use std::net::{self, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use quinn::udp::{RecvMeta, Transmit, UdpSocketState};
use quinn::{AsyncUdpSocket, UdpPoller};
use ringway_net::{Interest, UdpSocket};

/// How many receives in a row may fail before the endpoint is told, which ends with all its connections.
///
/// What a peer's machine has said of an earlier datagram (on a socket that is connected: nobody is there) is told by the
/// next receive, once, and concerns one connection at most. What lasts fails each time.
const ERRORS_MAX: u32 = 16;

/// A UDP socket with what quinn has found out about its kernel.
#[derive(Debug)]
pub(crate) struct Socket {
    socket: UdpSocket,
    state: UdpSocketState,
}

impl Socket {
    /// Takes over a socket, which is non-blocking afterwards.
    #[track_caller]
    pub(crate) fn new(socket: net::UdpSocket) -> io::Result<Socket> {
        socket.set_nonblocking(true)?;
        let state = UdpSocketState::new((&socket).into())?;
        let socket = UdpSocket::from_std(socket)?;
        Ok(Socket { socket, state })
    }
}

impl AsyncUdpSocket for Socket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Poller {
            socket: self,
            wait: None,
        })
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let send = || self.state.send((&self.socket).into(), transmit);
        self.socket.try_io(Interest::WRITABLE, send)
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        messages: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let mut errors = 0;
        loop {
            ready!(self.socket.poll_recv_ready(cx))?;
            let receive = || self.state.recv((&self.socket).into(), buffers, messages);
            match self.socket.try_io(Interest::READABLE, receive) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) if errors < ERRORS_MAX => errors += 1,
                result => return Poll::Ready(result),
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.state.max_gso_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.state.gro_segments()
    }

    fn may_fragment(&self) -> bool {
        self.state.may_fragment()
    }
}

/// One connection's wait for room to send.
struct Poller {
    socket: Arc<Socket>,
    /// Made when a send would have blocked, which is rare: one that has ended is not kept.
    wait: Option<Wait>,
}

type Wait = Pin<Box<dyn Future<Output = io::Result<()>> + Send + Sync>>;

impl UdpPoller for Poller {
    fn poll_writable(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Poller { socket, wait } = &mut *self;
        let wait = wait.get_or_insert_with(|| {
            let socket = Arc::clone(socket);
            Box::pin(async move { socket.socket.writable().await })
        });
        let result = ready!(wait.as_mut().poll(cx));
        self.wait = None;
        Poll::Ready(result)
    }
}

impl fmt::Debug for Poller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poller")
            .field("socket", &self.socket)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use ringway_runtime::Runtime;

    use super::*;

    /// Longer than a loaded machine needs to tell that there is room.
    const PATIENCE: Duration = Duration::from_secs(30);

    fn socket() -> Arc<Socket> {
        let socket = net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        Arc::new(Socket::new(socket).expect("a socket"))
    }

    /// As a send does that finds the queue full. Once for each socket: the kernel, whose queue is not full, does not tell
    /// again that there is room.
    fn block(socket: &Socket) {
        let full = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
        let result = socket.socket.try_io(Interest::WRITABLE, full);
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    async fn room(poller: &mut Pin<Box<dyn UdpPoller>>) {
        let room = poll_fn(|cx| poller.as_mut().poll_writable(cx));
        let room = ringway_timer::timeout(PATIENCE, room).await;
        room.expect("it is woken").expect("there is room");
    }

    /// Mutant: keep a wait that has ended.
    #[test]
    fn a_poller_waits_again_and_again() {
        Runtime::new().expect("a runtime").block_on(async {
            let socket = socket();
            let mut poller = Arc::clone(&socket).create_io_poller();
            room(&mut poller).await;
            block(&socket);
            room(&mut poller).await;
            room(&mut poller).await;
        });
    }

    /// Mutant: `poll_send_ready` of the socket, which remembers the last one who has asked.
    #[test]
    fn each_connection_that_waits_for_room_is_woken() {
        Runtime::new().expect("a runtime").block_on(async {
            for _ in 0..20 {
                let socket = socket();
                block(&socket);
                let waits = (0..8).map(|_| {
                    let mut poller = Arc::clone(&socket).create_io_poller();
                    ringway_runtime::spawn(async move { room(&mut poller).await })
                });
                let waits: Vec<_> = waits.collect();
                for wait in waits {
                    wait.await.expect("no panic");
                }
            }
        });
    }

    #[test]
    fn a_socket_that_blocks_is_taken() {
        Runtime::new().expect("a runtime").block_on(async {
            let socket = socket();
            let contents = b"to myself";
            let transmit = Transmit {
                destination: socket.local_addr().expect("an address"),
                ecn: None,
                contents,
                segment_size: None,
                src_ip: None,
            };
            socket.try_send(&transmit).expect("there is room");
            let mut buffer = [0; 2048];
            let mut messages = [RecvMeta::default()];
            let receive = poll_fn(|cx| {
                let buffer = IoSliceMut::new(&mut buffer);
                socket.poll_recv(cx, &mut [buffer], &mut messages)
            });
            let count = ringway_timer::timeout(PATIENCE, receive).await;
            assert_eq!(count.expect("it is woken").expect("a message"), 1);
            assert_eq!(messages[0].len, contents.len());
            assert_eq!(&buffer[..contents.len()], contents);
        });
    }
}
