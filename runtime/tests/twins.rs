//! Operations for which the kernel's ring has no opcode: they are done all the same, and nothing else of them differs.

mod support;

use std::fs::File;
use std::future::{Future, poll_fn};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use ringway_runtime::driver::{
    Completion, Op, Operation, Script, SharedFd, features, is_lost, opcode, squeue, types,
};
use ringway_runtime::{Builder, Runtime, spawn};

use support::alone::{OLD, TINY, under};
use support::ops::{Nop, PollIn, pipe};
use support::{current_thread, wait_until, within, workers};

const BOUND: Duration = Duration::from_secs(60);

/// Gives a file another length: an opcode of Linux 6.9, and a call that may wait for a disk.
#[derive(Debug)]
struct SetLen(SharedFd, u64);

// SAFETY: the request names no memory, and holds its descriptor.
unsafe impl Operation for SetLen {
    type Output = io::Result<u32>;

    fn entry(&mut self) -> squeue::Entry {
        opcode::Ftruncate::new(types::Fd(self.0.as_raw_fd()), self.1).build()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        completion.result
    }
}

/// Makes a socket: an opcode of Linux 5.19, and a call that never waits.
#[derive(Debug)]
struct Socket;

// SAFETY: the request names no memory and no descriptor.
unsafe impl Operation for Socket {
    type Output = io::Result<OwnedFd>;

    fn entry(&mut self) -> squeue::Entry {
        opcode::Socket::new(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0).build()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        let fd = completion.result? as i32;
        // SAFETY: the descriptor was just made, and nobody else has it.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }
}

/// Makes a pipe: an opcode of Linux 6.16, without a twin.
#[derive(Debug)]
struct Pipe(Box<[i32; 2]>);

// SAFETY: the array is on the heap, and not looked at before `complete`.
unsafe impl Operation for Pipe {
    type Output = io::Result<u32>;

    fn entry(&mut self) -> squeue::Entry {
        opcode::Pipe::new(self.0.as_mut_ptr().cast()).build()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        completion.result
    }
}

fn file() -> (SharedFd, File) {
    // SAFETY: the name is a string with its end, and only read.
    let fd = unsafe { libc::memfd_create(c"twins".as_ptr(), libc::MFD_CLOEXEC) };
    assert!(fd >= 0, "{}", io::Error::last_os_error());
    // SAFETY: the descriptor was just made, and nobody else has it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    let file = File::from(fd.try_clone().expect("a second descriptor"));
    (SharedFd::from(fd), file)
}

fn length(file: &File) -> u64 {
    file.metadata().expect("metadata").len()
}

fn runtimes() -> [Runtime; 2] {
    [workers(2), current_thread()]
}

fn assert_is_old() {
    let missing = [
        opcode::Ftruncate::CODE,
        opcode::Socket::CODE,
        opcode::Pipe::CODE,
    ];
    assert!(missing.iter().all(|code| !features().has_opcode(*code)));
}

/// Mutants: `Twins::push` takes nothing, so that the kernel answers; `KernelRing::reap` does not look at the twins.
#[test]
fn what_the_ring_has_no_opcode_for_is_done_beside_it() {
    let name = "what_the_ring_has_no_opcode_for_is_done_beside_it";
    under(name, &[&[OLD], &[OLD, TINY]], || {
        within(BOUND, || {
            for runtime in runtimes() {
                runtime.block_on(async {
                    assert_is_old();
                    let tasks = (1..50).map(|len| {
                        spawn(async move {
                            let (fd, file) = file();
                            Op::new(SetLen(fd, len)).await.expect("a longer file");
                            assert_eq!(length(&file), len);
                            let socket = Op::new(Socket).await.expect("a socket");
                            assert!(rustix::io::fcntl_getfd(&socket).is_ok());
                        })
                    });
                    for task in tasks.collect::<Vec<_>>() {
                        task.await.expect("a task");
                    }
                    let refused = Op::new(SetLen(pipe().0, 1)).await;
                    let errno = refused.expect_err("a pipe").raw_os_error();
                    assert_eq!(errno, Some(libc::EINVAL));
                });
            }
        });
    });
}

#[test]
fn an_opcode_without_a_twin_is_answered_as_the_kernel_would() {
    let name = "an_opcode_without_a_twin_is_answered_as_the_kernel_would";
    under(name, &[&[OLD]], || {
        within(BOUND, || {
            for runtime in runtimes() {
                let answer = runtime.block_on(Op::new(Pipe(Box::new([-1; 2]))));
                let errno = answer.expect_err("no such opcode").raw_os_error();
                assert_eq!(errno, Some(libc::EINVAL));
            }
        });
    });
}

/// The worker sleeps in its ring when the pool has answered.
///
/// Mutant: `Job::answer` calls nobody.
#[test]
fn an_answer_of_the_pool_wakes_who_sleeps_in_the_ring() {
    let name = "an_answer_of_the_pool_wakes_who_sleeps_in_the_ring";
    under(name, &[&[OLD]], || {
        within(BOUND, || {
            for runtime in runtimes() {
                for len in 1..200 {
                    let (fd, file) = file();
                    runtime
                        .block_on(Op::new(SetLen(fd, len)))
                        .expect("a longer file");
                    assert_eq!(length(&file), len);
                }
            }
        });
    });
}

#[test]
fn operations_beside_the_ring_may_be_dropped_and_outlive_no_runtime() {
    let name = "operations_beside_the_ring_may_be_dropped_and_outlive_no_runtime";
    under(name, &[&[OLD], &[OLD, TINY]], || {
        within(BOUND, || {
            let before = support::descriptors();
            for runtime in runtimes() {
                runtime.block_on(async {
                    for len in 1..100 {
                        let mut dropped = pin!(Op::new(SetLen(file().0, len)));
                        let mut socket = pin!(Op::new(Socket));
                        poll_fn(|cx| {
                            assert!(dropped.as_mut().poll(cx).is_pending());
                            assert!(socket.as_mut().poll(cx).is_pending());
                            Poll::Ready(())
                        })
                        .await;
                        if len % 2 == 0 {
                            Op::new(Nop).await.expect("a nop");
                        }
                    }
                });
                for len in 1..20 {
                    drop(runtime.spawn(Op::new(SetLen(file().0, len))));
                }
                drop(runtime);
            }
            wait_until("no descriptor is left", || support::descriptors() == before);
        });
    });
}

/// Answers are dropped, so that sweeps search for them, while calls are made beside the ring.
///
/// Mutant: `has_aside` is always `false`, so that a sweep takes such a call for lost.
#[test]
fn a_sweep_leaves_alone_what_is_done_beside_the_ring() {
    let name = "a_sweep_leaves_alone_what_is_done_beside_the_ring";
    under(name, &[&[OLD]], || {
        within(BOUND, || {
            let script = Script::new(9).drop_answers(100);
            let runtime = Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .ring_script(script.clone())
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                let nops = (0..4).map(|_| {
                    spawn(async {
                        for _ in 0..200 {
                            if let Err(error) = Op::new(Nop).await {
                                assert!(is_lost(&error), "{error}");
                            }
                        }
                    })
                });
                let calls = (0..4).map(|_| {
                    spawn(async {
                        for len in 1..200 {
                            let (fd, file) = file();
                            match Op::new(SetLen(fd, len)).await {
                                Ok(_) => assert_eq!(length(&file), len),
                                Err(error) => assert!(is_lost(&error), "{error}"),
                            }
                        }
                    })
                });
                for task in nops.chain(calls).collect::<Vec<_>>() {
                    task.await.expect("a task");
                }
                let (read, _write) = pipe();
                drop(Op::new(PollIn(read)));
            });
            assert!(script.played().dropped > 0);
            let metrics = runtime.handle().metrics();
            for worker in 0..2 {
                assert_eq!(metrics.ring(worker).stray_count(), 0);
            }
        });
    });
}
