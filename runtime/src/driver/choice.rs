//! [`Driver`]: what the workers of a runtime stand on, decided once for all of them when it is built.

use std::env;
use std::io;
use std::sync::Once;

use super::device::{AnyDevice, AnyQueues, Device, Wait};
use super::error::SetupError;
use super::ring::ENTER;
use crate::trace;

/// What a runtime asks the kernel by.
///
/// Both do the same and give the same results; what differs is the cost. [`Builder::driver`](crate::Builder::driver)
/// chooses, [`RuntimeMetrics::driver`](crate::RuntimeMetrics::driver) tells what was chosen.
///
/// ```
/// use ringway_runtime::{Builder, Driver};
///
/// let runtime = Builder::new_current_thread().driver(Driver::Poll).build()?;
/// assert_eq!(runtime.metrics().driver(), Driver::Poll);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Driver {
    /// io_uring, and if the system refuses it to any worker, [`Driver::Poll`] for all of them. One line on the process's
    /// standard error (or, with the feature `tracing`, an event) then names cause and remedy.
    ///
    /// The environment's `RINGWAY_DRIVER` (`auto`, `io_uring` or `poll`) decides in its place.
    #[default]
    Auto,
    /// io_uring. If the system refuses it, building the runtime fails.
    IoUring,
    /// Readiness by epoll, and files on the blocking pool: for machines without io_uring, and to see what it does there.
    Poll,
}

/// A device and its queues.
pub(crate) type Opened = (AnyDevice, AnyQueues);

const VARIABLE: &str = "RINGWAY_DRIVER";

/// Opens `count` devices of one kind; which one it is, is the first value.
///
/// # Errors
///
/// If the system refuses one of a kind that was asked for, or one of the second kind too; or if the environment names
/// no driver.
pub(crate) fn open_devices(
    asked: Driver,
    count: usize,
) -> Result<(Driver, Vec<Opened>), SetupError> {
    match resolve(asked)? {
        Driver::IoUring => Ok((Driver::IoUring, open_rings(count)?)),
        Driver::Poll => Ok((Driver::Poll, open_pollers(count)?)),
        Driver::Auto => match open_rings(count) {
            Ok(rings) => Ok((Driver::IoUring, rings)),
            // Those rings that could be made have been given back by now.
            Err(refused) if refused.is_by_system() => {
                let pollers = open_pollers(count)?;
                tell(&refused);
                Ok((Driver::Poll, pollers))
            }
            Err(refused) => Err(refused),
        },
    }
}

/// An explicit choice stands; otherwise the environment chooses.
fn resolve(asked: Driver) -> Result<Driver, SetupError> {
    if asked != Driver::Auto {
        return Ok(asked);
    }
    match env::var_os(VARIABLE) {
        None => Ok(Driver::Auto),
        Some(value) => value.to_str().and_then(named).ok_or_else(|| {
            SetupError::new(
                "read RINGWAY_DRIVER (auto, io_uring or poll)",
                io::Error::from(io::ErrorKind::InvalidInput),
            )
        }),
    }
}

fn named(name: &str) -> Option<Driver> {
    Some(match name {
        "auto" => Driver::Auto,
        "io_uring" => Driver::IoUring,
        "poll" => Driver::Poll,
        _ => return None,
    })
}

fn open_rings(count: usize) -> Result<Vec<Opened>, SetupError> {
    (0..count)
        .map(|_| {
            let opened = AnyDevice::open_ring()?;
            // A filter may let rings be made and not used.
            opened
                .0
                .enter(0, Wait::No)
                .map_err(|source| SetupError::new(ENTER, source))?;
            Ok(opened)
        })
        .collect()
}

fn open_pollers(count: usize) -> Result<Vec<Opened>, SetupError> {
    (0..count).map(|_| AnyDevice::open_poll()).collect()
}

/// Once in a process: the cause will hardly be another the next time.
fn tell(refused: &SetupError) {
    static TOLD: Once = Once::new();
    TOLD.call_once(|| trace::warn_of_second_driver(refused));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mutant: the variable wins over an explicit choice.
    #[test]
    fn an_explicit_choice_stands_whatever_the_environment_says() {
        assert_eq!(resolve(Driver::IoUring).ok(), Some(Driver::IoUring));
        assert_eq!(resolve(Driver::Poll).ok(), Some(Driver::Poll));
    }

    #[test]
    fn drivers_have_one_name_each() {
        assert_eq!(named("auto"), Some(Driver::Auto));
        assert_eq!(named("io_uring"), Some(Driver::IoUring));
        assert_eq!(named("poll"), Some(Driver::Poll));
        for other in ["", "Poll", "uring", "epoll"] {
            assert_eq!(named(other), None, "{other:?}");
        }
    }

    #[test]
    fn all_devices_of_a_runtime_are_of_one_kind() {
        let (driver, devices) = open_devices(Driver::Poll, 3).expect("pollers");
        assert_eq!((driver, devices.len()), (Driver::Poll, 3));
        let all = devices
            .iter()
            .all(|(device, _)| matches!(device, AnyDevice::Poll(_)));
        assert!(all);
    }
}
