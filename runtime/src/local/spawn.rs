//! Spawning a task that stays on its thread, from wherever on that thread.

use std::future::Future;
use std::panic::Location;

use super::current;
use crate::context;
use crate::task::{Extras, JoinHandle};

/// tokio's text for a call where nothing takes local tasks.
const NO_PLACE: &str =
    "`spawn_local` called from outside of a `task::LocalSet` or `runtime::LocalRuntime`";
/// tokio's text for a call in a local runtime on a thread that is not its own.
const OTHER_THREAD: &str =
    "Local tasks can only be spawned on a LocalRuntime from the thread the runtime was created on";

/// Spawns a task that need not be `Send` onto the [`crate::LocalRuntime`] or the [`crate::LocalSet`] that this
/// thread is in. In both, it is the runtime's.
///
/// The task runs on this thread, whenever the runtime or the set runs, whether the handle is awaited or not.
///
/// # Panics
///
/// In neither, and in a local runtime that belongs to another thread.
///
/// ```
/// use std::rc::Rc;
/// use ringway_runtime::{LocalRuntime, spawn_local};
///
/// LocalRuntime::new()?.block_on(async {
///     let shared = Rc::new(5);
///     let kept = Rc::clone(&shared);
///     spawn_local(async move { assert_eq!(*kept, 5) }).await.unwrap();
///     assert_eq!(Rc::strong_count(&shared), 1);
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn spawn_local<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    spawn_local_with(future, Location::caller(), ())
}

#[track_caller]
pub(crate) fn spawn_local_with<F, E>(
    future: F,
    spawned_at: &'static Location<'static>,
    extras: E,
) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
    E: Extras,
{
    let runtime = context::with_current(|shared| shared.is_local().then(|| shared.clone()));
    if let Ok(Some(runtime)) = runtime {
        match runtime.spawn_local(future, spawned_at, extras) {
            Some(handle) => return handle,
            None => panic!("{OTHER_THREAD}"),
        }
    }
    match current::current() {
        Some(set) => set.spawn(future, spawned_at, extras),
        None => panic!("{NO_PLACE}"),
    }
}
