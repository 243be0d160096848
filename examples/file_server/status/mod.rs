//! The status page: what the runtime and the server are doing, once a second, for a browser.
//!
//! 1. It has a listener, a thread and a current-thread runtime of its own. So it tells also while every worker of the
//!    runtime that it tells of is stuck, and takes nothing from them but readings.
//! 2. `/` is the page, `/events` its readings as server-sent events, `/sample` one reading as JSON.
//! 3. Everything is bounded: connections, watchers, readings that are kept, and the time that each answer takes.

mod blocked;
mod gauges;
mod http;
mod sample;

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use ringway::io::{AsyncReadExt, AsyncWriteExt};
use ringway::net::{TcpListener, TcpStream};
use ringway::runtime::{Builder, Handle};
use ringway::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use ringway::time::{MissedTickBehavior, interval, sleep, timeout};
use ringway::{select, spawn};

pub(crate) use self::gauges::{Answered, Gauges};

use self::blocked::Blocked;
use self::http::Asked;
use self::sample::{Sampler, Subject};
use crate::input::Input;
use crate::journal::Journal;
use crate::limits::{
    ACCEPT_REST, BLOCKED_AFTER, SAMPLE_INTERVAL, SAMPLES_KEPT, STATUS_CONNECTIONS_MAX,
    WATCHER_STALL, WATCHERS_MAX,
};
use crate::reply::Status as Answer;
use crate::request::{self, Refusal};
use crate::server::Server;

/// A status page to be: its address is taken, and the runtime is watched.
#[derive(Debug)]
pub(crate) struct Status {
    listener: StdListener,
    from_anywhere: bool,
    blocked: Arc<Blocked>,
}

/// A status page that is served until this is dropped.
#[derive(Debug)]
pub(crate) struct Page {
    /// Dropped to end it.
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What all connections of the page share.
struct Desk {
    sampler: Mutex<Sampler>,
    readings: watch::Sender<Readings>,
    watchers: Semaphore,
    from_anywhere: bool,
    server: Arc<Server>,
}

/// The last readings, the oldest first.
#[derive(Debug, Default)]
struct Readings {
    kept: VecDeque<Arc<str>>,
    /// The number of the next one.
    next: u64,
}

impl Status {
    /// Takes the address. One that other machines reach is refused, unless it is to be so.
    pub(crate) fn bind(address: SocketAddr, from_anywhere: bool) -> Result<Status, String> {
        let listener = StdListener::bind(address)
            .map_err(|error| format!("cannot listen on {address} (--status): {error}"))?;
        Status::over(listener, from_anywhere)
    }

    /// Takes a socket that listens already.
    pub(crate) fn over(listener: StdListener, from_anywhere: bool) -> Result<Status, String> {
        let address = listener
            .local_addr()
            .map_err(|error| format!("cannot learn the address of the status page: {error}"))?;
        if !from_anywhere && !address.ip().to_canonical().is_loopback() {
            return Err(format!(
                "--status {address} would show the status to other machines, to whoever asks; \
                 choose an address such as 127.0.0.1:8081, or add --status-anywhere"
            ));
        }
        Ok(Status {
            listener,
            from_anywhere,
            blocked: Arc::default(),
        })
    }

    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Has the runtime that is built report polls that take too long.
    pub(crate) fn watch(&self, builder: &mut Builder, journal: &Arc<Journal>) {
        let (blocked, journal) = (Arc::clone(&self.blocked), Arc::clone(journal));
        builder.on_blocked_worker(BLOCKED_AFTER, move |report| {
            blocked.note(report);
            journal.warn(format_args!("{report}"));
        });
    }

    /// Serves the page. Called within the runtime that it is to tell of.
    pub(crate) fn serve(
        self,
        server: &Arc<Server>,
        gauges: Arc<Gauges>,
        directory: &Path,
        address: &str,
    ) -> io::Result<Page> {
        let subject = Subject {
            handle: Handle::current(),
            server: Arc::clone(server),
            gauges,
            blocked: self.blocked,
            directory: directory.display().to_string(),
            address: address.to_owned(),
        };
        let desk = Arc::new(Desk {
            sampler: Mutex::new(Sampler::new(subject)),
            readings: watch::Sender::default(),
            watchers: Semaphore::new(WATCHERS_MAX),
            from_anywhere: self.from_anywhere,
            server: Arc::clone(server),
        });
        let runtime = Builder::new_current_thread().enable_all().build()?;
        self.listener.set_nonblocking(true)?;
        let listener = {
            let _entered = runtime.enter();
            TcpListener::from_std(self.listener)?
        };
        let (end, ended) = oneshot::channel();
        let serve = move || {
            runtime.block_on(async {
                spawn(Arc::clone(&desk).take_readings());
                select! {
                    () = desk.accept_all(listener) => {}
                    _ = ended => {}
                }
            });
        };
        let thread = std::thread::Builder::new().name("status".to_owned());
        Ok(Page {
            end: Some(end),
            thread: Some(thread.spawn(serve)?),
        })
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // A panic there was told by its hook.
            let _ = thread.join();
        }
    }
}

impl Desk {
    /// Never ends.
    async fn take_readings(self: Arc<Self>) {
        let mut seconds = interval(SAMPLE_INTERVAL);
        seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            seconds.tick().await;
            let reading: Arc<str> = {
                let mut sampler = self.sampler();
                sampler.tick();
                sampler.read().into()
            };
            self.readings.send_modify(|readings| readings.keep(reading));
        }
    }

    /// Never ends.
    async fn accept_all(self: &Arc<Self>, listener: TcpListener) {
        let room = Arc::new(Semaphore::new(STATUS_CONNECTIONS_MAX));
        loop {
            let place = Arc::clone(&room).acquire_owned().await;
            let place = place.expect("the semaphore of connections is never closed");
            match listener.accept().await {
                Ok((stream, _)) => drop(spawn(Arc::clone(self).serve(stream, place))),
                Err(_) => sleep(ACCEPT_REST).await,
            }
        }
    }

    /// Answers one request. Whoever is too slow for it is let go.
    async fn serve(self: Arc<Self>, mut stream: TcpStream, _place: OwnedSemaphorePermit) {
        let limits = self.server.limits();
        let received = timeout(limits.head, receive(&mut stream, &self.server)).await;
        let Ok(Ok((head, refusal))) = received else {
            // Nobody is there, or nobody says anything.
            return;
        };
        let with_body = !head.starts_with(b"HEAD ");
        let asked = match refusal {
            None => http::parse(&head, &limits.head_size, self.from_anywhere),
            Some(Refusal(status)) => Err(status),
        };
        let answer = match asked {
            Ok(Asked::Page) => http::page(with_body),
            Ok(Asked::Sample) => {
                let reading = self.sampler().read();
                http::sample(&reading, with_body)
            }
            Ok(Asked::Options) => http::notice(Answer::NoContent, with_body),
            Ok(Asked::Events) if !with_body => http::events(false),
            Ok(Asked::Events) => match self.watchers.try_acquire() {
                Ok(_place) => return self.stream_readings(stream).await,
                Err(_) => http::notice(Answer::ServiceUnavailable, true),
            },
            Err(status) => http::notice(status, with_body),
        };
        // Whether it arrives or not, this is the end.
        let _ = timeout(WATCHER_STALL, send_last(&mut stream, &answer)).await;
    }

    /// Sends what was read lately, and then each reading, until the watcher leaves or takes no more.
    async fn stream_readings(&self, mut stream: TcpStream) {
        let mut readings = self.readings.subscribe();
        let mut next = 0;
        let mut waiting = http::events(true);
        loop {
            next = readings.borrow_and_update().write_since(next, &mut waiting);
            if !matches!(
                timeout(WATCHER_STALL, stream.write_all(&waiting)).await,
                Ok(Ok(()))
            ) {
                return;
            }
            waiting.clear();
            let mut ignored = [0; 64];
            loop {
                select! {
                    changed = readings.changed() => match changed {
                        Ok(()) => break,
                        Err(_) => return,
                    },
                    received = stream.read(&mut ignored) => match received {
                        Ok(0) | Err(_) => return,
                        Ok(_) => {}
                    },
                }
            }
        }
    }

    /// A thread that panicked while it held the lock left nothing half done.
    fn sampler(&self) -> MutexGuard<'_, Sampler> {
        self.sampler.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Readings {
    fn keep(&mut self, reading: Arc<str>) {
        if self.kept.len() == SAMPLES_KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(reading);
        self.next += 1;
    }

    /// Appends the readings from number `from` on as events; returns the number of the next one.
    fn write_since(&self, from: u64, output: &mut Vec<u8>) -> u64 {
        let first = self.next - self.kept.len() as u64;
        for (number, reading) in (first..).zip(&self.kept) {
            if number >= from {
                let event = format!("id: {number}\ndata: {reading}\n\n");
                output.extend_from_slice(event.as_bytes());
            }
        }
        self.next
    }
}

/// Receives a head, or what shows that none is coming, and then why it is refused.
async fn receive(
    stream: &mut TcpStream,
    server: &Server,
) -> io::Result<(Vec<u8>, Option<Refusal>)> {
    let limits = &server.limits().head_size;
    let mut input = Input::new(limits.bytes);
    loop {
        match request::find_head_end(input.received(), 0, limits) {
            Ok(Some(head_bytes)) => return Ok((input.received()[..head_bytes].to_vec(), None)),
            Ok(None) => {}
            Err(refusal) => return Ok((input.received().to_vec(), Some(refusal))),
        }
        match stream.read(input.room()).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => input.add(count),
        }
    }
}

/// Sends the answer, and waits for the other side's end: a reset may overtake the answer.
async fn send_last(stream: &mut TcpStream, answer: &[u8]) -> io::Result<()> {
    stream.write_all(answer).await?;
    stream.shutdown().await?;
    let mut ignored = [0; 64];
    while stream.read(&mut ignored).await? > 0 {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mutants: keep all; number the kept ones from 0.
    #[test]
    fn a_watcher_gets_the_last_readings_and_none_twice() {
        let mut readings = Readings::default();
        for number in 0..SAMPLES_KEPT + 2 {
            readings.keep(number.to_string().into());
        }
        let mut output = Vec::new();
        let next = readings.write_since(0, &mut output);
        let text = String::from_utf8(output).expect("UTF-8");
        assert!(text.starts_with("id: 2\ndata: 2\n\nid: 3\n"), "{text}");
        assert_eq!(text.matches("data: ").count(), SAMPLES_KEPT);
        readings.keep("last".into());
        let mut output = Vec::new();
        assert_eq!(readings.write_since(next, &mut output), next + 1);
        assert_eq!(output, format!("id: {next}\ndata: last\n\n").into_bytes());
    }

    #[test]
    fn an_address_that_others_reach_has_to_be_wanted() {
        let any = SocketAddr::from(([0, 0, 0, 0], 0));
        let message = Status::bind(any, false).expect_err("refused");
        assert!(message.contains("--status-anywhere"), "{message}");
        assert!(Status::bind(any, true).is_ok());
        assert!(Status::bind(SocketAddr::from(([127, 0, 0, 1], 0)), false).is_ok());
    }
}
