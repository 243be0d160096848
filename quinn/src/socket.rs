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
    use std::task::Waker;
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

    /// Waits for room in a task of its own, so that nothing but its waker has it polled again.
    async fn room(mut poller: Pin<Box<dyn UdpPoller>>) -> Pin<Box<dyn UdpPoller>> {
        let task = ringway_runtime::spawn(async move {
            let room = poll_fn(|cx| poller.as_mut().poll_writable(cx)).await;
            room.expect("there is room");
            poller
        });
        let room = ringway_timer::timeout(PATIENCE, task).await;
        room.expect("it is woken").expect("no panic")
    }

    /// Mutant: keep a wait that has ended.
    #[test]
    fn a_poller_waits_again_and_again() {
        Runtime::new().expect("a runtime").block_on(async {
            let socket = socket();
            let poller = room(Arc::clone(&socket).create_io_poller()).await;
            block(&socket);
            let poller = room(poller).await;
            room(poller).await;
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
                    let poller = Arc::clone(&socket).create_io_poller();
                    ringway_runtime::spawn(room(poller))
                });
                let waits: Vec<_> = waits.collect();
                for wait in waits {
                    wait.await.expect("no panic");
                }
            }
        });
    }

    /// Sends what it may, to the socket itself, cut into pieces of so many bytes.
    fn send_to_itself(socket: &Socket, contents: &[u8], segment_size: Option<usize>) {
        let transmit = Transmit {
            destination: socket.local_addr().expect("an address"),
            ecn: None,
            contents,
            segment_size,
            src_ip: None,
        };
        socket.try_send(&transmit).expect("there is room");
    }

    async fn receive(socket: &Socket) -> Vec<u8> {
        let mut buffer = vec![0; 2048];
        let mut messages = [RecvMeta::default()];
        let receive = poll_fn(|cx| {
            let buffer = IoSliceMut::new(&mut buffer);
            socket.poll_recv(cx, &mut [buffer], &mut messages)
        });
        let count = ringway_timer::timeout(PATIENCE, receive).await;
        assert_eq!(count.expect("it is woken").expect("a message"), 1);
        buffer.truncate(messages[0].len);
        buffer
    }

    #[test]
    fn a_socket_that_blocks_is_taken() {
        Runtime::new().expect("a runtime").block_on(async {
            let socket = socket();
            send_to_itself(&socket, b"to myself", None);
            assert_eq!(receive(&socket).await, b"to myself");
        });
    }

    /// The kernel cuts nothing into more than some hundred pieces, and refuses it as a network card that cannot cut does.
    ///
    /// Mutants: `max_gso_segments` is asked once, when the socket is made; `try_send` of the state, whose error ends the
    /// connection.
    #[test]
    fn what_the_kernel_refuses_to_cut_is_lost_and_no_more_is_given_to_it() {
        Runtime::new().expect("a runtime").block_on(async {
            let socket = socket();
            let before = socket.max_transmit_segments();
            send_to_itself(&socket, &[7; 1_200], Some(1));
            assert_eq!(socket.max_transmit_segments(), 1, "{before} before");
            send_to_itself(&socket, b"in one piece", None);
            assert_eq!(receive(&socket).await, b"in one piece");
        });
    }

    /// Those that wait are other tasks than those that waited before. Mutant: `poll_writable` keeps the first waker that it
    /// has seen, as a wait would that is not polled again.
    #[test]
    fn who_asked_last_of_a_poller_is_woken() {
        Runtime::new().expect("a runtime").block_on(async {
            let socket = socket();
            block(&socket);
            let mut poller = Arc::clone(&socket).create_io_poller();
            let mut first = Context::from_waker(Waker::noop());
            let early = poller.as_mut().poll_writable(&mut first);
            assert!(early.is_pending(), "it is told by the kernel only");
            room(poller).await;
        });
    }
}
