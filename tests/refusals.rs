//! A system that refuses io_uring, descriptors, threads or memory, from the start, at the n-th call or in mid-life: there
//! is a runtime that works, or one error that names cause and remedy, soon; never a panic and never a hang.
//!
//! Each case runs in a forked child of this program, which has one thread and no test harness: filters and limits are the
//! child's own.

mod process_support;

use std::io;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use process_support::seccomp::Filter;
use process_support::{Child, End};
use ringway::io::{AsyncReadExt, AsyncWriteExt};
use ringway::net::{TcpListener, TcpStream, UnixStream};
use ringway::runtime::{Builder, Driver, Runtime};
use ringway::sync::oneshot;
use ringway::time::{sleep, timeout};

/// A runtime is there, or refused, within this time, half of which it may wait for memory; not counted what the machine
/// lets it wait for a processor.
const BUILD_MAX: Duration = Duration::from_secs(1);
/// What was begun ends within this time after io_uring is refused, and so does the runtime.
const END_MAX: Duration = Duration::from_secs(3);
/// What a system that is not the one to blame may take for an echo.
const USE_MAX: Duration = Duration::from_secs(10);
/// Workers of a runtime here; it has a ring more, for its spare one.
const WORKERS: usize = 2;

const CALLS: [(&str, libc::c_long); 3] = [
    ("io_uring_setup", libc::SYS_io_uring_setup),
    ("io_uring_enter", libc::SYS_io_uring_enter),
    ("io_uring_register", libc::SYS_io_uring_register),
];

const ERRNOS: [i32; 6] = [
    libc::EPERM,
    libc::ENOSYS,
    libc::EACCES,
    libc::ENOMEM,
    libc::EMFILE,
    libc::EINTR,
];

/// Of io_uring_setup, and of a filter that lets a call through that the kernel itself refuses.
const INVALID: i32 = libc::EINVAL;

fn main() {
    let words: Vec<_> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let cases: [(&str, fn()); 8] = [
        (
            "io_uring_is_refused_from_the_first_call_or_the_nth",
            refused_while_building,
        ),
        ("io_uring_is_refused_in_mid_life", refused_in_mid_life),
        ("io_uring_is_refused_for_a_time", refused_for_a_time),
        (
            "answers_without_room_in_a_ring_that_is_closed",
            refused_with_answers_without_room,
        ),
        ("few_descriptors", few_descriptors),
        ("few_threads", few_threads),
        ("little_locked_memory", little_locked_memory),
        (
            "runtimes_that_come_and_go_under_the_usual_limit",
            come_and_go_under_the_usual_limit,
        ),
    ];
    for (name, case) in cases {
        if words.is_empty() || words.iter().any(|word| name.contains(word.as_str())) {
            let begin = Instant::now();
            case();
            println!("test {name} ... ok, {:?}", begin.elapsed());
        }
    }
}

/// Panics in this process, wherever they were caught.
static PANICS: AtomicUsize = AtomicUsize::new(0);

/// Runs `case` in children, one for each errno, at the same time; all must pass.
fn for_each_errno(what: &str, case: impl Fn(i32)) {
    let children: Vec<_> = ERRNOS
        .into_iter()
        .chain([INVALID])
        .map(|errno| (errno, Child::fork(|| counting_panics(|| case(errno)))))
        .collect();
    let ends: Vec<_> = children
        .into_iter()
        .map(|(errno, child)| (io::Error::from_raw_os_error(errno), child.wait()))
        .collect();
    let failed: Vec<_> = ends.iter().filter(|(_, end)| *end != End::Passed).collect();
    assert!(failed.is_empty(), "{what}: {failed:?}");
}

/// A panic anywhere is a failure, also one that a runtime has caught.
fn counting_panics(case: impl FnOnce()) {
    std::panic::set_hook(Box::new(|panic| {
        PANICS.fetch_add(1, Ordering::SeqCst);
        eprintln!("{panic}");
    }));
    case();
    assert_eq!(PANICS.load(Ordering::SeqCst), 0, "something panicked");
}

fn build(driver: Driver) -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .driver(driver)
        .enable_all()
        .build()
}

/// Descriptors and threads of this process.
fn held() -> (usize, usize) {
    let count = |path| std::fs::read_dir(path).expect("procfs").count();
    (count("/proc/self/fd"), count("/proc/self/task"))
}

/// Waits until nothing is held that was not held before: threads end a moment after they were waited for, those of the
/// kernel too.
#[track_caller]
fn assert_held(before: (usize, usize)) {
    let begin = Instant::now();
    while held() != before {
        assert!(begin.elapsed() < END_MAX, "{:?} of {before:?}", held());
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The error says what was refused, by its errno, and what to do about it.
#[track_caller]
fn assert_tells(error: &io::Error) {
    let text = error.to_string();
    let remedies = ["allow it", "use ", "raise", "permits"];
    assert!(
        text.contains("os error") && remedies.iter().any(|remedy| text.contains(remedy)),
        "{text}"
    );
}

/// Everything that a runtime is for.
async fn use_all() -> io::Result<()> {
    let used = async {
        sleep(Duration::from_millis(2)).await;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let echo = ringway::spawn(async move {
            let (mut server, _) = listener.accept().await?;
            let mut bytes = [0; 4];
            server.read_exact(&mut bytes).await?;
            server.write_all(&bytes).await
        });
        let mut client = TcpStream::connect(address).await?;
        ringway::task::yield_now().await;
        client.write_all(b"echo").await?;
        let mut bytes = [0; 4];
        client.read_exact(&mut bytes).await?;
        assert_eq!(&bytes, b"echo");
        echo.await.expect("the echo has not panicked")?;
        let text = ringway::fs::read("/proc/self/comm").await?;
        assert!(!text.is_empty());
        Ok(())
    };
    timeout(USE_MAX, used).await.expect("the runtime hangs")
}

/// What needs no ring goes on whatever the kernel refuses.
async fn use_tasks_and_timers() {
    let used = async {
        let task = ringway::spawn(async {
            sleep(Duration::from_millis(5)).await;
            7
        });
        assert_eq!(task.await.expect("the task"), 7);
        let job = ringway::task::spawn_blocking(|| 8);
        assert_eq!(job.await.expect("the job"), 8);
    };
    timeout(USE_MAX, used).await.expect("the runtime hangs");
}

/// How long this thread has waited for a processor so far.
fn waited() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("procfs");
    let ns = text.split(' ').nth(1).expect("the second of three");
    Duration::from_nanos(ns.parse().expect("a number"))
}

/// Builds and uses a runtime of a system that refuses io_uring, to which there is an alternative or none; whether it was
/// refused. What runs without io_uring does all that is asked of it.
#[track_caller]
fn build_and_use(driver: Driver) -> bool {
    let (begin, before) = (Instant::now(), waited());
    let built = build(driver);
    let took = begin.elapsed().saturating_sub(waited() - before);
    assert!(took < BUILD_MAX, "{took:?}");
    let used = built.and_then(|runtime| {
        runtime.block_on(use_tasks_and_timers());
        let used = runtime.block_on(use_all());
        if runtime.metrics().driver() == Driver::Poll {
            used.as_ref().expect("the system refuses something else");
        }
        used
    });
    used.inspect_err(assert_tells).is_err()
}

/// Mutants: no probing enter at set-up (operations hang that are never submitted); the flush tries for ever; only some of
/// the workers fall back.
fn refused_while_building() {
    for (name, call) in CALLS {
        for allowed in 0..=WORKERS as i64 + 2 {
            for driver in [Driver::Auto, Driver::IoUring] {
                let what = format!("{name} after {allowed} calls, {driver:?}");
                for_each_errno(&what, |errno| {
                    let _filter = Filter::install(&[call], errno, Some(allowed));
                    let before = held();
                    let refused = build_and_use(driver);
                    if allowed == 0 {
                        assert_eq!(refused, driver == Driver::IoUring);
                    }
                    assert_held(before);
                });
            }
        }
    }
}

/// Mutants: what the kernel has not taken is not ended; the worker sleeps in the ring that it cannot enter, and spins; a
/// doorbell that the kernel refuses is not rung in another way.
fn refused_in_mid_life() {
    let all = CALLS.map(|(_, call)| call);
    let each = CALLS.map(|(name, call)| (name, vec![call]));
    for (name, calls) in each.into_iter().chain([("all of them", all.to_vec())]) {
        for_each_errno(&format!("{name} in mid-life"), |errno| {
            let filter = Filter::install(&calls, errno, None);
            let before = held();
            let runtime = build(Driver::IoUring).expect("nothing is refused yet");
            runtime.block_on(use_all()).expect("nothing is refused yet");
            let (server, mut client) = runtime.block_on(idle_pair());
            let reader = runtime.spawn(read_one(server));
            std::thread::sleep(Duration::from_millis(20));
            filter.refuse();
            runtime.block_on(use_tasks_and_timers());
            let begin = Instant::now();
            if let Err(error) = runtime.block_on(use_all()) {
                assert_tells(&error);
            }
            assert!(begin.elapsed() < END_MAX, "{:?}", begin.elapsed());
            // What the kernel had taken ends as it would have, or is refused.
            io::Write::write_all(&mut client, b"!").expect("room");
            let read = runtime.block_on(async { timeout(END_MAX, reader).await });
            match read.expect("the read hangs").expect("the reader") {
                Ok(byte) => assert_eq!(byte, b'!'),
                Err(error) => assert_tells(&error),
            }
            runtime.block_on(use_tasks_and_timers());
            assert_sleeps();
            let begin = Instant::now();
            drop(runtime);
            assert!(begin.elapsed() < END_MAX, "{:?}", begin.elapsed());
            drop(client);
            assert_held(before);
        });
    }
}

/// More answers come at once than a ring has room for that was closed meanwhile. Where that passes they are taken; where it
/// lasts, who waits is told. A worker that has nothing to do sleeps, and hears who calls it.
///
/// Mutants, in `runtime/src/driver/shard/closed.rs`: `wait_outside` listens to the ring all the same; `ring_outside` does not
/// ring; what the kernel has taken is not cancelled. In `runtime/src/driver/operations.rs`: `has_answers` does not mind that
/// the ring is closed; `give_up` leaves the polls.
fn refused_with_answers_without_room() {
    const WAITERS: usize = 16;
    for_each_errno("answers without room", |errno| {
        // SAFETY: this is a child, which has no other thread yet.
        unsafe { std::env::set_var("RINGWAY_RING_ENTRIES", "2,4") };
        let filter = Filter::install(&[libc::SYS_io_uring_enter], errno, None);
        let before = held();
        let runtime = build(Driver::IoUring).expect("nothing is refused yet");
        let (mut client, server) = nonblocking_pair();
        let (idle, mut idle_client) = runtime.block_on(idle_pair());
        let (last, last_client) = runtime.block_on(idle_pair());
        let (begun, has_begun) = oneshot::channel();
        let (taken, are_taken) = oneshot::channel();
        let (sender, ends) = oneshot::channel();
        // One task, so that all wait in the same ring, and a last read: what ends that finds the others there.
        let idle = runtime.spawn(async move {
            let ends = join_all((0..WAITERS).map(|_| read_shared(&server)));
            let tell = async { sender.send(ends.await).expect("the test waits") };
            let last = read_one(last);
            let last = async { taken.send(last.await).expect("the test waits") };
            let begin = async { begun.send(()).expect("the test waits") };
            ringway::join!(biased; tell, read_one(idle), last, begin).1
        });
        runtime.block_on(has_begun).expect("it begins");
        io::Write::write_all(&mut &last_client, b"!").expect("room");
        let last = runtime.block_on(are_taken).expect("it answers");
        last.map(|_| drop(last_client)).expect("a byte");
        filter.refuse();
        runtime.block_on(use_tasks_and_timers());
        let closed = runtime.block_on(use_all());
        closed.inspect_err(assert_tells).expect_err("it is refused");
        io::Write::write_all(&mut client, &[b'!'; WAITERS]).expect("room");
        assert_sleeps();
        let may_pass = matches!(errno, libc::ENOMEM | libc::EMFILE | libc::EINTR);
        if may_pass {
            filter.allow();
        }
        let ends = runtime.block_on(async { timeout(END_MAX, ends).await });
        let mut read = 0;
        for end in ends.expect("a read hangs").expect("the reader") {
            match end {
                Ok(byte) => {
                    assert_eq!(byte, b'!');
                    read += 1;
                }
                Err(error) => assert_tells(&error),
            }
        }
        let least = if may_pass { WAITERS } else { 1 };
        assert!(read >= least, "{read} have read");
        runtime.block_on(use_tasks_and_timers());
        assert_sleeps();
        match may_pass {
            true => io::Write::write_all(&mut idle_client, b"!").expect("room"),
            // Nobody has the other end any more, the kernel neither.
            false => assert_eq!(
                io::Read::read(&mut idle_client, &mut [0]).expect("an end"),
                0
            ),
        }
        let idle = runtime.block_on(async { timeout(END_MAX, idle).await });
        let idle = idle.expect("the read hangs").expect("the reader");
        assert_eq!(idle.inspect_err(assert_tells).is_ok(), may_pass);
        let begin = Instant::now();
        drop(runtime);
        assert!(begin.elapsed() < END_MAX, "{:?}", begin.elapsed());
        drop((client, idle_client));
        assert_held(before);
    });
}

/// What the kernel refuses for want of memory it grants when that is there again. As long as it lasts only for a moment
/// nothing is lost; of what it outlasts only those operations end that the kernel had not taken, and the ring is used again.
///
/// Mutants: a ring that was closed is never probed, or is closed for good, or without patience; an operation that was taken
/// back is submitted all the same.
fn refused_for_a_time() {
    const MOMENT: Duration = Duration::from_millis(300);
    const LONG: Duration = Duration::from_millis(1500);
    const PASSING: [i32; 3] = [libc::ENOMEM, libc::EAGAIN, libc::EINTR];
    let calls = CALLS.map(|(_, call)| call);
    let cases = PASSING.map(|errno| [(errno, MOMENT), (errno, LONG)]);
    let children = cases.as_flattened().iter().map(|&(errno, time)| {
        let case = move || counting_panics(|| refuse_for(&calls, errno, time));
        ((errno, time), Child::fork(case))
    });
    let children: Vec<_> = children.collect();
    for (case, child) in children {
        assert_eq!(child.wait(), End::Passed, "{case:?}");
    }

    fn refuse_for(calls: &[libc::c_long], errno: i32, time: Duration) {
        let filter = Filter::install(calls, errno, None);
        let before = held();
        let runtime = build(Driver::IoUring).expect("nothing is refused yet");
        let (server, mut client) = runtime.block_on(idle_pair());
        let reader = runtime.spawn(read_one(server));
        runtime.block_on(use_all()).expect("nothing is refused yet");
        filter.refuse();
        let begun = runtime.spawn(use_all());
        std::thread::sleep(time);
        filter.allow();
        let begun = runtime.block_on(async { timeout(END_MAX, begun).await });
        let begun = begun.expect("it hangs").expect("no panic");
        match time {
            MOMENT => begun.expect("nothing is lost"),
            _ => begun.inspect_err(assert_tells).unwrap_or_default(),
        }
        std::thread::sleep(MOMENT);
        runtime
            .block_on(use_all())
            .expect("nothing is refused any more");
        io::Write::write_all(&mut client, b"!").expect("room");
        let read = runtime.block_on(async { timeout(END_MAX, reader).await });
        let read = read.expect("the read hangs").expect("no panic");
        assert_eq!(read.expect("it was with the kernel"), b'!');
        assert_sleeps();
        assert_eq!(strays(&runtime), 0, "answers of what was taken back");
        drop((runtime, client));
        assert_held(before);
    }
}

/// Answers that found no operation.
fn strays(runtime: &Runtime) -> u64 {
    let metrics = runtime.metrics();
    let of = |worker| metrics.ring(worker).stray_count();
    (0..metrics.num_workers()).map(of).sum()
}

/// Nothing is to be done, and nothing is done.
#[track_caller]
fn assert_sleeps() {
    const LOOK: Duration = Duration::from_millis(300);
    const USED_MAX: Duration = Duration::from_millis(40);
    /// One may meet a machine that lets others be in the way; the least counts.
    const LOOKS: usize = 5;
    let look = || {
        std::thread::sleep(LOOK);
        let before = processor_time();
        std::thread::sleep(LOOK);
        processor_time() - before
    };
    let mut used = look();
    for _ in 1..LOOKS {
        if used < USED_MAX {
            break;
        }
        used = used.min(look());
    }
    assert!(
        used < USED_MAX,
        "an idle runtime has used {used:?} of {LOOK:?}"
    );
}

fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Two ends, the second of them for a runtime.
fn nonblocking_pair() -> (StdUnixStream, StdUnixStream) {
    let (client, server) = StdUnixStream::pair().expect("a pair");
    server.set_nonblocking(true).expect("a socket");
    (client, server)
}

/// A byte that comes to whoever reads first, through a descriptor of its own.
async fn read_shared(server: &StdUnixStream) -> io::Result<u8> {
    let server = server.try_clone().expect("a descriptor");
    UnixStream::from_std(server)?.read_u8().await
}

/// A connection on which nothing comes: our end, and the other one outside of the runtime.
async fn idle_pair() -> (TcpStream, std::net::TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let address = listener.local_addr().expect("an address");
    let client = std::net::TcpStream::connect(address).expect("a connection");
    let (server, _) = listener.accept().await.expect("a connection");
    (server, client)
}

async fn read_one(mut server: TcpStream) -> io::Result<u8> {
    server.read_u8().await
}

/// Limits this process, which may have the limit raised again; what there was before.
fn limit(resource: libc::__rlimit_resource_t, to: u64) -> u64 {
    let mut limits = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the limits are written to memory that lives through the call.
    let got = unsafe { libc::getrlimit(resource, &raw mut limits) };
    assert_eq!(got, 0, "{}", io::Error::last_os_error());
    let before = std::mem::replace(&mut limits.rlim_cur, to.min(limits.rlim_max));
    // SAFETY: the limits live through the call.
    let set = unsafe { libc::setrlimit(resource, &raw const limits) };
    assert_eq!(set, 0, "{}", io::Error::last_os_error());
    before
}

/// Becomes a user without privileges that has no other process, if this one may.
fn become_nobody() {
    // Far from the numbers that systems give away, and another one for each case.
    let user = 1_900_000_000 + std::process::id();
    // SAFETY: neither call takes a pointer.
    unsafe { libc::setgid(user) };
    // SAFETY: as above.
    unsafe { libc::setuid(user) };
}

/// Mutant: the rings that were made are kept when the next one is refused.
fn few_descriptors() {
    const ROOM_MAX: u64 = 16;
    let mut worked = 0;
    for room in 0..=ROOM_MAX {
        let child = Child::fork(|| {
            counting_panics(|| {
                let before = next_descriptor();
                let former = limit(libc::RLIMIT_NOFILE, before + room);
                let begin = Instant::now();
                let built = build(Driver::Auto);
                assert!(begin.elapsed() < 2 * BUILD_MAX, "{:?}", begin.elapsed());
                let refused = built
                    .map(|runtime| runtime.block_on(use_tasks_and_timers()))
                    .inspect_err(assert_tells)
                    .is_err();
                limit(libc::RLIMIT_NOFILE, former);
                assert_eq!(next_descriptor(), before, "descriptors are left");
                if refused {
                    // SAFETY: this is a child, which ends here.
                    unsafe { libc::_exit(REFUSED) };
                }
            });
        });
        match child.wait() {
            End::Passed => worked += 1,
            // Who works with fewer works with more.
            End::Code(REFUSED) => assert_eq!(worked, 0, "room for {room} descriptors"),
            end => panic!("room for {room} descriptors: {end:?}"),
        }
    }
    assert!(worked > 0, "{ROOM_MAX} descriptors are enough");
}

/// How a child ends whose runtime was refused in the right way.
const REFUSED: i32 = 3;

/// The number that the next descriptor will have.
fn next_descriptor() -> u64 {
    use std::os::fd::AsRawFd;
    let file = std::fs::File::open("/dev/null").expect("a descriptor is left");
    file.as_raw_fd() as u64
}

/// Mutant: the threads that were started are not ended when the next one is refused.
fn few_threads() {
    let mut refusals = 0;
    // The process itself, the workers, the spare one and the monitor.
    for threads in 1..=WORKERS as u64 + 3 {
        let child = Child::fork(|| {
            counting_panics(|| {
                become_nobody();
                limit(libc::RLIMIT_NPROC, threads);
                for _ in 0..3 {
                    let before = held();
                    let refused = build(Driver::Auto).err();
                    if let Some(error) = &refused {
                        assert_tells(error);
                    }
                    assert_held(before);
                    let is_enough = threads == WORKERS as u64 + 3;
                    assert_eq!(refused.is_none(), is_enough, "{refused:?}");
                }
                let is_enough = threads == WORKERS as u64 + 3;
                if !is_enough {
                    // SAFETY: this is a child, which ends here.
                    unsafe { libc::_exit(REFUSED) };
                }
            });
        });
        match child.wait() {
            End::Passed => {}
            End::Code(REFUSED) => refusals += 1,
            end => panic!("{threads} threads: {end:?}"),
        }
    }
    // Whoever runs this without privileges has other processes, and no thread left at all.
    assert!(refusals > 0, "no limit was ever reached");
}

/// Mutant: a lack of memory is no reason for the second driver.
fn little_locked_memory() {
    for (kib, driver) in [0, 16, 64, 128]
        .into_iter()
        .flat_map(|kib| [(kib, Driver::Auto), (kib, Driver::IoUring)])
    {
        let child = Child::fork(|| {
            counting_panics(|| {
                limit(libc::RLIMIT_MEMLOCK, kib * 1024);
                become_nobody();
                let before = held();
                let refused = build_and_use(driver);
                match driver {
                    Driver::Auto => assert!(!refused),
                    _ => assert!(kib > 0 || refused || !is_memory_counted()),
                }
                assert_held(before);
            });
        });
        assert_eq!(child.wait(), End::Passed, "{kib} KiB, {driver:?}");
    }
}

/// Whether this kernel counts the memory of rings for this user.
fn is_memory_counted() -> bool {
    // SAFETY: the call takes no pointer.
    unsafe { libc::geteuid() != 0 }
}

/// Ring memory is given back some time after a ring was closed. `RINGWAY_TEST_RUNTIMES_LIMITED` asks for more.
///
/// Mutant: the first ENOMEM is final.
fn come_and_go_under_the_usual_limit() {
    const USUAL: u64 = 8 << 20;
    let runtimes: usize = std::env::var("RINGWAY_TEST_RUNTIMES_LIMITED")
        .map_or(300, |text| text.parse().expect("a number"));
    let child = Child::fork(|| {
        // SAFETY: the call takes no pointer. A long run is no hang.
        unsafe { libc::alarm(0) };
        counting_panics(|| {
            limit(libc::RLIMIT_MEMLOCK, USUAL);
            become_nobody();
            for number in 0..runtimes {
                let runtime = build(Driver::IoUring)
                    .unwrap_or_else(|error| panic!("runtime {number}: {error}"));
                if number % 100 == 0 {
                    runtime.block_on(use_all()).expect("a runtime that works");
                }
            }
        });
    });
    assert_eq!(child.wait(), End::Passed);
}
