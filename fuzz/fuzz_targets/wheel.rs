//! The timer wheel beside an ordered map: whatever the bytes say is done to both, and they must not differ.
//!
//! The model is that of the long test, `timer/tests/wheel_long.rs`; every eight bytes are a step.
#![no_main]

#[path = "../../timer/tests/ordered_map/mod.rs"]
mod ordered_map;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut pair = ordered_map::Pair::default();
    for word in bytes.chunks_exact(8) {
        let word = word.try_into().expect("eight bytes");
        pair.step(u64::from_le_bytes(word));
    }
    pair.end();
});
