//! Sockets outside the runtime that made them: in another one, in none, and after its end.

use std::future::Future;
use std::net;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use ringway::io::{AsyncReadExt, AsyncWriteExt};
use ringway::net::{TcpListener, TcpStream, UdpSocket, UnixStream};
use ringway::runtime::{Builder, Runtime, is_rt_shutdown_err};
use ringway::time::timeout;

/// How long a wake may take.
const PATIENCE: Duration = Duration::from_secs(10);

fn multi_thread() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// A connection made in `runtime`, and its blocking peer.
fn connection(runtime: &Runtime) -> (TcpStream, net::TcpStream) {
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let peer = thread::spawn(move || net::TcpStream::connect(address).unwrap());
        let (stream, _) = listener.accept().await.unwrap();
        (stream, peer.join().unwrap())
    })
}

/// Mutant: `shard_for` does not ask where the operation belongs.
#[test]
fn a_listener_whose_runtime_has_ended_fails_in_another() {
    let (first, second) = (current_thread(), current_thread());
    let listener = first.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    drop(first);
    let accepted = second.block_on(async { timeout(PATIENCE, listener.accept()).await });
    let error = accepted.expect("no end of the wait").unwrap_err();
    assert!(is_rt_shutdown_err(&error), "{error}");
}

/// The home's worker takes the poll, and wakes a thread that knows no runtime.
///
/// Mutant: where no runtime is entered, `shard_for` panics whatever the operation's home.
#[test]
fn a_stream_is_read_where_no_runtime_is_entered() {
    let runtime = multi_thread();
    let (mut stream, mut peer) = connection(&runtime);
    let writer = thread::spawn(move || {
        thread::sleep(Duration::from_millis(20));
        std::io::Write::write_all(&mut peer, b"ping").unwrap();
        peer
    });
    let mut buffer = [0; 4];
    let read = futures_executor(stream.read_exact(&mut buffer));
    assert_eq!((read.unwrap(), &buffer), (4, b"ping"));
    drop(writer.join().unwrap());
}

#[test]
fn a_stream_is_read_in_another_runtime_while_its_own_lives() {
    let (home, other) = (current_thread(), current_thread());
    let (mut stream, mut peer) = connection(&home);
    let writer = thread::spawn(move || {
        thread::sleep(Duration::from_millis(20));
        std::io::Write::write_all(&mut peer, b"ping").unwrap();
        peer
    });
    let mut buffer = [0; 4];
    other.block_on(stream.read_exact(&mut buffer)).unwrap();
    assert_eq!(&buffer, b"ping");
    drop(writer.join().unwrap());
}

/// A read was begun in a runtime that has ended since; the stream belongs to one that has not.
///
/// Mutant: `completion` tells a guest that its runtime shuts down.
#[test]
fn the_end_of_a_runtime_in_which_a_stream_was_a_guest_does_not_end_the_stream() {
    let (home, other) = (current_thread(), current_thread());
    let (mut stream, mut peer) = connection(&home);
    let mut buffer = [0; 4];
    other.block_on(async {
        let mut read = pin!(stream.read_exact(&mut buffer));
        let first = read.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(first.is_pending());
        // Submitted, and with the kernel.
        ringway::time::sleep(Duration::from_millis(5)).await;
    });
    drop(other);
    std::io::Write::write_all(&mut peer, b"ping").unwrap();
    home.block_on(async {
        stream.read_exact(&mut buffer).await.unwrap();
        assert_eq!(&buffer, b"ping");
        stream.write_all(b"pong").await.unwrap();
    });
}

/// Mutant: `check_context` does not ask whether the shard is closed.
#[test]
fn sockets_are_not_made_in_a_runtime_that_has_ended() {
    for runtime in [multi_thread(), current_thread()] {
        let handle = runtime.handle().clone();
        drop(runtime);
        let made = [
            handle.block_on(TcpListener::bind("127.0.0.1:0")).map(drop),
            handle.block_on(UdpSocket::bind("127.0.0.1:0")).map(drop),
            handle.block_on(async { UnixStream::pair().map(drop) }),
        ];
        for made in made {
            let error = made.unwrap_err();
            assert!(is_rt_shutdown_err(&error), "{error}");
        }
        // A file's error has tokio's text for files, and is known again all the same; also of a file that lies in memory.
        std::fs::metadata("Cargo.toml").unwrap();
        for name in ["/proc/self/comm", "Cargo.toml"] {
            let error = handle.block_on(ringway::fs::read(name)).unwrap_err();
            assert_eq!(error.to_string(), "background task failed");
            assert!(is_rt_shutdown_err(&error));
        }
    }
}

/// Mutants: `assert_context` does not ask whether I/O is enabled; connecting does not call it.
#[test]
fn sockets_in_a_runtime_without_io_panic_in_tokios_words() {
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    type Misuse<'a> = (&'a str, Box<dyn FnOnce() + 'a>);
    let panics: [Misuse<'_>; 3] = [
        (
            "bind",
            Box::new(|| _ = runtime.block_on(TcpListener::bind("127.0.0.1:0"))),
        ),
        (
            "connect",
            Box::new(|| _ = runtime.block_on(TcpStream::connect(address))),
        ),
        (
            "from_std",
            Box::new(|| runtime.block_on(async { _ = TcpListener::from_std(listener) })),
        ),
    ];
    for (what, panics) in panics {
        let payload = catch_unwind(AssertUnwindSafe(panics)).expect_err(what);
        let text = payload.downcast_ref::<&str>().expect("a text");
        assert_eq!(
            *text,
            "A Tokio 1.x context was found, but IO is disabled. \
             Call `enable_io` on the runtime builder to enable IO.",
            "{what}"
        );
    }
}

/// Files wait for no readiness, and need no enabling.
#[test]
fn files_work_in_a_runtime_without_io() {
    let runtime = Builder::new_current_thread().build().unwrap();
    let name = runtime.block_on(ringway::fs::read_to_string("/proc/self/comm"));
    assert!(name.is_ok());
}

/// A waker that unparks the thread: what any executor does.
fn futures_executor<F: Future>(future: F) -> F::Output {
    struct Unpark(thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(std::sync::Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => {
                let parked = Instant::now();
                thread::park_timeout(PATIENCE);
                assert!(parked.elapsed() < PATIENCE, "nobody woke the thread");
            }
        }
    }
}
