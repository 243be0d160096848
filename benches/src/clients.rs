//! The clients of the workloads of sockets, in a process of their own.
//!
//! A client in the measured process would add its own processor time to the server's. So the program runs itself again,
//! with a [`Load`] in its environment, and every `main` that measures begins with [`run_if_asked`]. The parent writes a
//! number of operations to the child's standard input; the child's threads do them together, each client with one under
//! way, and answer with a line. The same clients, on tokio, serve every server.

use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;
use std::{env, panic, process, thread};

use ::tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use ::tokio::net::{TcpStream, UdpSocket, UnixStream};
use ::tokio::runtime::Runtime;
use ::tokio::sync::Semaphore;
use ::tokio::time::{sleep, timeout};
use futures_util::future::join_all;

use crate::descriptors;

/// What the clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// [`ECHO_BYTES`] are sent over a TCP connection, and then come back.
    Echo,
    /// So many bytes are sent over a TCP connection and come back.
    Tcp(usize),
    /// The same over a Unix socket.
    Unix(usize),
    /// A TCP connection is made and, when the server has closed it, reset.
    Connect,
    /// A datagram of so many bytes is sent and comes back.
    Datagram(usize),
}

/// The parent's end: a child process, ready to begin.
#[derive(Debug)]
pub struct Clients {
    process: Child,
    commands: Option<ChildStdin>,
    replies: BufReader<ChildStdout>,
}

/// Of a message of [`Load::Echo`]: few enough that it is sent at once.
pub const ECHO_BYTES: usize = 64;

/// As many as a server has workers: clients that are slower than the server would let it idle.
const THREADS: usize = 2;

/// Connections that a thread makes at a time. A server keeps some hundred until it accepts them; the next ones would wait
/// for seconds.
const CONNECTING_MAX: usize = 64;

/// Of messages that a thread's clients have under way together: for more, the others wait for their turn. So many bytes fit into
/// what the kernel gives to sockets in each direction, and are 256 of the largest messages.
const UNDER_WAY_BYTES: usize = 16 << 20;

/// For a datagram to come back. One that is lost would stop its client for ever.
const PATIENCE: Duration = Duration::from_secs(5);

/// For a listener to accept some of those who wait.
const FULL_PAUSE: Duration = Duration::from_millis(1);

const LOAD: &str = "RINGWAY_BENCH_LOAD";
const ADDRESS: &str = "RINGWAY_BENCH_LOAD_ADDRESS";
const NUMBER: &str = "RINGWAY_BENCH_LOAD_NUMBER";

impl Load {
    /// As it stands in the environment.
    fn text(self) -> String {
        match self {
            Load::Echo => format!("echo {ECHO_BYTES}"),
            Load::Tcp(bytes) => format!("tcp {bytes}"),
            Load::Unix(bytes) => format!("unix {bytes}"),
            Load::Connect => "connect 0".to_owned(),
            Load::Datagram(bytes) => format!("datagram {bytes}"),
        }
    }

    fn from_text(text: &str) -> Option<Load> {
        let (kind, bytes) = text.split_once(' ')?;
        let bytes = bytes.parse().ok()?;
        match kind {
            "echo" => Some(Load::Echo),
            "tcp" => Some(Load::Tcp(bytes)),
            "unix" => Some(Load::Unix(bytes)),
            "connect" => Some(Load::Connect),
            "datagram" => Some(Load::Datagram(bytes)),
            _ => None,
        }
    }
}

impl Clients {
    /// Starts `number` clients of the server at `address`, a socket's or a path, and waits until they are connected.
    pub fn start(load: Load, address: &str, number: usize) -> Clients {
        descriptors::make_room(number);
        let mut process = Command::new(env::current_exe().unwrap())
            .env(LOAD, load.text())
            .env(ADDRESS, address)
            .env(NUMBER, number.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let commands = process.stdin.take();
        let replies = BufReader::new(process.stdout.take().unwrap());
        let mut clients = Clients {
            process,
            commands,
            replies,
        };
        clients.await_reply();
        clients
    }

    /// Has so many operations done, and returns when the last has been.
    pub fn exchange(&mut self, operations: u64) {
        let commands = self.commands.as_mut().expect("open until the drop");
        writeln!(commands, "{operations}").unwrap();
        self.await_reply();
    }

    fn await_reply(&mut self) {
        let mut line = String::new();
        self.replies.read_line(&mut line).unwrap();
        assert_eq!(
            line, "done\n",
            "the clients have failed; did `main` call `run_if_asked`?"
        );
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        self.commands = None; // The end of its input ends the child.
        let status = self.process.wait();
        assert!(thread::panicking() || status.is_ok_and(|status| status.success()));
    }
}

/// Becomes the clients, and does not return, if the parent has started this process for that.
pub fn run_if_asked() {
    let Ok(load) = env::var(LOAD) else {
        return;
    };
    let load = Load::from_text(&load).expect("what `Load::text` has written");
    let number: usize = env::var(NUMBER).unwrap().parse().unwrap();
    run(load, &env::var(ADDRESS).unwrap(), number);
    process::exit(0);
}

fn run(load: Load, address: &str, number: usize) {
    exit_on_panic();
    let threads = THREADS.min(number);
    let left = Arc::new(AtomicI64::new(0));
    let (done, finished) = channel();
    let starts: Vec<_> = (0..threads)
        .map(|thread| {
            let share = (number + thread) / threads;
            let (start, started) = channel();
            let (left, done, address) = (left.clone(), done.clone(), address.to_owned());
            thread::spawn(move || run_share(load, &address, share, &left, &started, &done));
            start
        })
        .collect();
    reply_when_all(&finished, threads);
    for command in io::stdin().lines() {
        left.store(command.unwrap().parse().unwrap(), Ordering::Relaxed);
        for start in &starts {
            start.send(()).unwrap();
        }
        reply_when_all(&finished, threads);
    }
}

/// A thread that fails ends the process, so that nobody waits for its answer.
fn exit_on_panic() {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        report(panic);
        process::exit(1);
    }));
}

/// Waits for every thread, then tells the parent.
fn reply_when_all(finished: &Receiver<()>, threads: usize) {
    for _ in 0..threads {
        finished.recv().unwrap();
    }
    println!("done");
}

/// One thread: its share of the clients, on a runtime of its own.
fn run_share(
    load: Load,
    address: &str,
    number: usize,
    left: &AtomicI64,
    started: &Receiver<()>,
    done: &Sender<()>,
) {
    let mut builder = ::tokio::runtime::Builder::new_current_thread();
    match load {
        Load::Echo => builder.enable_io(),
        _ => builder.enable_all(),
    };
    let runtime = builder.build().unwrap();
    let turns = Turns {
        runtime: &runtime,
        left,
        started,
        done,
    };
    match load {
        Load::Echo => {
            let mut streams = turns.connect(number, || connect_tcp(address));
            turns.take(&mut streams, async |stream| echo_short(stream, left).await);
        }
        Load::Tcp(bytes) => {
            let mut streams = turns.connect(number, || connect_tcp(address));
            let room = &room_for(bytes);
            turns.take(&mut streams, async |stream| {
                echo(stream, left, bytes, room).await
            });
        }
        Load::Unix(bytes) => {
            let mut streams = turns.connect(number, || connect_unix(address));
            let room = &room_for(bytes);
            turns.take(&mut streams, async |stream| {
                echo(stream, left, bytes, room).await
            });
        }
        Load::Connect => {
            turns.take(&mut vec![(); number], async |()| {
                come_and_go(address, left).await
            });
        }
        Load::Datagram(bytes) => {
            let mut sockets = turns.connect(number, || bind(address));
            turns.take(&mut sockets, async |socket| {
                send_and_receive(socket, left, bytes).await
            });
        }
    }
}

/// What a thread needs to take its turns.
struct Turns<'a> {
    runtime: &'a Runtime,
    left: &'a AtomicI64,
    started: &'a Receiver<()>,
    done: &'a Sender<()>,
}

impl Turns<'_> {
    fn connect<S, F>(&self, number: usize, connect: impl Fn() -> F) -> Vec<S>
    where
        F: Future<Output = io::Result<S>>,
    {
        let mut connected = Vec::with_capacity(number);
        while connected.len() < number {
            let next = CONNECTING_MAX.min(number - connected.len());
            let some = self
                .runtime
                .block_on(join_all((0..next).map(|_| connect())));
            connected.extend(some.into_iter().map(Result::unwrap));
        }
        connected
    }

    /// Runs all clients each time that the parent wants some operations, until there are none left.
    fn take<C>(&self, clients: &mut [C], mut run: impl AsyncFnMut(&mut C) + Copy) {
        self.done.send(()).unwrap();
        while self.started.recv().is_ok() {
            debug_assert!(self.left.load(Ordering::Relaxed) < i64::MAX);
            let clients = clients
                .iter_mut()
                .map(|client| async move { run(client).await });
            self.runtime.block_on(join_all(clients));
            self.done.send(()).unwrap();
        }
    }
}

/// Takes an operation off those that are left, if there is one.
fn begin(left: &AtomicI64) -> Option<u8> {
    let number = left.fetch_sub(1, Ordering::Relaxed);
    (number > 0).then_some(number as u8)
}

async fn connect_tcp(address: &str) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A listener whose queue is full does not let a Unix client wait, as it does one of TCP.
async fn connect_unix(path: &str) -> io::Result<UnixStream> {
    loop {
        match UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(FULL_PAUSE).await,
            result => return result,
        }
    }
}

async fn echo_short(stream: &mut TcpStream, left: &AtomicI64) {
    let mut echo = [0; ECHO_BYTES];
    while let Some(number) = begin(left) {
        let message = [number; ECHO_BYTES];
        stream.write_all(&message).await.unwrap();
        stream.read_exact(&mut echo).await.unwrap();
        assert_eq!(echo, message);
    }
}

/// A permit for each message of `bytes` that may be under way; who waits for one gets it in turn.
fn room_for(bytes: usize) -> Semaphore {
    Semaphore::new((UNDER_WAY_BYTES / bytes).max(1))
}

async fn echo(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    left: &AtomicI64,
    bytes: usize,
    room: &Semaphore,
) {
    loop {
        let _permit = room.acquire().await.expect("never closed");
        let Some(number) = begin(left) else {
            return;
        };
        let message = vec![number; bytes];
        let mut echo = vec![0; bytes];
        let (mut reader, mut writer) = ::tokio::io::split(&mut *stream);
        // Both at once: a message may be larger than what the kernel keeps.
        let (written, read) =
            ::tokio::join!(writer.write_all(&message), reader.read_exact(&mut echo));
        written.unwrap();
        read.unwrap();
        assert_eq!(echo, message);
    }
}

async fn come_and_go(address: &str, left: &AtomicI64) {
    while begin(left).is_some() {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // Or else its port would be taken for a minute.
        stream.set_zero_linger().unwrap();
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    }
}

async fn bind(address: &str) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind("127.0.0.1:0").await?;
    socket.connect(address).await?;
    Ok(socket)
}

async fn send_and_receive(socket: &UdpSocket, left: &AtomicI64, bytes: usize) {
    let mut answer = vec![0; bytes + 1];
    while let Some(number) = begin(left) {
        let message = vec![number; bytes];
        socket.send(&message).await.unwrap();
        let received = timeout(PATIENCE, socket.recv(&mut answer)).await;
        let length = received.expect("a datagram was lost").unwrap();
        assert_eq!(answer[..length], message);
    }
}
