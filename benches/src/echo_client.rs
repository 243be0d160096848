//! The clients of the echo workloads, in a process of their own.
//!
//! A client in the measured process would add its own processor time to the server's. So the program
//! runs itself again, with `ADDRESS` and `CONNECTIONS` in its environment; every `main` that
//! measures therefore begins with [`run_if_asked`]. The parent writes a number of echoes to the
//! child's standard input, the child exchanges them over all its connections together, each of them
//! with one message under way, and answers with a line.
//!
//! The client is the same for every server: `THREADS` threads with a tokio runtime each.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::{env, io, panic, process, thread};

use ::tokio::io::{AsyncReadExt, AsyncWriteExt};
use ::tokio::net::TcpStream;
use futures_util::future::{join_all, try_join_all};

use crate::descriptors;

/// Length of a message.
pub const MESSAGE_BYTES: usize = 64;

/// Connections that a thread makes at a time. A server keeps some hundred until it accepts them; the next ones would wait
/// for seconds.
const CONNECTING_MAX: usize = 64;

/// As many as the server has workers: a client that is slower than the server would let it idle.
const THREADS: usize = 2;

const ADDRESS: &str = "RINGWAY_BENCH_ECHO_ADDRESS";
const CONNECTIONS: &str = "RINGWAY_BENCH_ECHO_CONNECTIONS";

/// The parent's end: a child process with open connections.
#[derive(Debug)]
pub struct EchoClient {
    process: Child,
    commands: Option<ChildStdin>,
    replies: BufReader<ChildStdout>,
}

impl EchoClient {
    /// Starts the child and waits until all its connections are open.
    pub fn connect(address: SocketAddr, connections: usize) -> EchoClient {
        descriptors::make_room(connections);
        let mut process = Command::new(env::current_exe().unwrap())
            .env(ADDRESS, address.to_string())
            .env(CONNECTIONS, connections.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let commands = process.stdin.take();
        let replies = BufReader::new(process.stdout.take().unwrap());
        let mut client = EchoClient {
            process,
            commands,
            replies,
        };
        client.await_reply();
        client
    }

    /// Has so many messages echoed, and returns when the last has come back.
    pub fn exchange(&mut self, echoes: u64) {
        let commands = self.commands.as_mut().expect("open until the drop");
        writeln!(commands, "{echoes}").unwrap();
        self.await_reply();
    }

    fn await_reply(&mut self) {
        let mut line = String::new();
        self.replies.read_line(&mut line).unwrap();
        assert_eq!(
            line, "done\n",
            "the echo client has failed; did `main` call `run_if_asked`?"
        );
    }
}

impl Drop for EchoClient {
    fn drop(&mut self) {
        self.commands = None; // The end of its input ends the child.
        let status = self.process.wait();
        assert!(thread::panicking() || status.is_ok_and(|status| status.success()));
    }
}

/// Becomes the client, and does not return, if the parent has started this process as one.
pub fn run_if_asked() {
    let (Ok(address), Ok(connections)) = (env::var(ADDRESS), env::var(CONNECTIONS)) else {
        return;
    };
    run(address.parse().unwrap(), connections.parse().unwrap());
    process::exit(0);
}

fn run(address: SocketAddr, connections: usize) {
    exit_on_panic();
    let threads = THREADS.min(connections);
    let left = Arc::new(AtomicI64::new(0));
    let (done, finished) = channel();
    let starts: Vec<_> = (0..threads)
        .map(|thread| {
            let share = (connections + thread) / threads;
            let (start, started) = channel();
            let (left, done) = (left.clone(), done.clone());
            thread::spawn(move || run_share(address, share, &left, &started, &done));
            start
        })
        .collect();

    reply_when_all(&finished, threads);
    for command in std::io::stdin().lines() {
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

/// One thread of the client: its share of the connections, on a runtime of its own.
fn run_share(
    address: SocketAddr,
    connections: usize,
    left: &AtomicI64,
    started: &Receiver<()>,
    done: &Sender<()>,
) {
    let runtime = ::tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .unwrap();
    let mut streams = runtime.block_on(connect(address, connections)).unwrap();
    for stream in &streams {
        stream.set_nodelay(true).unwrap();
    }
    done.send(()).unwrap();
    while started.recv().is_ok() {
        runtime.block_on(join_all(
            streams.iter_mut().map(|stream| exchange(stream, left)),
        ));
        done.send(()).unwrap();
    }
}

async fn connect(address: SocketAddr, connections: usize) -> io::Result<Vec<TcpStream>> {
    let mut streams = Vec::with_capacity(connections);
    while streams.len() < connections {
        let next = CONNECTING_MAX.min(connections - streams.len());
        streams.extend(try_join_all((0..next).map(|_| TcpStream::connect(address))).await?);
    }
    Ok(streams)
}

/// Exchanges messages until none are left to any connection.
async fn exchange(stream: &mut TcpStream, left: &AtomicI64) {
    let mut echo = [0; MESSAGE_BYTES];
    loop {
        let number = left.fetch_sub(1, Ordering::Relaxed);
        if number <= 0 {
            return;
        }
        let message = [number as u8; MESSAGE_BYTES];
        stream.write_all(&message).await.unwrap();
        stream.read_exact(&mut echo).await.unwrap();
        assert_eq!(echo, message);
    }
}
