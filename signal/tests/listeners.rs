//! Listeners in runtimes, and signals that the process sends to itself.
//!
//! Signals are the whole process's, and so are these tests: each uses a kind that no other one uses.

use std::future::{Future, poll_fn};
use std::panic::resume_unwind;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use ringway_runtime::{Builder, Runtime};
use ringway_signal::unix::{Signal, SignalKind, signal};

/// Longer than any of this can take, so that what hangs fails.
const PATIENCE: Duration = Duration::from_secs(30);

fn send(kind: SignalKind) {
    let process = std::process::id().cast_signed();
    // SAFETY: kill(2) takes no pointer.
    let result = unsafe { libc::kill(process, kind.as_raw_value()) };
    assert_eq!(result, 0);
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Runs `body` on a thread of its own, and fails if it does not end.
#[track_caller]
fn within_patience<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    let thread = thread::spawn(move || sender.send(body()));
    match receiver.recv_timeout(PATIENCE) {
        Ok(output) => output,
        Err(RecvTimeoutError::Timeout) => panic!("it hangs"),
        Err(RecvTimeoutError::Disconnected) => resume_unwind(thread.join().unwrap_err()),
    }
}

/// Whether there is a signal to report, without waiting for one.
async fn is_ready(signal: &mut Signal) -> bool {
    poll_fn(|cx| Poll::Ready(signal.poll_recv(cx).is_ready())).await
}

#[test]
fn a_listener_that_waits_is_woken_by_each_signal() {
    let kind = SignalKind::user_defined1();
    within_patience(move || {
        let (asked, ask) = mpsc::channel();
        let sender = thread::spawn(move || ask.iter().for_each(|()| send(kind)));
        runtime().block_on(async move {
            let mut listener = signal(kind).unwrap();
            for _ in 0..100 {
                assert!(!is_ready(&mut listener).await);
                asked.send(()).unwrap();
                assert_eq!(listener.recv().await, Some(()));
            }
        });
        sender.join().unwrap();
    });
}

#[test]
fn ctrl_c_completes_on_sigint() {
    within_patience(|| {
        runtime().block_on(async {
            let mut ctrl_c = pin!(ringway_signal::ctrl_c());
            let pending = poll_fn(|cx| Poll::Ready(ctrl_c.as_mut().poll(cx).is_pending())).await;
            assert!(pending);
            send(SignalKind::interrupt());
            ctrl_c.await.unwrap();
        });
    });
}

/// Kills the mutant that keeps the count of what was seen, or the operation, in the future of `recv`.
#[test]
fn a_cancelled_recv_loses_no_signal() {
    let kind = SignalKind::user_defined2();
    within_patience(move || {
        runtime().block_on(async move {
            let mut listener = signal(kind).unwrap();
            for _ in 0..100 {
                let pending = {
                    let mut recv = pin!(listener.recv());
                    poll_fn(|cx| Poll::Ready(recv.as_mut().poll(cx).is_pending())).await
                };
                assert!(pending);
                send(kind);
                assert_eq!(listener.recv().await, Some(()));
            }
        });
    });
}

#[test]
fn listeners_in_several_runtimes_are_all_told() {
    let kind = SignalKind::hangup();
    within_patience(move || {
        let (ready, is_listening) = mpsc::channel();
        for _ in 0..10 {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    let ready = ready.clone();
                    thread::spawn(move || {
                        runtime().block_on(async move {
                            let mut listener = signal(kind).unwrap();
                            ready.send(()).unwrap();
                            listener.recv().await
                        })
                    })
                })
                .collect();
            threads.iter().for_each(|_| is_listening.recv().unwrap());
            send(kind);
            for thread in threads {
                assert_eq!(thread.join().unwrap(), Some(()));
            }
        }
    });
}

/// Kills the mutant that keeps an operation of a runtime that is gone and waits for it.
#[test]
fn a_listener_outlives_the_runtime_in_which_it_waited() {
    let kind = SignalKind::window_change();
    within_patience(move || {
        let first = runtime();
        let mut listener = first.block_on(async {
            let mut listener = signal(kind).unwrap();
            assert!(!is_ready(&mut listener).await);
            listener
        });
        drop(first);
        let (asked, ask) = mpsc::channel();
        let sender = thread::spawn(move || ask.iter().for_each(|()| send(kind)));
        runtime().block_on(async move {
            // One poll has to be enough to be woken, so the signal is asked for right after it.
            let mut asked = Some(asked);
            let told = poll_fn(|cx| {
                let polled = listener.poll_recv(cx);
                if let Some(asked) = asked.take() {
                    asked.send(()).unwrap();
                }
                polled
            });
            assert_eq!(told.await, Some(()));
        });
        sender.join().unwrap();
    });
}

#[test]
fn the_end_of_one_runtime_leaves_the_listeners_of_another_alone() {
    let kind = SignalKind::alarm();
    within_patience(move || {
        let (first, second) = (runtime(), runtime());
        let mut listeners: Vec<Signal> = [&first, &second]
            .map(|runtime| {
                runtime.block_on(async {
                    let mut listener = signal(kind).unwrap();
                    assert!(!is_ready(&mut listener).await);
                    listener
                })
            })
            .into();
        drop(first);
        send(kind);
        let mut listener = listeners.pop().unwrap();
        assert_eq!(second.block_on(listener.recv()), Some(()));
    });
}

#[test]
fn a_signal_while_nobody_listens_is_kept_for_the_next_listener() {
    let kind = SignalKind::quit();
    within_patience(move || {
        runtime().block_on(async move {
            drop(signal(kind).unwrap());
            send(kind);
            let mut listener = signal(kind).unwrap();
            assert_eq!(listener.recv().await, Some(()));
            assert!(!is_ready(&mut listener).await);
        });
    });
}

#[test]
fn real_time_signals_can_be_listened_to() {
    let kind = SignalKind::from_raw(libc::SIGRTMIN());
    within_patience(move || {
        runtime().block_on(async move {
            let mut listener = signal(kind).unwrap();
            send(kind);
            assert_eq!(listener.recv().await, Some(()));
        });
    });
}

#[test]
fn a_listener_costs_no_file_descriptor() {
    let kind = SignalKind::from_raw(libc::SIGRTMIN() + 1);
    let open = || {
        let names = std::fs::read_dir("/proc/self/fd")
            .unwrap()
            .map(|it| it.unwrap().path());
        names.filter(|it| {
            std::fs::read_link(it).is_ok_and(|it| it.ends_with("anon_inode:[eventfd]"))
        })
    };
    runtime().block_on(async move {
        let listeners: Vec<Signal> = (0..1000).map(|_| signal(kind).unwrap()).collect();
        // Other tests and their runtimes have some too, but not as many as there are listeners here.
        assert!(open().count() < 500);
        assert_eq!(listeners.len(), 1000);
    });
}

/// Signals from many threads while the listeners poll: none may be left unreported at the end. Kills
/// the mutant that waits on after its operation has completed without a signal to report.
#[test]
fn the_last_signal_of_a_storm_is_reported_by_every_listener() {
    const SENDERS: usize = 4;
    const SIGNALS: usize = 5_000;
    const LISTENERS: usize = 4;
    let kind = SignalKind::from_raw(libc::SIGRTMIN() + 2);
    within_patience(move || {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        for _ in 0..20 {
            let over = Arc::new(AtomicBool::new(false));
            let listeners: Vec<_> = (0..LISTENERS)
                .map(|_| {
                    let (mut listener, over) = (
                        runtime.block_on(async { signal(kind) }).unwrap(),
                        Arc::clone(&over),
                    );
                    // The flag is set before the last signal, so whoever reports that one sees it.
                    runtime.spawn(async move {
                        while !over.load(Ordering::SeqCst) {
                            listener.recv().await;
                        }
                    })
                })
                .collect();
            thread::scope(|scope| {
                for _ in 0..SENDERS {
                    scope.spawn(|| (0..SIGNALS / SENDERS).for_each(|_| send(kind)));
                }
            });
            over.store(true, Ordering::SeqCst);
            send(kind);
            for listener in listeners {
                runtime.block_on(listener).unwrap();
            }
        }
    });
}

#[test]
fn a_listener_outside_a_runtime_is_a_bug_of_the_caller() {
    let panic = thread::spawn(|| signal(SignalKind::child()))
        .join()
        .unwrap_err();
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let message = text.or_else(|| panic.downcast_ref::<&str>().copied());
    let message = message.expect("a text");
    assert!(
        message.contains("must be called from the context of a Tokio 1.x runtime"),
        "{message}"
    );
}
