//! The two drivers answer alike, and what only the second one could do wrong.

mod support;

use std::any::Any;
use std::ffi::CString;
use std::fs::File;
use std::future::{Future, poll_fn};
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::process::Command;
use std::task::Poll;

use ringway_runtime::driver::{Completion, Op, Operation, SharedFd, opcode, squeue, types};
use ringway_runtime::{Builder, Driver, Runtime};

use support::ops::PollIn;
use support::{WATCHDOG, wait_until, within};

/// An entry, and what it names.
struct Ask {
    entry: squeue::Entry,
    _held: Box<dyn Any + Send>,
}

impl Ask {
    fn new(entry: squeue::Entry, held: impl Any + Send) -> Self {
        let _held = Box::new(held);
        Self { entry, _held }
    }
}

// SAFETY: every test here lets the entry name only what is held, on the heap or as a descriptor, or what is no memory.
unsafe impl Operation for Ask {
    type Output = io::Result<u32>;

    fn entry(&mut self) -> squeue::Entry {
        self.entry.clone()
    }

    fn complete(self, completion: Completion) -> io::Result<u32> {
        completion.result
    }
}

fn runtime(driver: Driver) -> Runtime {
    Builder::new_current_thread()
        .enable_all()
        .driver(driver)
        .build()
        .expect("a runtime")
}

fn pipe() -> (OwnedFd, OwnedFd) {
    let mut ends = [0; 2];
    // SAFETY: there is room for two descriptors.
    let made = unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) };
    assert_eq!(made, 0);
    // SAFETY: both were just made, and have no other owner.
    ends.map(|end| unsafe { OwnedFd::from_raw_fd(end) }).into()
}

fn fd(of: &impl AsRawFd) -> types::Fd {
    types::Fd(of.as_raw_fd())
}

fn scratch() -> File {
    tempfile().expect("a file without a name")
}

fn tempfile() -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    File::options()
        .read(true)
        .write(true)
        .custom_flags(libc::O_TMPFILE)
        .open(env!("CARGO_TARGET_TMPDIR"))
}

fn path(of: &std::path::Path) -> CString {
    CString::new(of.as_os_str().as_bytes()).expect("no NUL")
}

fn fifo(name: &str) -> CString {
    let name = path(&std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name));
    // SAFETY: the name is a string that lives for the call.
    unsafe { libc::mkfifo(name.as_ptr(), 0o600) };
    name
}

/// What is asked, by name; made anew for each driver.
type Case = (&'static str, fn() -> Ask);

fn read_into(file: impl AsRawFd + Any + Send, offset: u64) -> Ask {
    let mut buffer = vec![0u8; 16];
    let entry = opcode::Read::new(fd(&file), buffer.as_mut_ptr(), 16).offset(offset);
    Ask::new(entry.build(), (file, buffer))
}

fn full_pipe(bytes: &[u8]) -> (OwnedFd, OwnedFd) {
    let (read, write) = pipe();
    let mut write = File::from(write);
    write.write_all(bytes).expect("room");
    (read, write.into())
}

const CASES: [Case; 24] = [
    ("nothing", || Ask::new(opcode::Nop::new().build(), ())),
    ("read of no descriptor", || {
        let mut buffer = vec![0u8; 4];
        let entry = opcode::Read::new(types::Fd(-1), buffer.as_mut_ptr(), 4);
        Ask::new(entry.build(), buffer)
    }),
    ("read of a directory", || {
        read_into(File::open("/").expect("a root"), 0)
    }),
    ("read at the end", || read_into(scratch(), 0)),
    ("read of what is shorter than asked for", || {
        let mut file = scratch();
        file.write_all(b"seven..").expect("room");
        read_into(file, 2)
    }),
    ("read at the position", || {
        let mut file = scratch();
        file.write_all(b"seven..").expect("room");
        read_into(file, u64::MAX)
    }),
    ("read of a pipe at an offset", || {
        let (read, write) = full_pipe(b"abc");
        std::mem::forget(write);
        read_into(read, 0)
    }),
    ("read of a pipe that is closed", || {
        let (read, write) = pipe();
        drop(write);
        read_into(read, u64::MAX)
    }),
    ("write to a file that is read", || {
        let file = File::open("/proc/self/exe").expect("a program");
        let entry = opcode::Write::new(fd(&file), b"x".as_ptr(), 1);
        Ask::new(entry.build(), file)
    }),
    ("poll of a file", || {
        let file = scratch();
        let events = (libc::POLLIN | libc::POLLOUT) as u32;
        Ask::new(opcode::PollAdd::new(fd(&file), events).build(), file)
    }),
    ("poll of a pipe that has something", || {
        let ends = full_pipe(b"abc");
        let entry = opcode::PollAdd::new(fd(&ends.0), libc::POLLIN as u32);
        Ask::new(entry.build(), ends)
    }),
    ("poll of a pipe that nobody reads", || {
        let (read, write) = pipe();
        drop(read);
        let entry = opcode::PollAdd::new(fd(&write), libc::POLLOUT as u32);
        Ask::new(entry.build(), write)
    }),
    ("poll of what the other side has shut", || {
        let (near, far) = UnixStream::pair().expect("a pair");
        far.shutdown(std::net::Shutdown::Write).expect("open");
        let events = (libc::POLLIN | libc::POLLRDHUP) as u32;
        Ask::new(opcode::PollAdd::new(fd(&near), events).build(), (near, far))
    }),
    ("poll of no descriptor", || {
        Ask::new(opcode::PollAdd::new(types::Fd(-1), 1).build(), ())
    }),
    ("receive from a file", || {
        let (file, mut buffer) = (scratch(), vec![0u8; 4]);
        let entry = opcode::Recv::new(fd(&file), buffer.as_mut_ptr(), 4);
        Ask::new(entry.build(), (file, buffer))
    }),
    ("receive that does not wait", || {
        let (pair, mut buffer) = (UnixStream::pair().expect("a pair"), vec![0u8; 4]);
        let entry = opcode::Recv::new(fd(&pair.0), buffer.as_mut_ptr(), 4);
        let entry = entry.flags(libc::MSG_DONTWAIT).build();
        Ask::new(entry, (pair, buffer))
    }),
    ("send to who has gone", || {
        let (near, far) = UnixStream::pair().expect("a pair");
        drop(far);
        Ask::new(opcode::Send::new(fd(&near), b"x".as_ptr(), 1).build(), near)
    }),
    ("accept by who does not listen", || {
        let pair = UnixStream::pair().expect("a pair");
        let none = std::ptr::null_mut();
        let entry = opcode::Accept::new(fd(&pair.0), none, none.cast());
        Ask::new(entry.build(), pair)
    }),
    ("open of what is not there", || {
        let name = path(std::path::Path::new("/nowhere/at/all"));
        let entry = opcode::OpenAt::new(types::Fd(libc::AT_FDCWD), name.as_ptr());
        Ask::new(entry.build(), name)
    }),
    ("open of a FIFO that nobody reads", || {
        let name = fifo("drivers.fifo");
        let entry = opcode::OpenAt::new(types::Fd(libc::AT_FDCWD), name.as_ptr());
        Ask::new(entry.flags(libc::O_WRONLY).build(), name)
    }),
    ("close of no descriptor", || {
        Ask::new(opcode::Close::new(types::Fd(1 << 20)).build(), ())
    }),
    ("sync of a pipe", || {
        let ends = pipe();
        Ask::new(opcode::Fsync::new(fd(&ends.0)).build(), ends)
    }),
    ("cancel of nothing", || {
        Ask::new(opcode::AsyncCancel::new(12345).build(), ())
    }),
    ("a registered file where none is", || {
        let entry = opcode::Read::new(types::Fixed(3), std::ptr::null_mut(), 0);
        Ask::new(entry.build(), ())
    }),
];

/// Mutants: a registration is not added again when the poller does not know it; an offset into a pipe is passed on; RWF_NOWAIT's short count of a file is the answer; a FIFO is opened as
/// open(2) does; the events of a poll are taken from the poller, which knows no POLLRDHUP.
#[test]
fn both_drivers_answer_alike() {
    let answers = |driver| {
        within(WATCHDOG, move || {
            let runtime = runtime(driver);
            CASES.map(|(name, ask)| {
                let answer = runtime.block_on(Op::new(ask()));
                (name, answer.map_err(|error| error.raw_os_error()))
            })
        })
    };
    let (ring, poll) = (answers(Driver::IoUring), answers(Driver::Poll));
    for (ring, poll) in ring.into_iter().zip(poll) {
        assert_eq!(ring, poll);
    }
}

/// Polls once, so that the operation is submitted.
async fn submit<F: Future + Unpin>(future: &mut F) {
    poll_fn(|cx| {
        assert!(Pin::new(&mut *future).poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
}

/// Lets the driver see what there is.
async fn turns() {
    for _ in 0..20 {
        ringway_timer::sleep(std::time::Duration::from_millis(1)).await;
    }
}

fn is_done<F: Future + Unpin>(future: &mut F) -> bool {
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    Pin::new(future).poll(&mut cx).is_ready()
}

/// Mutant: an event is not compared with the generation of its registration.
#[test]
fn a_number_that_comes_again_is_not_taken_for_what_it_was() {
    within(WATCHDOG, || {
        runtime(Driver::Poll).block_on(async {
            let (read, write) = pipe();
            let number = 700;
            // Far from the numbers that other tests use meanwhile.
            let read = at_number(read, number);
            // The file lives on by another number, and so does what the poller knows of it.
            let other = read.try_clone().expect("a descriptor");
            let mut first = Op::new(PollIn(SharedFd::from(read)));
            submit(&mut first).await;
            turns().await;
            drop(first);
            turns().await;
            let (new, new_write) = pipe();
            let new = at_number(new, number);
            let mut second = Op::new(PollIn(SharedFd::from(new)));
            submit(&mut second).await;
            turns().await;
            // It stays open: an end would be looked into, and be found to be none.
            let mut write = File::from(write);
            write.write_all(b"old").expect("room");
            turns().await;
            assert!(!is_done(&mut second), "the other file's event was taken");
            let mut new_write = File::from(new_write);
            new_write.write_all(b"new").expect("room");
            assert_eq!(second.await.expect("a poll"), libc::POLLIN as u32);
            drop((other, write, new_write));
        });
    });
}

/// The same file by the number, which is free, or is somebody's who has just come.
fn at_number(file: OwnedFd, number: RawFd) -> OwnedFd {
    if file.as_raw_fd() == number {
        return file;
    }
    // SAFETY: no pointer is passed.
    let made = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_DUPFD_CLOEXEC, number) };
    assert_eq!(made, number, "the number is taken");
    // SAFETY: it was just made, and has no other owner.
    unsafe { OwnedFd::from_raw_fd(made) }
}

/// Mutants: the registration is armed for the last who came only; it is not armed again for who still waits.
#[test]
fn who_reads_and_who_writes_wait_for_one_descriptor_together() {
    within(WATCHDOG, || {
        runtime(Driver::Poll).block_on(async {
            let (near, mut far) = UnixStream::pair().expect("a pair");
            let near = SharedFd::from(OwnedFd::from(near));
            fill(&near);
            let mut reads = Vec::new();
            for _ in 0..3 {
                let mut buffer = vec![0u8; 1];
                let entry = opcode::Recv::new(fd(&near), buffer.as_mut_ptr(), 1).build();
                let mut read = Op::new(Ask::new(entry, (near.clone(), buffer)));
                submit(&mut read).await;
                reads.push(read);
            }
            let entry = opcode::PollAdd::new(fd(&near), libc::POLLOUT as u32).build();
            let mut room = Op::new(Ask::new(entry, near.clone()));
            submit(&mut room).await;
            turns().await;
            assert!(!is_done(&mut room));
            far.write_all(b"ab").expect("room");
            for read in reads.drain(..2) {
                assert_eq!(read.await.expect("a byte"), 1);
            }
            assert!(!is_done(&mut room) && !is_done(&mut reads[0]));
            let mut sink = vec![0; 1 << 20];
            assert!(far.read(&mut sink).expect("bytes") > 0);
            assert_eq!(room.await.expect("room"), libc::POLLOUT as u32);
            assert!(!is_done(&mut reads[0]));
            far.write_all(b"c").expect("room");
            assert_eq!(reads.remove(0).await.expect("a byte"), 1);
        });
    });
}

fn fill(socket: &SharedFd) {
    loop {
        // SAFETY: the bytes are there.
        let sent = unsafe {
            libc::send(
                socket.as_raw_fd(),
                [0u8; 4096].as_ptr().cast(),
                4096,
                libc::MSG_DONTWAIT,
            )
        };
        if sent < 0 {
            return;
        }
    }
}

/// An error that nobody takes away is reported by the poller for as long as it is there.
///
/// Mutant: who was told in vain is told again (the registration stays level-triggered).
#[test]
fn what_is_told_in_vain_is_told_once() {
    within(WATCHDOG, || {
        let runtime = runtime(Driver::Poll);
        let (read, write) = pipe();
        drop(read);
        // Nothing can be read from this end, and its error is always there.
        let entry = opcode::PollAdd::new(fd(&write), libc::POLLOUT as u32).build();
        let polled = runtime.block_on(Op::new(Ask::new(entry, write)));
        assert_ne!(polled.expect("a poll") & libc::POLLERR as u32, 0);
        let (near, far) = UnixStream::pair().expect("a pair");
        send_urgent(&far);
        let entry = opcode::PollAdd::new(fd(&near), libc::POLLRDHUP as u32).build();
        let mut waits = Op::new(Ask::new(entry, near));
        runtime.block_on(submit(&mut waits));
        let before = runtime.metrics().ring(0).enter_count();
        runtime.block_on(turns());
        let enters = runtime.metrics().ring(0).enter_count() - before;
        assert!(enters < 200, "{enters} looks for twenty sleeps");
        assert!(!is_done(&mut waits));
        drop(far);
        let found = runtime.block_on(waits).expect("a poll");
        assert_ne!(found & libc::POLLRDHUP as u32, 0);
    });
}

/// Something to read, of which who waits for the end does not want to know.
fn send_urgent(mut socket: &UnixStream) {
    socket.write_all(b"x").expect("room");
}

/// Mutant: a cancel does not reach what is queued at the pool (the drop waits for the user's job).
#[test]
fn a_call_that_the_pool_has_not_begun_is_cancelled() {
    within(WATCHDOG, || {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(1)
            .driver(Driver::Poll)
            .enable_all()
            .build()
            .expect("a runtime");
        let (release, held) = std::sync::mpsc::channel::<()>();
        runtime.spawn_blocking(move || held.recv().is_err());
        let file = SharedFd::from(OwnedFd::from(scratch()));
        let alive = std::sync::Arc::new(());
        for _ in 0..10 {
            let held = (file.clone(), std::sync::Arc::clone(&alive));
            let entry = opcode::Fsync::new(fd(&file)).build();
            let mut sync = Op::new(Ask::new(entry, held));
            runtime.block_on(async {
                submit(&mut sync).await;
                turns().await;
            });
            drop(sync);
        }
        wait_until("all calls are given up", || {
            std::sync::Arc::strong_count(&alive) == 1
        });
        drop(release);
    });
}

/// Mutants: the answer of a thread of the pool does not call the sleeper; the doorbell of a sleeper does not.
#[test]
fn a_sleeping_worker_hears_of_the_pool_and_of_other_threads() {
    within(WATCHDOG, || {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .driver(Driver::Poll)
            .enable_all()
            .build()
            .expect("a runtime");
        let file = SharedFd::from(OwnedFd::from(scratch()));
        for _ in 0..200 {
            let file = file.clone();
            let synced = runtime.spawn(async move {
                let entry = opcode::Fsync::new(fd(&file)).build();
                Op::new(Ask::new(entry, file)).await
            });
            runtime.block_on(synced).expect("the task").expect("a sync");
        }
    });
}

/// Says which driver a runtime gets, for the test below, which sets the environment of a child.
#[test]
fn the_default_driver_is_one_that_works_or_an_error() {
    match Builder::new_current_thread().build() {
        Ok(runtime) => println!("driver: {:?}", runtime.metrics().driver()),
        Err(refused) => println!("refused: {refused}"),
    }
}

/// Mutants: the variable is not read; a name that is none counts as `auto`.
#[test]
fn the_environment_chooses_and_a_name_that_is_none_is_refused() {
    let says = |name: &str| {
        let child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "--nocapture"])
            .arg("the_default_driver_is_one_that_works_or_an_error")
            .env("RINGWAY_DRIVER", name)
            .output()
            .expect("a child");
        String::from_utf8_lossy(&child.stdout).into_owned()
    };
    assert!(says("poll").contains("driver: Poll"));
    assert!(says("io_uring").contains("driver: IoUring"));
    assert!(says("auto").contains("driver: IoUring"));
    let refused = says("kqueue");
    assert!(refused.contains("refused: "), "{refused}");
    assert!(
        refused.contains("RINGWAY_DRIVER (auto, io_uring or poll)"),
        "{refused}"
    );
}
