//! Forks and execs of a process that has a runtime.

mod net_support;
mod process_support;
mod support;

use std::mem::ManuallyDrop;
use std::pin::pin;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use net_support::{check_pattern, listener, pair, pattern_from};
use process_support::{Child, End};
use ringway::io::{AsyncReadExt, AsyncWriteExt};
use ringway::net::{TcpStream, UdpSocket, UnixListener, UnixStream};
use ringway::runtime::{Handle, Runtime};
use ringway::time::sleep;
use ringway::uring;
use support::{count, current_thread, panic_text, within, workers};

/// Bytes of one message of those who exchange some all the while.
const MESSAGE: usize = 4000;
/// Pairs of them.
const PAIRS: usize = 4;
/// No run takes longer.
const RUN_MAX: Duration = Duration::from_secs(7200);

/// What a call of a parent's runtime says in the child: the cause, and what to do.
#[track_caller]
fn assert_refused(call: impl FnOnce()) {
    let text = panic_text(call);
    for part in ["parent process", "after fork", "build a new", "exec"] {
        assert!(text.contains(part), "{part} is missing in: {text}");
    }
}

/// All that a child may try with the runtime of its parent.
fn try_everything(runtime: &mut ManuallyDrop<Runtime>, handle: &Handle) {
    assert_refused(|| drop(handle.spawn(async {})));
    assert_refused(|| drop(runtime.spawn(async {})));
    assert_refused(|| drop(handle.spawn_blocking(|| {})));
    assert_refused(|| handle.block_on(async {}));
    assert_refused(|| runtime.block_on(async {}));
    assert_refused(|| drop(handle.enter()));
    assert_refused(|| drop(ringway::spawn(async {})));
    assert_refused(|| drop(sleep(Duration::ZERO)));
    let _ = runtime.metrics().num_alive_tasks();
    // SAFETY: not used again: this process ends after it.
    unsafe { ManuallyDrop::drop(runtime) };
}

/// Mutant: the process is not counted on (spawns succeed that nobody will run, `block_on` hangs).
#[test]
fn a_child_is_told_that_the_runtime_is_its_parents_and_the_parent_goes_on() {
    for make in [current_thread, || workers(2)] {
        within(support::WATCHDOG, move || {
            let mut runtime = ManuallyDrop::new(make());
            let handle = runtime.handle().clone();
            let child = Child::fork(|| try_everything(&mut runtime, &handle));
            assert_eq!(child.wait(), End::Passed);
            runtime.block_on(echo_once());
            drop(ManuallyDrop::into_inner(runtime));
        });
    }
}

async fn echo_once() {
    let (mut client, mut server) = pair().await;
    client.write_all(b"echo").await.expect("room");
    let mut bytes = [0; 4];
    server.read_exact(&mut bytes).await.expect("bytes");
    sleep(Duration::from_millis(1)).await;
    assert_eq!(&bytes, b"echo");
}

/// What was begun in the parent is refused or let go of in the child, and is done in the parent.
///
/// Mutants: the thread's place stays as it was (what is bound there goes to the parent's ring); the table of runtimes stays
/// as it was (a timer goes into the parent's wheel).
#[test]
fn futures_of_the_parent_fail_in_the_child_or_are_dropped_there() {
    within(support::WATCHDOG, || {
        let runtime = workers(2);
        runtime.block_on(async {
            let (mut client, mut server) = pair().await;
            let mut bytes = [0; 3];
            let mut cx = Context::from_waker(Waker::noop());
            let mut read = Some(Box::pin(server.read_exact(&mut bytes)));
            assert!(
                read.as_mut()
                    .expect("there")
                    .as_mut()
                    .poll(&mut cx)
                    .is_pending()
            );
            let mut nap = Some(Box::pin(sleep(Duration::from_secs(3600))));
            assert!(
                nap.as_mut()
                    .expect("there")
                    .as_mut()
                    .poll(&mut cx)
                    .is_pending()
            );
            let listener = listener().await;
            let address = listener.local_addr().expect("an address");
            let mut connect = Some(Box::pin(TcpStream::connect(address)));
            let child = Child::fork(|| {
                let waker = Waker::from(Arc::new(net_support::Wakes::default()));
                let mut other = Context::from_waker(&waker);
                let sleeping = nap.as_mut().expect("there");
                assert_refused(|| assert!(sleeping.as_mut().poll(&mut other).is_pending()));
                let _ = connect.take();
                let mut bind = pin!(UdpSocket::bind("127.0.0.1:0"));
                assert_refused(|| assert!(bind.as_mut().poll(&mut other).is_pending()));
                let reading = read.as_mut().expect("there");
                assert_refused(|| drop(reading.as_mut().poll(&mut other)));
                drop((read.take(), nap.take()));
            });
            assert_eq!(child.wait(), End::Passed);
            connect
                .take()
                .expect("not taken here")
                .await
                .expect("a connection");
            client.write_all(b"yes").await.expect("room");
            read.expect("not taken here").await.expect("bytes");
            let mut nap = nap.expect("not taken here");
            nap.as_mut().reset(ringway::time::Instant::now());
            nap.await;
            assert_eq!(&bytes, b"yes");
        });
    });
}

/// A bundle that is given out in part when the process forks, while the worker gives buffers of the same pool out and back:
/// the child has a copy of what was received, and leaves the pool alone, whose lock may be held by a thread that it has not.
///
/// Mutants: `Pool::give_back` and `give_back_bundle` do not ask whose the pool is (some of the children hang);
/// `Pool::piece` does not; `RecvMulti` takes what is in the socket without asking (the parent misses it).
#[test]
fn buffers_of_the_parent_can_be_read_and_dropped_in_the_child() {
    const BYTES: usize = 60_000;
    let forks = count("RINGWAY_TEST_FORKS", 200);
    within(RUN_MAX, move || {
        let runtime = workers(1);
        let stop = Arc::new(AtomicBool::new(false));
        let load = runtime.spawn(exchange_bundles(Arc::clone(&stop)));
        for number in 0..forks {
            let received = runtime.spawn(async {
                let (client, server) = pair().await;
                let bytes = pattern_from(3, 0, BYTES);
                uring::send_all(&client, bytes).await.0.expect("room");
                let mut stream = uring::recv_multi(&server);
                let first = stream.next().await.expect("no end").expect("bytes");
                (client, stream, first)
            });
            let (client, mut stream, first) = runtime.block_on(received).expect("no panic");
            let mut theirs = Some(first);
            let child = Child::fork(|| {
                let mut cx = Context::from_waker(Waker::noop());
                let first = theirs.take().expect("not taken in the child");
                check_pattern(3, 0, &first);
                drop(first);
                assert_refused(|| match stream.poll_next(&mut cx) {
                    Poll::Ready(Some(Err(error))) => panic!("{error}"),
                    other => assert!(other.is_pending()),
                });
            });
            assert_eq!(child.wait(), End::Passed, "child {number}");
            runtime.block_on(async {
                let mut position = theirs.expect("not taken here").len();
                while position < BYTES {
                    let buf = stream.next().await.expect("no end").expect("bytes");
                    check_pattern(3, position as u64, &buf);
                    position += buf.len();
                }
            });
            drop(client);
        }
        stop.store(true, Ordering::Relaxed);
        runtime.block_on(load).expect("no panic");
    });
}

/// Takes buffers and gives them back until it is told to stop.
async fn exchange_bundles(stop: Arc<AtomicBool>) {
    let (client, server) = pair().await;
    let mut stream = uring::recv_multi(&server);
    // Relaxed: nothing is read because of it.
    while !stop.load(Ordering::Relaxed) {
        let sent = uring::send_all(&client, vec![1; 50_000])
            .await
            .0
            .expect("room");
        let mut left = sent;
        while left > 0 {
            left -= stream.next().await.expect("no end").expect("bytes").len();
        }
    }
}

/// Mutants: the child's thread keeps its core (it touches a ring that is not there: SIGSEGV); a blocking job's thread goes
/// on with the queue (it hangs).
#[test]
fn a_child_that_returns_into_the_task_or_job_it_was_forked_in_is_ended() {
    within(support::WATCHDOG, || {
        for make in [current_thread, || workers(2)] {
            let runtime = make();
            let task = runtime.spawn(async { fork_and_return() });
            let child = runtime
                .block_on(task)
                .expect("the task")
                .expect("the parent");
            assert_eq!(child.wait(), End::Signal(libc::SIGABRT));
            let job = runtime.spawn_blocking(fork_and_return);
            let child = runtime.block_on(job).expect("the job").expect("the parent");
            assert_eq!(child.wait(), End::Signal(libc::SIGABRT));
        }
    });
}

/// In the parent the child; in the child, which leaves no core file, nothing.
fn fork_and_return() -> Option<process_support::Raw> {
    process_support::Raw::fork()
}

/// Parents exchange bytes all the while, and lose none, though children come and go, and try what they can.
/// `RINGWAY_TEST_FORKS` asks for more than 200.
#[test]
fn forks_under_load_leave_the_parents_streams_whole() {
    let forks = count("RINGWAY_TEST_FORKS", 200);
    within(RUN_MAX, move || {
        let mut runtime = ManuallyDrop::new(workers(2));
        let handle = runtime.handle().clone();
        let load = Load::start(&handle);
        for number in 0..forks {
            let child = Child::fork(|| try_everything(&mut runtime, &handle));
            assert_eq!(child.wait(), End::Passed, "child {number}");
        }
        let exchanged = load.stop(&runtime);
        println!("{forks} forks, {exchanged} messages");
        drop(ManuallyDrop::into_inner(runtime));
    });
}

/// `RINGWAY_TEST_COMMANDS` asks for more than 200.
#[test]
fn commands_under_load_run_and_leave_the_streams_whole() {
    let commands = count("RINGWAY_TEST_COMMANDS", 200);
    within(RUN_MAX, move || {
        let runtime = workers(2);
        let load = Load::start(runtime.handle());
        for number in 0..commands {
            // With a closure before the exec the standard library forks; without one it need not.
            let mut command = Command::new("/bin/true");
            if number % 2 == 0 {
                use std::os::unix::process::CommandExt;
                // SAFETY: the closure does nothing.
                unsafe { command.pre_exec(|| Ok(())) };
            }
            let status = command.status().expect("a program that every system has");
            assert!(status.success(), "command {number}: {status}");
        }
        let exchanged = load.stop(&runtime);
        println!("{commands} commands, {exchanged} messages");
    });
}

/// Pairs of sockets over which bytes go and come back, each checked.
struct Load {
    stop: Arc<AtomicBool>,
    exchanged: Arc<AtomicUsize>,
    tasks: Vec<ringway::task::JoinHandle<()>>,
}

impl Load {
    fn start(handle: &Handle) -> Self {
        let (stop, exchanged) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let tasks = (0..PAIRS as u64)
            .map(|salt| {
                let (stop, exchanged) = (Arc::clone(&stop), Arc::clone(&exchanged));
                handle.spawn(async move { exchange(salt, &stop, &exchanged).await })
            })
            .collect();
        Self {
            stop,
            exchanged,
            tasks,
        }
    }

    /// Stops, with every byte checked; how many messages there were.
    fn stop(self, runtime: &Runtime) -> usize {
        support::wait_until("some messages came through", || {
            self.exchanged.load(Ordering::Relaxed) > 10 * PAIRS
        });
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            runtime.block_on(task).expect("whole streams");
        }
        self.exchanged.load(Ordering::Relaxed)
    }
}

async fn exchange(salt: u64, stop: &AtomicBool, exchanged: &AtomicUsize) {
    let (mut client, server) = pair().await;
    let echo = ringway::spawn(async move {
        let (mut read, mut write) = server.into_split();
        ringway::io::copy(&mut read, &mut write)
            .await
            .expect("room");
    });
    let mut position = 0;
    let mut bytes = vec![0; MESSAGE];
    while !stop.load(Ordering::Relaxed) {
        let message = pattern_from(salt, position, MESSAGE);
        client.write_all(&message).await.expect("room");
        client.read_exact(&mut bytes).await.expect("bytes");
        check_pattern(salt, position, &bytes);
        position += MESSAGE as u64;
        exchanged.fetch_add(1, Ordering::Relaxed);
    }
    drop(client);
    echo.await.expect("the echo");
}

/// Descriptors of what has everything that can be made, as a program sees them that was started meanwhile.
///
/// Mutant: an epoll instance, or an eventfd, without its flag.
#[test]
fn a_program_inherits_no_descriptor() {
    within(support::WATCHDOG, || {
        let before = inherited();
        let runtime = workers(2);
        runtime.block_on(async {
            let directory = tempfile::tempdir().expect("a directory");
            let tcp = pair().await;
            let listener = listener().await;
            let mut accept = pin!(listener.accept());
            let udp = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
            let mut receive = [0; 1];
            let mut receive = pin!(udp.recv(&mut receive));
            let unix = UnixStream::pair().expect("a pair");
            let named = UnixListener::bind(directory.path().join("name")).expect("a listener");
            let mut accept_unix = pin!(named.accept());
            let pipe = ringway::net::unix::pipe::pipe().expect("a pipe");
            let mut readable = pin!(pipe.1.readable());
            let path = directory.path().join("file");
            let file = ringway::fs::File::create(&path).await.expect("a file");
            let mut child =
                ringway::signal::unix::signal(ringway::signal::unix::SignalKind::user_defined1())
                    .expect("a listener");
            let mut signal = pin!(child.recv());
            let edges = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
            edges.set_nonblocking(true).expect("an option");
            // SAFETY: the socket lives as long as it is watched.
            let edges = unsafe { ringway::io::unix::AsyncFd::register(edges) }.expect("a watch");
            let mut cx = Context::from_waker(Waker::noop());
            assert!(accept.as_mut().poll(&mut cx).is_pending());
            assert!(receive.as_mut().poll(&mut cx).is_pending());
            assert!(accept_unix.as_mut().poll(&mut cx).is_pending());
            assert!(readable.as_mut().poll(&mut cx).is_pending());
            assert!(signal.as_mut().poll(&mut cx).is_pending());
            let now = ringway::task::spawn_blocking(inherited)
                .await
                .expect("the job");
            assert_eq!(now, before);
            drop((tcp, unix, file, edges));
        });
    });
}

/// What the descriptors of a program are that this process starts, but for those that the program opens.
fn inherited() -> Vec<String> {
    let output = Command::new("sh")
        .args(["-c", "for fd in /proc/$$/fd/*; do readlink $fd; done"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .expect("a shell");
    let text = String::from_utf8(output.stdout).expect("names");
    let mut names: Vec<_> = text
        .lines()
        // Its standard output, a pipe with another number each time.
        .map(|line| line.split(':').next().unwrap_or(line).to_owned())
        .collect();
    assert!(names.len() >= 3, "{names:?}");
    names.sort();
    names
}
