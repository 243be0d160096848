//! What all sockets share, the bounds of what is in flight, and the clean stop.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ringway::net::{TcpListener, TcpSocket, UdpSocket};
use ringway::signal::unix::{Signal, SignalKind, signal};
use ringway::sync::{OwnedSemaphorePermit, Semaphore, watch};
use ringway::time::timeout;
use ringway::{select, spawn};
use socket2::SockRef;

use crate::counters::{Counters, say};
use crate::limits::{Limits, RECEIVE_BUFFER_BYTES};
use crate::resolver::Resolver;
use crate::tcp;
use crate::udp::Udp;

/// One for the whole program, shared by all tasks.
pub(crate) struct Server {
    resolver: Resolver,
    counters: Arc<Counters>,
    limits: Limits,
    /// One permit for each query that may still be in flight.
    room: Arc<Semaphore>,
    /// One permit for each TCP client that may still come.
    client_room: Arc<Semaphore>,
    /// True from the moment when the gateway stops.
    stop: watch::Sender<bool>,
}

/// The sockets of one address, which has the same port for UDP and TCP.
pub(crate) struct Sockets {
    udp: UdpSocket,
    tcp: TcpListener,
}

/// How the gateway came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All that was in flight was answered.
    Finished,
    /// This many queries were not answered when the time for them was over.
    CutOff(usize),
    /// A second signal came.
    Interrupted,
}

/// The signals that the gateway listens to. They count from the moment when this is made.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    show: Signal,
}

/// How often another port is tried where one that is free by TCP is taken by UDP.
const PORT_TRIES: usize = 16;

/// Clients that wait until they are accepted: as many as the kernel lets a listener have by default.
const BACKLOG: u32 = 4096;

impl Sockets {
    /// Binds both to `address`. Port 0 finds one that is free by both.
    pub(crate) fn bind(address: SocketAddr) -> io::Result<Sockets> {
        let mut tries = 0;
        loop {
            match Sockets::try_bind(address) {
                Err(error)
                    if address.port() == 0
                        && error.kind() == io::ErrorKind::AddrInUse
                        && tries < PORT_TRIES =>
                {
                    tries += 1;
                }
                result => return result,
            }
        }
    }

    fn try_bind(address: SocketAddr) -> io::Result<Sockets> {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let tcp = socket.listen(BACKLOG)?;
        let udp = std::net::UdpSocket::bind(tcp.local_addr()?)?;
        udp.set_nonblocking(true)?;
        // Where the kernel allows less it gives less.
        let _ = SockRef::from(&udp).set_recv_buffer_size(RECEIVE_BUFFER_BYTES);
        Ok(Sockets {
            udp: UdpSocket::from_std(udp)?,
            tcp,
        })
    }

    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.udp.local_addr()
    }

    /// The socket of UDP, for who does without a runtime.
    pub(crate) fn into_udp(self) -> io::Result<std::net::UdpSocket> {
        self.udp.into_std()
    }
}

impl Signals {
    pub(crate) fn listen() -> io::Result<Signals> {
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            show: signal(SignalKind::user_defined1())?,
        })
    }

    /// Waits for a signal to stop, and shows the counters as often as it is asked to.
    async fn stop(&mut self, server: &Server) {
        loop {
            select! {
                _ = self.interrupt.recv() => return,
                _ = self.terminate.recv() => return,
                _ = self.show.recv() => server.show(),
            }
        }
    }
}

impl Server {
    pub(crate) fn new(resolver: Resolver, counters: Arc<Counters>, limits: Limits) -> Server {
        Server {
            resolver,
            counters,
            limits,
            room: Arc::new(Semaphore::new(limits.in_flight)),
            client_room: Arc::new(Semaphore::new(limits.clients)),
            stop: watch::Sender::new(false),
        }
    }

    pub(crate) fn resolver(&self) -> &Resolver {
        &self.resolver
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    pub(crate) fn idle_time(&self) -> Duration {
        self.limits.idle
    }

    pub(crate) fn subscribe_to_stop(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    /// Room for one more query, if there is some.
    pub(crate) fn try_enter(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.room).try_acquire_owned().ok()
    }

    /// Room for one more query, as soon as there is some.
    pub(crate) async fn enter(&self) -> OwnedSemaphorePermit {
        permit(&self.room).await
    }

    /// Room for one more client, as soon as there is some.
    pub(crate) async fn wait_for_client_room(&self) -> OwnedSemaphorePermit {
        permit(&self.client_room).await
    }

    /// Says on standard error what has happened so far.
    fn show(&self) {
        let (entries, bytes) = self.resolver.cache().size();
        let in_flight = self.limits.in_flight - self.room.available_permits();
        let counters = &self.counters;
        say(format_args!(
            "in_flight={in_flight} cache_entries={entries} cache_bytes={bytes}{counters}"
        ));
    }

    /// Answers until a signal comes, then lets what is in flight be answered.
    pub(crate) async fn run(
        self: Arc<Self>,
        sockets: Vec<Sockets>,
        mut signals: Signals,
    ) -> Outcome {
        let mut tasks = Vec::new();
        for Sockets { udp, tcp } in sockets {
            let udp = Udp {
                server: Arc::clone(&self),
                socket: Arc::new(udp),
            };
            tasks.push(spawn(async { match udp.serve().await {} }));
            tasks.push(spawn(tcp::serve(Arc::clone(&self), tcp)));
        }
        signals.stop(&self).await;
        self.stop.send_replace(true);
        for task in &tasks {
            task.abort();
        }
        select! {
            outcome = self.drain() => outcome,
            () = signals.stop(&self) => Outcome::Interrupted,
        }
    }

    /// Waits until every client gave his permit back, and then every query.
    ///
    /// In this order: who waits for the permits of all queries is before a client that has read one more, and that client
    /// would never end.
    async fn drain(&self) -> Outcome {
        let all = async {
            let clients = permits(self.limits.clients);
            let _clients = self.client_room.acquire_many(clients).await;
            let _queries = self.room.acquire_many(permits(self.limits.in_flight)).await;
        };
        if timeout(self.limits.drain, all).await.is_ok() {
            return Outcome::Finished;
        }
        // Only now, with the wait for all permits gone, are those that are free to be seen.
        match self.limits.in_flight - self.room.available_permits() {
            0 => Outcome::Finished,
            count => Outcome::CutOff(count),
        }
    }
}

async fn permit(room: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    let permit = Arc::clone(room).acquire_owned().await;
    permit.expect("the semaphores are never closed")
}

fn permits(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
