//! Accepting connections, and stopping without cutting off what is running.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use ringway::signal::unix::{Signal, SignalKind, signal};
use ringway::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit, watch};
use ringway::time::{sleep, timeout};
use ringway::{select, task};

use crate::connection;
use crate::journal::Journal;
use crate::limits::{ACCEPT_REST, LINGER_TIME, Limits, TURNED_AWAY_PART};
use crate::linger::linger;
use crate::listener::{Listener, Peer};
use crate::peers::Peers;
use crate::site::Site;
use crate::status::Gauges;
use crate::tls::Acceptor;
use crate::transport::Transport;

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Server {
    site: Site,
    limits: Limits,
    journal: Arc<Journal>,
    /// True from the moment when the server stops, for who waits for it.
    stop: watch::Sender<bool>,
    /// The same from a moment before that, for who only looks: without a lock that all connections share.
    stops: AtomicBool,
    /// One permit per connection that may still be accepted.
    room: Arc<Semaphore>,
    peers: Peers,
    /// One permit per connection that was turned away and may linger.
    turned_away: Semaphore,
    /// One permit per transfer by the kernel, if they are bounded.
    transfers: Option<Semaphore>,
    tls: Option<Acceptor>,
    gauges: Option<Arc<Gauges>>,
}

/// Room for what a client sends that was turned away.
const TURNED_AWAY_ROOM_BYTES: usize = 512;

/// See [`Server::admit_transfer`].
#[derive(Debug)]
pub(crate) struct TransferLeave<'s> {
    _permit: Option<SemaphorePermit<'s>>,
}

/// How the server came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Every response that was running was finished.
    Finished,
    /// This many connections were still busy when the time for them was over.
    CutOff(usize),
    /// A second signal came.
    Interrupted,
}

/// The signals that stop the server. They count from the moment when this is made.
#[derive(Debug)]
pub(crate) struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignals {
    pub(crate) fn listen() -> io::Result<StopSignals> {
        Ok(StopSignals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

impl Server {
    pub(crate) fn new(site: Site, limits: Limits, journal: Arc<Journal>) -> Server {
        let room = Arc::new(Semaphore::new(limits.connections));
        Server {
            site,
            peers: Peers::new(limits.connections_per_address),
            turned_away: Semaphore::new(limits.connections / TURNED_AWAY_PART),
            transfers: limits.transfers.map(Semaphore::new),
            limits,
            journal,
            stop: watch::Sender::new(false),
            stops: AtomicBool::new(false),
            room,
            tls: None,
            gauges: None,
        }
    }

    /// Speaks TLS with all clients.
    pub(crate) fn with_tls(self, tls: Option<Acceptor>) -> Server {
        Server { tls, ..self }
    }

    /// Counts what there is to count for a status page.
    pub(crate) fn with_gauges(self, gauges: Option<Arc<Gauges>>) -> Server {
        let site = self.site.with_gauges(gauges.clone());
        Server {
            site,
            gauges,
            ..self
        }
    }

    pub(crate) fn gauges(&self) -> Option<&Gauges> {
        self.gauges.as_deref()
    }

    pub(crate) fn site(&self) -> &Site {
        &self.site
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn journal(&self) -> &Journal {
        &self.journal
    }

    pub(crate) fn subscribe_to_stop(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    /// Whether the server was told to stop.
    pub(crate) fn stops(&self) -> bool {
        // Acquire: pairs with the Release in `run`.
        self.stops.load(Ordering::Acquire)
    }

    /// A leave to have the kernel move a body, until it is dropped; `None` if it has to be copied.
    pub(crate) fn admit_transfer(&self) -> Option<TransferLeave<'_>> {
        match &self.transfers {
            None => Some(TransferLeave { _permit: None }),
            Some(transfers) => transfers.try_acquire().ok().map(|permit| TransferLeave {
                _permit: Some(permit),
            }),
        }
    }

    /// Accepts and serves until a signal comes, then lets the running responses finish.
    pub(crate) async fn run(
        self: Arc<Self>,
        listeners: Vec<Listener>,
        mut signals: StopSignals,
    ) -> Outcome {
        select! {
            () = signals.next() => {}
            () = Arc::clone(&self).accept_all(&listeners) => {}
            () = self.site.close_unused() => {}
        }
        drop(listeners);
        // Release: pairs with the Acquire in `stops`.
        self.stops.store(true, Ordering::Release);
        self.stop.send_replace(true);
        select! {
            outcome = self.drain() => outcome,
            () = signals.next() => Outcome::Interrupted,
        }
    }

    /// Never ends. At the cap it waits for a connection to end before it accepts another one.
    async fn accept_all(self: Arc<Self>, listeners: &[Listener]) {
        for turn in (0..listeners.len()).cycle() {
            let permit = Arc::clone(&self.room).acquire_owned().await;
            let permit = permit.expect("the semaphore of connections is never closed");
            let (stream, peer) = self.accept(listeners, turn).await;
            let name = task::Builder::new().name("connection");
            let serving = name.spawn(Arc::clone(&self).serve(stream, peer, permit));
            drop(serving.expect("a runtime that accepts takes tasks"));
        }
    }

    /// Accepts a connection, however long it takes. Each listener is the first that is asked in its turn.
    async fn accept(&self, listeners: &[Listener], turn: usize) -> (Transport, Peer) {
        let (later, first) = listeners.split_at(turn);
        loop {
            let any = poll_fn(|context| {
                let mut ready = first
                    .iter()
                    .chain(later)
                    .map(|listener| listener.poll_accept(context));
                ready.find(Poll::is_ready).unwrap_or(Poll::Pending)
            });
            match any.await {
                Ok(accepted) => return accepted,
                Err(error) if concerns_one_connection(&error) => {}
                Err(error) => {
                    self.journal.warn(format_args!(
                        "cannot accept connections at the moment: {error}; raise `ulimit -n` or \
                         lower --max-connections if descriptors are short"
                    ));
                    sleep(ACCEPT_REST).await;
                }
            }
        }
    }

    async fn serve(self: Arc<Self>, stream: Transport, peer: Peer, _permit: OwnedSemaphorePermit) {
        let _open = self.gauges().map(Gauges::note_connection);
        let Some(_place) = self.peers.admit(peer) else {
            if let Some(gauges) = self.gauges() {
                gauges.note_turned_away();
            }
            if self.tls.is_none() {
                self.turn_away(stream).await;
            }
            return;
        };
        stream.set_nodelay();
        if let Some(transport) = self.secure(stream).await {
            connection::serve(&self, transport, peer).await;
        }
    }

    /// Says that there are too many connections of this address, if that can be said at once, and has some of them linger so that
    /// it arrives: who has too many is not waited for by all that could serve others.
    async fn turn_away(&self, mut stream: Transport) {
        const ANSWER: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n\
            Retry-After: 1\r\nX-Content-Type-Options: nosniff\r\n\
            Content-Type: text/plain; charset=utf-8\r\nContent-Length: 69\r\n\r\n\
            503 Service Unavailable: this address has too many connections open.\n";
        // Best effort: the connection ends in any case.
        let _ = stream.try_write(ANSWER);
        if let Ok(_permit) = self.turned_away.try_acquire() {
            let mut room = [0; TURNED_AWAY_ROOM_BYTES];
            linger(&mut stream, &mut room, LINGER_TIME, || self.stops()).await;
        }
    }

    /// Shakes hands if TLS is spoken. Who takes longer for it than for a head, or is at it when the server stops, is let
    /// go, as is who cannot do it: there is no way yet to tell them why.
    async fn secure(&self, stream: Transport) -> Option<Transport> {
        let (tls, stream) = match (&self.tls, stream) {
            (Some(tls), Transport::Plain(stream)) => (tls, stream),
            // TLS is spoken over TCP, and the start refuses other sockets with it.
            (_, stream) => return Some(stream),
        };
        let mut stop = self.subscribe_to_stop();
        select! {
            shaken = timeout(self.limits.head, tls.accept(stream)) => {
                let session = shaken.ok()?.ok()?;
                Some(Transport::Tls(Box::new(session)))
            }
            _ = stop.wait_for(|&stops| stops) => None,
        }
    }

    /// Waits until every connection gave its permit back.
    async fn drain(&self) -> Outcome {
        let all = u32::try_from(self.limits.connections).unwrap_or(u32::MAX);
        let finished = timeout(self.limits.drain, self.room.acquire_many(all))
            .await
            .is_ok();
        // Only now, with the wait for all permits gone, are those that are free to be seen.
        match self.limits.connections - self.room.available_permits() {
            busy if !finished && busy > 0 => Outcome::CutOff(busy),
            _ => Outcome::Finished,
        }
    }
}

/// Errors of a connection that ended before it was accepted; the next one may be well.
fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionReset | Interrupted
    )
}
