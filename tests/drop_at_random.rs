//! Futures of every kind, dropped at random points: before their first poll, between two, long after, on another thread, by
//! an abort. Made for the address sanitizer: `cargo xtask asan drop_at_random`.

mod fault_support;

use std::future::{Future, poll_fn};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net as std_unix;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::{Duration, Instant};

use fault_support::{assert_descriptors, count, descriptors, within};
use ringway::fs::{self, File, OpenOptions};
use ringway::io::Interest;
use ringway::io::unix::AsyncFd;
use ringway::net::unix::pipe;
use ringway::net::{TcpListener, TcpStream, UdpSocket, UnixListener, UnixStream};
use ringway::runtime::{Builder, Runtime};
use ringway::task::yield_now;
use ringway::time::{sleep, timeout};
use ringway::uring::{self, ProvidedBuf, RecvMulti};
use ringway_runtime::driver::Script;
use ringway_runtime::internals::mismatches;
use socket2::{Domain, SockAddr, Socket, Type};
use tempfile::TempDir;

/// Futures of a default run; 10,000,000 for a long one.
const FUTURES: usize = 60_000;
/// Tasks that make and drop them.
const TASKS: usize = 4;
/// Futures that a task keeps pending.
const PENDING_MAX: usize = 32;
/// Bytes that a far end sends at once, so that a receive into provided buffers fills several.
const BULK: usize = 40_000;
/// Provided buffers that one future keeps: more than one answer brings of that.
const KEPT_MAX: usize = 12;
/// What the far ends send.
const STREAM_BYTE: u8 = 1;
const TCP_BYTE: u8 = 2;
const UDP_BYTE: u8 = 3;

type Any = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What the futures of one task are made of, and the other ends.
struct Objects {
    stream: Arc<UnixStream>,
    far: std_unix::UnixStream,
    tcp: Arc<TcpStream>,
    tcp_far: std::net::TcpStream,
    udp: Arc<UdpSocket>,
    udp_far: std::net::UdpSocket,
    listener: Arc<UnixListener>,
    tcp_listener: Arc<TcpListener>,
    address: PathBuf,
    pipe: Arc<pipe::Receiver>,
    pipe_far: pipe::Sender,
    any_fd: Arc<AsyncFd<OwnedFd>>,
    any_far: std_unix::UnixStream,
    file: Arc<File>,
    path: PathBuf,
    signals: Arc<Mutex<Option<ringway::signal::unix::Signal>>>,
    _folder: TempDir,
}

fn unix_pair() -> (std_unix::UnixStream, std_unix::UnixStream) {
    let pair = std_unix::UnixStream::pair().expect("a pair");
    pair.0.set_nonblocking(true).expect("an option");
    pair.1.set_nonblocking(true).expect("an option");
    pair
}

/// Connects if the listener's queue has room, and goes.
fn connect_at_once(address: &Path) {
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None).expect("a socket");
    let address = SockAddr::unix(address).expect("a short path");
    // A full queue is as good: others have connected.
    let _ = socket.connect(&address);
}

impl Objects {
    async fn new() -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("file");
        std::fs::write(&path, vec![1; 64 << 10])?;
        let address = folder.path().join("socket");
        let (near, far) = unix_pair();
        let (any, any_far) = unix_pair();
        let std_listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        let tcp_far = std::net::TcpStream::connect(std_listener.local_addr()?)?;
        tcp_far.set_nonblocking(true)?;
        let (tcp, _) = std_listener.accept()?;
        tcp.set_nonblocking(true)?;
        let udp = UdpSocket::bind("127.0.0.1:0").await?;
        let udp_far = std::net::UdpSocket::bind("127.0.0.1:0")?;
        udp_far.connect(udp.local_addr()?)?;
        udp_far.set_nonblocking(true)?;
        udp.connect(udp_far.local_addr()?).await?;
        let (pipe_far, pipe) = pipe::pipe()?;
        let kind = ringway::signal::unix::SignalKind::user_defined2();
        #[expect(deprecated, reason = "a test without unsafe code")]
        let any_fd = AsyncFd::new(OwnedFd::from(any))?;
        Ok(Self {
            stream: Arc::new(UnixStream::from_std(near)?),
            far,
            tcp: Arc::new(TcpStream::from_std(tcp)?),
            tcp_far,
            udp: Arc::new(udp),
            udp_far,
            listener: Arc::new(UnixListener::bind(&address)?),
            tcp_listener: Arc::new(TcpListener::bind("127.0.0.1:0").await?),
            address,
            pipe: Arc::new(pipe),
            pipe_far,
            any_fd: Arc::new(any_fd),
            any_far,
            file: Arc::new(
                OpenOptions::new()
                    .read(true)
                    .write(true)
                    .open(&path)
                    .await?,
            ),
            path,
            signals: Arc::new(Mutex::new(Some(ringway::signal::unix::signal(kind)?))),
            _folder: folder,
        })
    }

    /// The other ends do something that some of the futures wait for. Each sends a byte of its own.
    fn make_noise(&self, dice: &mut Dice) {
        let mut bytes = [0; 4096];
        // What they answer does not matter: a full buffer, an empty one.
        match dice.below(9) {
            0 => drop((&self.far).write(&[STREAM_BYTE; 64])),
            1 => drop((&self.far).read(&mut bytes)),
            2 => drop((&self.tcp_far).write(&[TCP_BYTE; 64])),
            3 => drop((&self.tcp_far).read(&mut bytes)),
            4 => drop(self.udp_far.send(&[UDP_BYTE; 64])),
            5 => drop(self.pipe_far.try_write(&bytes[..64])),
            6 => drop((&self.any_far).write(&bytes[..1])),
            7 => drop((&self.tcp_far).write(&[TCP_BYTE; BULK])),
            _ => connect_at_once(&self.address),
        }
    }

    fn network(&self, which: usize) -> Any {
        let (stream, tcp, udp) = (&self.stream, &self.tcp, &self.udp);
        match which {
            0 => ignored(owned(
                stream,
                |stream| async move { stream.readable().await },
            )),
            1 => ignored(owned(
                tcp,
                |tcp| async move { tcp.peek(&mut [0; 64]).await },
            )),
            2 => ignored(uring::recv(&**stream, vec![0; 100])),
            3 => ignored(uring::recv(&**tcp, vec![0; 100])),
            4 => ignored(uring::send(&**stream, vec![0; 100])),
            5 => ignored(uring::send_zc(&**tcp, vec![0; 2000])),
            6 => ignored(uring::recv_vectored(&**tcp, vec![vec![0; 10], vec![0; 50]])),
            7 => ignored(owned(&self.listener, |it| async move { it.accept().await })),
            8 => ignored(uring::accept(&*self.listener)),
            9 => ignored(owned(
                &self.tcp_listener,
                |it| async move { it.accept().await },
            )),
            10 => ignored(UnixStream::connect(self.address.clone())),
            11 => ignored(owned(udp, |udp| async move {
                udp.recv_from(&mut [0; 64]).await
            })),
            12 => ignored(owned(udp, |udp| async move { udp.send(&[0; 64]).await })),
            13 => ignored(uring::recv_from(&**udp, vec![0; 64])),
            14 => ignored(uring::read(&*self.pipe, vec![0; 64])),
            15 => ignored(owned(
                &self.pipe,
                |pipe| async move { pipe.readable().await },
            )),
            16 => ignored(owned(&self.any_fd, |fd| async move {
                fd.async_io(Interest::READABLE, |fd| {
                    rustix::io::read(fd, &mut [0; 8]).map_err(io::Error::from)
                })
                .await
            })),
            17 => ignored(owned(tcp, |tcp| async move { tcp.writable().await })),
            18 => received_again(uring::recv_multi(&**stream), STREAM_BYTE),
            19 => received_again(uring::recv_multi(&**tcp), TCP_BYTE),
            20 => received_again(uring::recv_multi(&**udp), UDP_BYTE),
            _ => ignored(uring::recv(&**stream, vec![0; 100]).cancel_after(Duration::ZERO)),
        }
    }

    fn file(&self, which: usize) -> Any {
        let path = self.path.clone();
        match which {
            0 => ignored(File::open(path)),
            1 => ignored(fs::metadata(path)),
            2 => ignored(owned(&self.file, |file| async move {
                file.read_at(vec![0; 4096], 0).await
            })),
            3 => ignored(owned(&self.file, |file| async move {
                file.write_at(vec![2; 4096], 4096).await
            })),
            4 => ignored(uring::read_at(&*self.file, vec![0; 4096], 0)),
            5 => ignored(uring::write_at(&*self.file, vec![3; 4096], 8192)),
            6 => ignored(fs::read(path)),
            _ => ignored(uring::allocate(&*self.file, 0, 0, 4096)),
        }
    }

    fn other(&self, which: usize) -> Any {
        match which {
            0 => ignored(sleep(Duration::from_micros(20))),
            1 => ignored(timeout(
                Duration::from_micros(20),
                uring::recv(&*self.stream, vec![0; 10]),
            )),
            2 => ignored(async { ringway::spawn(yield_now()).await }),
            3 => ignored(async { ringway::task::spawn_blocking(|| 7).await }),
            4 => ignored(owned(&self.signals, |signals| async move {
                let taken = signals.lock().expect("no panic").take();
                let mut taken = Back(taken, signals);
                if let Some(signal) = &mut taken.0 {
                    signal.recv().await;
                }
            })),
            _ => ignored(async {
                let mut ticks = ringway::time::interval(Duration::from_micros(10));
                ticks.tick().await;
                ticks.tick().await
            }),
        }
    }

    fn future(&self, dice: &mut Dice) -> Any {
        match dice.below(8) {
            0..=3 => self.network(dice.below(22)),
            4..=5 => self.file(dice.below(8)),
            _ => self.other(dice.below(6)),
        }
    }
}

/// Puts a listener for signals back.
struct Back(
    Option<ringway::signal::unix::Signal>,
    Arc<Mutex<Option<ringway::signal::unix::Signal>>>,
);

impl Drop for Back {
    fn drop(&mut self) {
        if let Some(signal) = self.0.take() {
            *self.1.lock().expect("no panic") = Some(signal);
        }
    }
}

fn owned<T, F>(object: &Arc<T>, future: impl FnOnce(Arc<T>) -> F) -> F {
    future(Arc::clone(object))
}

fn ignored<F>(future: F) -> Any
where
    F: Future<Output: Send> + Send + 'static,
{
    Box::pin(async {
        future.await;
    })
}

/// Takes some buffers and keeps them until it is done or dropped, so that they go back in another order than they came. All
/// have what the far end sends, also when others have been filled.
fn received_again(mut received: RecvMulti, sent: u8) -> Any {
    ignored(async move {
        let mut kept: Vec<ProvidedBuf> = Vec::new();
        while kept.len() < KEPT_MAX {
            match received.next().await {
                Some(Ok(buf)) => kept.push(buf),
                Some(Err(_)) | None => break,
            }
            let mut bytes = kept.iter().flat_map(|buf| buf.iter());
            assert!(bytes.all(|byte| *byte == sent), "somebody else's bytes");
        }
    })
}

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 16) % limit as u64) as usize
    }
}

/// How futures ended.
#[derive(Debug, Default)]
struct Ends {
    unpolled: usize,
    finished: usize,
    dropped: usize,
    dropped_late: usize,
    dropped_elsewhere: usize,
    aborted: usize,
}

async fn poll(future: &mut Any) -> bool {
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_ready())).await
}

/// Makes futures and drops them.
async fn drop_many(seed: u64, futures: usize, elsewhere: Sender<Any>) -> Ends {
    let objects = Objects::new().await.expect("objects");
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let mut pending: Vec<Any> = Vec::new();
    let mut ends = Ends::default();
    for _ in 0..futures {
        if dice.below(4) == 0 {
            objects.make_noise(&mut dice);
        }
        let mut future = objects.future(&mut dice);
        if dice.below(16) == 0 {
            ends.aborted += 1;
            let task = ringway::spawn(future);
            if dice.below(2) == 0 {
                yield_now().await;
            }
            task.abort();
            continue;
        }
        let polls = dice.below(4);
        let mut finished = false;
        for _ in 0..polls {
            finished = poll(&mut future).await;
            if finished {
                break;
            }
            match dice.below(8) {
                0 => sleep(Duration::from_micros(10)).await,
                1..=3 => yield_now().await,
                _ => {}
            }
        }
        match dice.below(8) {
            _ if finished => ends.finished += 1,
            _ if polls == 0 => ends.unpolled += 1,
            0 => {
                ends.dropped_elsewhere += 1;
                elsewhere.send(future).expect("the thread listens");
            }
            1..=2 => {
                ends.dropped_late += 1;
                pending.push(future);
                if pending.len() > PENDING_MAX {
                    drop(pending.swap_remove(dice.below(PENDING_MAX)));
                }
            }
            _ => ends.dropped += 1,
        }
    }
    ends
}

fn run(runtime: Runtime, futures: usize, seed: u64) {
    let (elsewhere, to_drop) = channel::<Any>();
    let dropper = std::thread::spawn(move || to_drop.into_iter().for_each(drop));
    let all = runtime.block_on(async {
        let each = futures / TASKS;
        let tasks = (0..TASKS as u64)
            .map(|task| ringway::spawn(drop_many(seed + task, each, elsewhere.clone())));
        let mut all = Vec::new();
        for task in tasks.collect::<Vec<_>>() {
            all.push(task.await.expect("a task"));
        }
        all
    });
    drop(elsewhere);
    drop(runtime);
    dropper.join().expect("the thread");
    for ends in &all {
        let Ends {
            unpolled,
            finished,
            dropped,
            dropped_late,
            dropped_elsewhere,
            aborted,
        } = *ends;
        let counts = [
            unpolled,
            finished,
            dropped,
            dropped_late,
            dropped_elsewhere,
            aborted,
        ];
        assert!(counts.iter().all(|count| *count > 0), "{ends:?}");
        assert_eq!(counts.iter().sum::<usize>(), futures / TASKS);
    }
}

/// The three runs share the futures: two workers, one thread, and two workers over rings in a storm.
///
/// Mutant: the output of an abandoned operation is forgotten (`end` in `driver/slots.rs`).
#[test]
fn futures_that_are_dropped_at_random_leave_nothing() {
    let futures = count("RINGWAY_TEST_RANDOM_DROPS", FUTURES);
    let begin = Instant::now();
    // The watches of signals, and the threads of the pool, are made once and kept.
    let runtimes = |script: Option<Script>| {
        let mut multi = Builder::new_multi_thread();
        let mut single = Builder::new_current_thread();
        let mut stormy = Builder::new_multi_thread();
        multi.worker_threads(2).enable_all();
        single.enable_all();
        stormy.worker_threads(2).enable_all();
        if let Some(script) = script {
            stormy.ring_script(script);
        }
        [multi, single, stormy]
    };
    for mut builder in runtimes(None) {
        run(builder.build().expect("a runtime"), 2000, 77);
    }
    let before = descriptors();
    let bound = Duration::from_secs(60 + futures as u64 / 200);
    let seed = count("RINGWAY_TEST_SEED", 1) as u64;
    for (seed, mut builder) in (3 * seed..).zip(runtimes(Some(Script::storm(seed)))) {
        within(bound, "futures dropped at random", move || {
            run(
                builder.build().expect("a runtime"),
                futures / 3,
                1000 * seed,
            );
        });
        assert_eq!(mismatches(), 0);
        assert_descriptors(before, "futures dropped at random");
    }
    println!("{futures} futures in {:?}", begin.elapsed());
}
