//! What tests set by environment variables, so that the same suites run as on other kernels and in smaller rings.
//!
//! * `RINGWAY_MASK=6.1` takes away the set-up flags, features and opcodes that came after that version of the kernel.
//! * `RINGWAY_RING_ENTRIES=2,4` makes rings with so many SQEs and CQEs, powers of two.
//! * `RINGWAY_FIRST_GENERATION=4294967290` begins the generations of operations' slots near their end.
//! * `RINGWAY_PROVIDED_BUFFERS=2` makes pools of so many provided buffers, a power of two.
//!
//! They are for tests: nothing else in the program changes with them, and a value that makes no sense is an error when
//! a runtime is built.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::str::FromStr;

use super::error::SetupError;
use super::features::{LATEST, Version};

const MASK: &str = "RINGWAY_MASK";
const RING_ENTRIES: &str = "RINGWAY_RING_ENTRIES";
const FIRST_GENERATION: &str = "RINGWAY_FIRST_GENERATION";
const PROVIDED_BUFFERS: &str = "RINGWAY_PROVIDED_BUFFERS";

/// The version of the kernel that this one shall pass for.
pub(super) fn kernel_mask() -> Result<Version, SetupError> {
    let mask = env::var_os(MASK).map(|value| pair(&value, '.'));
    mask.unwrap_or(Some(LATEST))
        .ok_or_else(|| senseless("read RINGWAY_MASK (a version such as 6.1)"))
}

/// How many SQEs and CQEs a ring shall have, if that is said.
pub(super) fn ring_entries() -> Result<Option<(u32, u32)>, SetupError> {
    let Some(value) = env::var_os(RING_ENTRIES) else {
        return Ok(None);
    };
    match pair::<u32>(&value, ',') {
        Some((sq, cq)) if sq.is_power_of_two() && cq.is_power_of_two() && sq <= cq => {
            Ok(Some((sq, cq)))
        }
        _ => Err(senseless(
            "read RINGWAY_RING_ENTRIES (two powers of two such as 2,4)",
        )),
    }
}

/// The generation of a slot that was not used yet.
pub(super) fn first_generation() -> Result<u32, SetupError> {
    let Some(value) = env::var_os(FIRST_GENERATION) else {
        return Ok(0);
    };
    let number = value.to_str().and_then(|text| text.parse().ok());
    number.ok_or_else(|| senseless("read RINGWAY_FIRST_GENERATION (a number of 32 bits)"))
}

/// How many provided buffers a pool shall have, if that is said.
///
/// # Panics
///
/// If it makes no sense: the pool is made long after the runtime.
pub(super) fn provided_buffers() -> Option<u16> {
    let value = env::var_os(PROVIDED_BUFFERS)?;
    let count = value.to_str().and_then(|value| value.parse::<u16>().ok());
    let count = count.filter(|count| count.is_power_of_two());
    Some(count.expect("RINGWAY_PROVIDED_BUFFERS is a power of two"))
}

fn pair<T: FromStr>(value: &OsStr, separator: char) -> Option<(T, T)> {
    let (first, second) = value.to_str()?.split_once(separator)?;
    Some((first.parse().ok()?, second.parse().ok()?))
}

fn senseless(step: &'static str) -> SetupError {
    SetupError::new(step, io::Error::from(io::ErrorKind::InvalidInput))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_two_numbers_and_nothing_else() {
        let pair = |text: &str| pair::<u8>(OsStr::new(text), '.');
        assert_eq!(pair("5.15"), Some((5, 15)));
        for senseless in ["", "5", "5.15.1", "5,15", "a.b", "5.300"] {
            assert_eq!(pair(senseless), None, "{senseless:?}");
        }
    }
}
