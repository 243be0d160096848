//! Slow clients beside honest ones: whatever the slow ones do, the honest ones are served.
//!
//! `RINGWAY_TEST_SLOW_CLIENTS`, `RINGWAY_TEST_HONEST_CLIENTS` and `RINGWAY_TEST_SLOW_SECONDS` make a
//! long run of it: 10,000 beside 100 for a minute, say.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};

use crate::support::{Client, Folder, Server, pattern, wait_until};

fn number(variable: &str, default: usize) -> usize {
    match std::env::var(variable) {
        Ok(text) => text.parse().expect("a number"),
        Err(_) => default,
    }
}

/// One connection whose client is in no hurry.
struct Slow {
    stream: TcpStream,
    habit: Habit,
}

#[derive(Clone, Copy)]
enum Habit {
    /// Sends a head byte by byte, and never its end.
    DripsHead,
    /// Says nothing.
    Silent,
    /// Asks for a large file and never reads it.
    NeverReads,
    /// Asks for a large file and reads it byte by byte.
    SipsBody,
    /// Asks for more and more small files and never reads an answer.
    Pipelines,
}

const HABITS: [Habit; 5] = [
    Habit::DripsHead,
    Habit::Silent,
    Habit::NeverReads,
    Habit::SipsBody,
    Habit::Pipelines,
];

impl Slow {
    fn connect(server: SocketAddr, habit: Habit) -> std::io::Result<Slow> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        // Both ends are on this machine here: what a client does not read shall not take the memory
        // that the kernel has for all connections.
        socket.set_recv_buffer_size(16 * 1024)?;
        socket.connect(&server.into())?;
        let mut stream = TcpStream::from(socket);
        let first: &[u8] = match habit {
            Habit::DripsHead => b"GET /small HTTP/1.1\r\n",
            Habit::Silent => b"",
            Habit::NeverReads | Habit::SipsBody => b"GET /huge HTTP/1.1\r\nHost: a\r\n\r\n",
            Habit::Pipelines => b"GET /small HTTP/1.1\r\nHost: a\r\n\r\n",
        };
        stream.write_all(first)?;
        stream.set_nonblocking(true)?;
        Ok(Slow { stream, habit })
    }

    /// Does a little; false when the server has ended the connection.
    fn step(&mut self) -> bool {
        if !self.is_alive() {
            return false;
        }
        let mut byte = [0];
        let done = match self.habit {
            Habit::DripsHead => self.stream.write(b"x"),
            Habit::Pipelines => self.stream.write(b"GET /small HTTP/1.1\r\nHost: a\r\n\r\n"),
            Habit::SipsBody | Habit::Silent => self.stream.read(&mut byte),
            Habit::NeverReads => return true,
        };
        match done {
            Ok(0) => false,
            Ok(_) => true,
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        }
    }

    /// Whether no reset has arrived. A read would not tell before all that waits was read.
    fn is_alive(&self) -> bool {
        matches!(self.stream.take_error(), Ok(None))
    }
}

/// What the slow clients have seen.
#[derive(Default)]
struct Tally {
    connected: AtomicUsize,
    /// Connections that the server ended, by their clients' habits.
    let_go: [AtomicUsize; HABITS.len()],
}

/// Keeps `count` slow connections open until `done`: those that the server ends are made again.
fn be_slow(server: SocketAddr, count: usize, tally: &Tally, done: &AtomicBool) {
    let habit = |index: usize| HABITS[index % HABITS.len()];
    let connect = |index: usize| {
        let slow = Slow::connect(server, habit(index)).ok()?;
        tally.connected.fetch_add(1, Ordering::Relaxed);
        Some(slow)
    };
    let mut crowd: Vec<Option<Slow>> = Vec::new();
    while crowd.len() < count && !done.load(Ordering::Relaxed) {
        crowd.push(connect(crowd.len()));
    }
    while !done.load(Ordering::Relaxed) {
        for (index, place) in crowd.iter_mut().enumerate() {
            if !place.as_mut().is_some_and(Slow::step) {
                tally.let_go[index % HABITS.len()].fetch_add(1, Ordering::Relaxed);
                // Before the new one, the old one is given up.
                *place = None;
                *place = connect(index);
            }
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Asks for small and for larger files and looks at every byte until `end`; returns how long each
/// answer took.
fn be_honest(mut client: Client, large: &[u8], end: Instant) -> Vec<Duration> {
    let mut durations = Vec::new();
    while Instant::now() < end {
        let started = Instant::now();
        if durations.len() % 8 == 7 {
            assert!(client.get("/large").body == large);
        } else {
            assert_eq!(client.get("/small").text(), "small");
        }
        durations.push(started.elapsed());
        // Somebody who reads what came, and no benchmark.
        std::thread::sleep(Duration::from_millis(10));
    }
    durations
}

/// Makes room for this many connections of this process and of the server that it starts; returns
/// how many there is room for.
fn make_room_for(connections: usize) -> usize {
    /// For the tests beside this one, and for files and pipes of the server.
    const REST: u64 = 4_000;
    // The server keeps a quarter for what are no sockets.
    let wanted = connections as u64 * 4 / 3 + REST;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let possible = maximum.map_or(wanted, |maximum| maximum.min(wanted));
    let limit = Rlimit {
        current: current.map(|current| current.max(possible)),
        maximum,
    };
    setrlimit(Resource::Nofile, limit).expect("up to the hard limit");
    let fitting = possible.saturating_sub(REST) * 3 / 4;
    connections.min(usize::try_from(fitting).expect("a number of descriptors"))
}

fn site(large: &[u8]) -> Folder {
    let folder = Folder::new();
    folder.write("small", "small");
    folder.write("large", large);
    std::fs::File::create(folder.path("huge"))
        .and_then(|file| file.set_len(1 << 30))
        .expect("huge");
    folder
}

fn start(folder: &Folder, clients: usize, seconds: usize) -> Server {
    let connections = (2 * clients).to_string();
    let mut arguments = vec!["--max-connections", &connections];
    arguments.extend(["--max-connections-per-address", &connections]);
    // Each slow one is let go twice in the time; an honest one is never so late.
    let patience = (seconds * 1_000 / 3).to_string();
    arguments.extend([
        "--head-timeout-ms",
        &patience,
        "--stall-timeout-ms",
        &patience,
    ]);
    Server::start_with(&folder.root(), &arguments)
}

/// Mutants: no deadline for heads (the silent and the dripping ones are never let go); no stall
/// timeout (nor those that do not read).
#[test]
fn slow_clients_keep_nobody_else_waiting_and_are_let_go() {
    let honest_count = number("RINGWAY_TEST_HONEST_CLIENTS", 20);
    let wanted = number("RINGWAY_TEST_SLOW_CLIENTS", 400);
    let seconds = number("RINGWAY_TEST_SLOW_SECONDS", 9);
    let slow_count = make_room_for(wanted + honest_count) - honest_count;
    let large = pattern(200_000);
    let folder = site(&large);
    let server = start(&folder, slow_count + honest_count, seconds);
    assert_eq!(server.get("/small").text(), "small");
    let (descriptors, memory) = (server.open_descriptors(), server.memory_kib());
    let (tally, done) = (Tally::default(), AtomicBool::new(false));
    let mut durations = std::thread::scope(|scope| {
        let stop = crate::support::SetOnDrop(&done);
        for share in 0..2 {
            let count = (slow_count + share) / 2;
            let (tally, done) = (&tally, &done);
            scope.spawn(move || be_slow(server.address, count, tally, done));
        }
        wait_until("the slow ones are there", || {
            tally.connected.load(Ordering::Relaxed) >= slow_count
        });
        let grown = server.memory_kib().saturating_sub(memory);
        let end = Instant::now() + Duration::from_secs(seconds as u64);
        let honest: Vec<_> = (0..honest_count)
            .map(|_| {
                let (client, large) = (server.connect(), &large);
                scope.spawn(move || be_honest(client, large, end))
            })
            .collect();
        let all: Vec<Duration> = honest
            .into_iter()
            .flat_map(|thread| thread.join().expect("served"))
            .collect();
        drop(stop);
        eprintln!("{slow_count} slow clients take {grown} KiB in the server");
        all
    });
    durations.sort_unstable();
    let at = |share: f64| durations[((durations.len() - 1) as f64 * share) as usize];
    let let_go = tally
        .let_go
        .each_ref()
        .map(|count| count.load(Ordering::Relaxed));
    eprintln!(
        "{} answers to {honest_count} honest clients: median {:?}, p99 {:?}, worst {:?}; \
         slow ones let go, by habit: {let_go:?}",
        durations.len(),
        at(0.5),
        at(0.99),
        at(1.0)
    );
    assert!(
        durations.len() >= honest_count * seconds * 5,
        "each has five answers in a second: {}",
        durations.len()
    );
    // Who pipelines is let go when the kernel holds no more answers, which takes longer.
    let each = slow_count / HABITS.len();
    assert!(
        let_go[..4].iter().all(|&count| count >= each / 2),
        "{let_go:?} of {each} each"
    );
    // The cache keeps the two large files, each with a pipe.
    const KEPT_DESCRIPTORS: usize = 2 * 3;
    wait_until("nothing of them is left", || {
        server.open_descriptors() <= descriptors + KEPT_DESCRIPTORS
    });
}
