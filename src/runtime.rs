//! The runtime: building one, entering it, and handing out handles to it.
//!
//! Most programs need only `#[ringway::main]`. One that is not async all through builds a runtime and
//! keeps it:
//!
//! ```
//! use ringway::runtime::Builder;
//!
//! let runtime = Builder::new_multi_thread()
//!     .worker_threads(2)
//!     .thread_name("web")
//!     .enable_all()
//!     .build()?;
//! let sum = runtime.block_on(async {
//!     let left = ringway::spawn(async { 1 });
//!     let right = ringway::spawn(async { 2 });
//!     left.await.unwrap() + right.await.unwrap()
//! });
//! assert_eq!(sum, 3);
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! Its options are methods of [`Builder`]: threads and their names, the worker's pace, limits, and hooks. Those into
//! tasks cost nothing unless they are set:
//!
//! ```
//! use std::sync::Arc;
//! use std::sync::atomic::{AtomicUsize, Ordering};
//!
//! let live = Arc::new(AtomicUsize::new(0));
//! let (born, gone) = (Arc::clone(&live), Arc::clone(&live));
//! let runtime = ringway::runtime::Builder::new_current_thread()
//!     .on_task_spawn(move |_| _ = born.fetch_add(1, Ordering::Relaxed))
//!     .on_task_terminate(move |_| _ = gone.fetch_sub(1, Ordering::Relaxed))
//!     .build()?;
//! let task = runtime.spawn(async { 1 });
//! assert_eq!(live.load(Ordering::Relaxed), 1);
//! assert_eq!(runtime.block_on(task).unwrap(), 1);
//! assert_eq!(live.load(Ordering::Relaxed), 0);
//! # Ok::<(), std::io::Error>(())
//! ```

#[doc(inline)]
pub use ringway_runtime::dump;
#[doc(inline)]
pub use ringway_runtime::{
    BlockedWorker, Builder, Driver, EnterGuard, Handle, HistogramConfiguration, HistogramScale, Id,
    InvalidHistogramConfiguration, LocalOptions, LocalRuntime, LogHistogram, LogHistogramBuilder,
    RingMetrics, RngSeed, Runtime, RuntimeFlavor, RuntimeMetrics, TaskMeta, TryCurrentError,
    UnhandledPanic, is_rt_shutdown_err, worker_index,
};
