//! The cases. Each is a root that spawns tasks, and all note what they do.

use std::cell::RefCell;
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use super::rt;
use rt::runtime::{Builder, Runtime};
use rt::spawn;
use rt::sync::{Mutex, Notify, mpsc, oneshot};
use rt::task::{JoinSet, LocalSet, spawn_local, yield_now};

thread_local! {
    static NOTES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

fn note(what: impl Into<String>) {
    NOTES.with_borrow_mut(|notes| notes.push(what.into()));
}

/// The name of each case, and what was noted in it.
pub(crate) fn all() -> Vec<(&'static str, String)> {
    let cases: [(&str, fn()); 23] = [
        ("a root that is woken", root_is_woken),
        ("tasks that a task spawns", spawned_by_a_task),
        ("tasks that a task wakes", woken_by_a_task),
        ("tasks that the root wakes", woken_by_the_root),
        ("a channel that is full", full_channel),
        ("a channel without a bound", unbounded_channel),
        ("yields", yields),
        ("a lock", lock),
        ("a set of tasks", set_of_tasks),
        ("tasks that are aborted", aborted),
        ("a blocking job", blocking_job),
        ("local tasks", local_tasks),
        ("local tasks that are woken", local_tasks_woken),
        ("a pool that keeps some idle", pool),
        ("tasks that are spawned from outside", spawned_from_outside),
        ("a task that has yielded is woken", woken_after_its_yield),
        ("tasks that wake themselves", waking_themselves),
        ("a task out of budget", out_of_budget),
        ("more tasks than a round has turns", many_tasks),
        ("yields of local tasks", yields_of_local_tasks),
        ("local tasks beside others", local_tasks_beside_others),
        ("an event interval of 3", event_interval),
        ("tasks that are joined by a task", joined),
    ];
    let run = |(name, case): (&'static str, fn())| {
        case();
        (name, NOTES.take().join(" "))
    };
    cases.map(run).into()
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn root_is_woken() {
    runtime().block_on(async {
        let (tell, told) = oneshot::channel();
        spawn(async move {
            note("teller");
            tell.send(()).unwrap();
        });
        for number in 0..3 {
            spawn(async move { note(format!("other {number}")) });
        }
        told.await.unwrap();
        note("root");
    });
}

fn spawned_by_a_task() {
    runtime().block_on(async {
        let parent = spawn(async {
            for number in 0..3 {
                spawn(async move { note(format!("child {number}")) });
            }
            note("parent");
        });
        spawn(async { note("other") });
        parent.await.unwrap();
        note("root");
        yield_now().await;
        note("root again");
    });
}

fn woken_by_a_task() {
    runtime().block_on(async {
        let (tell, told): (Vec<_>, Vec<_>) = (0..2).map(|_| oneshot::channel()).unzip();
        for (number, told) in told.into_iter().enumerate() {
            spawn(async move {
                told.await.unwrap();
                note(format!("told {number}"));
            });
        }
        let teller = spawn(async move {
            note("teller");
            tell.into_iter().for_each(|tell| tell.send(()).unwrap());
        });
        for number in 0..2 {
            spawn(async move { note(format!("other {number}")) });
        }
        teller.await.unwrap();
        note("root");
        yield_now().await;
    });
}

fn woken_by_the_root() {
    runtime().block_on(async {
        let notify = Arc::new(Notify::new());
        let wait = |number| {
            let notify = Arc::clone(&notify);
            spawn(async move {
                notify.notified().await;
                note(format!("told {number}"));
            })
        };
        let waiting: Vec<_> = (0..4).map(wait).collect();
        yield_now().await;
        notify.notify_waiters();
        note("root");
        for waiting in waiting {
            waiting.await.unwrap();
            note("joined");
        }
    });
}

fn full_channel() {
    runtime().block_on(async {
        let (sender, mut receiver) = mpsc::channel(2);
        let sending = spawn(async move {
            for number in 0..5 {
                sender.send(number).await.unwrap();
                note(format!("sent {number}"));
            }
        });
        let receiving = spawn(async move {
            while let Some(number) = receiver.recv().await {
                note(format!("received {number}"));
            }
        });
        sending.await.unwrap();
        note("root");
        receiving.await.unwrap();
    });
}

fn unbounded_channel() {
    runtime().block_on(async {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        spawn(async move {
            for number in 0..3 {
                sender.send(number).unwrap();
                yield_now().await;
                note(format!("sent {number}"));
            }
        });
        while let Some(number) = receiver.recv().await {
            note(format!("received {number}"));
        }
    });
}

fn yields() {
    runtime().block_on(async {
        let turns = |name: &'static str| async move {
            for turn in 0..3 {
                note(format!("{name} {turn}"));
                yield_now().await;
            }
        };
        let (one, other) = (spawn(turns("one")), spawn(turns("other")));
        turns("root").await;
        one.await.unwrap();
        other.await.unwrap();
    });
}

fn lock() {
    runtime().block_on(async {
        let lock = Arc::new(Mutex::new(()));
        let held = lock.lock().await;
        let wait = |number| {
            let lock = Arc::clone(&lock);
            spawn(async move {
                let _held = lock.lock().await;
                note(format!("locked {number}"));
                yield_now().await;
                note(format!("unlocks {number}"));
            })
        };
        let waiting: Vec<_> = (0..3).map(wait).collect();
        yield_now().await;
        drop(held);
        for waiting in waiting {
            waiting.await.unwrap();
            note("joined");
        }
    });
}

fn set_of_tasks() {
    runtime().block_on(async {
        let mut set = JoinSet::new();
        for number in 0..4 {
            set.spawn(async move {
                note(format!("begins {number}"));
                if number % 2 == 1 {
                    yield_now().await;
                }
                number
            });
        }
        while let Some(number) = set.join_next().await {
            note(format!("joined {}", number.unwrap()));
        }
    });
}

struct NoteOnDrop(&'static str);

impl Drop for NoteOnDrop {
    fn drop(&mut self) {
        note(self.0);
    }
}

fn aborted() {
    runtime().block_on(async {
        let hold = |name| {
            spawn(async move {
                let _held = NoteOnDrop(name);
                pending::<()>().await;
            })
        };
        let (one, other) = (hold("one"), hold("other"));
        yield_now().await;
        one.abort();
        other.abort();
        note("root");
        yield_now().await;
        note("root again");
        assert!(one.await.unwrap_err().is_cancelled());
        assert!(other.await.unwrap_err().is_cancelled());
    });
}

fn blocking_job() {
    runtime().block_on(async {
        let (release, released) = std::sync::mpsc::channel();
        let job = rt::task::spawn_blocking(move || released.recv().unwrap());
        spawn(async move {
            release.send(()).unwrap();
            spawn(async { note("child") });
            note("other");
        });
        job.await.unwrap();
        note("root");
    });
}

fn local_tasks() {
    LocalSet::new().block_on(&runtime(), async {
        let (tell, told) = oneshot::channel();
        spawn_local(async move {
            note("teller");
            tell.send(()).unwrap();
            spawn_local(async { note("child") });
        });
        for number in 0..3 {
            spawn_local(async move { note(format!("other {number}")) });
        }
        told.await.unwrap();
        note("root");
        yield_now().await;
        note("root again");
    });
}

fn local_tasks_woken() {
    LocalSet::new().block_on(&runtime(), async {
        let notify = Rc::new(Notify::new());
        let wait = |number| {
            let notify = Rc::clone(&notify);
            spawn_local(async move {
                notify.notified().await;
                note(format!("told {number}"));
            })
        };
        let waiting: Vec<_> = (0..3).map(wait).collect();
        yield_now().await;
        spawn_local(async move {
            note("teller");
            notify.notify_waiters();
        });
        spawn_local(async { note("other") });
        for waiting in waiting {
            waiting.await.unwrap();
            note("joined");
        }
    });
}

/// The shape of a pool of connections that keeps a least number of idle ones: the task that is woken spawns the one that makes up
/// for what was taken, and a caller counts after its own turn.
fn pool() {
    runtime().block_on(async {
        let (returned, mut returns) = mpsc::channel(4);
        let idle = Arc::new(Mutex::new(2_u32));
        let keeper = Arc::clone(&idle);
        spawn(async move {
            while let Some(number) = returns.recv().await {
                let keeper = Arc::clone(&keeper);
                spawn(async move {
                    *keeper.lock().await += 1;
                    note(format!("made {number}"));
                });
            }
        });
        let (tell, told) = oneshot::channel();
        let taken = Arc::clone(&idle);
        spawn(async move {
            *taken.lock().await -= 1;
            returned.send(1).await.unwrap();
            tell.send(()).unwrap();
            note("taken");
            returned.send(2).await.unwrap();
        });
        told.await.unwrap();
        note(format!("idle {}", *idle.lock().await));
        yield_now().await;
        note(format!("idle {}", *idle.lock().await));
    });
}

/// What is spawned from outside comes after what is queued inside, one by one.
fn spawned_from_outside() {
    let runtime = runtime();
    for number in 0..3 {
        runtime.spawn(async move {
            note(format!("outside {number}"));
            spawn(async move { note(format!("child {number}")) });
        });
    }
    runtime.block_on(async {
        spawn(async { note("inside") });
        note("root");
        for _ in 0..4 {
            yield_now().await;
            note("root again");
        }
    });
}

/// Who has yielded is woken by something else meanwhile.
fn woken_after_its_yield() {
    runtime().block_on(async {
        let (tell, told) = oneshot::channel();
        let yields = |name: &'static str| async move {
            yield_now().await;
            note(name);
        };
        let both = spawn(async move {
            let hears = async {
                told.await.unwrap();
                note("told");
            };
            rt::join!(yields("yielded beside"), hears);
        });
        spawn(yields("yielded"));
        spawn(async move {
            tell.send(()).unwrap();
            note("teller");
        });
        spawn(async { note("other") });
        both.await.unwrap();
        note("root");
    });
}

/// Who wakes itself is queued behind the others, and not behind the round.
fn waking_themselves() {
    runtime().block_on(async {
        let turns = |name: &'static str| {
            let mut left = 3;
            poll_fn(move |cx| {
                note(name);
                left -= 1;
                if left == 0 {
                    return Poll::Ready(());
                }
                cx.waker().wake_by_ref();
                Poll::Pending
            })
        };
        let one = spawn(turns("one"));
        spawn(async {
            note("yields");
            yield_now().await;
            note("yielded");
        });
        spawn(turns("other"));
        turns("root").await;
        one.await.unwrap();
        yield_now().await;
    });
}

/// A task that has used up its budget waits for the end of the round.
fn out_of_budget() {
    runtime().block_on(async {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        (0..200).for_each(|number| sender.send(number).unwrap());
        drop(sender);
        let receiving = spawn(async move {
            let mut count = 0;
            while receiver.recv().await.is_some() {
                count += 1;
                if count % 50 == 0 {
                    note(format!("received {count}"));
                }
            }
        });
        let (tell, told) = oneshot::channel();
        spawn(async move {
            told.await.unwrap();
            note("told");
        });
        spawn(async move {
            tell.send(()).unwrap();
            note("teller");
        });
        receiving.await.unwrap();
        note("root");
    });
}

/// More tasks than a round has turns.
fn many_tasks() {
    runtime().block_on(async {
        let (tell, told) = oneshot::channel();
        let mut tell = Some(tell);
        for number in 0..150 {
            let tell = (number == 10).then(|| tell.take()).flatten();
            spawn(async move {
                if let Some(tell) = tell {
                    tell.send(()).unwrap();
                }
                if number % 7 == 0 {
                    yield_now().await;
                }
                note(number.to_string());
            });
        }
        told.await.unwrap();
        note("root");
        for _ in 0..3 {
            yield_now().await;
            note("root again");
        }
    });
}

fn yields_of_local_tasks() {
    LocalSet::new().block_on(&runtime(), async {
        spawn(async { note("not local") });
        let turns = |name: &'static str| async move {
            for turn in 0..3 {
                note(format!("{name} {turn}"));
                yield_now().await;
            }
        };
        let one = spawn_local(turns("one"));
        let other = spawn_local(turns("other"));
        spawn(turns("not local"));
        one.await.unwrap();
        note("root");
        other.await.unwrap();
    });
}

/// A set beside tasks, and in a root that does something else meanwhile.
fn local_tasks_beside_others() {
    runtime().block_on(async {
        let set = LocalSet::new();
        let (tell, told) = oneshot::channel();
        set.spawn_local(async move {
            told.await.unwrap();
            note("local");
            spawn(async { note("spawned by local") });
        });
        spawn(async move {
            note("teller");
            tell.send(()).unwrap();
        });
        spawn(async { note("other") });
        set.run_until(async {
            yield_now().await;
            note("root");
            yield_now().await;
            note("root again");
        })
        .await;
        set.await;
        note("end");
    });
}

fn event_interval() {
    let mut builder = Builder::new_current_thread();
    let runtime = builder.enable_all().event_interval(3).build().unwrap();
    runtime.block_on(async {
        for number in 0..10 {
            spawn(async move {
                note(format!("begins {number}"));
                yield_now().await;
                note(format!("ends {number}"));
            });
        }
        for _ in 0..6 {
            yield_now().await;
            note("root");
        }
    });
}

fn joined() {
    runtime().block_on(async {
        let waiting: Vec<_> = (0..3)
            .map(|number| {
                spawn(async move {
                    for _ in 0..number {
                        yield_now().await;
                    }
                    note(format!("done {number}"));
                })
            })
            .collect();
        let joiner = spawn(async {
            for waiting in waiting {
                waiting.await.unwrap();
                note("joined");
            }
        });
        spawn(async { note("other") });
        joiner.await.unwrap();
        note("root");
    });
}
