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

#[doc(inline)]
pub use ringway_runtime::dump;
#[doc(inline)]
pub use ringway_runtime::{
    BlockedWorker, Builder, EnterGuard, Handle, HistogramConfiguration, HistogramScale, Id,
    InvalidHistogramConfiguration, LocalOptions, LocalRuntime, LogHistogram, LogHistogramBuilder,
    RingMetrics, RngSeed, Runtime, RuntimeFlavor, RuntimeMetrics, TaskMeta, TryCurrentError,
    UnhandledPanic, is_rt_shutdown_err, worker_index,
};
